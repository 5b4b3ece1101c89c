"""A driver that fetches, as a process of its own: `python fetch_driver_process.py HOME SPEED DATA [SET …]`.

It says in JSON what it did. While it waits for a next try its clock runs SPEED times as fast: what is due in a week
comes in minutes. Hosts and their gate keep real time.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tasks.context import RunContext
from tasks.fetch import run_fetch
from tasks.fetch_driver import Time
from tasks.ray_session import ray_session
from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.progress import silent
from uniform_core.settings import Settings


class FastTime:
    """A clock that is ahead by what was slept, times the speed."""

    def __init__(self, speed: float) -> None:
        self._speed, self._ahead = speed, timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, 0.02))
        self._ahead += timedelta(seconds=seconds * self._speed)


def main(home: Path, speed: float, data: str, overrides: list[str]) -> None:
    settings, clock = Settings(home=home, cpus=2), FastTime(speed)
    with ray_session(settings) as ray:
        context = RunContext(
            settings=settings,
            config=build_run("nano", data=data, overrides=overrides),
            catalog=Catalog.open(settings),
            ray=ray,
            run_id=f"driver-{os.getpid()}",
            listener=silent,
        )
        summaries = run_fetch(context, time_of_run=Time(clock.now, clock.sleep))
        print(json.dumps([summary.as_dict() for summary in summaries]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4:])
