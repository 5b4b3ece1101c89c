"""The clips that MLflow is given: the film, and beside it a picture of it and of the real clip."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest
from catalog_rows import clip_row

from tasks import stills
from uniform_core.build import build_run
from uniform_core.corpus.evaluation import System
from uniform_core.corpus.pictures import GALLERY_GAP_PX, GALLERY_GREY, STILL_WIDTH_PX, fitted, still_of
from uniform_core.media import write_mp4
from uniform_core.settings import Settings
from uniform_core.types import Task

CONFIG = build_run("nano")
SPEC = CONFIG.spec


@pytest.fixture
def context(home, monkeypatch) -> Any:
    """Eight clips of two classes with films at T2AV; one real file is gone, and one film is no film."""
    settings = Settings(home=home)
    clips = [clip_row(n, label="ab"[n % 2]) for n in range(8)]
    frames = np.random.default_rng(0).integers(0, 255, (SPEC.frames, 32, 32, 3), dtype=np.uint8)
    tone = np.sin(np.arange(SPEC.samples) / 20).astype(np.float32)
    rows = [{"path": f"made/{n}.mp4", "task": "t2av", "clip_id": clip["clip_id"]} for n, clip in enumerate(clips)]
    rates = {"video_rate_hz": SPEC.video_rate_hz, "audio_rate_hz": SPEC.audio_rate_hz}
    for path in (*(row["path"] for row in rows), *(clip["path"] for clip in clips[1:])):
        write_mp4(settings.media_dir / path, frames, tone, **rates)
    (settings.media_dir / rows[1]["path"]).write_bytes(b"no film")
    monkeypatch.setattr(stills, "current_generations", lambda *_, **__: {System("uniform", Task.T2AV): rows})
    table = pa.Table.from_pylist(clips)
    return SimpleNamespace(settings=settings, config=CONFIG, catalog=None, clips=lambda: table)


def test_films_lie_by_task_with_pictures_where_they_can_be_read(context, tmp_path):
    chosen = stills.chosen_samples(context, "a model")
    assert len(chosen) == stills.SAMPLES_A_TASK
    assert {row["clip"]["label"] for row in chosen} == {"a", "b"}
    stills.write_samples(context, chosen, tmp_path / "samples")
    names = {path.name for path in (tmp_path / "samples/t2av").iterdir()}
    films = {path.rsplit("/", 1)[1] for path in (row["path"] for row in chosen)}
    stems = {name.removesuffix(".mp4") for name in films}
    pictures = {f"{stem}{kind}.png" for stem in stems for kind in ("", "-real")}
    assert names == films | pictures - {"0-real.png", "1.png"}
    gallery = cv2.imread(str(tmp_path / "samples/gallery-t2av.png"))
    assert gallery.shape[1] == STILL_WIDTH_PX + GALLERY_GAP_PX
    rows = np.array_split(gallery, len(chosen))
    at = {row["path"]: place for place, row in enumerate(chosen)}
    left, right = np.s_[:, : STILL_WIDTH_PX // 2], np.s_[:, -STILL_WIDTH_PX // 2 :]
    empty = GALLERY_GREY
    assert (rows[at["made/0.mp4"]][left][GALLERY_GAP_PX:-GALLERY_GAP_PX] == empty).all(), "its real clip is gone"
    assert (rows[at["made/1.mp4"]][right][GALLERY_GAP_PX:-GALLERY_GAP_PX] == empty).all(), "it is no film"
    assert rows[at["made/2.mp4"]][left].std() > 10
    assert rows[at["made/2.mp4"]][right].std() > 10


def test_a_still_has_the_frames_above_the_sound_on_one_axis_of_time():
    frames = np.zeros((SPEC.frames, 32, 32, 3), dtype=np.uint8)
    frames[SPEC.frames // 2 :] = (255, 0, 0)
    wave = np.zeros(SPEC.samples // 2, dtype=np.float32)
    still = still_of(frames, wave, SPEC)
    assert still.shape[1] == STILL_WIDTH_PX
    assert (still[0, : STILL_WIDTH_PX // 2] == 0).all()
    assert (still[0, STILL_WIDTH_PX // 2 :] == (255, 0, 0)).all()
    decoded = cv2.imdecode(np.frombuffer(stills.png_of(still), np.uint8), cv2.IMREAD_COLOR)
    assert (cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB) == still).all()
    assert len(fitted(wave, SPEC)) == SPEC.samples
