"""Evaluate: files into features, features into scores, scores into the catalog and MLflow."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from tasks.context import RunContext
from tasks.evaluation_inputs import EvaluationInputs, losses_of
from tasks.features import FeatureStore, LookedAt, run_features
from tasks.instruments import run_instruments
from tasks.results import is_logged, log_evaluation
from tasks.stage import StageSummary
from tasks.train import trained_model
from uniform_core.corpus.captions import caption_versions
from uniform_core.corpus.clip_scores import Scored, clip_rows, without_clips
from uniform_core.corpus.evaluation import (
    System,
    WantedScore,
    evaluation_digest,
    kept_scores,
    known_digest,
    real_clips,
    wanted_scores,
)
from uniform_core.corpus.lineup import RETRIEVED_BY, Lineup
from uniform_core.corpus.unimodal import require_unimodal
from uniform_core.fingerprint import canonical_json
from uniform_core.progress import ProgressEvent

READ = ("sources", "clips", "captions", "caption_texts", "generations", "features", "models")


def run_evaluate(context: RunContext) -> list[StageSummary]:
    """Score every system of the run, and see that MLflow has the scores.

    Raises WorkFailedError where there is no model, or no clip to score; ServiceError where MLflow does not answer.
    """
    started = time.monotonic()
    model = trained_model(context)
    require_unimodal(context.catalog, context.config, context.clips())
    wanted = wanted_scores(context.catalog, context.config, model_id=model.model_id, clips=context.clips())
    kept = kept_scores(context.catalog, wanted)
    clipless = without_clips(context.catalog, wanted, kept)
    if not clipless and kept.keys() == {score.work_key for score in wanted}:
        wall_s = time.monotonic() - started
        done = StageSummary.complete("evaluate", len(wanted), done=0, wall_s=wall_s, cpu_s=0.0)
        return [done, *_told(context, model.model_id, list(kept.values()))]
    instruments = run_instruments(context)
    evaluation = Evaluation(context, model_id=model.model_id)
    features = run_features(context, evaluation.files(), evaluation.layers())
    # A score knows the files that it stands on, so each of them has to be there: else a retry would not change it.
    features.require_accepted(max_reject_fraction=0.0)
    started, cpu_before_s = time.monotonic(), time.process_time()
    scores = evaluation.score(wanted)
    rows = list(({row["work_key"]: row for row in evaluation.rows(scores)} | kept).values())
    # Both before the rows that say that all is done: a kill repeats them.
    context.catalog.insert("clip_scores", evaluation.clip_rows(scores))
    log_evaluation(context, model.model_id, rows)
    context.catalog.insert("scores", rows)
    wall_s, cpu_s = time.monotonic() - started, time.process_time() - cpu_before_s
    made = len(wanted) - len(kept) + len(clipless)
    return [
        instruments,
        features,
        StageSummary.complete("evaluate", len(wanted), done=made, wall_s=wall_s, cpu_s=cpu_s),
    ]


def _told(context: RunContext, model_id: str, rows: Sequence[Mapping[str, Any]]) -> list[StageSummary]:
    """Tell MLflow scores that the catalog has and it has not: it is another one than then, or was emptied."""
    started, cpu_before_s = time.monotonic(), time.process_time()
    if is_logged(context.settings, context.config, model_id, rows):
        return []
    log_evaluation(context, model_id, rows)
    wall_s, cpu_s = time.monotonic() - started, time.process_time() - cpu_before_s
    return [StageSummary.complete("tracking", 1, done=1, wall_s=wall_s, cpu_s=cpu_s)]


class Evaluation:
    """The numbers of an evaluation, and their rows."""

    def __init__(self, context: RunContext, *, model_id: str) -> None:
        self._context, self._config, self._model_id = context, context.config, model_id
        self._lineup = Lineup.of(context.catalog, context.config, context.clips(), model_id=model_id)

    def files(self) -> list[LookedAt]:
        """Every file that some metric looks at; each content once."""
        return [LookedAt(content, path) for content, path in self._lineup.files().items()]

    def layers(self) -> dict[str, list[str]]:
        """The layers that the metrics and the retrieval read, by extractor."""
        layers: defaultdict[str, set[str]] = defaultdict(set)
        retrieval = RETRIEVED_BY.values() if "retrieval" in self._config.evaluate.baselines else ()
        for need in (*(need for metric in self._config.metrics for need in metric.features), *retrieval):
            layers[need.extractor].add(need.layer)
        return {extractor: sorted(names) for extractor, names in sorted(layers.items())}

    @cached_property
    def _inputs(self) -> EvaluationInputs:
        store = FeatureStore(self._context, self.files(), self.layers())
        return EvaluationInputs(self._lineup, store, losses=losses_of(self._context.catalog, self._model_id))

    def score(self, wanted: Sequence[WantedScore]) -> list[Scored]:
        """Every wanted number; one that cannot be computed is null, with its reason."""
        scores = []
        for done, item in enumerate(wanted, start=1):
            scores.append(self._scored(item))
            self._context.listener(ProgressEvent("evaluate", done, len(wanted), note=item.metric.name))
        return scores

    def _scored(self, wanted: WantedScore) -> Scored:
        inputs = self._inputs.of(wanted.system, wanted.metric)
        score = wanted.metric.score(inputs)
        values = () if score.value is None else wanted.metric.clip_measures(inputs)
        return Scored(wanted, score, self._inputs.clips_of(wanted.system), values)

    def rows(self, scores: Sequence[Scored]) -> list[dict[str, Any]]:
        """The rows of `scores`."""
        catalog, clips = self._context.catalog, self._context.clips()
        stamp = {
            "clips_digest": known_digest(real_clips(self._config, clips)),
            "data_digest": catalog.content_digest(READ),
            "versions": json.dumps(caption_versions(catalog, self._config, catalog.versions(READ))),
        }
        return [
            {
                **scored.score.as_row(),
                **stamp,
                **self._of_score(scored),
                "extractors": canonical_json(
                    {
                        name: self._inputs.fingerprints[name]
                        for name in sorted({need.extractor for need in scored.wanted.metric.features})
                    }
                ),
            }
            for scored in scores
        ]

    def clip_rows(self, scores: Sequence[Scored]) -> list[dict[str, Any]]:
        """The rows of `clip_scores`."""
        return [
            row for scored in scores for row in clip_rows(scored.values, scored.clips, score=self._of_score(scored))
        ]

    def _of_score(self, scored: Scored) -> dict[str, Any]:
        """The columns that the row of a score and those of its clips have in common."""
        system = scored.wanted.system
        return {
            **self._stamp,
            "work_key": scored.wanted.work_key,
            "task": system.task_name,
            "system": system.name,
            "model_id": self._model_of(system),
            "protocol_hash": scored.score.protocol_hash,
        }

    def _model_of(self, system: System) -> str | None:
        return self._model_id if system.name in ("uniform", "untrained") else None

    @cached_property
    def _stamp(self) -> dict[str, Any]:
        """What the rows of an evaluation have in common."""
        catalog, clips = self._context.catalog, self._context.clips()
        return {
            "stage_fp": evaluation_digest(catalog, self._config, model_id=self._model_id, clips=clips),
            "run_id": self._context.run_id,
            "created_at": datetime.now(UTC),
        }
