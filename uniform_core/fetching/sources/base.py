"""A place that media come from: its config, and what it becomes in a worker."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from uniform_core.families import Member
from uniform_core.fetching.gate import Gate
from uniform_core.fetching.outcome import Outcome
from uniform_core.fetching.wanted import WantedVideo


@dataclass(frozen=True)
class Means:
    """What a source works with: where its temporary files go, and whom it asks before each request."""

    scratch: Path
    gate: Gate


class Source(Protocol):
    """A source in a worker. It holds what is costly to open (a tar's index, yt-dlp) for as long as the worker lives."""

    def fetch(self, video: WantedVideo) -> Mapping[str, Outcome]:
        """One outcome for each clip, by source_id. What is written lies under `scratch`, and is the caller's to move."""

    def close(self) -> None:
        """Let go of what is held."""


class SourceConfig(Member):
    """A place that media come from. No place enters a fingerprint: the file's own sha256 does."""

    @abstractmethod
    def open(self, means: Means) -> Source:
        """The source, ready. Raises ConfigError where its place or its tools are not there."""
