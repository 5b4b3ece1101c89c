"""A training that Ray gives up ends in one paragraph that names the cause, whoever it was."""

from __future__ import annotations

import pytest

from tasks.train import given_up


@pytest.mark.parametrize(
    ("failures", "found"),
    [
        (
            {
                1: ValueError("Traceback (most recent call last):\n  …\nWorkFailedError: step 3: a finite loss\n"),
                0: OSError("gone"),
            },
            "rank 0: gone; rank 1: WorkFailedError: step 3: a finite loss",
        ),
        ({0: ValueError("x" * 9000)}, "rank 0: " + "x" * 500),
        ({0: RuntimeError()}, "rank 0: RuntimeError"),
        ({}, "the controller died"),
    ],
)
def test_what_each_worker_said_last_is_told(failures: dict[int, Exception], found: str) -> None:
    from ray.train import ControllerError, WorkerGroupError

    error = (
        WorkerGroupError("workers failed", failures) if failures else ControllerError(OSError("the controller died"))
    )
    said = given_up(error)
    assert said.found == found
    assert said.exit_code == 1
    assert "from the newest checkpoint" in str(said)
