"""The worker of the pool's tests. Lean: every actor imports this module."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

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
        mark = self._log_dir / f"first-{item['n']}"
        if mark.exists():
            return False
        mark.write_text("")
        return True

    def _note(self, what: str) -> None:
        with (self._log_dir / f"{os.getpid()}.log").open("a") as file:
            file.write(what + "\n")
