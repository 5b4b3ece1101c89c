"""From a person's words to what is scored: everything that can be wrong with a call is told before any work."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from uniform_core.catalog import Catalog
from uniform_core.corpus.anybody.asked import (
    Asked,
    WantedNumbers,
    asked_of,
    nearest_by,
    nets_from,
    protocols_named,
    require_weights,
)
from uniform_core.corpus.anybody.catalogued import (
    Catalogued,
    clips_of_model,
    clips_of_split,
    is_split,
    real_of,
)
from uniform_core.corpus.anybody.contents import (
    borrows,
    facts_of,
    look_into,
    made_clips,
    real_clips,
    require_made,
    require_one_rate,
    wants_facts,
)
from uniform_core.corpus.anybody.found import found_in
from uniform_core.corpus.anybody.matching import Sides, by_table, require_partners
from uniform_core.corpus.anybody.names import clip_names
from uniform_core.corpus.anybody.sides import Baseline
from uniform_core.corpus.clip_scores import ClipName
from uniform_core.corpus.controls import Clips
from uniform_core.errors import ConfigError, WorkFailedError
from uniform_core.files import expanded
from uniform_core.metrics.gate import CONTROLS
from uniform_core.metrics.originals.wanted import PublishedNets
from uniform_core.metrics.protocols import ProtocolSet
from uniform_core.settings import Settings
from uniform_core.types import Task

NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_\-. ]{0,59}")
OURS: Final = frozenset({"uniform", "untrained", "real", "codec_round_trip", "retrieval", "unimodal", *CONTROLS})


@dataclass(frozen=True)
class Words:
    """What a person asks for. Just one of `generated` (a folder) and `model_id` (one of ours) is there."""

    task: Task
    protocols: tuple[str, ...]
    generated: Path | None = None
    model_id: str | None = None
    reference: str | None = None  # a folder, or DATASET:SPLIT of the catalog
    match: Path | None = None
    system: str | None = None
    weights: tuple[str, ...] = ()  # NAME=PATH
    allow_code: bool = False
    infinite: bool = False
    baselines: tuple[Baseline, ...] = ()
    limit: int | None = None
    leave_out: bool = False
    only: frozenset[str] | None = None  # whole names of the metrics that are wanted of the protocols
    without_missing: bool = False  # a number whose weights are missing is told as not made, instead of refused
    flag: str = "--generated"  # by which `generated` was given


@dataclass(frozen=True)
class Call:
    """What is scored. `generated` and `reference` are contents by key, `path_of` says where each lies.

    `names` says which clip each key means, `protocols` are those that were named. `round_trip` are the reference's
    clips behind a codec, where there are some. With `leave_out`, clips without features are left out of numbers, which
    say so; else such a number is null.
    """

    system: str
    task: Task
    asked: Asked
    protocols: tuple[ProtocolSet, ...]
    nets: PublishedNets
    sides: Sides
    generated: Clips
    reference: Clips
    path_of: Mapping[str, Path]
    names: Mapping[str, ClipName]
    baselines: tuple[Baseline, ...] = ()
    round_trip: Clips = field(default_factory=dict)
    model_id: str | None = None
    leave_out: bool = False


def call_of(words: Words, *, settings: Settings, catalog: Catalog) -> Call:
    """The call of these words, its files read once for their contents.

    Raises ConfigError for whatever cannot be scored as it was asked: an unknown protocol, weights that are missing,
    folders without media, names that do not match, rates that differ; WorkFailedError where a model made nothing.
    """
    protocols, nets = protocols_named(words.protocols), nets_from(words.weights, allow_code=words.allow_code)
    system = _system(words)
    has_reference = words.reference is not None or words.model_id is not None
    wanted = WantedNumbers(words.only, without_missing=words.without_missing, infinite=words.infinite)
    asked = asked_of(protocols, words.task, nets, has_reference=has_reference, wanted=wanted)
    nearest = nearest_by(protocols, words.task) if "retrieval" in words.baselines else None
    require_weights([*asked.metrics, *filter(None, [nearest])], nets)
    sides, known, clip_ids = _sides(words, settings, catalog)
    require_made(sides.generated, words.task)
    paired = [metric.name for metric in asked.metrics if metric.paired]
    if paired:
        require_partners(sides, why=f"{paired[0]} compares pair by pair")
    elif borrows(sides, words.task) and sides.reference:
        require_partners(sides, why="the film of a sound is that of its partner")
    round_trip = _round_trip(words, settings, catalog)
    looked = look_into(sides, known={**known, **round_trip.sha256}, workers=settings.worker_cpus)
    facts = {}
    if wants_facts(asked.metrics, words.task):
        films = [one.film for files in (sides.generated, sides.reference) for one in files.values() if one.film]
        facts = facts_of(films, workers=settings.worker_cpus)
        require_one_rate(sides, asked.metrics, facts)
    again = look_into(Sides(round_trip.files, {}), known=round_trip.sha256, workers=1)
    real = real_clips(sides.reference, looked)
    return Call(
        system=system,
        task=words.task,
        asked=asked,
        protocols=tuple(protocols),
        nets=nets,
        sides=sides,
        generated=made_clips(sides, words.task, looked, facts),
        reference=real,
        path_of={**again.path_of, **looked.path_of},
        names=clip_names(
            sides.generated,
            sides.reference,
            round_trip.files,
            clip_ids={**clip_ids, **round_trip.clip_ids},
            real=real,
        ),
        baselines=words.baselines,
        round_trip=real_clips(round_trip.files, again),
        model_id=words.model_id,
        leave_out=words.leave_out,
    )


def _system(words: Words) -> str:
    """The name that scores go by. Raises ConfigError for one of ours, and for what MLflow would refuse in a name."""
    if words.model_id is not None:
        return "uniform"
    assert words.generated is not None, "words have a folder or a model"
    name = words.system or words.generated.resolve().name
    if NAME.fullmatch(name) and name not in OURS:
        return name
    is_named = words.flag == "--generated"
    raise ConfigError(
        "--name" if is_named else words.flag,
        expected=f"up to 60 letters, digits and _ - . of no system of ours ({', '.join(sorted(OURS))})",
        found=ascii(name),
        fix="Name the system that made the clips with --name." if is_named else "Give the system another name.",
    )


def _sides(words: Words, settings: Settings, catalog: Catalog) -> tuple[Sides, Mapping[Path, str], Mapping[Path, str]]:
    """The clips of both sides; by their films, what the catalog knows of their contents, and the ids of its clips."""
    made = _made(words, settings, catalog)
    real = _real(words, settings, catalog, list(made.files))
    sides = Sides(made.files, real.files)
    if words.match is not None:
        if words.reference is None:
            raise ConfigError(
                "--match", expected="a --reference", found="none", fix="Say what the clips are matched to."
            )
        sides = by_table(words.match, sides)
    return sides.first(words.limit), {**real.sha256, **made.sha256}, {**real.clip_ids, **made.clip_ids}


def _made(words: Words, settings: Settings, catalog: Catalog) -> Catalogued:
    if words.model_id is None:
        assert words.generated is not None, "words have a folder or a model"
        return Catalogued(found_in(words.generated.absolute(), flag=words.flag))
    return clips_of_model(catalog, words.model_id, words.task, system="uniform", media_dir=settings.media_dir)


def _real(words: Words, settings: Settings, catalog: Catalog, keys: list[str]) -> Catalogued:
    """The reference that was named; of a model's clips without one, the real clips that they were made from."""
    if words.reference is None:
        if words.model_id is None:
            return Catalogued({})
        return real_of(catalog, keys, media_dir=settings.media_dir)
    folder = expanded(words.reference, item=f"--reference {words.reference}")
    if is_split(words.reference) and not folder.is_dir():
        return clips_of_split(catalog, words.reference, media_dir=settings.media_dir)
    return Catalogued(found_in(folder.absolute(), flag="--reference"))


def _round_trip(words: Words, settings: Settings, catalog: Catalog) -> Catalogued:
    """A model's evaluation has its reference clips behind its codecs, where it was asked for them."""
    if words.model_id is None or "codec_round_trip" not in words.baselines:
        return Catalogued({})
    try:
        return clips_of_model(
            catalog, words.model_id, words.task, system="codec_round_trip", media_dir=settings.media_dir
        )
    except WorkFailedError:
        return Catalogued({})  # told as what was not made
