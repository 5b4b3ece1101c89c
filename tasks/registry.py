"""MLflow's registry of models: versions that point to our checkpoints, and aliases that move among them.

A version is metadata: its source is the folder of the exported model (safetensors and JSON), no flavour of MLflow's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from tasks.results import EVALUATION_TAG, MODEL_TAG
from tasks.tracking import Tracker
from uniform_core.errors import ServiceError
from uniform_core.files import lock
from uniform_core.settings import Settings

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

LONGEST_TAG: Final = 5_000  # characters of a version's tag
PROMOTED_TAG: Final = "uniform.promoted"  # and the alias after it: why the version was given that alias, as JSON


@dataclass(frozen=True)
class Version:
    """A registered version: its number, and the model and evaluation that it stands for; empty where others made it."""

    number: str
    model_id: str
    evaluation: str


class Registry:
    """One registered model, by its name."""

    def __init__(self, client: MlflowClient, name: str, place: Path) -> None:
        self._client, self._name, self._place = client, name, place

    @classmethod
    def open(cls, settings: Settings, name: str) -> Self:
        """The registry of a root, or of the server that settings name. Raises ServiceError."""
        return cls(Tracker.open(settings).client, name, settings.home)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else of this machine registers or moves an alias while the block runs."""
        with lock(self._place / "mlflow-registry.lock", shared=False):
            yield

    def holder(self, alias: str) -> Version | None:
        """Who has an alias; None where nobody has."""
        number = self._aliases().get(alias)
        return None if number is None else self._version(self._client.get_model_version(self._name, number))

    def register(self, model_id: str, *, folder: Path, run_id: str | None, tags: Mapping[str, str]) -> Version:
        """The version of a model: the one that it has, or a new one. Raises ServiceError where MLflow refuses it."""
        from mlflow.exceptions import MlflowException

        self._ensure_name()
        for one in self._client.search_model_versions(f"name = '{self._name}'"):
            if one.tags.get(MODEL_TAG) == model_id:
                return self._version(one)
        try:
            made = self._client.create_model_version(
                self._name,
                source=folder.resolve().as_uri(),
                run_id=run_id,
                tags={MODEL_TAG: model_id, **{tag: value[:LONGEST_TAG] for tag, value in tags.items()}},
                await_creation_for=0,
            )
        except MlflowException as error:
            raise ServiceError(
                f"MLflow's registry, model {model_id[:12]}",
                expected=f"a version of {self._name!r} whose source is {folder}",
                found=str(error).splitlines()[0],
                fix="A server takes local folders only where it may read them: run it on this machine's files.",
            ) from error
        return self._version(made)

    def give(self, alias: str, version: Version, *, why: Mapping[str, Any], evaluation: str) -> None:
        """Move an alias to a version. Why is written first, so that no alias stands without a reason."""
        for tag, value in (
            (EVALUATION_TAG, evaluation),
            (f"{PROMOTED_TAG}.{alias}", json.dumps(why, ensure_ascii=False)[:LONGEST_TAG]),
        ):
            self._client.set_model_version_tag(self._name, version.number, tag, value)
        self._client.set_registered_model_alias(self._name, alias, version.number)

    def _aliases(self) -> dict[str, str]:
        from mlflow.exceptions import MlflowException

        try:
            return {name: str(number) for name, number in self._client.get_registered_model(self._name).aliases.items()}
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return {}

    def _ensure_name(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(self._name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _version(self, found: Any) -> Version:
        return Version(str(found.version), found.tags.get(MODEL_TAG, ""), found.tags.get(EVALUATION_TAG, ""))
