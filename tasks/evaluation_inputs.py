"""What each metric is handed: features of the clips on either side, and what is known of them without looking."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from tasks.features import FeatureStore
from uniform_core.catalog import Catalog
from uniform_core.corpus.controls import Clip, Clips
from uniform_core.corpus.evaluation import System, systems_of
from uniform_core.corpus.lineup import RETRIEVED_BY, Lineup
from uniform_core.metrics.base import CLIPS, MEMORY, MODEL, MetricConfig, Need, Side
from uniform_core.metrics.features import FeatureSet
from uniform_core.metrics.layers import SKETCH_LAYER, SKETCHES, modality_of
from uniform_core.metrics.sketch import nearest_distances
from uniform_core.types import Modality, Task

Losses = Mapping[str, float]  # by `set.task.modality`, as training keeps them


class EvaluationInputs:
    """The inputs of every metric over every system of a line-up. What several of them need is computed once."""

    def __init__(self, lineup: Lineup, store: FeatureStore, *, losses: Losses) -> None:
        self._lineup, self._store, self._losses = lineup, store, losses
        self.fingerprints = store.fingerprints
        self._likeness = cache(self._compared)
        self._clips_of = cache(lambda system: lineup.clips_of(system, self._likeness))
        self._memory = cache(self._distances)

    def clips_of(self, system: System) -> Clips:
        """The clips of a system, by the clip that gave the condition."""
        return self._clips_of(system)

    def of(self, system: System, metric: MetricConfig) -> dict[Need, FeatureSet]:
        """What the metric needs of a system."""
        sides = self._sides(system, metric)
        return {need: self._filled(need, sides[need.side], system) for need in (*metric.needs, *metric.features)}

    def _sides(self, system: System, metric: MetricConfig) -> dict[Side, Clips]:
        made = self._clips_of(system)
        real = self._lineup.truth if metric.paired else self._lineup.reference
        return {
            Side.GENERATED: made,
            Side.REFERENCE: {
                row["clip_id"]: Clip.of_file(row["clip_sha256"])
                for row in real
                if not metric.paired or row["clip_id"] in made
            },
            Side.HELD_OUT: self._lineup.held_out(),
            Side.TRAINED: self._trained,
        }

    @property
    def _trained(self) -> Clips:
        return {row["clip_id"]: Clip.of_file(row["clip_sha256"]) for row in self._lineup.trained}

    def _filled(self, need: Need, clips: Clips, system: System) -> FeatureSet:
        if need.extractor == MODEL:
            return losses_on(self._losses, need.side, system.task)
        if need.extractor == CLIPS:
            return FeatureSet.of(list(clips), [_fact(self._lineup.known[key], need.layer) for key in clips])
        if need.extractor == MEMORY:
            modality = Modality(need.layer)
            distance_of = self._memory(modality)
            return FeatureSet.of(list(clips), [np.array(distance_of[clip.of(modality)]) for clip in clips.values()])
        return self._looked(clips, need)

    def _looked(self, clips: Clips, need: Need) -> FeatureSet:
        modality = modality_of(need)
        contents = {key: clip.of(modality) for key, clip in clips.items()}
        return self._store.feature_set(contents, extractor=need.extractor, layer=need.layer)

    def _distances(self, modality: Modality) -> dict[str, float]:
        """The distance of every content of the line-up to the nearest training clip."""
        extractor = next(name for name, of in SKETCHES.items() if of is modality)
        every = [self._clips_of(system) for system in systems_of(self._lineup.config)]
        contents = sorted({clip.of(modality) for clips in (*every, self._lineup.held_out()) for clip in clips.values()})
        need = Need(Side.TRAINED, extractor, SKETCH_LAYER)
        trained = self._looked(self._trained, need)
        looked = self._store.feature_set({key: key for key in contents}, extractor=extractor, layer=SKETCH_LAYER)
        if not len(trained):
            return dict.fromkeys(looked.keys, np.inf)
        distances, _ = nearest_distances(np.stack(looked.values), np.stack(trained.values))
        return dict(zip(looked.keys, distances.tolist(), strict=True))

    def _compared(self, modality: Modality) -> np.ndarray:
        """[i, j]: how like the given stream of condition i that of training clip j is."""
        lineup, need = self._lineup, RETRIEVED_BY[modality]
        given, known = (
            np.stack([looked[row["clip_id"]] for row in rows])
            for rows in (lineup.truth, lineup.trained)
            for looked in [self._looked({row["clip_id"]: Clip.of_file(row["clip_sha256"]) for row in rows}, need)]
        )
        return np.asarray(given @ known.T)


def losses_on(losses: Losses, side: Side, task: Task | None) -> FeatureSet:
    """The losses of a task on training or held-out clips, by modality."""
    name = {Side.TRAINED: "train", Side.HELD_OUT: "held_out"}[side]
    found = {m.value: losses.get(f"{name}.{task}.{m}") for m in Modality}
    kept = {key: np.array(loss) for key, loss in found.items() if loss}
    return FeatureSet.of(list(kept), list(kept.values()))


def _fact(row: Mapping[str, Any], name: str) -> np.ndarray:
    """What the catalog knows of a clip. Clips without a class are one class: there is nothing to tell them apart by."""
    if name == "event_times_s":
        return np.array(row[name] or (), dtype=np.float64)
    return np.array(row[name] or "")


def losses_of(catalog: Catalog, model_id: str) -> Losses:
    """The losses on fixed noise at the last step of a model; empty where the training kept none."""
    rows = catalog.rows("SELECT metrics FROM models WHERE model_id = ?", parameters=[model_id])
    validation: Losses = json.loads(rows[0]["metrics"]).get("validation") or {} if rows else {}
    return validation
