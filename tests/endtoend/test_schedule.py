"""Deployed from prefect.yaml on a real server: schedules fire, and a real worker does a run.

With some versions of the libraries a cron schedule silently never fires while all else works: this would show it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from deployments import PATIENCE_S, Deployed
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.exceptions import PrefectHTTPStatusError

from flows.cli.promote import rule_of
from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.corpus.evaluation import metrics_for, systems_of
from uniform_core.presets import EVALUATION_LISTS
from uniform_core.settings import Settings

STAGES = ("fetch", "ingest", "encode", "captions", "text", "train", "sample", "evaluate")
Found = TypeVar("Found")


def wait_for(what: str, look: Callable[[], Found | None]) -> Found:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < deadline, f"no {what} within {PATIENCE_S:.0f} s"
        time.sleep(0.5)
    return found


@pytest.mark.parametrize("name", ["pipeline/nightly", *(f"{stage}/{stage}" for stage in STAGES)])
def test_each_deployment_has_typed_parameters_a_pool_and_a_limit(deployed: Deployed, name: str) -> None:
    deployment = deployed.deployment(name)
    assert deployment.work_pool_name == "uniform"
    assert deployment.enforce_parameter_schema
    assert deployment.parameters == {"preset": "tiny", "overrides": [], "data": None}
    kinds = deployment.parameter_openapi_schema["properties"]
    assert kinds["preset"]["type"] == "string"
    assert (kinds["overrides"]["type"], kinds["overrides"]["items"]) == ("array", {"type": "string"})
    assert {kind["type"] for kind in kinds["data"]["anyOf"]} == {"string", "null"}
    assert deployment.global_concurrency_limit.limit == 1
    strategy = "CANCEL_NEW" if name == "pipeline/nightly" else "ENQUEUE"
    assert deployment.concurrency_options.collision_strategy == strategy
    crons = [(s.schedule.cron, s.schedule.timezone, s.active) for s in deployment.schedules]
    assert crons == ([("0 3 * * *", "Etc/UTC", True)] if name == "pipeline/nightly" else [])


def test_the_proof_of_seeds_waits_for_somebody_to_switch_its_schedule_on(deployed: Deployed) -> None:
    deployment = deployed.deployment("proof-of-seeds/three-seeds")
    assert deployment.work_pool_name == "uniform"
    assert deployment.enforce_parameter_schema
    assert deployment.parameters == {"presets": ["tiny", "tiny_iddpm"], "seeds": 3, "overrides": []}
    kinds = deployment.parameter_openapi_schema["properties"]
    assert {name: kind["type"] for name, kind in kinds.items()} == {
        "presets": "array",
        "seeds": "integer",
        "overrides": "array",
    }
    assert kinds["seeds"]["exclusiveMinimum"] == 0
    assert deployment.global_concurrency_limit.limit == 1
    assert deployment.concurrency_options.collision_strategy == "CANCEL_NEW"
    crons = [(s.schedule.cron, s.schedule.timezone, s.active) for s in deployment.schedules]
    assert crons == [("0 4 * * 0", "Etc/UTC", False)]
    assert [run for run in deployed.runs(deployment.id) if run.auto_scheduled] == []


def test_the_newest_model_is_scored_and_promoted_by_a_rule_whose_scores_exist(deployed: Deployed) -> None:
    deployment = deployed.deployment("evaluate-newest/newest")
    assert deployment.work_pool_name == "uniform"
    assert deployment.enforce_parameter_schema
    words = deployment.parameters
    assert (words["preset"], words["overrides"], words["data"], words["alias"]) == ("tiny", [], None, "champion")
    rule = rule_of(gate=True, better=words["better"], not_worse=words["not_worse"])
    config = build_run("tiny")
    model = [system for system in systems_of(config) if system.name == "uniform"]
    known = {f"{s.task_name}/{metric.name}" for s in model for metric in metrics_for(config, s)}
    assert {*rule.better, *rule.not_worse} <= known
    kinds = deployment.parameter_openapi_schema["properties"]
    assert {kind["type"] for kind in kinds["alias"]["anyOf"]} == {"string", "null"}
    assert {kinds[name]["type"] for name in ("better", "not_worse")} == {"array"}
    assert deployment.global_concurrency_limit.limit == 1
    assert deployment.concurrency_options.collision_strategy == "CANCEL_NEW"
    crons = [(s.schedule.cron, s.schedule.timezone, s.active) for s in deployment.schedules]
    assert crons == [("0 */6 * * *", "Etc/UTC", True)]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("collect/vggsound", "vggsound"),
        ("collect/audioset-balanced", "audioset:balanced"),
        ("collect/audioset-strong", "audioset:strong"),
        ("collect/audioset-eval", "audioset:eval"),
        ("collect/landscape", "landscape"),
        ("collect/aistpp", "aistpp"),
    ],
)
def test_each_dataset_has_a_deployment_whose_words_make_a_run(deployed: Deployed, name: str, data: str) -> None:
    deployment = deployed.deployment(name)
    assert deployment.parameters == {"preset": "paper", "overrides": [], "data": data}
    config = build_run(**deployment.parameters)
    assert config.data.kind == data.partition(":")[0]
    assert config.guard_against == EVALUATION_LISTS
    assert deployment.global_concurrency_limit.limit == 1
    assert deployment.concurrency_options.collision_strategy == "CANCEL_NEW"
    crons = [(s.schedule.cron, s.schedule.timezone, s.active) for s in deployment.schedules]
    assert crons == [("0 * * * *", "Etc/UTC", False)], "it waits for somebody to switch it on"


def test_the_papers_deployment_runs_on_all_of_its_sets(deployed: Deployed) -> None:
    deployment = deployed.deployment("pipeline/paper")
    assert deployment.parameters == {"preset": "paper", "overrides": [], "data": None}
    config = build_run(**deployment.parameters)
    assert config == build_run("paper")
    collected = {"vggsound", "audioset", "landscape", "aistpp"}
    assert {part.kind for part in config.data.parts} == collected
    assert "data.members.aistpp.accept_terms=true" in str(deployment.description)
    assert deployment.schedules == []


@pytest.mark.parametrize("parameters", [{"preset": 3}, {"overrides": "train.lr=1"}])
def test_parameters_of_another_type_are_refused(deployed: Deployed, parameters: dict[str, Any]) -> None:
    with pytest.raises(PrefectHTTPStatusError, match="409"):
        deployed.client.create_flow_run_from_deployment(deployed.deployment("ingest/ingest").id, parameters=parameters)


def test_the_nightly_runs_are_scheduled(deployed: Deployed) -> None:
    deployment = deployed.deployment("pipeline/nightly")
    runs = wait_for("scheduled run", lambda: [r for r in deployed.runs(deployment.id) if r.auto_scheduled])
    assert {run.state_name for run in runs} == {"Scheduled"}
    starts = [run.expected_start_time.astimezone(UTC) for run in runs]
    assert {(start.hour, start.minute) for start in starts} == {(3, 0)}
    assert len({start.date() for start in starts}) == len(starts) >= 3
    assert min(starts) > datetime.now(UTC)


def test_a_worker_does_a_run_that_a_schedule_made(deployed: Deployed) -> None:
    deployment = deployed.deployment("ingest/ingest")
    soon = IntervalSchedule(interval=timedelta(seconds=20), anchor_date=datetime.now(UTC) + timedelta(seconds=8))
    parameters = {"preset": "nano"}
    (schedule,) = deployed.client.create_deployment_schedules(deployment.id, [(soon, True)], parameters=parameters)
    try:
        # A deployment that was just changed is scheduled in seconds; one with a new schedule only, within a minute.
        deployed.client.update_deployment(deployment.id, DeploymentUpdate(tags=deployment.tags))
        wait_for("scheduled run", lambda: deployed.runs(deployment.id))
        words = ("--type", "process", "--run-once", "--limit", "1", "--prefetch-seconds", "60")
        deployed.prefect("worker", "start", "--pool", "uniform", *words)
    finally:
        deployed.client.delete_deployment_schedule(deployment.id, schedule.id)
    (run,) = [run for run in deployed.runs(deployment.id) if run.start_time]
    assert run.state_name == "Completed", run.state
    assert run.auto_scheduled
    assert (run.start_time - run.expected_start_time).total_seconds() >= -1, "it was run before its time"
    assert run.parameters == {"preset": "nano", "overrides": [], "data": None}
    assert Catalog.open(Settings(home=deployed.home)).read("clips").num_rows > 0
