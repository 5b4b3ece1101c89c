"""A place that media come from: its config, and what it becomes in a worker."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from uniform_core.families import Member
from uniform_core.fetching.gate import Gate
from uniform_core.fetching.outcome import Outcome
from uniform_core.fetching.wanted import WantedVideo


@dataclass(frozen=True)
class Means:
    """What a source works with: where its temporary files go, and whom it asks before each request.

    `scratch` is one worker's own. `cache` is for all workers and later runs: lists of archives, what is unpacked of
    them, partial files that the next run goes on with; None: `scratch` has it.
    """

    scratch: Path
    gate: Gate
    cache: Path | None = None
    sleep: Callable[[float], None] = time.sleep

    @property
    def cache_dir(self) -> Path:
        return self.cache or self.scratch / "cache"


class Source(Protocol):
    """A source in a worker. It holds what is costly to open (a tar's index, yt-dlp) for as long as the worker lives."""

    def fetch(self, video: WantedVideo) -> Mapping[str, Outcome]:
        """One outcome for each clip, by source_id.

        What is written and handed out lies under `scratch`, and is the caller's to move. Raises StorageError where it
        cannot be written: that is no clip's fault.
        """

    def close(self) -> None:
        """Let go of what is held."""


class SourceConfig(Member):
    """A place that media come from. No place enters a fingerprint: the file's own sha256 does.

    `is_copy` says that it hands out what somebody has already: a clip that is damaged there may be whole elsewhere.
    """

    is_copy: ClassVar[bool] = False

    @property
    def places(self) -> tuple[Path, ...]:
        """Where it looks on this machine, as the config says it."""
        return ()

    @abstractmethod
    def open(self, means: Means) -> Source:
        """The source, ready. Raises ConfigError where its place or its tools are not there."""
