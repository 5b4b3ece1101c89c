"""The flow `evaluate-newest` on a real server: the newest checkpoint of a training that was cut off is scored once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import short_home
from deployments import Deployed
from flow_runs import artifacts, artifacts_of, flows_on
from prefect import get_client

from flows.newest import evaluate_newest
from flows.server import PrefectServer
from tasks.ray_session import RaySession
from uniform_core.catalog import Catalog
from uniform_core.catalog.tables import table_named
from uniform_core.settings import Settings

# One task and no baselines: what is scored is the checkpoint.
LESS = ['evaluate.tasks=["v2a"]', "evaluate.baselines=[]", "evaluate.controls=[]"]
WORDS = {"preset": "nano", "overrides": LESS, "alias": "trial"}
COUNTS = "SELECT (SELECT count(*) FROM generations) AS generations, (SELECT count(*) FROM scores) AS scores"


@pytest.fixture(scope="module")
def home(nano_run: tuple[Path, Any]) -> Iterator[Path]:
    """A copy of the session's nano home as a kill in the middle of its training would have left it."""
    copy = short_home("newest")
    shutil.copytree(nano_run[0], copy)
    catalog = Catalog.open(Settings(home=copy))
    [model] = catalog.rows("SELECT work_key, path FROM models WHERE kind = 'uniform'")
    catalog.delta.delete(table_named("models"), [model["work_key"]])
    shutil.rmtree(copy / "checkpoints" / model["path"])
    *_, last = sorted(steps_in(copy))
    shutil.rmtree(last)
    yield copy
    shutil.rmtree(copy.parent)


def steps_in(home: Path) -> list[Path]:
    return sorted(home.glob("checkpoints/*/steps/step_*"))


def counts(home: Path) -> dict[str, int]:
    [row] = Catalog.open(Settings(home=home)).rows(COUNTS)
    return row


@pytest.fixture(scope="module")
def first(home: Path, prefect_running: PrefectServer, ray_running: RaySession) -> Iterator[tuple[Any, dict[str, int]]]:
    """The state that the first run ends in, and how many rows there were before it."""
    del ray_running  # whose processes the flow uses
    before = counts(home)
    with flows_on(prefect_running), pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNIFORM_HOME", str(home))
        yield evaluate_newest(**WORDS, return_state=True), before


def done(rows: list[dict[str, Any]]) -> dict[str, int]:
    return {row["stage"]: row["done"] for row in rows}


def test_the_newest_checkpoint_is_scored_as_a_run_on_the_server(first: tuple[Any, dict[str, int]], home: Path) -> None:
    state, before = first
    assert state.is_completed(), state
    made = done(state.result())
    assert (made["sample"], made["evaluate"] > 10) == (4, True)
    catalog = Catalog.open(Settings(home=home))
    [model] = catalog.rows("SELECT * FROM models WHERE kind = 'checkpoint'")
    newest = steps_in(home)[-1]
    assert model["steps"] == int(newest.name.removeprefix("step_")) < 8, "it was cut off"
    scores = catalog.rows("SELECT * FROM scores WHERE model_id = ?", parameters=[model["model_id"]])
    assert 10 < len(scores) <= counts(home)["scores"] - before["scores"], "what is real is scored beside it"
    assert sum(row["value"] is not None for row in scores) > 10
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(state.state_details.flow_run_id)
    assert run.state.is_completed(), "the server has it"
    left = {artifact.key: artifact for artifact in artifacts(state)}
    assert f"the checkpoint of step {model['steps']}." in left["newest-summary"].description
    assert "not promoted" in left["promotion"].description


def test_a_second_run_does_nothing_and_says_so(first: tuple[Any, dict[str, int]], home: Path) -> None:
    assert first[0].is_completed()
    before = counts(home)
    state = evaluate_newest(**WORDS, return_state=True)
    assert done(state.result()) == {"sample": 0, "evaluate": 0}
    assert counts(home) == before
    [said] = [artifact for artifact in artifacts(state) if artifact.key == "newest-summary"]
    assert {row["stage"]: row["done"] for row in json.loads(said.data)} == {"sample": "0", "evaluate": "0"}


def test_the_deployment_is_run_by_a_worker_which_finds_all_of_it_done(
    first: tuple[Any, dict[str, int]], home: Path, deployed: Deployed
) -> None:
    assert first[0].is_completed()
    before = counts(home)
    deployment = deployed.deployment("evaluate-newest/newest")
    parameters = {**WORDS, "not_worse": []}
    queue = "of-the-test-alone"  # whatever else is scheduled waits in another one
    run = deployed.client.create_flow_run_from_deployment(deployment.id, parameters=parameters, work_queue_name=queue)
    words = ("--type", "process", "--work-queue", queue, "--run-once", "--limit", "1")
    deployed.prefect("worker", "start", "--pool", "uniform", *words, home=home)
    ended = deployed.client.read_flow_run(run.id)
    assert ended.state_name == "Completed", ended.state
    assert ended.parameters == {**parameters, "data": None, "better": []}
    left = {artifact.key: artifact for artifact in artifacts_of(run.id)}
    assert {row["stage"]: row["done"] for row in json.loads(left["newest-summary"].data)} == {
        "sample": "0",
        "evaluate": "0",
    }
    assert "not promoted" in left["promotion"].description
    assert counts(home) == before


def test_checkpoints_that_are_all_damaged_fail_the_run_with_their_names(
    first: tuple[Any, dict[str, int]], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert first[0].is_completed()
    copy = tmp_path / "home"
    shutil.copytree(home, copy)
    monkeypatch.setenv("UNIFORM_HOME", str(copy))
    for folder in steps_in(copy):
        (folder / "ema.safetensors").write_bytes(b"torn")
    state = evaluate_newest(**WORDS, return_state=True)
    assert state.is_failed()
    newest = steps_in(copy)[-1].name
    assert f"checkpoint {newest} skipped" in state.message
    [said] = artifacts(state)
    assert (said.key, said.type) == ("newest-summary", "markdown")
    assert f"**IntegrityError** checkpoints {copy}" in said.data
    assert "Run `uniform train`" in said.data
