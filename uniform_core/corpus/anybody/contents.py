"""What is in the files: their contents, which streams they have, and at which rate their pictures go."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from uniform_core.corpus.anybody.asked import needs_reference
from uniform_core.corpus.anybody.found import MediaFiles, some
from uniform_core.corpus.anybody.matching import Files, Sides
from uniform_core.corpus.anybody.sides import ABSENT
from uniform_core.corpus.controls import Clip
from uniform_core.errors import ConfigError, Rejection
from uniform_core.files import reading
from uniform_core.fingerprint import file_sha256
from uniform_core.media import Sandbox, SourceFacts
from uniform_core.metrics.base import MetricConfig
from uniform_core.metrics.checks import RATE, RATE_TOLERANCE
from uniform_core.types import Modality, Task

Facts = Mapping[Path, SourceFacts | Rejection]


@dataclass(frozen=True)
class Looked:
    """The files of both sides: `sha256` of each, and where each content lies."""

    sha256: Mapping[Path, str]
    path_of: Mapping[str, Path] = field(init=False)

    def __post_init__(self) -> None:
        paths = {content: path for path, content in sorted(self.sha256.items(), reverse=True)}
        object.__setattr__(self, "path_of", paths)

    def of(self, path: Path | None) -> str:
        return ABSENT if path is None else self.sha256[path]


def look_into(sides: Sides, *, known: Mapping[Path, str], workers: int) -> Looked:
    """The contents of all files; `known` are those that the catalog has. Raises ConfigError for one unreadable."""
    paths = [path for files in (sides.generated, sides.reference) for one in files.values() for path in one.paths]
    fresh = [path for path in dict.fromkeys(paths) if path not in known]
    with reading("the clips"), ThreadPoolExecutor(workers) as pool:
        found = dict(zip(fresh, pool.map(file_sha256, fresh), strict=True))
    return Looked({path: known.get(path) or found[path] for path in dict.fromkeys(paths)})


def facts_of(paths: Iterable[Path], *, workers: int) -> dict[Path, SourceFacts | Rejection]:
    """What files say of themselves, by lean processes of which each thread has one."""
    own, opened = threading.local(), []

    def probe(path: Path) -> SourceFacts | Rejection:
        if not hasattr(own, "sandbox"):
            own.sandbox = Sandbox()
            opened.append(own.sandbox)
        return own.sandbox.probe(path)  # type: ignore[no-any-return]

    asked = list(dict.fromkeys(paths))
    try:
        with ThreadPoolExecutor(workers) as pool:
            return dict(zip(asked, pool.map(probe, asked), strict=True))
    finally:
        for sandbox in opened:
            sandbox.close()


def wants_facts(metrics: Sequence[MetricConfig], task: Task) -> bool:
    """Whether it matters what files say of themselves: a film's own sound (a2v), or rates that must be one."""
    return task is Task.A2V or any(_compares_rates(metric) for metric in metrics)


def require_one_rate(sides: Sides, metrics: Sequence[MetricConfig], facts: Facts) -> None:
    """Raises ConfigError where a metric compares films at their own rates, and these differ."""
    odd = [metric.name for metric in metrics if _compares_rates(metric)]
    if not odd:
        return
    rates = {
        f"{side} {key}": rate
        for side, files in (("generated", sides.generated), ("reference", sides.reference))
        for key, one in files.items()
        if (rate := _rate_of(one, facts)) is not None
    }
    if not rates or max(rates.values()) <= min(rates.values()) * (1 + RATE_TOLERANCE):
        return
    lowest = min(rates, key=lambda name: rates[name])
    highest = max(rates, key=lambda name: rates[name])
    raise ConfigError(
        "frame rates",
        expected=f"one rate, as {', '.join(odd)} takes films at their own",
        found=f"{lowest} at {rates[lowest]:.6g} Hz, {highest} at {rates[highest]:.6g} Hz",
        fix=f"Bring them to one rate, or leave out --protocol {odd[0].rpartition('.')[2]}.",
    )


def _compares_rates(metric: MetricConfig) -> bool:
    return needs_reference(metric) and any(need.layer == RATE for need in metric.checked)


def _rate_of(files: MediaFiles, facts: Facts) -> float | None:
    found = None if files.film is None else facts.get(files.film)
    return found.video_rate_hz if isinstance(found, SourceFacts) else None


def real_clips(files: Files, looked: Looked) -> dict[str, Clip]:
    """Real clips as they are."""
    return {key: Clip(looked.of(one.film), looked.of(one.sound or one.film)) for key, one in files.items()}


def made_clips(sides: Sides, task: Task, looked: Looked, facts: Facts) -> dict[str, Clip]:
    """Generated clips: what the task makes is their own; what it is given is the partner's, where they do not hold it.

    Raises ConfigError where what the task makes is in no file.
    """
    require_made(sides.generated, task)
    clips = {}
    for key, one in sides.generated.items():
        partner = sides.reference.get(key, MediaFiles(None, None))
        video = one.film or partner.film
        own_sound = one.sound or (one.film if task is not Task.A2V or _has_sound(one.film, facts) else None)
        audio = own_sound or (partner.sound or partner.film if task is Task.A2V else None)
        clips[key] = Clip(looked.of(video), looked.of(audio))
    return clips


def require_made(generated: Files, task: Task) -> None:
    """Raises ConfigError where a clip has no film though the task makes pictures."""
    bare = [key for key, one in generated.items() if one.film is None] if Modality.VIDEO in task.made else []
    if bare:
        raise ConfigError(
            "--generated",
            expected=f"a film for each clip, since {task} makes pictures",
            found=f"a sound alone for {len(bare)}: {some(bare)}",
            fix="Give the films, or another --task.",
        )


def borrows(sides: Sides, task: Task) -> bool:
    """Whether a generated clip lacks the film that it is given, so that it needs a partner's."""
    return task is Task.V2A and any(one.film is None for one in sides.generated.values())


def _has_sound(film: Path | None, facts: Facts) -> bool:
    found = None if film is None else facts.get(film)
    return isinstance(found, SourceFacts) and found.audio_codec is not None
