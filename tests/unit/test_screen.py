"""The worker of the stage `screen`: canonical clips in, rows of `screens` out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from catalog_rows import clip_row, open_catalog, stamp

from tasks.commits import ItemRows
from tasks.context import RunContext
from tasks.screen import ScreenWorker, run_screen
from uniform_core.build import build_run
from uniform_core.config import RunConfig
from uniform_core.corpus.candidates import screen_candidates
from uniform_core.corpus.fingerprints import screen_fingerprint
from uniform_core.errors import Rejection
from uniform_core.fingerprint import digest
from uniform_core.media.encoder import ClipEncoder, quantise
from uniform_core.media.forms import CanonicalForm
from uniform_core.metrics.recipes import NetTraining
from uniform_core.metrics.train_nets import train_sync_net
from uniform_core.metrics.trained import save_net


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return build_run("nano", overrides=["data.filters.max_offset_s=0.3"])


@pytest.fixture(scope="module")
def net_dir(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A net of the run's shape that has learnt next to nothing."""
    spec, rng = config.spec, np.random.default_rng(0)
    clips = rng.integers(0, 255, (6, spec.frames, spec.height_px, spec.width_px, 3)).astype(np.uint8)
    mels = rng.normal(-6, 1, (6, spec.mel_frames, spec.n_mels)).astype(np.float32)
    net = train_sync_net(clips, mels, ["one"] * 6, seed=0, training=NetTraining(steps=1, batch=2))
    folder = tmp_path_factory.mktemp("nets") / "sync"
    save_net(net, folder)
    return folder


def write_clip(path: Path, config: RunConfig) -> None:
    import av

    form, spec = CanonicalForm.of(config.spec), config.spec
    side = spec.canonical_short_side_px
    encoder, rng = ClipEncoder((side, side), form), np.random.default_rng(1)
    for _ in range(form.frames):
        image = rng.integers(0, 255, (side, side, 3), dtype=np.uint8)
        encoder.add(av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p"))
    path.write_bytes(encoder.finish(quantise(rng.normal(0, 0.1, form.samples).astype(np.float32))))


def test_a_clip_gets_a_row_and_a_damaged_one_a_reason(config: RunConfig, net_dir: Path, tmp_path: Path) -> None:
    catalog = open_catalog(tmp_path / "home")
    catalog.media_dir.mkdir(parents=True)
    write_clip(catalog.media_dir / "good.mp4", config)
    (catalog.media_dir / "bad.mp4").write_bytes(b"torn")
    for n, path in enumerate(("good.mp4", "bad.mp4", "heard.mp4")):
        split = "instrument" if path == "heard.mp4" else "filtered_unscreened"
        catalog.insert("clips", [clip_row(n, path=path, split=split)])
    candidates = screen_candidates(catalog.read("clips"), stage_fp=screen_fingerprint(config, digest("net")))
    rows = {row["path"]: row for row in candidates.to_pylist()}
    assert set(rows) == {"good.mp4", "bad.mp4"}
    worker = ScreenWorker(config_json=config.model_dump_json(), media_dir=str(catalog.media_dir), net_dir=str(net_dir))
    good, bad = worker.process([rows["good.mp4"], rows["bad.mp4"]])
    assert isinstance(good, ItemRows)
    [row] = good.rows["screens"]
    assert catalog.insert("screens", [stamp(**row)]) == 1
    [kept] = catalog.read("screens").to_pylist()
    assert (kept["clip_id"], kept["screener"]) == (digest(["clip", 0]), "tinysync")
    assert abs(kept["av_offset_s"]) <= 0.5
    assert isinstance(bad, Rejection)
    assert (bad.error_class, bad.terminal) == ("damaged_clip", False)


def test_nothing_is_screened_where_no_filter_asks(tmp_path: Path) -> None:
    nothing: Any = None
    config = build_run("nano", overrides=["data.filters.drop_silent=true"])
    context = RunContext(nothing, config, nothing, nothing, "run", nothing)
    assert run_screen(context) == []


def test_another_screener_or_spec_is_another_stage(config: RunConfig) -> None:
    own = screen_fingerprint(config, "one")
    assert own != screen_fingerprint(config, "another")
    assert own != screen_fingerprint(config.model_copy(update={"resize": "squash"}), "one")
