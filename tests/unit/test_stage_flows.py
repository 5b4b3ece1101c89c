"""The stage flows on a real Prefect server: what is tried again, and what each leaves to look at."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_LEVEL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from flows import stages
from flows.server import PrefectServer
from tasks.context import RunContext
from tasks.stage import StageSummary
from uniform_core.errors import ServiceError, StorageError, UniformError, WorkFailedError


@pytest.fixture(autouse=True)
def served(prefect_running: PrefectServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Flows of the test talk to the session's server, but for events: what sends them would wait at this process's
    end for a server that is gone by then."""
    monkeypatch.setattr("prefect.events.utilities.should_emit_events", lambda: False)
    quiet = {PREFECT_LOGGING_LEVEL: "CRITICAL", PREFECT_LOGGING_TO_API_ENABLED: False}
    with temporary_settings({PREFECT_API_URL: prefect_running.api_url, **quiet}):
        yield


def summary(done: int = 0) -> StageSummary:
    return StageSummary("ingest", 3, 3 - done, done, failed=0, waiting=0, wall_s=1.0, cpu_s=1.0)


def artifacts(state: Any) -> list[Any]:
    """What a flow run has left for people on the server, which keeps the run's result beside it, without a key."""
    wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(str(state.state_details.flow_run_id))]))
    with get_client(sync_client=True) as client:
        return [artifact for artifact in client.read_artifacts(artifact_filter=wanted) if artifact.key]


class Work:
    """The work of a stage that fails some times first, each time as told."""

    def __init__(self, *failures: UniformError) -> None:
        self.calls, self.failures = 0, failures

    def __call__(self, context: RunContext) -> list[StageSummary]:
        self.calls += 1
        if self.calls <= len(self.failures):
            raise self.failures[self.calls - 1]
        return [summary(done=3)]


def error(kind: type[UniformError]) -> UniformError:
    return kind("the thing", expected="one", found="none", fix="Mend it.")


@pytest.fixture
def ingest(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Work], Any]:
    """What runs the flow `ingest` with other work, and gives the state that it ends in."""
    monkeypatch.setattr(stages, "RETRY_DELAY_S", 0.0)

    def run(work: Work) -> Any:
        monkeypatch.setattr(stages, "run_ingest", work)
        return stages.ingest("nano", return_state=True)

    return run


def test_a_service_that_fails_is_tried_once_more(ingest: Callable[[Work], Any]) -> None:
    work = Work(error(ServiceError))
    assert ingest(work).is_completed()
    assert work.calls == 2
    work = Work(error(ServiceError), error(ServiceError))
    assert ingest(work).is_failed()
    assert work.calls == 2


@pytest.mark.parametrize("kind", [WorkFailedError, StorageError])
def test_what_trying_again_cannot_mend_is_not_tried_and_leaves_the_reason(
    kind: type[UniformError], ingest: Callable[[Work], Any]
) -> None:
    work = Work(error(kind))
    state = ingest(work)
    assert state.is_failed()
    assert work.calls == 1
    (left,) = artifacts(state)
    assert (left.key, left.type) == ("ingest-summary", "markdown")
    assert str(error(kind)) in left.data
    assert kind.__name__ in left.data


def test_a_wrong_config_leaves_the_reason_too(home: Path) -> None:
    state = stages.encode("tinny", return_state=True)
    assert state.is_failed()
    (left,) = artifacts(state)
    assert "Did you mean 'tiny'?" in left.data


@pytest.mark.parametrize("stage", stages.STAGE_FLOWS)
def test_each_stage_runs_alone_on_a_finished_home_and_leaves_a_summary_that_says_nothing_was_left(
    stage: str, nano_run: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, said = nano_run
    monkeypatch.setenv("UNIFORM_HOME", str(home))
    state = stages.STAGE_FLOWS[stage]("nano", return_state=True)
    rows = state.result()
    assert {row["stage"] for row in rows} <= {row["stage"] for row in said["stages"]}
    assert all((row["done"], row["failed"]) == (0, 0) and row["already_done"] == row["candidates"] for row in rows)
    (left,) = artifacts(state)
    assert (left.key, left.type) == (f"{stage}-summary", "table")
    shown = json.loads(left.data)
    assert [row["stage"] for row in shown] == [row["stage"] for row in rows]
    assert [int(row["candidates"]) for row in shown] == [row["candidates"] for row in rows]
    assert all(int(row["done"]) == 0 for row in shown)
