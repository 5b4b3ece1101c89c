"""A driver that scores anybody's clips, as a process of its own: `python anybody_driver.py HOME ROOT PAUSE_S WORDS`.

It works without Ray, commits often, and takes its time, so that a test can kill it in the middle. WORDS is JSON: the
protocols, and weights as the command line has them. It says what its stage did, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from in_driver import NoRay, run_in_driver

import tasks.stage
from tasks import originals
from tasks.anybody import Scored, score_clips
from tasks.commits import CommitRule
from tasks.context import Session
from uniform_core.catalog import Catalog
from uniform_core.corpus.anybody.call import Words, call_of
from uniform_core.progress import silent
from uniform_core.settings import Settings
from uniform_core.types import Task

Asked = dict[str, Any]


def score_in(home: Path, root: Path, asked: Asked, *, run_id: str) -> Scored:
    """Score `root/generated` against `root/reference` at v2a."""
    settings = Settings(home=home, cpus=1)
    session = Session(settings, Catalog.open(settings), NoRay(settings), run_id, silent)
    words = Words(
        task=Task.V2A,
        protocols=tuple(asked["protocols"]),
        generated=root / "generated",
        reference=str(root / "reference"),
        weights=tuple(asked["weights"]),
    )
    return score_clips(session, call_of(words, settings=settings, catalog=session.catalog))


def main(home: Path, root: Path, pause_s: float, asked: Asked) -> None:
    plain = originals.OriginalWorker.process

    def slow(worker: originals.OriginalWorker, batch: Sequence[Any]) -> Any:
        time.sleep(pause_s)
        return plain(worker, batch)

    originals.OriginalWorker.process = slow  # type: ignore[method-assign]
    originals.FILES_AT_ONCE, originals.COMMIT = 2, CommitRule(rows=1)
    tasks.stage.run_pool = run_in_driver  # type: ignore[assignment]
    [summary] = score_in(home, root, asked, run_id=f"driver-{os.getpid()}").summaries
    print(json.dumps({"done": summary.done, "before": summary.already_done, "failed": summary.failed}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), json.loads(sys.argv[4]))
