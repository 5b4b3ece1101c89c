"""Where things live: the only module that reads the environment.

Nothing here changes a number or a fingerprint, but `procedural_seed`, which becomes a word of the run's config.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from uniform_core.errors import ConfigError, StorageError
from uniform_core.files import expanded
from uniform_core.types import Count, Frozen, PositiveFloat

PREFIX = "UNIFORM_"
FETCHING = "fetching"  # the folder of media/ that the fetcher alone uses
FETCH_CACHE = "cache"  # in it: what later runs go on with
HOSTS_FILE = "hosts.json"  # in it: which hosts are closed
MOST_HANDOVER_BYTES = 1 << 30
HANDOVER_SHARE = 16  # of this machine's memory


class Settings(Frozen):
    """`UNIFORM_HOME` is the root of all data; the rest says how much of the machine may be used."""

    home: Path = Field(default=Path("data"), description="the root of all data; ./data where unset")
    weights_dir: Path | None = Field(default=None, description="public weights; the folder weights of home where unset")
    cpus: Count | None = Field(default=None, strict=False, description="cores that workers may use; all where unset")
    ray_address: str | None = Field(
        default=None, description="a Ray cluster to work on, whose machines share home; this machine where unset"
    )
    decode_workers: Count | None = Field(
        default=None,
        strict=False,
        description="processes that decode for those that hold a model; as many as cores beside a GPU where unset, "
        "else each process decodes for itself",
    )
    model_workers: Count | None = Field(
        default=None,
        strict=False,
        description="processes that hold a model; one for each share of a GPU, or as many as cores, where unset",
    )
    gpu_share: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description="of a GPU for each process that holds a model; 1 where unset and there is a GPU here"
    )
    worker_memory_gib: PositiveFloat | None = Field(
        default=None, description="memory that Ray sets aside for each process with a model; none where unset"
    )
    handover_mib: Count | None = Field(
        default=None,
        strict=False,
        description="the most that lies decoded before the models; 1024, or a sixteenth of memory, where unset",
    )
    procedural_seed: int | None = Field(
        default=None, ge=0, strict=False, description="the seed of procedural clips; the preset's own where unset"
    )
    prefect_api_url: str | None = Field(default=None, description="a Prefect server to use; a local one where unset")
    mlflow_uri: str | None = Field(default=None, description="an MLflow server to use; sqlite under home where unset")
    mlflow_parent: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{32}$", description="the MLflow run that new runs are nested in: a sweep's"
    )

    @field_validator("ray_address", "prefect_api_url", "mlflow_uri")
    @classmethod
    def _is_address(cls, value: str | None, info: ValidationInfo) -> str | None:
        """A word that is no address would only be found out by a service, minutes later."""
        if value is None:
            return value
        if info.field_name == "ray_address":
            return _ray_address(value)
        is_web = info.field_name == "prefect_api_url" or value.startswith(("http://", "https://"))
        if is_web and (mistake := web_address_mistake(value)):
            raise ValueError(mistake)
        if not re.match(r"[\w+]+://.", value):
            raise ValueError("should be an address that begins with http:// or the like")
        return value

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
    def fetching_dir(self) -> Path:
        """What is under way, and what is kept of hosts; on the disk of the media, so that a rename moves files."""
        return self.media_dir / FETCHING

    @property
    def indexes_dir(self) -> Path:
        return self.home / "indexes"

    @property
    def checkpoints_dir(self) -> Path:
        return self.home / "checkpoints"

    @property
    def reports_dir(self) -> Path:
        return self.home / "reports"

    @property
    def weights_root(self) -> Path:
        return self.weights_dir or self.home / "weights"

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
    def own_dirs(self) -> tuple[Path, ...]:
        """The folders under `home` that hold only what UniForm wrote."""
        data = (self.catalog_dir, self.tensors_dir, self.media_dir, self.checkpoints_dir)
        return (*data, self.reports_dir, self.prefect_dir, self.artifacts_dir, self.indexes_dir, self.home / "weights")

    @property
    def worker_cpus(self) -> int:
        return self.cpus or len(os.sched_getaffinity(0))

    @property
    def handover_bytes(self) -> int:
        """The most that may lie decoded between processes that decode and those that hold a model."""
        if self.handover_mib is not None:
            return self.handover_mib << 20
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return min(MOST_HANDOVER_BYTES, memory // HANDOVER_SHARE)


def _ray_address(value: str) -> str:
    """`auto`, `ray://HOST:PORT` or `HOST:PORT`. Raises ValueError."""
    if value != "auto" and not re.fullmatch(r"(ray://)?[\w.\-\[\]:]+:[0-9]{1,5}", value):
        raise ValueError("should be auto, HOST:PORT or ray://HOST:PORT")
    return value


def web_address_mistake(address: str) -> str | None:
    """What an `http` address must be and this one is not, in words; None where it is right."""
    if not re.match(r"https?://", address, re.IGNORECASE):
        return "should begin with http:// or https://"
    if any(letter.isspace() or not letter.isprintable() for letter in address):
        return "should have no spaces"
    try:
        parts = urlsplit(address)
        host = (parts.hostname or "").encode("idna")
    except ValueError:  # brackets that do not close, labels that no name can have
        return "should have the name of a host"
    if not host:
        return "should have the name of a host"
    try:
        is_port = parts.port is None or parts.port >= 1
    except ValueError:  # also for what is above 65535
        is_port = False
    return None if is_port else "should have a port of 1 to 65535"


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process, with `home` made absolute.

    Raises ConfigError that lists every variable that starts with `UNIFORM_` and is unknown or malformed, and Prefect's
    own address where that is malformed.
    """
    environ = os.environ if environ is None else environ
    known = set(Settings.model_fields)
    given = {k[len(PREFIX) :].lower(): v for k, v in environ.items() if k.startswith(PREFIX)}
    mistakes = {_variable(name): "an unknown setting" for name in sorted(set(given) - known - RESERVED)}
    try:
        settings = Settings.model_validate({k: v for k, v in given.items() if k in known and v != ""})
    except ValidationError as error:
        wrong = {_variable(str(e["loc"][0])): f"{e['input']!r} ({_plain(e['msg'])})" for e in error.errors()}
        raise _settings_error(mistakes | wrong) from error
    if mistakes:
        raise _settings_error(mistakes)
    places = {name: _place(name, getattr(settings, name)) for name in ("home", "weights_dir")}
    return settings.model_copy(update=places)


def _place(name: str, given: Path | None) -> Path | None:
    return None if given is None else expanded(given, item=f"{_variable(name)} {given}").resolve()


def _settings_error(mistakes: Mapping[str, str]) -> ConfigError:
    """One error for all variables, each with what was found."""
    meanings = (f"{_variable(name)} ({field.description})" for name, field in sorted(Settings.model_fields.items()))
    return ConfigError(
        ", ".join(mistakes),
        expected="settings among " + ", ".join(meanings),
        found="; ".join(f"{name}: {words}" for name, words in mistakes.items()),
        fix="Unset " + ("it" if len(mistakes) == 1 else "each of them") + ", or correct it.",
    )


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _plain(message: str) -> str:
    """What pydantic says, without its own words around it."""
    said = message.removeprefix("Value error, ").removeprefix("Input ")
    return said[:1].lower() + said[1:]


RESERVED = frozenset({"golden_dir"})  # read by the parity tests


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


def secret(name: str, environ: Mapping[str, str] | None = None) -> str:
    """The secret in an environment variable, which a config names and never holds. Raises ConfigError without it."""
    value = (os.environ if environ is None else environ).get(name, "").strip()
    if not value or not value.isascii() or not value.isprintable():
        raise ConfigError(
            f"the environment variable {name}",
            expected="a key of printable ASCII",
            found="something else" if value else "nothing",
            fix=f"Set {name} where the run is started.",
        )
    return value
