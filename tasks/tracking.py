"""Runs in MLflow: parameters, tags, lineage, artifacts, and metrics in batches. Numbers only; the truth is the catalog.

Everything goes through a client of its own, so no run is global: processes and threads do not see each other's.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from tasks.ray_session import environment
from uniform_core.errors import ConfigError, ServiceError
from uniform_core.files import lock
from uniform_core.settings import Settings

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

TRACKING_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_LOGGING_LEVEL": "WARNING",  # else it tells a person at their first run of its tables
}
METRIC_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_\-. /]*")  # MLflow allows also ":", and refuses "@"
LONGEST_VALUE = 6_000  # characters of a parameter or a tag
METRICS_A_CALL, PARAMS_A_CALL = 1_000, 100  # MLflow's limits
TRIES = 6
Result = TypeVar("Result")


@dataclass(frozen=True)
class DataVersion:
    """What a run read: tables at versions, and the digest that says whether it was the same data."""

    name: str
    digest: str
    versions: Mapping[str, int]
    context: str = "training"


class Tracker:
    """One MLflow experiment. The database is made by the first use (3 s); later ones open it."""

    def __init__(self, client: MlflowClient, experiment_id: str) -> None:
        self._client, self._experiment_id = client, experiment_id

    @classmethod
    def open(cls, settings: Settings, *, experiment: str = "uniform") -> Self:
        """The tracker of a root: sqlite and artifacts under it, or the server that settings name.

        Raises ServiceError where it cannot be reached.
        """
        settings.home.mkdir(parents=True, exist_ok=True)
        with environment(TRACKING_ENVIRONMENT):
            from mlflow.exceptions import MlflowException  # here: imports of 2 to 5 s
            from mlflow.tracking import MlflowClient
            from sqlalchemy.exc import SQLAlchemyError  # MLflow lets them out where its database is damaged

            try:
                # The database is migrated by whoever comes first; two at once would spoil it.
                with lock(settings.home / "mlflow.lock", shared=False):
                    client = MlflowClient(tracking_uri=settings.tracking_uri)
                    place = None if settings.mlflow_uri else settings.artifacts_dir.resolve().as_uri()
                    return cls(client, _experiment_id(client, experiment, place))
            except (MlflowException, SQLAlchemyError, OSError) as error:
                raise ServiceError(
                    f"MLflow at {settings.tracking_uri}",
                    expected="a tracking store that answers",
                    found=f"{type(error).__name__}: {str(error).splitlines()[0]}",
                    fix="See UNIFORM_MLFLOW_URI, that UNIFORM_HOME can be written, and that mlflow.db is whole.",
                ) from error

    @property
    def client(self) -> MlflowClient:
        """The client itself, for what is no run: the registry of models."""
        return self._client

    @contextlib.contextmanager
    def run(
        self,
        name: str,
        *,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        data: Sequence[DataVersion] = (),
        run_id: str | None = None,
    ) -> Iterator[TrackedRun]:
        """A run that ends FINISHED, FAILED or KILLED as the block does; with `run_id`, that run goes on.

        `params` may be nested; a run that goes on keeps the parameters it has. The tags are there from its first
        moment, so that `find` finds also what a killed process left.
        """
        run = self._resume(run_id, params, tags) if run_id else self._create(name, params, tags)
        run.log_data(data)
        status = "KILLED"
        try:
            yield run
            status = "FINISHED"
        except Exception:
            status = "FAILED"
            raise
        finally:
            run.flush()
            _patient(lambda: self._client.set_terminated(run.run_id, status=status))

    def find(self, tags: Mapping[str, str], *, status: str | None = None) -> str | None:
        """The id of the newest run with all these tags, and with this status if one is given; None without one."""
        for tag, value in tags.items():
            if '"' in value or "`" in tag:
                raise ValueError(f"MLflow cannot search for tag {tag!r} with value {value!r}: it cannot quote it")
        terms = [f'tags.`{tag}` = "{value}"' for tag, value in tags.items()]
        terms += [] if status is None else [f'attributes.status = "{status}"']
        found = self._client.search_runs(
            [self._experiment_id], " and ".join(terms), order_by=["attributes.start_time DESC"], max_results=1
        )
        return str(found[0].info.run_id) if found else None

    def tags_of(self, run_id: str) -> dict[str, str]:
        """The tags of a run; empty where there is no such run."""
        from mlflow.exceptions import MlflowException

        try:
            return dict(_patient(lambda: self._client.get_run(run_id)).data.tags)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return {}

    def existing(self, run_id: str) -> TrackedRun:
        """A run as it is, to add something to: its status stays."""
        return TrackedRun(self._client, run_id)

    def _create(self, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> TrackedRun:
        cut = {tag: value[:LONGEST_VALUE] for tag, value in tags.items()}
        made = _patient(lambda: self._client.create_run(self._experiment_id, run_name=name, tags=cut))
        run = TrackedRun(self._client, made.info.run_id)
        run.log_params(flatten(params))
        return run

    def _resume(self, run_id: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> TrackedRun:
        from mlflow.exceptions import MlflowException

        try:
            _patient(lambda: self._client.update_run(run_id, status="RUNNING"))
            kept = _patient(lambda: self._client.get_run(run_id)).data.params
        except MlflowException as error:
            raise ConfigError(
                f"MLflow run {run_id}",
                expected="a run that exists",
                found=str(error).splitlines()[0],
                fix="Leave the id out to start a new run.",
            ) from error
        run, flat = TrackedRun(self._client, run_id), flatten(params)
        if flat and list(flat)[-1] not in kept:  # they go in order: a kill among them left the later ones out
            run.log_params({name: value for name, value in flat.items() if name not in kept})
        run.set_tags(tags)
        return run


class TrackedRun:
    """An open run. Metrics gather until `flush`, or until there are enough for one call; none is sent alone."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self._client, self.run_id = client, run_id
        self._metrics: list[Any] = []

    def log_metrics(self, metrics: Mapping[str, float], *, step: int = 0) -> None:
        """Keep the metrics of a step for the next batch. Raises ConfigError for a name that MLflow refuses."""
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        for name, value in metrics.items():
            self._metrics.append(Metric(checked_name(name), float(value), now_ms, step))
        if len(self._metrics) >= METRICS_A_CALL:
            self.flush()

    def flush(self) -> None:
        """Send what has gathered."""
        while self._metrics:
            part = self._metrics[:METRICS_A_CALL]
            _patient(partial(self._client.log_batch, self.run_id, metrics=part))
            del self._metrics[: len(part)]

    def log_params(self, params: Mapping[str, str]) -> None:
        """Log parameters in their order. MLflow refuses another value for one that is there."""
        from mlflow.entities import Param

        every = [Param(name, value[:LONGEST_VALUE]) for name, value in params.items()]
        for start in range(0, len(every), PARAMS_A_CALL):
            part = every[start : start + PARAMS_A_CALL]
            _patient(partial(self._client.log_batch, self.run_id, params=part))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags (versions, digests, paths) in one call."""
        from mlflow.entities import RunTag

        if tags:
            every = [RunTag(name, value[:LONGEST_VALUE]) for name, value in tags.items()]
            _patient(lambda: self._client.log_batch(self.run_id, tags=every))

    def tag(self, name: str) -> str | None:
        """The value of a tag that the run has."""
        value: str | None = _patient(lambda: self._client.get_run(self.run_id)).data.tags.get(name)
        return value

    def log_data(self, data: Sequence[DataVersion]) -> None:
        """Say which tables, at which versions and with which digest, the run stands on."""
        if not data:
            return
        from mlflow.data.code_dataset_source import CodeDatasetSource
        from mlflow.data.meta_dataset import MetaDataset
        from mlflow.entities import DatasetInput, InputTag

        inputs = []
        for one in data:
            versions = {table: str(version) for table, version in sorted(one.versions.items())}
            # MLflow keeps at most 36 characters of a digest; all of it is in the tags.
            dataset = MetaDataset(CodeDatasetSource(versions), name=one.name, digest=one.digest[:36])
            tags = [InputTag("mlflow.data.context", one.context), InputTag("content_digest", one.digest)]
            inputs.append(DatasetInput(dataset._to_mlflow_entity(), tags))
        _patient(lambda: self._client.log_inputs(self.run_id, datasets=inputs))

    def log_file(self, path: Path, *, folder: str = "") -> None:
        """Copy a file, or all files of a folder, into the run's artifacts."""
        log = self._client.log_artifacts if path.is_dir() else self._client.log_artifact
        _patient(lambda: log(self.run_id, str(path), folder or None))

    def log_json(self, value: Any, name: str) -> None:
        """Write a value as a JSON artifact of this name."""
        _patient(lambda: self._client.log_dict(self.run_id, value, name))


def flatten(params: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested parameters as one level of dotted names and texts.

    >>> flatten({"train": {"lr": 0.1, "tasks": ["t2av"]}, "seed": 0})
    {'train.lr': '0.1', 'train.tasks.0': 't2av', 'seed': '0'}
    """
    flat: dict[str, str] = {}
    for key, value in params.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{name}."))
        elif isinstance(value, list | tuple) and value:
            flat.update(flatten(dict(enumerate(value)), f"{name}."))  # type: ignore[arg-type]  # positions are names here
        else:
            flat[name] = str(value)
    return flat


def checked_name(name: str) -> str:
    """The metric's name itself. Raises ConfigError where MLflow would refuse it."""
    if not METRIC_NAME.fullmatch(name) or ".." in name or name.startswith("/"):
        raise ConfigError(
            f"metric {name!r}",
            expected="letters, digits and _ - . / (metric.extractor.protocol)",
            found=name,
            fix="Name it like fad.vggish16k.audioldm_eval.",
        )
    return name


def _experiment_id(client: MlflowClient, name: str, place: str | None) -> str:
    """The experiment's id; it is made where it is missing. Raises ServiceError where somebody has deleted it."""
    found = client.get_experiment_by_name(name)
    if found is not None and found.lifecycle_stage == "deleted":
        raise ServiceError(
            f"MLflow experiment {name!r}",
            expected="an experiment that runs can be added to",
            found="a deleted one, which keeps its name until it is restored or removed for good",
            fix=f"Run `mlflow experiments restore -x {found.experiment_id}` or `mlflow gc` with this tracking URI.",
        )
    if found is not None:
        return str(found.experiment_id)
    return str(client.create_experiment(name, artifact_location=place and f"{place}/{name}"))


def _patient(call: Callable[[], Result]) -> Result:
    """The result of a call, tried again for some seconds while another process holds the database."""
    from mlflow.exceptions import MlflowException

    for attempt in range(TRIES - 1):
        try:
            return call()
        except MlflowException as error:
            if "database is locked" not in str(error):
                raise
            time.sleep(0.2 * 2**attempt)
    return call()
