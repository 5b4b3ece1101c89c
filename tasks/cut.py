"""Cut: the run's model makes clips twice from the same noise, whole and severed; what does synchrony become?

In this process and in memory: nothing is kept, and the catalog's own generations stay what they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from tasks.conditions import Conditions, with_conditions
from tasks.context import RunContext
from tasks.features import extractors_of
from tasks.instruments import instrument_candidates, load_instruments
from tasks.sample import media_codecs
from tasks.train import trained_model
from uniform_core.codecs.mel import log_mel
from uniform_core.config import RunConfig
from uniform_core.corpus.evaluation import evaluation_clips, generation_candidates, labels_of
from uniform_core.corpus.samples import is_trained
from uniform_core.devices import device_of
from uniform_core.errors import ConfigError, Rejection, WorkFailedError
from uniform_core.generation.generator import Generator, build_severed
from uniform_core.generation.requests import GeneratedClip, GenerationRequest
from uniform_core.metrics import SynchronyConfig
from uniform_core.metrics.base import LABELS, Score
from uniform_core.metrics.extractors import EvalBatch, Extractor
from uniform_core.metrics.features import FeatureSet
from uniform_core.training.export import Exported, load_exported
from uniform_core.types import Task

CHANCE = 0.5
# How many times its 95 % interval a severed score may be away from chance: 99.9 % of a normal distribution's. Judged by
# 95 % in each of three tasks, one sound model in seven would be called broken (docs/experiments.md).
ALLOWED = 3.29 / 1.96
SYSTEMS = ("whole", "severed")


@dataclass(frozen=True)
class Cut:
    """Synchrony of one task, made whole and made severed, over the same clips from the same noise."""

    task: Task
    whole: Score
    severed: Score

    @property
    def is_above_chance_whole(self) -> bool:
        return self.whole.low is not None and self.whole.low > CHANCE

    @property
    def is_at_chance_severed(self) -> bool:
        value, low, high = self.severed.value, self.severed.low, self.severed.high
        if value is None or low is None or high is None:
            return False
        return value - ALLOWED * (value - low) <= CHANCE <= value + ALLOWED * (high - value)


def run_cut(context: RunContext, *, clips: int) -> tuple[Cut, ...]:
    """Both scores of every task of the evaluation, over at most `clips` of its clips.

    Raises WorkFailedError where the model, the nets or the latents are not there, or there is nothing to compare;
    ConfigError where the run has no synchrony metric, or its layout cannot be severed.
    """
    torch.set_num_threads(1)  # as every worker: threads of a small model wait for one another
    metric = _synchrony(context.config)
    folder = trained_model(context).folder
    extractor = _extractor(context, metric)
    exported = load_exported(folder, device=device_of(context.config.sample.device, item="sample.device"))
    models = {"whole": exported, "severed": build_severed(exported)}
    rows = _rows(context, clips)
    labels = labels_of(evaluation_clips(context.config, context.clips()))
    conditions = Conditions(
        context.config, media_dir=context.settings.media_dir, tensors_dir=context.settings.tensors_dir
    )
    cuts = []
    for task, of_task in rows.items():
        requests = [_request(conditions, row) for row in of_task]
        classes = {row["work_key"]: labels[row["clip_id"]] for row in of_task}
        scores = {}
        for name in SYSTEMS:
            made = _made(context, models[name], requests, note=f"{task} {name}")
            scores[name] = _score(metric, extractor, made, classes=classes, config=context.config)
        cuts.append(Cut(task, scores["whole"], scores["severed"]))
    return tuple(cuts)


def _synchrony(config: RunConfig) -> SynchronyConfig:
    for metric in config.metrics:
        if isinstance(metric, SynchronyConfig):
            return metric
    raise ConfigError(
        "evaluate.metrics",
        expected="a synchrony metric, by which a cut is judged",
        found=", ".join(metric.name for metric in config.metrics),
        fix="Add one (kind synchrony), as the preset tiny has it.",
    )


def _extractor(context: RunContext, metric: SynchronyConfig) -> Extractor:
    """What looks at clips for the metric. Raises WorkFailedError where its nets have not been trained."""
    candidates = instrument_candidates(context).to_pylist()
    missing = [row["item"] for row in candidates if not is_trained(context.catalog, row["work_key"])]
    if missing:
        raise WorkFailedError(
            "instruments",
            expected="the feature nets of this run",
            found="no " + " and no ".join(missing),
            fix="Run `uniform evaluate` with the same preset, data and settings first.",
        )
    wanted = {metric.protocol.extractor: [need.layer for need in metric.features]}
    return extractors_of(load_instruments(context).nets, wanted)[metric.protocol.extractor]


def _rows(context: RunContext, clips: int) -> dict[Task, list[dict[str, Any]]]:
    """The first clips of each task as `uniform sample` would make them, with the seed of their noise."""
    model_id = trained_model(context).model_id
    candidates = generation_candidates(context.catalog, context.config, context.clips(), model_id=model_id)
    rows = [row for row in with_conditions(context, candidates).to_pylist() if row["system"] == "uniform"]
    by_task = {task: [row for row in rows if row["task"] == task][:clips] for task in context.config.evaluate.tasks}
    if not rows:
        raise WorkFailedError(
            f"clips of split {context.config.evaluate.split!r}",
            expected="at least two with both latents",
            found="none",
            fix="Run `uniform encode` first; see `uniform failures list`.",
        )
    return by_task


def _request(conditions: Conditions, row: Mapping[str, Any]) -> GenerationRequest:
    request = conditions.request(row)
    if isinstance(request, Rejection):
        raise WorkFailedError(
            row["item"],
            expected="a clip that can be read",
            found=f"{request.error_class} ({request.message})",
            fix="Run `uniform catalog verify --repair`, then `uniform run`.",
        )
    return request


def _made(
    context: RunContext, model: Exported, requests: Sequence[GenerationRequest], *, note: str
) -> list[GeneratedClip]:
    config = context.config
    generator = Generator(model, config.sample, codecs=media_codecs(config), text_encoder=config.text.build())
    return generator.generate(requests, listener=lambda event: context.listener(replace(event, stage="cut", note=note)))


def _score(
    metric: SynchronyConfig,
    extractor: Extractor,
    clips: Sequence[GeneratedClip],
    *,
    classes: Mapping[str, str],
    config: RunConfig,
) -> Score:
    """The metric of clips in memory. Raises WorkFailedError where it gives no number."""
    keys = [clip.request_id for clip in clips]
    seen = [extractor.extract(_looked_at(clip, config)) for clip in clips]
    inputs = {
        need: FeatureSet.of(keys, [np.asarray(features[need.layer][0]) for features in seen])
        for need in metric.features
    }
    inputs[LABELS] = FeatureSet.of(keys, [np.array(classes[key]) for key in keys])
    score = metric.score(inputs)
    if score.value is None:
        raise WorkFailedError(
            metric.name, expected="a number", found=str(score.reason), fix="Ask for more --clips, two of a class."
        )
    return score


def _looked_at(clip: GeneratedClip, config: RunConfig) -> EvalBatch:
    """One clip as extractors take it."""
    spec, waveform_BN = config.spec, clip.waveform_N[None]
    mel_BTF = log_mel(torch.from_numpy(waveform_BN), spec).numpy()
    return EvalBatch(clip.video_THWC[None], mel_BTF, waveform_BN, spec.video_rate_hz, spec.audio_rate_hz)
