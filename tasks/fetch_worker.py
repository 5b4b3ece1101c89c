"""What a worker of the stage `fetch` does with the clips of a video: asked of the sources, cut, validated, placed.

A file reaches its place whole, by a rename, before its row is written; so a file without a row is what a kill left, and
is taken as it is, where it is what it must be.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from tasks.fetch_results import ONLY_COPIES, Fetched, Nowhere, Said, stops_run
from uniform_core.corpus.items import item_from_json
from uniform_core.datasets import AnyDataset
from uniform_core.datasets.index import IndexDataset
from uniform_core.fetching.cut import cut_clips
from uniform_core.fetching.entries import portable_path
from uniform_core.fetching.gate import Gate
from uniform_core.fetching.outcome import Absent, Deferred, Failed, Found, FoundVideo, Outcome
from uniform_core.fetching.sources.base import Means, Source
from uniform_core.fetching.validate import tool_versions, validate
from uniform_core.fetching.wanted import WantedClip, WantedVideo
from uniform_core.files import TEMP_PREFIX, fsync, is_inside, move, remove, storage_error
from uniform_core.fingerprint import file_sha256
from uniform_core.media import Sandbox
from uniform_core.settings import FETCH_CACHE
from uniform_core.turns import Turns
from uniform_core.types import SourceItem

Result = Fetched | Failed | Deferred | Nowhere
SCRATCH = "scratch"  # has a folder for each worker, whose process is in its name
TURNS = "turns"  # of the workers at their machine's cores
KEPT = "kept"  # the source of a file that was found at its place, without a row


class OpenSource(NamedTuple):
    """A source of a dataset in a worker; `kind` and `is_copy` are its config's."""

    kind: str
    source: Source
    is_copy: bool


class FetchWorker:
    """Fetches the clips of one video after another. Holds the sources of each dataset, and one sandboxed decoder.

    `datasets` are configs as JSON, by their place in the run; `work_dir` is on the disk of `media_dir`.
    """

    def __init__(self, *, datasets: Mapping[int, str], media_dir: str, work_dir: str, gate: Gate) -> None:
        self._datasets: dict[int, IndexDataset] = {
            index: TypeAdapter(AnyDataset).validate_json(text) for index, text in datasets.items()
        }
        self._media_dir, self._gate = Path(media_dir), gate
        self._work_dir = Path(work_dir)
        self._scratch = self._work_dir / SCRATCH / f"{os.getpid()}-{uuid.uuid4().hex}"
        self._cuts = self._scratch / "cuts"
        self._cuts.mkdir(parents=True)
        self._tools = json.dumps(tool_versions(), sort_keys=True)
        self._open: dict[int, list[OpenSource]] = {}
        self._sandbox = Sandbox()
        self._turns = Turns(self._work_dir / TURNS)

    def process(self, batch: Sequence[Mapping[str, Any]]) -> list[Result]:
        """One result for each clip of a video."""
        items = {row["work_key"]: item_from_json(json.loads(row["source"])) for row in batch}
        index = batch[0]["dataset_index"]
        results: dict[str, Result] = {}
        for key, item in items.items():
            if (kept := self._kept(index, item)) is not None:
                results[key] = kept
        left = {key: item for key, item in items.items() if key not in results}
        alone = {items[row["work_key"]].source_id for row in batch if row["is_alone"]}
        for video in self._datasets[index].videos(left.values(), alone=alone):
            wanted = {item.source_id: item for item in left.values()}
            found = self._fetch(index, video, wanted, only_copies=batch[0].get(ONLY_COPIES, False))
            results |= {key: found[item.source_id] for key, item in left.items() if item.source_id in found}
        return [results[row["work_key"]] for row in batch]

    def close(self) -> None:
        """Let go of the sources, the decoder and what is left of temporary files."""
        for one in [one for several in self._open.values() for one in several]:
            one.source.close()
        self._open.clear()
        self._sandbox.close()
        self._turns.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    # -- sources ----------------------------------------------------------------------------------------------------

    def _fetch(
        self, index: int, video: WantedVideo, items: Mapping[str, SourceItem], *, only_copies: bool
    ) -> dict[str, Result]:
        """One result for each clip of the video, by source_id: the file of the first source that has it."""
        left = {clip.source_id: clip for clip in video.clips}
        results: dict[str, Result] = {}
        said = Said()
        sources = [one for one in self._sources(index) if one.is_copy or not only_copies]
        for kind, source, is_copy in sources:
            clips = {source_id: clip for source_id, clip in left.items() if is_copy or source_id not in said.blocked}
            if not clips:
                continue
            outcomes = source.fetch(replace(video, clips=tuple(clips.values())))
            for source_id, outcome in self._cut(outcomes, clips).items():
                if isinstance(outcome, Absent):
                    continue
                result = self._settle(index, items[source_id], outcome, kind)
                if isinstance(result, Fetched) or stops_run(result):
                    results[source_id] = result
                    del left[source_id]
                else:
                    said.note(source_id, result, is_copy=is_copy)
            self._drop(outcomes)
        kinds = ", ".join(one.kind for one in sources) or "no source at all"
        nowhere = Nowhere(f"a clip in one of the sources expected, none found in {kinds}")
        return results | {source_id: said.last_word(source_id) or nowhere for source_id in left}

    def _sources(self, index: int) -> list[OpenSource]:
        """The sources of a dataset, opened when its first clip is wanted. Raises ConfigError."""
        if index not in self._open:
            self._open[index] = []
            means = Means(self._scratch / "sources", self._gate, cache=self._work_dir / FETCH_CACHE)
            for config in self._datasets[index].sources:
                self._open[index].append(OpenSource(config.kind, config.open(means), config.is_copy))
        return self._open[index]

    def _cut(self, outcomes: Mapping[str, Outcome], clips: Mapping[str, WantedClip]) -> dict[str, Outcome]:
        """The outcomes with every clip cut from the video that was found for it, those of one file in one pass."""
        whole = {source_id: found for source_id, found in outcomes.items() if isinstance(found, FoundVideo)}
        made = {source_id: found for source_id, found in outcomes.items() if source_id not in whole}
        for video in dict.fromkeys(whole.values()):
            of_video = [clips[source_id] for source_id, found in whole.items() if found == video]
            with self._turns.one():
                made |= cut_clips(video, of_video, sandbox=self._sandbox, out_dir=self._cuts)
        return made

    # -- files ------------------------------------------------------------------------------------------------------

    def _settle(self, index: int, item: SourceItem, outcome: Outcome, kind: str) -> Failed | Deferred | Fetched:
        """A found file validated and at its place, or why there is none."""
        if isinstance(outcome, Failed | Deferred):
            return outcome
        assert isinstance(outcome, Found), f"{kind} gave {type(outcome).__name__}"
        row = self._row(index, item, outcome.path, source=kind, origin=outcome.origin)
        if isinstance(row, Failed):
            if outcome.is_owned:
                remove(outcome.path)
            return row
        place = self._place(item)
        if outcome.is_owned:
            move(outcome.path, place)
        else:
            _link(outcome.path, place)
        return Fetched(row, row["bytes"] if outcome.is_owned else 0)

    def _kept(self, index: int, item: SourceItem) -> Fetched | None:
        """What lies at a clip's place already. What is there, and is not what it must be, goes."""
        place = self._place(item)
        if not place.is_file():
            remove(place)  # a link that leads nowhere
            return None
        origin = (
            portable_path(place.readlink()) if place.is_symlink() else "fetched by a run that was killed before its row"
        )
        row = self._row(index, item, place, source=KEPT, origin=origin)
        if isinstance(row, Failed):
            remove(place)
            return None
        return Fetched(row, 0)

    def _place(self, item: SourceItem) -> Path:
        name = WantedClip(item.source_id).source_id  # which is a plain name, whatever a list says
        return self._media_dir / "sources" / item.dataset / f"{name}.mp4"

    def _row(self, index: int, item: SourceItem, path: Path, *, source: str, origin: str) -> dict[str, Any] | Failed:
        """The row of `downloads` of a file, or why it is none that can be used."""
        span = item.span
        with self._turns.one():
            facts = validate(path, wanted_s=None if span is None else span.end_s - span.start_s, sandbox=self._sandbox)
        if isinstance(facts, Failed):
            return facts
        return {
            "dataset": item.dataset,
            "source_id": item.source_id,
            "video_id": item.video_id,
            "start_ms": None if span is None else span.start_ms,
            "end_ms": None if span is None else span.end_ms,
            "source": source,
            "origin": origin,
            "path": self._place(item).relative_to(self._media_dir).as_posix(),
            "source_sha256": file_sha256(path),
            **asdict(facts),
            "index_sha256": self._datasets[index].index_sha256(item),
            "tools": self._tools,
        }

    def _drop(self, outcomes: Mapping[str, Outcome]) -> None:
        """What a source gave and nobody wants any more is gone, with the folders that were made for it."""
        for outcome in outcomes.values():
            is_ours = isinstance(outcome, FoundVideo) or (isinstance(outcome, Found) and outcome.is_owned)
            if isinstance(outcome, FoundVideo | Found) and is_ours and is_inside(outcome.path, self._scratch):
                remove(outcome.path)
                with suppress(OSError):  # others are in it
                    outcome.path.parent.rmdir()


def _link(path: Path, place: Path) -> None:
    """A link to the file is at its place. Raises StorageError."""
    temp = place.with_name(f"{TEMP_PREFIX}{uuid.uuid4().hex}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        temp.symlink_to(path.resolve())
        temp.replace(place)
        fsync(place.parent)
    except OSError as error:
        raise storage_error(str(place), error) from error
