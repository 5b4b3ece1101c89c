"""What stands in for the rest of a run in tests of sources and the gate: a gate that writes down, a clock, wants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from uniform_core.fetching.gate import Gate
from uniform_core.fetching.outcome import Deferred, Failed
from uniform_core.fetching.policies import POLICIES
from uniform_core.fetching.sources import Means
from uniform_core.fetching.wanted import WantedClip, WantedVideo
from uniform_core.types import Window

START = datetime(2026, 1, 1, tzinfo=UTC)
ID = "-bcdefghi_1"


class FakeClock:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = START
        self.slept: list[float] = []

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)


@dataclass
class NotingGate:
    """A gate that lets pass, and writes down who asked and what was told. `closed` are the hosts that it does not."""

    asked: list[str] = field(default_factory=list)
    told: list[tuple[str, Failed | None]] = field(default_factory=list)
    closed: set[str] = field(default_factory=set)

    def pass_through(self, host: str) -> Deferred | None:
        self.asked.append(host)
        return self.shut(host)

    def shut(self, host: str) -> Deferred | None:
        return Deferred(host, START + timedelta(hours=1), "closed") if host in self.closed else None

    def tell(self, host: str, failed: Failed | None) -> None:
        self.told.append((host, failed))
        if failed is not None and POLICIES[failed.failure].closes_host:
            self.closed.add(host)


def means(folder: Path, gate: Gate | None = None) -> Means:
    """What a source gets in a test; it never really sleeps."""
    return Means(folder / "scratch", gate or NotingGate(), cache=folder / "cache", sleep=lambda _s: None)


def wanted(
    *starts_s: float | None, video_id: str = ID, dataset: str = "vggsound", url: str | None = None, long_s: float = 10.0
) -> WantedVideo:
    """A video with clips that begin at these seconds; None is the whole video."""
    clips = tuple(
        WantedClip(video_id, None)
        if start is None
        else WantedClip(f"{video_id}_{round(start):06d}", Window(start, start + long_s))
        for start in starts_s
    )
    return WantedVideo(dataset, video_id, clips, url)


def files_outside(root: Path, folders: Iterable[Path]) -> set[Path]:
    """The files under the root that lie in none of the folders."""
    inside = [folder.resolve() for folder in folders]
    return {
        path
        for path in root.rglob("*")
        if path.is_file() and not any(path.resolve().is_relative_to(one) for one in inside)
    }
