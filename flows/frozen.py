"""What a night has frozen, and how another run stands beside it.

By three seeds a bound of two deviations is left by one number of nine (Student's t with two degrees of freedom), were
the run of the same kind. So it is told where a run is worse, and the gate alone decides.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from uniform_core.config import RunConfig
from uniform_core.errors import ConfigError
from uniform_core.fingerprint import digest
from uniform_core.metrics.gate import Check
from uniform_core.types import Frozen

DEVIATIONS = 2.0  # of the seeds, by which a frozen bound lies below what is reached (above, where less is better)
LARGEST_FILE = 2**24  # bytes; a night of two presets has some 40,000


class FrozenCheck(Frozen):
    """One check of a preset over its training seeds; `passed` counts those at which it was.

    `frozen` lies two deviations from the mean, on the worse side. It is None where fewer than two seeds have a number,
    and where the number is a p value, whose mean says nothing.
    """

    preset: str
    task: str
    check: str
    score: str
    passed: int
    seeds: int
    mean: float | None
    deviation: float | None
    frozen: float | None
    bound: float
    at_least: bool

    @classmethod
    def of_seeds(cls, preset: str, checks: Sequence[Mapping[str, Any]]) -> FrozenCheck:
        """One check of a gate as each seed has it (`uniform run --json` has them under `gate`)."""
        first = checks[0]
        numbers = [check["found"] for check in checks if check["found"] is not None]
        mean = statistics.fmean(numbers) if numbers else None
        deviation = statistics.stdev(numbers) if len(numbers) > 1 else None
        frozen = None
        if mean is not None and deviation is not None and first["quantity"] != "p":
            frozen = mean + math.copysign(DEVIATIONS * deviation, -1.0 if first["at_least"] else 1.0)
        return cls(
            preset=preset,
            passed=sum(check["verdict"] == "passed" for check in checks),
            seeds=len(checks),
            mean=mean,
            deviation=deviation,
            frozen=frozen,
            score=first["score"]["name"],
            **{name: first[name] for name in ("task", "check", "bound", "at_least")},
        )


@dataclass(frozen=True)
class Worse:
    """A check that a run is worse at than a frozen bound."""

    task: str
    check: str
    score: str
    found: float
    frozen: float


@dataclass(frozen=True)
class Beside:
    """How a run stands beside a night: how many checks have a bound and a number, and those that are worse.

    `same_config` says whether the night's runs had the same config, but for their seeds.
    """

    compared: int
    worse: tuple[Worse, ...]
    same_config: bool


class NightConfig(Frozen):
    """What the runs of a preset were called with, training seeds aside, and the digest of that config."""

    overrides: tuple[str, ...] = Field(strict=False)
    digest: str

    @classmethod
    def of_run(cls, config: RunConfig, overrides: Sequence[str]) -> NightConfig:
        """The config that a preset has with these overrides."""
        return cls(overrides=tuple(overrides), digest=seedless_digest(config))


class KeptNight(Frozen):
    """What is read of the file that `uniform nightly` keeps."""

    configs: dict[str, NightConfig]
    checks: tuple[FrozenCheck, ...] = Field(strict=False)


def seedless_digest(config: RunConfig) -> str:
    """32 hex digits of a config that do not depend on any of its seeds."""
    return digest(_seedless(config.model_dump(mode="json")))


def _seedless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _seedless(part) for key, part in value.items() if key != "seed"}
    return [_seedless(part) for part in value] if isinstance(value, list) else value


def read_frozen(path: Path, *, preset: str) -> KeptNight:
    """What `uniform nightly` kept, with the checks of this preset alone.

    Raises ConfigError where there is no such file, where it is of another form, or has no bound of the preset.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError(f"{path.stat().st_size:,} bytes")
        night: dict[str, Any] = TypeAdapter(dict[str, Any]).validate_json(path.read_bytes())
        kept = KeptNight.model_validate({name: night.get(name) for name in KeptNight.model_fields})
    except (OSError, ValueError) as error:
        raise ConfigError(
            str(path), expected="the table of a night", found=_words_of(error), fix="`uniform nightly` writes one."
        ) from error
    own = tuple(check for check in kept.checks if check.preset == preset)
    if all(check.frozen is None for check in own):
        has = sorted({check.preset for check in kept.checks if check.frozen is not None})
        raise ConfigError(
            str(path),
            expected=f"frozen bounds of preset {preset}",
            found="those of " + ", ".join(has) if has else "none, as of fewer than two training seeds",
            fix=f"`uniform nightly --presets {preset}` with two seeds or more freezes them.",
        )
    return kept.model_copy(update={"checks": own})


def _words_of(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the whole'}: {first['msg']}"
    return str(error)


def beside(night: KeptNight, checks: Sequence[Check], config: RunConfig) -> Beside:
    """How the checks of a run of this config stand beside a night of its preset."""
    by_place = {(row.task, row.check, row.score): row for row in night.checks}
    pairs = [(check, by_place.get((check.task, check.rule.name, check.name))) for check in checks]
    comparable = [
        (check, found, row.frozen)
        for check, row in pairs
        for found in [check.found]
        if row is not None and row.frozen is not None and found is not None
    ]
    worse = [
        Worse(check.task, check.rule.name, check.name, found, bound)
        for check, found, bound in comparable
        if not check.rule.holds(found, bound)
    ]
    ran = night.configs.get(config.preset)
    return Beside(len(comparable), tuple(worse), ran is not None and ran.digest == seedless_digest(config))
