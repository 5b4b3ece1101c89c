"""How long fetching still takes: by what hosts allow where that is longer, else by the pace so far without its waits.

Hosts count by the video, since a video is asked for once; the pace counts by the clip, since each is cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

FIRST_S: Final = 1.0
"""What a clip is taken to need until some have come."""

Video = tuple[str, str]  # the dataset, and the id in it


@dataclass(frozen=True)
class Turns:
    """A source of a dataset: its kind, and the seconds from one turn to the next of each host that it asks.

    A source that is on this machine asks none.
    """

    kind: str
    gaps_s: Mapping[str, float]


@dataclass(frozen=True)
class Estimate:
    """The seconds that are left, and the host that they are waited for; None where the work itself takes longest."""

    seconds: float
    host: str | None = None


class TimeLeft:
    """What is left of a run, as its results come in.

    `sources` are those of each dataset in their order; `videos` has one entry for each clip that is wanted.
    """

    def __init__(self, sources: Mapping[str, Sequence[Turns]], videos: Iterable[Video]) -> None:
        self._sources = sources
        self._clips = Counter(videos)
        self._left = self._clips.total()
        self._videos = Counter(dataset for dataset, _ in self._clips)
        self._answers: Counter[str] = Counter()  # by dataset
        self._asked: Counter[tuple[str, str]] = Counter()  # by dataset and host

    def answered(self, video: Video, kind: str | None, *, is_settled: bool) -> None:
        """A clip has its answer: from a source of this kind, for which those before it were asked, too; None: from all.

        `is_settled`: this run does not ask for it again.
        """
        dataset = video[0]
        self._answers[dataset] += 1
        for host in self._asked_for(dataset, kind):
            self._asked[dataset, host] += 1
        if is_settled and self._clips[video]:
            self._left -= 1
            self._clips[video] -= 1
            if not self._clips[video]:
                del self._clips[video]
                self._videos[dataset] -= 1

    def estimate(
        self, now: datetime, *, worked_s: float, closed: Mapping[str, datetime], resumes: datetime | None = None
    ) -> Estimate:
        """What is left after `worked_s` seconds that were no waits, with hosts that are `closed` until some moment.

        `resumes` is when the run goes on, where it waits. A host is taken to be asked for the share of the videos that
        it was asked for so far.
        """
        if not self._left:
            return Estimate(0.0)
        wait_s = _until_s(resumes, now)
        longest = Estimate(wait_s + self._left * (worked_s + FIRST_S) / (self._answers.total() + 1))
        for host, turns_s in self._turns_s().items():
            seconds = max(wait_s, _until_s(closed.get(host), now)) + turns_s
            if seconds > longest.seconds:
                longest = Estimate(seconds, host)
        return longest

    def _asked_for(self, dataset: str, kind: str | None) -> set[str]:
        kinds = [turns.kind for turns in self._sources.get(dataset, ())]
        if kind is not None and kind not in kinds:
            return set()  # it lay there already
        end = len(kinds) if kind is None else kinds.index(kind) + 1
        return {host for turns in self._sources.get(dataset, ())[:end] for host in turns.gaps_s}

    def _turns_s(self) -> dict[str, float]:
        """The seconds that each host takes to give its turns, one for each video that it will be asked for."""
        taken_s: dict[str, float] = {}
        for dataset, videos in self._videos.items():
            gaps_s = {host: gap_s for turns in self._sources.get(dataset, ()) for host, gap_s in turns.gaps_s.items()}
            for host, gap_s in gaps_s.items():
                share = (self._asked[dataset, host] + 1) / (self._answers[dataset] + 1)
                taken_s[host] = taken_s.get(host, 0.0) + videos * share * gap_s
        return taken_s


def _until_s(moment: datetime | None, now: datetime) -> float:
    return 0.0 if moment is None else max(0.0, (moment - now).total_seconds())
