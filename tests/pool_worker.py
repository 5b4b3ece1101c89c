"""The worker of the pool's tests. Lean: every actor imports this module."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tasks.pool_actor import Read, Seen
from uniform_core.errors import Rejection, StorageError


class PoolWorker:
    """A worker whose items say what to do with it. Each batch, and each load, leaves a line in `log_dir`."""

    def __init__(self, *, log_dir: str, offset: int = 0, fail_load: bool = False) -> None:
        if fail_load:
            raise ValueError("no such weights")
        self._offset, self._log_dir = offset, Path(log_dir)
        self._note("load")

    def process(self, batch: Sequence[Mapping[str, object]]) -> list[object]:
        self._note("batch " + " ".join(str(item["n"]) for item in batch))
        results: list[object] = []
        for item in batch:
            match item.get("do"):
                case "die":
                    os.kill(os.getpid(), signal.SIGKILL)
                case "die once" if self._first_time(item):
                    os.kill(os.getpid(), signal.SIGKILL)
                case "stop":
                    os.kill(os.getpid(), signal.SIGSTOP)
                case "sleep":
                    time.sleep(float(str(item["seconds"])))
                case "wait":
                    while not (self._log_dir / str(item["for"])).exists():
                        time.sleep(0.05)
                case "no memory":
                    raise MemoryError("a picture of 9 GB")
                case "bad code":
                    raise KeyError("no_such_column")
                case "disk full":
                    raise StorageError("disk", expected="room", found="none", fix="Make room.")
                case "lose one":
                    return results
                case "reject":
                    results.append(Rejection("too_short", "expected 2 s; found 1 s"))
                    continue
            results.append(int(str(item["n"])) + self._offset)
        return results

    def close(self) -> None:
        self._note("close")

    def _first_time(self, item: Mapping[str, object]) -> bool:
        return is_first_time(self._log_dir, item)

    def _note(self, what: str) -> None:
        with (self._log_dir / f"{os.getpid()}.log").open("a") as file:
            file.write(what + "\n")


class PoolReader:
    """The part before a `SeenWorker`; `read` of an item says what to do with it. What it reads is `size` bytes."""

    def __init__(self, *, log_dir: str, size: int = 8) -> None:
        self._log_dir, self._size = Path(log_dir), size
        note(self._log_dir, "reader")

    def read(self, batch: Sequence[Mapping[str, object]]) -> list[object]:
        results: list[object] = []
        for item in batch:
            match item.get("read"):
                case "die":
                    os.kill(os.getpid(), signal.SIGKILL)
                case "bad code":
                    raise KeyError("no_such_file")
                case "reject":
                    results.append(Rejection("damaged_clip", "expected a clip; found half of one"))
                    continue
                case "sleep":
                    time.sleep(float(str(item["seconds"])))
            note(self._log_dir, f"read {item['n']}")
            results.append(Read(np.full(self._size, int(str(item["n"])) % 251, np.uint8), self._size))
        return results


class SeenWorker(PoolWorker):
    """Looks at what was read, and does as its item says."""

    def process(self, batch: Sequence[Seen]) -> list[object]:
        for seen in batch:
            assert (seen.value == int(str(seen.item["n"])) % 251).all()
        results = super().process([seen.item for seen in batch])
        note(self._log_dir, f"worked {len(batch)}")
        return results


def is_first_time(log_dir: Path, item: Mapping[str, object]) -> bool:
    mark = log_dir / f"first-{item['n']}"
    if mark.exists():
        return False
    mark.write_text("")
    return True


def note(log_dir: Path, what: str) -> None:
    """A line in the one file that tells in which order things were done."""
    with (log_dir / "order").open("a") as file:
        file.write(f"{what} {os.getpid()}\n")
