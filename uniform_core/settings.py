"""Where things live: the only module that reads the environment. Nothing here changes a number or a fingerprint."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, ValidationError

from uniform_core.errors import ConfigError, StorageError
from uniform_core.types import Count, Frozen

PREFIX = "UNIFORM_"


class Settings(Frozen):
    """`UNIFORM_HOME` is the root of all data; the rest says how much of the machine may be used."""

    home: Path = Path("data")
    cpus: Count | None = Field(default=None, strict=False, description="cores that workers may use; all where unset")
    prefect_api_url: str | None = Field(default=None, description="a Prefect server to use; a local one where unset")
    mlflow_uri: str | None = Field(default=None, description="an MLflow server to use; sqlite under home where unset")

    @property
    def catalog_dir(self) -> Path:
        return self.home / "catalog"

    @property
    def tensors_dir(self) -> Path:
        return self.home / "tensors"

    @property
    def media_dir(self) -> Path:
        return self.home / "media"

    @property
    def checkpoints_dir(self) -> Path:
        return self.home / "checkpoints"

    @property
    def reports_dir(self) -> Path:
        return self.home / "reports"

    @property
    def prefect_dir(self) -> Path:
        return self.home / "prefect"

    @property
    def tracking_uri(self) -> str:
        return self.mlflow_uri or f"sqlite:///{self.home / 'mlflow.db'}"

    @property
    def artifacts_dir(self) -> Path:
        return self.home / "mlartifacts"

    @property
    def worker_cpus(self) -> int:
        return self.cpus or len(os.sched_getaffinity(0))


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process, with `home` made absolute.

    Raises ConfigError for a variable that starts with `UNIFORM_` and is unknown or malformed.
    """
    environ = os.environ if environ is None else environ
    known = set(Settings.model_fields)
    given = {k[len(PREFIX) :].lower(): v for k, v in environ.items() if k.startswith(PREFIX)}
    unknown = sorted(set(given) - known - RESERVED)
    if unknown:
        raise ConfigError(
            ", ".join(PREFIX + name.upper() for name in unknown),
            expected="one of " + ", ".join(PREFIX + name.upper() for name in sorted(known)),
            found="an unknown setting",
            fix="Unset it, or correct its name.",
        )
    try:
        settings = Settings.model_validate({k: v for k, v in given.items() if k in known and v != ""})
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + str(first["loc"][0]).upper()
        raise ConfigError(name, expected=first["msg"], found=repr(first["input"]), fix=f"Correct {name}.") from error
    return settings.model_copy(update={"home": settings.home.expanduser().resolve()})


RESERVED = frozenset(
    {"golden_dir", "procedural_seed"}
)  # read by the parity tests; by `presets` through `run_overrides`


def ensure_home(settings: Settings) -> None:
    """Make the root and see that it can be written. Raises StorageError that says what to do."""
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        probe = settings.home / f".write-probe-{os.getpid()}"
        probe.write_bytes(b"1")
        probe.unlink()
    except OSError as error:
        raise StorageError(
            f"UNIFORM_HOME {settings.home}",
            expected="a folder that can be written",
            found=error.strerror or str(error),
            fix="Set UNIFORM_HOME to a writable folder with enough room.",
        ) from error
