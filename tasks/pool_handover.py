"""What readers have read and no worker has finished with: bounded in bytes, and gathered into the worker's batches.

The arrays lie in Ray's object store; the driver holds where. An object goes when the last item in it is done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

SHARE_OF_A_BATCH = 4  # a batch takes at most this part of the bound: one is worked on, others are read


@dataclass(frozen=True)
class Handed:
    """An item that was read: the object that its value lies in, where in it, and how many bytes it takes."""

    item: Any
    payload: Any
    at: int
    bytes: int


class HandOver:
    """The items between two crews. `batch` is the most that the second one takes at a time."""

    def __init__(self, *, batch: int, limit_bytes: int) -> None:
        self._batch, self._limit_bytes = batch, limit_bytes
        self._ready: deque[Handed] = deque()
        self._held_bytes = 0  # of what is ready, and of what is being worked on
        self._largest_bytes: int | None = None  # of an item; None until one was read
        self.peak_bytes = 0

    def has_room_for(self, items: int, *, being_read: int) -> bool:
        """Whether items may be read beside those that are, if each is as large as the largest so far.

        Where nothing is held or being read there is room for anything, or nothing would ever be done. Until a first
        one was read, one batch is.
        """
        if not being_read and not self._held_bytes:
            return True
        if self._largest_bytes is None:
            return False
        return self._held_bytes + (items + being_read) * self._largest_bytes <= self._limit_bytes

    def put(self, items: Iterable[Handed]) -> None:
        """These are ready."""
        for item in items:
            self._ready.append(item)
            self._held_bytes += item.bytes
            self._largest_bytes = max(self._largest_bytes or 0, item.bytes)
        self.peak_bytes = max(self.peak_bytes, self._held_bytes)

    def take(self, *, is_rest: bool) -> list[Handed] | None:
        """The next batch: full, or as large as its share of the bound; of the rest whatever there is. Else None."""
        taken, total = 0, 0
        for item in self._ready:
            is_full = taken == self._batch or (taken and (total + item.bytes) * SHARE_OF_A_BATCH > self._limit_bytes)
            if is_full:
                break
            taken, total = taken + 1, total + item.bytes
        else:
            if not taken or (taken < self._batch and not is_rest):
                return None
        return [self._ready.popleft() for _ in range(taken)]

    def release(self, items: Sequence[Handed]) -> None:
        """These are done with."""
        self._held_bytes -= sum(item.bytes for item in items)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is ready; what is being worked on does not count."""
        return not self._ready
