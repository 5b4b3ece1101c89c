"""What is asked of a server, and how long it is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Remote:
    """What to get, and what is known of it. `most_bytes` bounds what nobody published the size of.

    `sha256` is not looked at here; but only where the whole will be held against one may two halves be joined that no
    mark of the server tells to be of one file. `denied` says what to do where the server does not give it, `room` where
    the disk is full. Only `hosts` are asked, where a server sends on to another; None: wherever is as safe.
    """

    url: str
    most_bytes: int
    size_bytes: int | None = None
    sha256: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    denied: str = "Get the file by hand."
    room: str = "Make room, or set UNIFORM_HOME to a larger disk."
    hosts: Collection[str] | None = None


@dataclass(frozen=True)
class Patience:
    """How long a server may be silent, how slow it may be, how often a broken connection is tried again in a row.

    One connection may last `whole_s`; None: as long as it is not slow.
    """

    silence_s: float = 30.0
    window_s: float = 60.0
    window_bytes: int = 64 << 10
    tries: int = 4
    pause_s: float = 1.0
    whole_s: float | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
