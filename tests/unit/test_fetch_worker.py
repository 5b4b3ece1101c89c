"""A worker of the stage `fetch`: sources in their order, clips cut, validated and placed, files that a kill left."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fetch_doubles import NotingGate
from fetch_index import short_index
from media_files import write

from tasks.fetch_results import ONLY_COPIES, Fetched, Nowhere
from tasks.fetch_worker import KEPT, TURNS, FetchWorker, OpenSource
from uniform_core.corpus.fetching import fetch_key
from uniform_core.corpus.items import item_json
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.outcome import Absent, Deferred, Failed, Found, FoundVideo, Outcome
from uniform_core.fetching.sources import FolderSource, Means
from uniform_core.fetching.wanted import WantedClip, WantedVideo
from uniform_core.fingerprint import file_sha256
from uniform_core.media import Sandbox
from uniform_core.spec import AVSpec
from uniform_core.turns import Turns
from uniform_core.types import SourceItem

VIDEO = "-0abcdefghi"
SPEC = AVSpec(duration_s=1.0, video_rate_hz=16, height_px=32, width_px=32, canonical_short_side_px=32)
Answer = Callable[[WantedClip, Path], Outcome]


class StandinSource:
    """A source that answers as a function says."""

    def __init__(self, answer: Answer, scratch: Path) -> None:
        self._answer, self._scratch = answer, scratch
        self.asked: list[list[str]] = []

    def fetch(self, video: WantedVideo) -> Mapping[str, Outcome]:
        self.asked.append([clip.source_id for clip in video.clips])
        self._scratch.mkdir(exist_ok=True)  # which goes when it is empty
        return {clip.source_id: self._answer(clip, self._scratch) for clip in video.clips}

    def close(self) -> None:
        """Nothing is held."""


class Worker(FetchWorker):
    """A worker with stand-ins for its sources, by their kinds; those of `copies` give what somebody has already."""

    standins: dict[str, StandinSource]
    copies: Collection[int]

    def _sources(self, index: int) -> list[OpenSource]:
        return [OpenSource(kind, one, n in self.copies) for n, (kind, one) in enumerate(self.standins.items())]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("video") / "v.mp4", duration_s=3.0)


class Desk:
    """A root, an index of two clips of one video, and a worker."""

    def __init__(self, root: Path) -> None:
        self.media, self.root = root / "media", root
        self.index = short_index(root / "lists", [(VIDEO, 0, 1), (VIDEO, 1.5, 2.5)])
        self.items = list(self.index.items(SPEC))
        self.worker = Worker(
            datasets={0: self.index.model_dump_json()},
            media_dir=str(self.media),
            work_dir=str(self.media / "fetching"),
            gate=None,  # type: ignore[arg-type]  (no stand-in asks it)
        )
        self.scratch = next((self.media / "fetching" / "scratch").iterdir()) / "sources"
        self.scratch.mkdir()

    def fetch(
        self,
        *answers: Answer,
        items: Sequence[SourceItem] | None = None,
        copies: Collection[int] = (),
        only_copies: bool = False,
        is_alone: bool = False,
    ) -> list[Any]:
        """What comes of clips, of all where none are given, asked of sources; the numbers in `copies` are copies."""
        self.worker.copies = copies
        self.worker.standins = {f"source{n}": StandinSource(a, self.scratch) for n, a in enumerate(answers)}
        chosen = self.items if items is None else items
        same = {"dataset_index": 0, "is_alone": is_alone} | ({ONLY_COPIES: True} if only_copies else {})
        rows = [{"work_key": fetch_key(item), "source": json.dumps(item_json(item)), **same} for item in chosen]
        return self.worker.process(rows)

    def asked(self, number: int) -> list[list[str]]:
        return self.worker.standins[f"source{number}"].asked

    def place(self, item: SourceItem) -> Path:
        return self.media / "sources" / "audioset" / f"{item.source_id}.mp4"

    def left_over(self) -> list[Path]:
        files = (path for path in (self.media / "fetching").rglob("*") if path.is_file())
        return [path for path in files if not path.is_relative_to(self.media / "fetching" / TURNS)]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.worker.close()
    assert not list((made.media / "fetching" / "scratch").iterdir())


def whole(video: Path) -> Answer:
    """A source that has the whole video, as one file for all clips."""

    def answer(_clip: WantedClip, scratch: Path) -> Outcome:
        copy = scratch / "whole.mp4"
        shutil.copy(video, copy)
        return FoundVideo(copy, "http://host/v")

    return answer


def always(outcome: Outcome) -> Answer:
    return lambda _clip, _scratch: outcome


def test_the_clips_of_a_video_are_cut_validated_and_placed(desk: Desk, video: Path) -> None:
    results = desk.fetch(whole(video))
    for item, result in zip(desk.items, results, strict=True):
        assert isinstance(result, Fetched), result
        row = result.row
        path = desk.place(item)
        assert (row["path"], row["source_sha256"]) == (f"sources/audioset/{item.source_id}.mp4", file_sha256(path))
        assert (row["bytes"], result.bytes) == (path.stat().st_size, path.stat().st_size)
        assert (row["video_id"], row["start_ms"], row["end_ms"]) == (VIDEO, item.span.start_ms, item.span.end_ms)
        assert (row["source"], row["origin"]) == ("source0", "http://host/v")
        assert row["duration_s"] == pytest.approx(1.0, abs=0.05)
        assert row["index_sha256"] == file_sha256(desk.root / "lists" / "eval_segments.csv")
        assert "av" in json.loads(row["tools"])
        assert isinstance(desk.index.fetch(item, path.parent), Path), "ingest finds it"
    assert desk.asked(0) == [[item.source_id for item in desk.items]], "one call for both"
    assert desk.left_over() == []


def test_a_copy_that_stays_with_its_owner_is_linked(desk: Desk, video: Path, tmp_path: Path) -> None:
    own = write(tmp_path / "own.mp4", duration_s=1.0)
    before = own.stat()
    result = desk.fetch(always(Found(own, str(own), is_owned=False)), items=desk.items[:1])[0]
    assert isinstance(result, Fetched)
    place = desk.place(desk.items[0])
    assert place.is_symlink()
    assert place.resolve() == own.resolve()
    assert (result.bytes, result.row["bytes"]) == (0, before.st_size)
    assert (own.stat().st_mtime_ns, own.stat().st_size) == (before.st_mtime_ns, before.st_size)
    assert desk.index.fetch(desk.items[0], place.parent) == own.resolve()


def test_sources_are_asked_in_their_order_until_one_has_the_clip(desk: Desk, video: Path) -> None:
    """What a host says of a clip is no word about another source; it stands where none has the clip."""
    first, second = desk.items
    dead, denied = Failed(FailureClass.DEAD, "removed"), Failed(FailureClass.DENIED, "not you")

    def has_second(clip: WantedClip, scratch: Path) -> Outcome:
        return dead if clip.source_id == first.source_id else whole(video)(clip, scratch)

    results = desk.fetch(always(Absent()), has_second, always(denied), always(Absent()))
    assert results[0] == dead, "the first host's word, not the last one's"
    assert isinstance(results[1], Fetched)
    both = [first.source_id, second.source_id]
    assert [desk.asked(n) for n in range(4)] == [[both], [both], [[first.source_id]], [[first.source_id]]]
    [found] = desk.fetch(always(dead), whole(video), items=[first])
    assert isinstance(found, Fetched)
    assert found.row["source"] == "source1"


def test_behind_a_closed_host_copies_are_asked_and_no_other_host(desk: Desk, video: Path, tmp_path: Path) -> None:
    """Else the host that comes last would have to carry all that the first one's wall keeps back."""
    closed = Deferred("host", datetime(2026, 1, 1, tzinfo=UTC))
    wall = Failed(FailureClass.BOTWALL, "not a bot?")
    dead = Failed(FailureClass.DEAD, "removed")
    own = always(Found(write(tmp_path / "own.mp4", duration_s=1.0), "own.mp4", is_owned=False))
    for blocked in (closed, wall):
        assert desk.fetch(always(blocked), whole(video)) == [blocked, blocked]
        assert desk.asked(1) == []
        assert desk.fetch(always(dead), always(blocked)) == [blocked, blocked], "it may still have them"
        [found] = desk.fetch(always(blocked), whole(video), own, items=desk.items[:1], copies=[2])
        assert isinstance(found, Fetched), found
        assert (found.row["source"], desk.asked(1)) == ("source2", [])
        desk.place(desk.items[0]).unlink()


def test_a_source_is_told_what_copies_call_a_clip(desk: Desk) -> None:
    stems: list[tuple[str, ...]] = []

    def noted(clip: WantedClip, _scratch: Path) -> Outcome:
        stems.append(clip.stems)
        return Absent()

    for is_alone in (False, True):
        desk.fetch(noted, items=desk.items[:1], is_alone=is_alone)
    assert all(one[:2] == (f"{VIDEO}_0", f"{VIDEO}_0_1000") for one in stems)
    assert [VIDEO in one for one in stems] == [False, True]


def test_where_copies_alone_are_asked_no_host_is(desk: Desk, video: Path, tmp_path: Path) -> None:
    own = write(tmp_path / "own.mp4", duration_s=1.0)
    first = desk.items[0]

    def has_first(clip: WantedClip, _scratch: Path) -> Outcome:
        return Found(own, "own.mp4", is_owned=False) if clip.source_id == first.source_id else Absent()

    found, lost = desk.fetch(whole(video), has_first, copies=[1], only_copies=True)
    assert isinstance(found, Fetched)
    assert (found.row["source"], desk.asked(0)) == ("source1", [])
    assert lost == Nowhere("a clip in one of the sources expected, none found in source1")


def test_a_set_up_that_cannot_work_is_said_though_another_source_has_the_clip(desk: Desk, video: Path) -> None:
    fault = Failed(FailureClass.CONFIG, "no JS runtime")
    assert desk.fetch(always(fault), whole(video)) == [fault, fault]
    assert desk.asked(1) == []


def test_a_damaged_copy_of_somebodys_own_stands_in_no_other_sources_way(
    desk: Desk, video: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.mp4"
    own.write_bytes(b"not a video")
    result = desk.fetch(always(Found(own, str(own), is_owned=False)), whole(video), items=desk.items[:1], copies=[0])[0]
    assert isinstance(result, Fetched)
    assert result.row["source"] == "source1"
    assert not desk.place(desk.items[0]).is_symlink()
    alone = desk.fetch(always(Found(own, str(own), is_owned=False)), items=desk.items[1:], copies=[0])[0]
    assert isinstance(alone, Failed)
    assert (alone.failure, alone.is_final) == (FailureClass.BAD_MEDIA, True)
    assert own.read_bytes() == b"not a video", "it is its owner's"


def test_a_member_that_an_archive_gives_damaged_or_refuses_is_asked_of_the_next_source(desk: Desk, video: Path) -> None:
    refused = Failed(FailureClass.TOO_LARGE, "copies.tar, member x: a bomb")

    def damaged(clip: WantedClip, scratch: Path) -> Outcome:
        path = scratch / f"tar-{clip.source_id}.mp4"
        path.write_bytes(b"not a video")
        return Found(path, "copies.tar#x.mp4")

    def archive(clip: WantedClip, scratch: Path) -> Outcome:
        return damaged(clip, scratch) if clip.source_id == desk.items[0].source_id else refused

    results = desk.fetch(archive, always(Absent()), whole(video), copies=[0])
    assert [type(result) for result in results] == [Fetched, Fetched]
    assert {result.row["source"] for result in results} == {"source2"}
    for item in desk.items:
        desk.place(item).unlink()
    first, second = desk.fetch(archive, always(refused), copies=[0, 1])
    assert (first.failure, second) == (FailureClass.BAD_MEDIA, refused), "where all copies are bad: what the first was"
    dead = Failed(FailureClass.DEAD, "removed")
    assert desk.fetch(archive, always(dead), copies=[0]) == [dead, dead], "what may still come of it, its host says"
    assert desk.left_over() == []


def test_what_no_source_has_is_said_to_be_nowhere(desk: Desk) -> None:
    assert (
        desk.fetch(always(Absent()), always(Absent()))
        == [Nowhere("a clip in one of the sources expected, none found in source0, source1")] * 2
    )
    assert desk.fetch() == [Nowhere("a clip in one of the sources expected, none found in no source at all")] * 2


def test_a_closed_host_and_failures_leave_no_file(desk: Desk, tmp_path: Path) -> None:
    closed = Deferred("host", datetime(2026, 1, 1, tzinfo=UTC))
    assert desk.fetch(always(closed), always(Absent())) == [closed, closed]
    assert desk.asked(1) == []

    def page(_clip: WantedClip, scratch: Path) -> Outcome:
        path = scratch / f"{_clip.source_id}.part"
        path.write_bytes(b"<html>before you continue</html>")
        return FoundVideo(path, "http://host/v")

    results = desk.fetch(page)
    assert [result.failure for result in results] == [FailureClass.BAD_MEDIA] * 2
    assert desk.left_over() == []
    assert not list(desk.media.rglob("*.mp4"))


def test_a_clip_that_is_too_short_or_begins_after_the_end_is_told_apart(desk: Desk, tmp_path: Path) -> None:
    short = write(tmp_path / "short.mp4", duration_s=0.6)
    results = desk.fetch(whole(short))
    assert [result.failure for result in results] == [FailureClass.BAD_MEDIA, FailureClass.RANGE]


def test_a_file_that_a_kill_left_without_a_row_is_used_and_nobody_is_asked(desk: Desk, video: Path) -> None:
    before = [result.row["source_sha256"] for result in desk.fetch(whole(video))]
    again = desk.fetch(always(Failed(FailureClass.DEAD, "gone meanwhile")))
    assert [result.row["source_sha256"] for result in again] == before
    assert [(result.row["source"], result.bytes) for result in again] == [(KEPT, 0)] * 2
    assert desk.asked(0) == []


def test_a_name_that_is_no_text_is_written_as_text(desk: Desk, tmp_path: Path) -> None:
    """Where a file came from is a column of a table: of a copy, and of a link that a kill left without a row."""
    folder = tmp_path / "copies" / os.fsdecode(b"de\xffp")
    folder.mkdir(parents=True)
    name = desk.items[0].source_id
    write(tmp_path / "own.mp4", duration_s=1.0).rename(folder / f"{name}.mp4")
    copies = FolderSource(path=tmp_path / "copies").open(Means(desk.scratch, NotingGate()))
    for source in ("source0", KEPT):
        [result] = desk.fetch(
            lambda clip, _: copies.fetch(WantedVideo("d", VIDEO, (clip,)))[name], items=desk.items[:1], copies=[0]
        )
        assert isinstance(result, Fetched), result
        assert result.row["source"] == source
        assert result.row["origin"].endswith(f"/de\\xffp/{name}.mp4")
        assert desk.place(desk.items[0]).is_symlink()


@pytest.mark.parametrize("what", ["damaged", "dangling"])
def test_what_lies_at_a_place_and_is_no_clip_is_fetched_anew(desk: Desk, video: Path, what: str) -> None:
    place = desk.place(desk.items[0])
    place.parent.mkdir(parents=True)
    if what == "damaged":
        place.write_bytes(video.read_bytes()[:300])
    else:
        place.symlink_to(desk.root / "nowhere.mp4")
    result = desk.fetch(whole(video), items=desk.items[:1])[0]
    assert isinstance(result, Fetched)
    assert result.row["source"] == "source0"
    assert not place.is_symlink()


def test_an_id_that_is_no_plain_name_leads_to_no_place(desk: Desk, video: Path) -> None:
    hostile = replace(desk.items[0], source_id="../../../outside")
    with pytest.raises(ValueError, match="plain file name"):
        desk.fetch(whole(video), items=[hostile])
    assert not (desk.root.parent / "outside.mp4").exists()


def test_a_clip_is_whole_before_it_has_its_name(desk: Desk, video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Validated under another name: what a kill leaves before the rename is no clip."""
    seen: list[Path] = []
    measure = Sandbox.measure

    def looked(self: Sandbox, path: Path, **words: Any) -> Any:
        seen.append(path)
        assert not desk.place(desk.items[0]).exists()
        return measure(self, path, **words)

    monkeypatch.setattr(Sandbox, "measure", looked)
    desk.fetch(whole(video), items=desk.items[:1])
    assert desk.scratch.parent in seen[0].parents


def test_a_clip_is_cut_and_validated_with_a_turn_at_the_cores(
    desk: Desk, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = desk.media / "fetching" / TURNS
    desk.worker._turns = Turns(folder, places=1)
    others = Turns(folder, places=1, patience_s=0.0)
    is_free: list[bool] = []

    def looked(name: str) -> None:
        does = getattr(Sandbox, name)

        def look(*given: Any, **named: Any) -> Any:
            with others.one() as has_turn:
                is_free.append(has_turn)
            return does(*given, **named)

        monkeypatch.setattr(Sandbox, name, look)

    looked("cut")
    looked("measure")
    assert all(isinstance(result, Fetched) for result in desk.fetch(whole(video)))
    assert is_free == [False] * 3, "cut in one pass, and measured each"
    with others.one() as has_turn:
        assert has_turn, "given back"
    others.close()
