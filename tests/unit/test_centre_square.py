"""AIST++ is filmed wide, and the paper looks at the centre square: what the encoder is shown of a real file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from index_files import lay_indexes
from torch import Tensor

from tasks.clip_reader import ClipReader
from tasks.commits import ItemRows
from tasks.encode import EncodeWorker
from tasks.ingest import IngestWorker, Recipe
from tasks.pool_actor import Seen
from uniform_core.build import build_run
from uniform_core.config import RunConfig
from uniform_core.corpus.candidates import encode_candidates
from uniform_core.corpus.fingerprints import ingest_fingerprint
from uniform_core.corpus.inputs import item_json, list_items
from uniform_core.errors import ConfigError
from uniform_core.media import write_mp4
from uniform_core.types import Modality

HEIGHT, WIDTH = 72, 128  # 16:9, as the cameras of AIST have it
RED, GREEN, BLUE = (230, 20, 20), (20, 230, 20), (20, 20, 230)


def film(path: Path) -> Path:
    """Two seconds: red at both sides of the centre square, whose left half is green and whose right half is blue."""
    side = (WIDTH - HEIGHT) // 2
    picture_HWC = np.full((HEIGHT, WIDTH, 3), RED, np.uint8)
    picture_HWC[:, side : WIDTH // 2] = GREEN
    picture_HWC[:, WIDTH // 2 : -side] = BLUE
    sound_N = 0.2 * np.sin(np.arange(32_000) * 0.2)
    frames_THWC = np.repeat(picture_HWC[None], 40, axis=0)
    return write_mp4(path, frames_THWC, sound_N, video_rate_hz=20, audio_rate_hz=16_000)


class Watched:
    """A video codec that keeps what it is shown."""

    def __init__(self, codec: Any) -> None:
        self._codec, self.shown = codec, list[Tensor]()

    def encode(self, pixels_BCTHW: Tensor) -> Tensor:
        self.shown.append(pixels_BCTHW)
        latent: Tensor = self._codec.encode(pixels_BCTHW)
        return latent


def canonical_clip(config: RunConfig, media_dir: Path) -> dict[str, Any]:
    """The row of the clip of the first item, whose file lies where the fetcher puts it."""
    first = next(list_items(config))
    film(media_dir / "sources" / "aistpp" / f"{first.item.source_id}.mp4")
    recipe = Recipe.of(config.data, config.spec, ingest_fingerprint(config, config.data))
    worker = IngestWorker(recipes=[recipe], media_dir=str(media_dir))
    try:
        source = json.dumps(item_json(first.item))
        [made] = worker.process([{"work_key": first.key, "item": "a dance", "dataset_index": 0, "source": source}])
    finally:
        worker.close()
    assert isinstance(made, ItemRows), made
    [row] = made.rows["clips"]
    return dict(row)


def test_the_encoder_sees_the_centre_square_and_the_clip_keeps_the_whole_picture(tmp_path: Path) -> None:
    lay_indexes(tmp_path / "indexes")
    config = build_run("nano", data="aistpp", overrides=[f"data.index={tmp_path / 'indexes'}"])
    media_dir = tmp_path / "media"
    clip = canonical_clip(config, media_dir)
    assert clip["width_px"] / clip["height_px"] == pytest.approx(16 / 9, rel=0.05)
    assert json.loads(clip["attributes"])["crop"] == "centre_square"

    names = ("clip_id", "clip_sha256", "path", "dataset", "source_id", "split", "start_ms", "end_ms")
    clips = pa.Table.from_pylist([{name: clip[name] for name in names}])
    rows = [row for row in encode_candidates(config, clips).to_pylist() if row["modality"] == Modality.VIDEO]
    whole = config.model_dump_json()
    reader = ClipReader(config_json=whole, media_dir=str(media_dir))
    worker = EncodeWorker(config_json=whole, tensors_dir=str(tmp_path / "tensors"))
    watched = Watched(worker._video)
    worker._video = watched  # type: ignore[assignment]
    worker.process([Seen(row, read.value) for row, read in zip(rows, reader.read(rows), strict=True)])
    [pixels_BCTHW] = watched.shown
    assert pixels_BCTHW.shape[-2:] == (config.spec.height_px, config.spec.width_px)
    red, green, blue = (pixels_BCTHW[0].mean(dim=1) + 1) / 2
    middle = config.spec.width_px // 2
    assert float(red.max()) < 0.5, "no side is seen, but for what colour at half resolution lets through"
    assert float(red[:, 2:-2].max()) < 0.2
    for inside, outside, columns in ((green, blue, slice(2, middle - 2)), (blue, green, slice(middle + 2, -2))):
        assert float(inside[:, columns].min()) > 0.6, "the whole square is seen, and its middle is the middle"
        assert float(outside[:, columns].max()) < 0.4
    assert torch.isfinite(pixels_BCTHW).all()


@pytest.mark.parametrize("resize", ["squash", "letterbox"])
@pytest.mark.parametrize(("data", "place"), [("aistpp", "data"), ("landscape+aistpp", r"data\.members\.aistpp")])
def test_a_run_that_would_show_more_of_it_is_refused(resize: str, data: str, place: str) -> None:
    with pytest.raises(ConfigError, match=f"resize must be crop for {place}: of aistpp only the middle square"):
        build_run("nano", data=data, overrides=[f"resize={resize}"])
    assert build_run("nano", data="landscape", overrides=[f"resize={resize}"]).resize == resize
