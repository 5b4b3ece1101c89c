"""A corpus is captioned while everything fails once, by two runs at once: every clip has one row, or one reason."""

from __future__ import annotations

import errno
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from encode_bench import ManyClips, clips_of, context_of, render_files
from faulty_captioner import EMPTY, SEGFAULT, TIMEOUT, FaultyConfig, FaultyReader, FaultyWorker
from tiny_vlm import save_tiny_vlm

from tasks.captions import run_captions
from tasks.ray_session import RaySession, ray_session
from tasks.stage import StageSummary
from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.errors import StorageError
from uniform_core.files import storage_error
from uniform_core.settings import Settings

FILES = 6  # of which every clip is one


class Corpus:
    """A home of so many clips, and what has become of each."""

    def __init__(self, home: Path, ray: RaySession, *, clips: int, decode_workers: int | None = None) -> None:
        marks = home / "marks"
        marks.mkdir(parents=True, exist_ok=True)
        self.settings = Settings(home=home, cpus=1, decode_workers=decode_workers)
        config = build_run("nano")
        paths = render_files(config, self.settings.media_dir, home, files=FILES)
        self.clips = clips_of(paths, clips, salt="corpus")
        weights = save_tiny_vlm(home / "model", "qwen2_vl")
        faulty = FaultyConfig(weights=str(weights), marks=str(marks))
        config = config.model_copy(update={"captioners": (faulty,)})
        self.ray, self.marks, self.config = ray, marks, config

    def context(self, run_id: str, *, apart: bool) -> ManyClips:
        settings = self.settings.model_copy(update={"decode_workers": 1 if apart else None})
        return replace(context_of(settings, self.config, self.clips, self.ray), run_id=run_id)

    def run(self, run_id: str, *, apart: bool = False) -> StageSummary:
        [summary] = run_captions(self.context(run_id, apart=apart))
        return summary

    @property
    def catalog(self) -> Catalog:
        return Catalog.open(self.settings)

    def require_each_once(self) -> None:
        """Every clip has exactly one live row, or none and a reason in the ledger."""
        rows = Counter(self.catalog.read("captions")["clip_id"].to_pylist())
        assert set(rows.values()) <= {1}
        reasons = {row["item"] for row in self.catalog.read("attempts").to_pylist()}
        for clip in self.clips.to_pylist():
            name = f"{clip['dataset']}/{clip['source_id']} 0-1.5 s"
            assert rows[clip["clip_id"]] or name in reasons, f"{name} has neither"
        texts = set(self.catalog.read("caption_texts")["text_hash"].to_pylist())
        assert {h for h in self.catalog.read("captions")["text_hash"].to_pylist() if h is not None} <= texts

    def row_of(self, number: int) -> dict[str, Any] | None:
        clip_id = self.clips["clip_id"][number].as_py()
        found = self.catalog.query("SELECT * FROM captions WHERE clip_id = $clip", parameters={"clip": clip_id})
        return next(iter(found.to_pylist()), None)


@pytest.mark.parametrize("clips", [300, pytest.param(5000, marks=pytest.mark.long)])
def test_every_clip_has_one_caption_or_one_reason(
    clips: int, tmp_path: Path, ray_running: RaySession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.captions.CaptionWorker", FaultyWorker)
    monkeypatch.setattr("tasks.captions.CaptionReader", FaultyReader)
    with ray_session(Settings(home=tmp_path / "home")) as ray:
        corpus = Corpus(tmp_path / "home", ray, clips=clips)
        with monkeypatch.context() as patch:
            full_once(patch)
            with pytest.raises(StorageError, match="No space left on device"):
                corpus.run("full disk")
        summaries = both_at_once(corpus)
        corpus.require_each_once()
        made = corpus.catalog.read("captions").num_rows
        assert made == clips - 2, "all but the one that crashes and the one whose server does not answer"
        assert sum(summary.rows["captions"] for summary in summaries) <= made, "nothing was committed twice"
        assert (corpus.row_of(SEGFAULT), corpus.row_of(TIMEOUT)) == (None, None)
        assert (corpus.row_of(EMPTY) or {})["status"] == "empty"
        loads = len((corpus.marks / "loads").read_text().split())

        (corpus.marks / "server-is-up").touch()
        last = corpus.run("rerun")
        assert (last.done, last.failed, last.waiting, last.already_done) == (1, 0, 1, clips - 2)
        assert len((corpus.marks / "loads").read_text().split()) - loads <= 1, "one process, for one clip"
        corpus.require_each_once()
        [why] = corpus.catalog.query("SELECT DISTINCT error_class FROM attempts WHERE item LIKE '%/17 %'").to_pylist()
        assert why == {"error_class": "crash"}
        assert corpus.run("nothing left").done == 0


def full_once(patch: pytest.MonkeyPatch) -> None:
    """The disk is full when the second commit of captions is to be written."""
    insert, seen = Catalog.insert, Counter[str]()

    def once(self: Catalog, table: str, rows: Any) -> int:
        seen[table] += 1
        if table == "captions" and seen[table] == 2:
            raise storage_error("captions", OSError(errno.ENOSPC, "No space left on device"))
        return insert(self, table, rows)

    patch.setattr(Catalog, "insert", once)


def both_at_once(corpus: Corpus) -> list[StageSummary]:
    """Two runs over the same corpus: one decodes beside the model, the other in a process of its own."""
    ended: list[StageSummary] = []
    runs = [
        threading.Thread(target=lambda apart=apart: ended.append(corpus.run(f"apart: {apart}", apart=apart)))
        for apart in (False, True)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len(ended) == 2, "both came to their end"
    assert all(summary.done for summary in ended), "both have captioned the same clips"
    return ended
