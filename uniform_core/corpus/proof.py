"""The proof of a run: its scores before the gate, and what its config asks less of than the standard gate does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from uniform_core.config import EvaluateConfig, RunConfig
from uniform_core.datasets import ProceduralConfig
from uniform_core.metrics import ClassAccuracyConfig
from uniform_core.metrics.gate import words_needed
from uniform_core.metrics.proof import Proof, prove
from uniform_core.metrics.recipes import NetsConfig
from uniform_core.metrics.tiny import tiny_metrics

STANDARD = EvaluateConfig.model_fields
CLASSES = len(ProceduralConfig().labels)


def proof_of(config: RunConfig, scores: Sequence[Mapping[str, Any]]) -> Proof:
    """What the gate of a run says of its scores."""
    return prove(scores, config.evaluate.gate, narrower=tuple(_asked_less(config)))


def _asked_less(config: RunConfig) -> Iterator[str]:
    """What neither scores nor bounds tell: the same number may stand on less."""
    evaluate = config.evaluate
    if set(evaluate.text_for) != set(STANDARD["text_for"].default):
        yield f"text for {' and '.join(sorted(evaluate.text_for)) or 'no task'}"
    if isinstance(config.data, ProceduralConfig) and len(config.data.labels) < CLASSES:
        yield f"{len(config.data.labels)} of {CLASSES} classes"
    if evaluate.memory_clips < STANDARD["memory_clips"].default:
        yield f"copies sought among {evaluate.memory_clips} training clips"
    if "untrained" not in evaluate.baselines:
        yield "no untrained baseline"
    if evaluate.nets != NetsConfig():
        yield "feature nets of another training"
    yield from (f"{name} of another form" for name in _other_forms(evaluate))


def _other_forms(evaluate: EvaluateConfig) -> Iterator[str]:
    """The metrics of the gate that are measured, and not as the standard gate measures them."""
    classes = next((metric.classes for metric in evaluate.metrics if isinstance(metric, ClassAccuracyConfig)), ())
    measured = {(metric.metric, metric.protocol.extractor) for metric in evaluate.metrics}
    for metric in tiny_metrics(classes=classes):
        is_asked = metric.metric in words_needed() and (metric.metric, metric.protocol.extractor) in measured
        if is_asked and metric not in evaluate.metrics:
            yield f"{metric.metric} ({metric.protocol.extractor})"
