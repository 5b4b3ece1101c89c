"""The worker of ingest on what a folder may hold: rows that the catalog takes, or a reason; never an exception."""

from __future__ import annotations

import errno
import json
import os
from itertools import islice
from pathlib import Path
from typing import Any

import media_files
import pyarrow as pa
import pytest

import tasks.ingest as ingest
from tasks.commits import ItemRows
from uniform_core.corpus.inputs import item_revision
from uniform_core.corpus.items import item_json
from uniform_core.datasets import FolderConfig, ProceduralConfig
from uniform_core.errors import Rejection
from uniform_core.media import CanonicalClip, RejectedWindow, Sandbox
from uniform_core.spec import AVSpec

SPEC = AVSpec(duration_s=2.0, video_rate_hz=16, height_px=32, width_px=32, canonical_short_side_px=32, hop=250)


def ingested(root: Path, media_dir: Path) -> dict[str, ItemRows | Rejection]:
    """What the worker makes of each entry of a folder."""
    dataset = FolderConfig(path=root)
    worker = ingest.IngestWorker(recipes=[ingest.Recipe.of(dataset, SPEC, "0" * 32)], media_dir=str(media_dir))
    items = list(dataset.items(SPEC))
    rows: list[dict[str, Any]] = [
        {
            "source": json.dumps(item_json(item)),
            "dataset_index": 0,
            "work_key": item_revision(item),
            "item": item.source_id,
        }
        for item in items
    ]
    try:
        results = worker.process(rows)
    finally:
        worker._sandbox.close()
    return {item.source_id: result for item, result in zip(items, results, strict=True)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "videos").mkdir()
    media_files.write(tmp_path / "videos" / "good.mp4", duration_s=2.2)
    return tmp_path / "videos"


def test_a_name_that_is_not_unicode_gives_rows_that_a_table_can_hold(root: Path, tmp_path: Path) -> None:
    (root / "good.mp4").rename(root / os.fsdecode(b"bad\xff.mp4"))
    [made] = ingested(root, tmp_path / "media").values()
    assert isinstance(made, ItemRows)
    for rows in made.rows.values():
        for name, value in rows[0].items():
            assert pa.array([value]).to_pylist() == [value], name
    assert made.rows["sources"][0]["path"] == f"{root}/bad\\xff.mp4"


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO])
def test_a_file_that_cannot_be_read_is_tried_again_another_day(
    code: int, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(_path: Path) -> str:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(ingest, "file_sha256", closed)
    [refused] = ingested(root, tmp_path / "media").values()
    assert isinstance(refused, Rejection)
    assert (refused.error_class, refused.terminal) == ("unreadable", False)
    assert os.strerror(code) in refused.message


@pytest.mark.parametrize("what", ["removed", "written to"])
def test_a_file_that_changes_while_it_is_read_is_tried_again_another_day(
    what: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its hash would be of one content and its clips of another; or there is nothing to say the size of."""
    film = root / "good.mp4"

    class Meanwhile(Sandbox):
        def canonicalise(self, *args: Any, **kwargs: Any) -> list[CanonicalClip | RejectedWindow]:
            made = super().canonicalise(*args, **kwargs)
            if what == "written to":
                with film.open("ab") as file:
                    file.write(b"more")
            else:
                film.unlink()
            return made

    monkeypatch.setattr(ingest, "Sandbox", Meanwhile)
    [refused] = ingested(root, tmp_path / "media").values()
    assert isinstance(refused, Rejection)
    assert (refused.error_class, refused.terminal) == ("changed_file", False)


def test_a_rendered_file_that_is_used_again_is_young_again(tmp_path: Path) -> None:
    """A killed run left it, no row names it yet: by its age it would be collected while it is read."""
    dataset = ProceduralConfig.example()
    [item] = islice(dataset.items(SPEC), 1)
    left = dataset.fetch(item, tmp_path / "sources" / dataset.name)
    assert isinstance(left, Path)
    os.utime(left, (0, 0))
    worker = ingest.IngestWorker(recipes=[ingest.Recipe.of(dataset, SPEC, "0" * 32)], media_dir=str(tmp_path))
    try:
        row = {"source": json.dumps(item_json(item)), "dataset_index": 0, "work_key": "k", "item": item.source_id}
        [made] = worker.process([row])
    finally:
        worker.close()
    assert isinstance(made, ItemRows)
    assert left.stat().st_mtime > 1e9


def test_events_are_those_of_the_clip_not_of_a_longer_window(tmp_path: Path) -> None:
    """A window of 2 s gives a clip of 1.5 s: what sounds in its last half second is not in the clip."""
    dataset = ProceduralConfig.example().model_copy(update={"clip_s": 2.0, "short_s": 2.2})
    spec = AVSpec(duration_s=1.5, video_rate_hz=16, height_px=32, width_px=32, canonical_short_side_px=32, hop=250)
    worker = ingest.IngestWorker(recipes=[ingest.Recipe.of(dataset, spec, "0" * 32)], media_dir=str(tmp_path))
    try:
        for item in islice(dataset.items(spec), 4):
            row = {"source": json.dumps(item_json(item)), "dataset_index": 0, "work_key": "k", "item": item.source_id}
            [made] = worker.process([row])
            assert isinstance(made, ItemRows)
            for clip in made.rows["clips"]:
                begin_s = clip["start_ms"] / 1000
                inside = [t - begin_s for t in item.event_times_s or () if begin_s <= t < begin_s + 1.5]
                assert clip["event_times_s"] == pytest.approx(inside)
    finally:
        worker.close()


def test_what_is_no_file_is_listed_and_refused(root: Path, tmp_path: Path) -> None:
    (root / "broken.mp4").symlink_to(root / "nothing.mp4")
    os.mkfifo(root / "pipe.mp4")
    results = ingested(root, tmp_path / "media")
    assert isinstance(results.pop("good.mp4"), ItemRows)
    said = {name: result.error_class for name, result in results.items() if isinstance(result, Rejection)}
    assert said == {"broken.mp4": "missing_file", "pipe.mp4": "not_a_file"}
