"""What an evaluation is made of: which clips, which systems make them, which features and scores are wanted.

Distribution metrics compare what a system made from `evaluate.split` clips with real clips of `reference_split`, so
that no system can score by handing back its own condition; paired metrics compare clip by clip.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa

from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.captions import active_captions
from uniform_core.corpus.controls import can_be
from uniform_core.corpus.fingerprints import VERSIONS, instruments_fingerprint, sample_fingerprint
from uniform_core.corpus.inputs import current_clips
from uniform_core.corpus.roles import clips_in
from uniform_core.corpus.samples import current_model_id
from uniform_core.corpus.unimodal import made_apart, unimodal_config
from uniform_core.fingerprint import digest, set_digest, work_key
from uniform_core.metrics.base import MetricConfig
from uniform_core.metrics.gate import words_needed
from uniform_core.seeds import derive_seed
from uniform_core.types import Modality, Task

NETS = ("video", "mel", "sync")
RowT = TypeVar("RowT", bound=Mapping[str, Any])


@dataclass(frozen=True)
class System:
    """Something whose clips are scored, at one task; `real` and `codec_round_trip` belong to no task."""

    name: str
    task: Task | None

    @property
    def task_name(self) -> str:
        return "all" if self.task is None else str(self.task)

    @property
    def judged(self) -> tuple[Modality, ...]:
        """The modalities that it made, and that are worth comparing with real ones."""
        return tuple(Modality) if self.task is None else self.task.made


def systems_of(config: RunConfig) -> tuple[System, ...]:
    """Every system of the evaluation: the model first, then baselines, then controls."""
    evaluate = config.evaluate
    baselines = [name for name in evaluate.baselines if name != "codec_round_trip"]
    by_task = [System(name, task) for name in ("uniform", *baselines) for task in evaluate.tasks if can_be(name, task)]
    whole = [
        System(name, None) for name in ("codec_round_trip", "real") if name == "real" or name in evaluate.baselines
    ]
    controls = [System(name, task) for name in evaluate.controls for task in evaluate.tasks if can_be(name, task)]
    return (*by_task, *whole, *controls)


def makers_of(config: RunConfig) -> tuple[System, ...]:
    """The systems that write files; the others are put together from theirs (`controls.py`)."""
    own = tuple(s for s in systems_of(config) if s.name in ("uniform", "untrained", "codec_round_trip"))
    return (*own, System("class_mean", None)) if "class_mean" in config.evaluate.controls else own


def conditions_of(config: RunConfig, system: System, chosen: Sequence[RowT]) -> list[RowT]:
    """The clips that a maker makes clips of: of a class's mean there is one."""
    if system.name == "class_mean":
        first_of = {clip["label"] or "": clip for clip in reversed(chosen)}
        return [first_of[label] for label in sorted(first_of)]
    return list(chosen[: clips_of(config, system)])


def clips_of(config: RunConfig, system: System) -> int:
    """How many clips a maker has to make where there are enough, but for the few means of classes."""
    evaluate = config.evaluate
    fewer = evaluate.untrained_clips if system.name == "untrained" else None
    return min(evaluate.clips_per_task, fewer or evaluate.clips_per_task)


def chosen_clips(clips: pa.Table, *, split: str, count: int) -> list[dict[str, Any]]:
    """At most `count` clips of a split, the classes taking turns, in an order that depends on clip ids alone."""
    own = clips_in(clips, split).to_pylist()
    own.sort(key=lambda clip: digest(["chosen", clip["clip_id"]]))
    return in_turns(own, label_of=lambda clip: clip["label"])[:count]


def in_turns(rows: Sequence[RowT], *, label_of: Callable[[RowT], str | None]) -> list[RowT]:
    """The rows with the classes taking turns in the order of their names; within a class the order stays."""
    by_label: defaultdict[str, list[RowT]] = defaultdict(list)
    for row in rows:
        by_label[label_of(row) or ""].append(row)
    turns = itertools.zip_longest(*(by_label[label] for label in sorted(by_label)))
    return [row for turn in turns for row in turn if row is not None]


def evaluation_clips(config: RunConfig, clips: pa.Table) -> list[dict[str, Any]]:
    """The clips that give conditions, and stand as the truth of paired metrics."""
    return chosen_clips(clips, split=config.evaluate.split, count=config.evaluate.clips_per_task)


def reference_clips(config: RunConfig, clips: pa.Table) -> list[dict[str, Any]]:
    """The real clips that distribution metrics compare with."""
    evaluate = config.evaluate
    return chosen_clips(clips, split=evaluate.reference_split, count=evaluate.reference_clips)


def real_clips(config: RunConfig, clips: pa.Table) -> list[dict[str, Any]]:
    """The real clips on both sides of an evaluation: those that give conditions, then the reference."""
    return [*evaluation_clips(config, clips), *reference_clips(config, clips)]


def trained_clips(config: RunConfig, clips: pa.Table) -> list[dict[str, Any]]:
    """The clips that the model was trained on, as many of them as are looked through for copies."""
    return chosen_clips(clips, split=config.train_split, count=config.evaluate.memory_clips)


GENERATION_SCHEMA = pa.schema(
    [
        (name, pa.string())
        for name in ("work_key", "item", "dataset", "stage_fp", "system", "task", "model_id", "clip_id")
    ]
    + [("text_hash", pa.string()), ("seed", pa.int64())]
)


def generation_candidates(catalog: Catalog, config: RunConfig, clips: pa.Table, *, model_id: str) -> pa.Table:
    """One row for each system, task and clip that is to be made; `text_hash` is that of the caption that it is given.

    Another model, sampler, seed, caption or content of the clip gives another key.
    """
    chosen = evaluation_clips(config, clips)
    captions = active_captions(catalog, config, clips)
    text_of = dict(zip(captions["clip_id"].to_pylist(), captions["text_hash"].to_pylist(), strict=True))

    def text_hash(system: System, task: Task, clip: Mapping[str, Any]) -> str | None:
        return text_of.get(clip["clip_id"]) if system.task is not None and task in config.evaluate.text_for else None

    rows = [
        {
            "work_key": work_key(
                f"{system.name}/{task}/{clip['clip_id']}/{text_hash(system, task, clip) or 'without text'}",
                stage_fp=fp,
                source_sha256=clip["clip_sha256"],
            ),
            "item": f"{system.name} {task} of {clip['dataset']}/{clip['source_id']}",
            "dataset": clip["dataset"],
            "stage_fp": fp,
            "system": system.name,
            "task": str(task),
            "model_id": model_id,
            "clip_id": clip["clip_id"],
            "text_hash": text_hash(system, task, clip),
            "seed": derive_seed("sample", config.evaluate.seed, str(task), clip["clip_id"]),
        }
        for system, task, fp in _makers(config, model_id)
        for clip in conditions_of(config, system, chosen)
    ]
    return pa.Table.from_pylist(rows, schema=GENERATION_SCHEMA)


def current_generations(
    catalog: Catalog, config: RunConfig, clips: pa.Table, *, model_id: str
) -> dict[System, list[dict[str, Any]]]:
    """The rows of `generations` of each system that makes files, made as this config says of these clips.

    Where the baseline `unimodal` is asked for, also those of the two models whose picture and sound it has.
    """
    wanted = generation_candidates(catalog, config, clips, model_id=model_id)
    rows = catalog.query(
        "SELECT g.* FROM generations g JOIN wanted w USING (work_key) ORDER BY work_key",
        tables={"wanted": wanted.select(["work_key"])},
    )
    by_maker: defaultdict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows.to_pylist():
        by_maker[row["system"], row["task"]].append(row)
    made = {system: by_maker[system.name, str(task)] for system, task, _ in _makers(config, model_id)}
    return made | _made_apart(catalog, config, clips)


def _made_apart(catalog: Catalog, config: RunConfig, clips: pa.Table) -> dict[System, list[dict[str, Any]]]:
    """What the models of one modality each made of the same clips, by `made_apart`."""
    if "unimodal" not in config.evaluate.baselines:
        return {}
    found = {}
    for modality in Modality:
        own = unimodal_config(config, modality)
        model_id = current_model_id(catalog, own, clips=clips)
        made = current_generations(catalog, own, clips, model_id=model_id)
        found[System(made_apart(modality), Task.T2AV)] = made[System("uniform", Task.T2AV)]
    return found


def _makers(config: RunConfig, model_id: str) -> Iterator[tuple[System, Task, str]]:
    """Systems that write files, with the task column and the fingerprint of their rows."""
    for system in makers_of(config):
        task = system.task or Task.T2AV
        yield system, task, sample_fingerprint(config, model_id, task=task, system=system.name)


def metrics_for(config: RunConfig, system: System) -> Iterator[MetricConfig]:
    """The metrics that say something of a system: those of modalities that it made, and those of both together.

    Of a control only what the gate reads: it is there to be refused.
    """
    gated = words_needed()
    for metric in config.metrics:
        judged = metric.protocol.judges
        if (
            (judged is None or judged in system.judged)
            and (metric.given is None or system.task is None or metric.given is system.task.given)
            and (not metric.of_model or system.name == "uniform")
            and (system.name not in config.evaluate.controls or metric.metric in gated)
        ):
            yield metric


@dataclass(frozen=True)
class WantedScore:
    """One number to be made, and the key that its row will have."""

    work_key: str
    system: System
    metric: MetricConfig


def evaluation_digest(catalog: Catalog, config: RunConfig, *, model_id: str, clips: pa.Table | None = None) -> str:
    """What every number of this evaluation stands on: clips on both sides, the files that were made, the nets.

    `clips` are the `current_clips`, for who has them already.
    """
    clips = current_clips(catalog, config) if clips is None else clips
    used = real_clips(config, clips)
    instrument = [clip for clip in clips.to_pylist() if clip["split"] == "instrument"]
    made = current_generations(catalog, config, clips, model_id=model_id)
    return digest(
        {
            "version": VERSIONS["scores"],
            "makers": [fp for _, _, fp in _makers(config, model_id)],
            "clips": known_digest(used),
            "trained": known_digest(trained_clips(config, clips)),
            "captions": set_digest(map(_captioned, active_captions(catalog, config, clips).to_pylist())),
            "made": set_digest(f"{row['work_key']}/{row['file_sha256']}" for rows in made.values() for row in rows),
            "nets": [instruments_fingerprint(config, kind) for kind in NETS],
            "instrument": known_digest(instrument),
        }
    )


def known_digest(clips: Sequence[Mapping[str, Any]]) -> str:
    """64 hex digits of clips with what is known of them: scores are measured by it, and nets learn classes."""
    names = ("split", "label", "attributes", "event_times_s", "clip_sha256")
    return set_digest(digest([clip[name] for name in names]) for clip in clips)


def _captioned(row: Mapping[str, Any]) -> str:
    return f"{row['clip_id']}/{row['text_hash']}"


def wanted_scores(
    catalog: Catalog, config: RunConfig, *, model_id: str, clips: pa.Table | None = None
) -> list[WantedScore]:
    """Every score of the evaluation."""
    stands_on = evaluation_digest(catalog, config, model_id=model_id, clips=clips)
    return [
        WantedScore(
            work_key=digest(["score", metric.name, metric.protocol_hash, system.name, system.task_name, stands_on]),
            system=system,
            metric=metric,
        )
        for system in systems_of(config)
        for metric in metrics_for(config, system)
    ]


def kept_scores(catalog: Catalog, wanted: Sequence[WantedScore]) -> dict[str, dict[str, Any]]:
    """The rows of these scores that the catalog has, by key, in the order of `wanted`.

    Other metrics of the same clips have the same `stage_fp`, and may have the same names: they are not among them.
    """
    keys = pa.table({"work_key": pa.array([score.work_key for score in wanted], pa.string())})
    rows = catalog.query("SELECT s.* FROM scores s JOIN wanted USING (work_key)", tables={"wanted": keys})
    found = {row["work_key"]: row for row in rows.to_pylist()}
    return {key: found[key] for key in keys["work_key"].to_pylist() if key in found}


def labels_of(clips: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Class by clip id; clips without a class are one class, for there is nothing to tell them apart by."""
    return {clip["clip_id"]: clip["label"] or "" for clip in clips}
