"""A driver that trains, as a process of its own: `python training_driver.py HOME READY GO PRESET [SET …]`.

It makes the file READY when it could begin, begins when there is a file GO, and says in JSON what it did.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from tasks.context import RunContext
from tasks.ray_session import ray_session
from tasks.train import run_train, trained_model
from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.progress import silent
from uniform_core.settings import Settings


def main(home: Path, ready: Path, go: Path, preset: str, overrides: list[str]) -> None:
    settings = Settings(home=home, cpus=2)
    with ray_session(settings) as ray:
        context = RunContext(
            settings=settings,
            config=build_run(preset, overrides=overrides),
            catalog=Catalog.open(settings),
            ray=ray,
            run_id=f"driver-{os.getpid()}",
            listener=silent,
        )
        context.clips()
        ready.touch()
        while not go.exists():
            time.sleep(0.01)
        [summary] = run_train(context)
        print(json.dumps({"done": summary.done, "ray": ray.is_running, "model": trained_model(context).model_id}))


if __name__ == "__main__":
    main(*(Path(word) for word in sys.argv[1:4]), sys.argv[4], sys.argv[5:])
