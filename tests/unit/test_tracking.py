"""Runs arrive in MLflow whole: parameters, tags, lineage, metrics in batches, artifacts under the root."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
from services import seed_tracking

from tasks.tracking import DataVersion, TrackedRun, Tracker, flatten
from uniform_core.errors import ConfigError, ServiceError
from uniform_core.settings import Settings

DIGEST = "a1" * 32


@pytest.fixture
def settings(tmp_path: Path, tracking_template: Path) -> Settings:
    home = tmp_path / "home"
    seed_tracking(tracking_template, home)
    return Settings(home=home)


@pytest.fixture
def tracker(settings: Settings) -> Tracker:
    return Tracker.open(settings)


def stored(tracker: Tracker, run: TrackedRun) -> Any:
    return tracker._client.get_run(run.run_id)


def test_a_run_has_its_parameters_tags_and_lineage(tracker: Tracker) -> None:
    data = [DataVersion("clips+latents", DIGEST, {"clips": 3, "latents": 12})]
    params = {"train": {"lr": 0.1, "tasks": ["t2av", "v2a"]}, **{f"p{n}": n for n in range(250)}}
    with tracker.run("first", params=params, tags={"catalog.digest": DIGEST}, data=data) as run:
        assert stored(tracker, run).info.status == "RUNNING"
    kept = stored(tracker, run)
    assert kept.info.status == "FINISHED"
    assert kept.info.run_name == "first"
    assert kept.data.params == flatten(params)
    assert kept.data.tags["catalog.digest"] == DIGEST
    (lineage,) = kept.inputs.dataset_inputs
    assert DIGEST.startswith(lineage.dataset.digest)
    assert json.loads(lineage.dataset.source)["tags"] == {"clips": "3", "latents": "12"}
    assert {tag.key: tag.value for tag in lineage.tags} == {"mlflow.data.context": "training", "content_digest": DIGEST}


def test_metrics_go_in_batches_and_none_is_lost(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    send = tracker._client.log_batch
    with tracker.run("curve", params={}, tags={}) as run:
        monkeypatch.setattr(
            tracker._client, "log_batch", lambda i, **kw: (calls.append(len(kw["metrics"])), send(i, **kw))
        )
        for step in range(700):
            run.log_metrics({"loss.video": 1.0 / (step + 1), "loss.audio": float("nan")}, step=step)
    assert calls == [1000, 400]
    curve = tracker._client.get_metric_history(run.run_id, "loss.video")
    assert [point.step for point in curve] == list(range(700))
    assert curve[-1].value == 1 / 700


@pytest.mark.parametrize("name", ["fad@vggish", "", "a/../b", "/a", "fäd"])
def test_a_name_that_mlflow_refuses_is_said_at_once(tracker: Tracker, name: str) -> None:
    with tracker.run("names", params={}, tags={}) as run:
        run.log_metrics({"fad.vggish16k.audioldm_eval": 1.0})
        with pytest.raises(ConfigError, match=r"fad\.vggish16k\.audioldm_eval"):
            run.log_metrics({name: 1.0})


def broken_off(tracker: Tracker, error: type[BaseException], *, tags: dict[str, str] | None = None) -> TrackedRun:
    """A run that an error has ended after its first step."""
    try:
        with tracker.run("broken off", params={"lr": 1}, tags=tags or {}) as run:
            run.log_metrics({"loss": 2.0}, step=0)
            raise error
    except error:
        return run


@pytest.mark.parametrize(("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_a_run_says_how_it_ended(tracker: Tracker, error: type[BaseException], status: str) -> None:
    run = broken_off(tracker, error)
    assert stored(tracker, run).info.status == status
    assert stored(tracker, run).data.metrics == {"loss": 2.0}


def test_a_run_goes_on(tracker: Tracker, settings: Settings) -> None:
    first = broken_off(tracker, ValueError, tags={"key": "k'1"})
    again = Tracker.open(settings)
    found = again.find({"key": "k'1"})
    assert found == first.run_id
    with again.run("whole", params={"lr": 1}, tags={}, run_id=found) as second:
        assert stored(again, second).info.status == "RUNNING"
        second.log_metrics({"loss": 1.0}, step=1)
    assert stored(again, second).info.status == "FINISHED"
    assert [p.value for p in again._client.get_metric_history(first.run_id, "loss")] == [2.0, 1.0]
    assert again.find({"key": "another"}) is None
    with pytest.raises(ConfigError, match="a run that exists"), again.run("x", params={}, tags={}, run_id="0" * 32):
        pass


def test_a_run_is_found_by_all_of_its_tags_and_by_how_it_ended(tracker: Tracker) -> None:
    both = broken_off(tracker, ValueError, tags={"model": "m", "kind": "a"})
    broken_off(tracker, ValueError, tags={"model": "m", "kind": "b"})
    assert tracker.find({"model": "m", "kind": "a"}) == both.run_id
    assert tracker.find({"model": "m", "kind": "c"}) is None
    assert tracker.find({"model": "m", "kind": "a"}, status="FAILED") == both.run_id
    assert tracker.find({"model": "m", "kind": "a"}, status="FINISHED") is None
    with pytest.raises(ValueError, match="cannot quote"):
        tracker.find({"model": 'm"'})


@pytest.mark.parametrize("calls", [0, 1, 2])
def test_a_kill_among_the_parameters_leaves_a_run_that_is_found_and_gets_the_rest(
    tracker: Tracker, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    params, tags = {f"p{n:03}": n for n in range(250)}, {"key": "k"}
    send, sent = tracker._client.log_batch, []

    def dies(*args: Any, **named: Any) -> None:
        if len(sent) == calls:
            raise KeyboardInterrupt
        sent.append(send(*args, **named))

    monkeypatch.setattr(tracker._client, "log_batch", dies)
    with pytest.raises(KeyboardInterrupt), tracker.run("killed", params=params, tags=tags):
        pass
    monkeypatch.undo()
    found = tracker.find(tags)
    assert found is not None
    with tracker.run("again", params={**params, "p000": "another"}, tags=tags, run_id=found) as run:
        pass
    first = {"p000": "0" if calls else "another"}
    assert stored(tracker, run).data.params == {**flatten(params), **first}, "those that it has stay"


def test_artifacts_lie_under_the_root(tracker: Tracker, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips/a.mp4").write_bytes(b"film")
    with tracker.run("files", params={}, tags={}) as run:
        run.log_file(tmp_path / "clips", folder="samples")
        run.log_file(tmp_path / "clips/a.mp4")
        run.log_json({"a": 1}, "summary.json")
    root = Path(urlparse(stored(tracker, run).info.artifact_uri).path)
    assert root.is_relative_to(settings.artifacts_dir)
    assert (root / "samples/a.mp4").read_bytes() == (root / "a.mp4").read_bytes() == b"film"
    assert json.loads((root / "summary.json").read_text()) == {"a": 1}


def test_two_processes_may_start_at_once_in_a_fresh_root(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from tasks.tracking import Tracker; from uniform_core.settings import Settings\n"
        "with Tracker.open(Settings(home=Path(sys.argv[1]))).run(sys.argv[2], params={'n': 1}, tags={}) as run:\n"
        "    for step in range(50):\n"
        "        run.log_metrics({'loss': step}, step=step); run.flush()\n"
    )
    home = tmp_path / "fresh"
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(home), name], stderr=subprocess.PIPE, text=True)
        for name in "ab"
    ]
    errors = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    client = Tracker.open(Settings(home=home))._client
    (experiment,) = client.search_experiments(filter_string="name = 'uniform'")
    runs = client.search_runs([experiment.experiment_id])
    assert [len(client.get_metric_history(run.info.run_id, "loss")) for run in runs] == [50, 50]
    assert sorted(path.name for path in home.iterdir()) == ["mlflow.db", "mlflow.lock"]


def test_a_server_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="UNIFORM_MLFLOW_URI"):
        Tracker.open(Settings(home=tmp_path, mlflow_uri="http://127.0.0.1:9"))


def test_a_damaged_store_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(bytes(range(256)) * 16)
    with pytest.raises(ServiceError, match=r"mlflow\.db is whole"):
        Tracker.open(Settings(home=tmp_path))


def test_a_deleted_experiment_is_one_clear_error(tracker: Tracker, settings: Settings) -> None:
    tracker._client.delete_experiment(tracker._experiment_id)
    with pytest.raises(ServiceError, match=f"restore -x {tracker._experiment_id}"):
        Tracker.open(settings)


def test_the_first_use_makes_its_tables_without_a_word(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tasks.tracking import Tracker; "
        "from uniform_core.settings import Settings; Tracker.open(Settings(home=Path(sys.argv[1])))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert (tmp_path / "mlflow.db").exists()
    assert (done.stdout, done.stderr) == ("", "")
