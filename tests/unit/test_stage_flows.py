"""The flows on a real Prefect server: what of a stage is tried again, and what each flow leaves to look at."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flow_runs import artifacts, flows_on

from flows import newest, nightly, stages
from flows.proof_of_seeds import proof_of_seeds
from flows.server import PrefectServer
from tasks.context import RunContext
from tasks.registry import Registry
from tasks.stage import StageFailedError, StageSummary
from uniform_core.errors import ServiceError, StorageError, UniformError, WorkFailedError
from uniform_core.settings import Settings


@pytest.fixture(autouse=True)
def served(prefect_running: PrefectServer) -> Iterator[None]:
    """Flows of the test talk to the session's server."""
    with flows_on(prefect_running):
        yield


def summary(done: int = 0) -> StageSummary:
    return StageSummary("ingest", 3, 3 - done, done, failed=0, waiting=0, wall_s=1.0, cpu_s=1.0)


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


def test_a_stage_that_loses_too_much_leaves_its_tables_too(ingest: Callable[[Work], Any]) -> None:
    table = [{"split": "eval", "listed": 3, "ok": 0}]
    lost = StageSummary("ingest", 3, 0, 0, 3, 0, wall_s=1.0, cpu_s=1.0, tables={"clips by split": table})
    state = ingest(Work(StageFailedError(lost, expected="one", found="none", fix="Mend it.")))
    assert state.is_failed()
    left = {artifact.key: artifact.data for artifact in artifacts(state)}
    assert left.keys() == {"ingest-summary", "ingest-clips-by-split"}
    assert "eval" in left["ingest-clips-by-split"]


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


def test_the_newest_model_is_scored_once_and_its_gate_decides_whether_it_is_promoted(
    nano_run: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, _ = nano_run
    monkeypatch.setenv("UNIFORM_HOME", str(home))
    state = newest.evaluate_newest("nano", alias="trial", return_state=True)
    assert {row["stage"]: row["done"] for row in state.result()} == {"sample": 0, "evaluate": 0}
    left = {artifact.key: artifact for artifact in artifacts(state)}
    assert "not promoted" in left["promotion"].description
    [asked] = json.loads(left["promotion"].data)
    assert (asked["asked"], asked["holds"]) == ("gate passed", "False")
    assert Registry.open(Settings(home=home), "uniform").holder("trial") is None


def test_a_model_that_is_not_trained_yet_is_left_alone(
    nano_run: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, _ = nano_run
    monkeypatch.setenv("UNIFORM_HOME", str(home))
    state = newest.evaluate_newest("nano", ["train.steps=77"], return_state=True)
    assert state.result() == []
    (left,) = artifacts(state)
    assert "not trained yet" in left.data


def test_a_rule_that_is_none_is_told_before_anything_is_opened(home: Path) -> None:
    state = newest.evaluate_newest("nano", better=["fvd"], return_state=True)
    assert state.is_failed()
    assert not home.exists()


@pytest.fixture
def night(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Any, dict[str, Any], list[str]]]:
    """What proves seeds by runs that say these verdicts: the flow's state, its artifacts by key, and what ran."""
    del home

    def spend(*verdicts: str, preset: str = "nano") -> tuple[Any, dict[str, Any], list[str]]:
        ran: list[str] = []

        def run_in_process(overrides: list[str]) -> nightly.Runner:
            def run(preset: str, seed: int) -> nightly.Gate:
                ran.append(f"{preset} {seed} {' '.join(overrides)}")
                check = {"task": "v2a", "check": "class", "score": {"name": "class_accuracy.net.test"}, "found": 0.9}
                check |= {"bound": 0.8, "at_least": True, "verdict": verdicts[seed], "quantity": "value"}
                return {"verdict": verdicts[seed], "narrower": [], "checks": [check]}

            return run

        monkeypatch.setattr(nightly, "run_in_process", run_in_process)
        state = proof_of_seeds([preset], len(verdicts), ["train.steps=9"], return_state=True)
        return state, {artifact.key: artifact.data for artifact in artifacts(state)}, ran

    return spend


def test_seeds_that_pass_leave_their_bounds_and_what_each_run_came_to(night: Callable[..., Any], home: Path) -> None:
    state, left, ran = night("passed", "passed")
    assert state.is_completed(), state
    assert ran == ["nano 0 train.steps=9", "nano 1 train.steps=9"]
    (row,) = json.loads(left["proof-of-seeds-checks"])
    assert (row["check"], row["seeds"], row["frozen"]) == ("class", "2", "0.9")
    assert left["proof-of-seeds-verdicts"].splitlines() == [
        "- nano, training seed 0: gate passed",
        "- nano, training seed 1: gate passed",
    ]
    assert [run["seed"] for run in state.result()] == [0, 1]
    assert json.loads((home / "reports" / "nightly.json").read_text())["passed"] is True


def test_a_seed_that_does_not_pass_fails_the_flow_which_leaves_as_much(night: Callable[..., Any]) -> None:
    state, left, _ = night("passed", "failed")
    assert state.is_failed()
    assert "nano, training seed 1: gate failed" in left["proof-of-seeds-verdicts"]
    assert left.keys() == {"proof-of-seeds-verdicts", "proof-of-seeds-checks"}


@pytest.mark.parametrize(("verdicts", "preset"), [(["passed"], "nobody"), ([], "nano")])
def test_seeds_of_a_wrong_call_are_not_run(verdicts: list[str], preset: str, night: Callable[..., Any]) -> None:
    state, left, ran = night(*verdicts, preset=preset)
    assert state.is_failed()
    assert (left, ran) == ({}, [])
