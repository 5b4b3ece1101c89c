"""Score anybody's clips under named protocols: features of what is outstanding, then every number, then its row."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from tasks.context import Session
from tasks.original_store import OriginalStore
from tasks.originals import (
    LEDGER,
    Needed,
    Original,
    Place,
    Wanted,
    original_candidates,
    place_of,
    prints_of,
    run_originals,
)
from tasks.stage import StageSummary
from uniform_core.catalog import Catalog
from uniform_core.corpus.anybody.asked import NotMade, nearest_by, needs_reference
from uniform_core.corpus.anybody.call import Call
from uniform_core.corpus.anybody.sides import (
    ABSENT,
    CODEC,
    Judged,
    contents_of,
    judged,
    real_for,
    real_halves,
    retrieved,
    says_something,
    shuffled,
)
from uniform_core.corpus.clip_scores import clip_rows
from uniform_core.corpus.controls import Clips
from uniform_core.fingerprint import canonical_json, digest, set_digest
from uniform_core.metrics.base import ClipValues, Lacking, MetricConfig, Need, Score, Side
from uniform_core.metrics.features import uneven
from uniform_core.metrics.layers import modality_of
from uniform_core.progress import ProgressEvent
from uniform_core.types import Modality

VERSION: Final = 1  # of how rows are made from clips: bumped where numbers of the same clips change
READ: Final = ("features", "clips", "generations")
Row = dict[str, Any]


@dataclass(frozen=True)
class Scored:
    """The rows of `scores`, each with its warnings; what was not made; what became of the features."""

    rows: tuple[dict[str, Any], ...]
    warnings: Mapping[str, tuple[str, ...]]  # by work_key
    not_made: tuple[NotMade, ...]
    summaries: tuple[StageSummary, ...]


@dataclass(frozen=True)
class _Measured:
    """One number of a system's clips, what was measured of single ones, and which of them lack features."""

    score: Score
    lacking: Lacking
    clips: Clips
    values: tuple[ClipValues, ...]


def score_clips(session: Session, call: Call) -> Scored:
    """Score a system, and the baselines that are asked for; rows that are there stay as they are.

    Raises StageFailedError where no file has any features.
    """
    return _Scoring(session.catalog, call).run(session)


def progress_of(catalog: Catalog, call: Call) -> tuple[int, int]:
    """How many features a call needs, and how many of them are still to be made; those of retrieval come later."""
    scoring = _Scoring(catalog, call)
    scoring.want(scoring.systems())
    candidates = original_candidates(scoring.files(), scoring.wanted)
    return candidates.num_rows, catalog.outstanding("features", candidates, stage=LEDGER).num_rows


def stage_of(system: Judged, task: str) -> str:
    """The identity of the rows of these clips, whatever looked at them."""
    return digest(["anybody", VERSION, system.system, task, system.stands_on])


class _Scoring:
    def __init__(self, catalog: Catalog, call: Call) -> None:
        self._catalog, self._call = catalog, call
        self._not_made: list[NotMade] = []
        self._summaries: list[StageSummary] = []
        self._given = self._given_need()
        further = [] if self._given is None else [self._given]
        self.wanted = Wanted.by(call.asked.metrics, call.nets, further=further)
        self._places: defaultdict[str, set[Place]] = defaultdict(set)  # by content

    def run(self, session: Session) -> Scored:
        call, systems = self._call, self.systems()
        own = systems[0]
        store = self._features(session, systems)
        if "retrieval" in call.baselines:
            found = retrieved(own, call.task, lambda clips: self._given_rows(store, clips))
            if isinstance(found, Judged):
                systems.append(found)
                store = self._features(session, systems)
            else:
                self._not_made.append(NotMade("retrieval", found))
        rows, warnings = self._rows(session, systems, store)
        self._catalog.insert("scores", rows)
        return Scored(tuple(rows), warnings, (*call.asked.not_made, *self._not_made), tuple(self._summaries))

    def systems(self) -> list[Judged]:
        """The system itself, then the baselines that need no features to be put together."""
        own = judged(self._call.system, self._call.generated, self._call.reference)
        return [own, *self._of_files(own)]

    def _of_files(self, own: Judged) -> list[Judged]:
        """The baselines that are put together from what is there."""
        call, found = self._call, []
        for name in call.baselines:
            if name == "real":
                if len(own.reference) < 2:
                    self._not_made.append(
                        NotMade("real", "it takes two real clips: one half is compared with the other")
                    )
                    continue
                found.append(real_halves(own.reference))
            elif name == "codec_round_trip":
                if not call.round_trip:
                    self._not_made.append(CODEC)
                    continue
                found.append(judged("codec_round_trip", call.round_trip, call.reference))
            elif name == "shuffled":
                if len(own.generated) < 2:
                    self._not_made.append(NotMade("shuffled", "one clip alone has no other to exchange with"))
                    continue
                found.append(shuffled(own, call.task))
        return found

    def _given_need(self) -> Needed | None:
        """What retrieval compares given streams by."""
        metric = nearest_by(self._call.protocols, self._call.task) if "retrieval" in self._call.baselines else None
        if metric is None:
            return None
        return Need(Side.REFERENCE, metric.protocol.extractor, metric.protocol.layer), metric.protocol.loading

    def _given_rows(self, store: OriginalStore, clips: Clips) -> np.ndarray | str:
        if self._given is None:
            looks = "looks at pictures" if self._call.task.given is Modality.VIDEO else "listens by Cnn14"
            return f"no protocol of the call {looks}: name one that does, such as uniform"
        need, loading = self._given
        assert loading is not None, "named protocols say how files are read"
        found = store.feature_set(contents_of(clips, modality_of(need)), need, loading)
        if len(found) < len(clips):
            return f"{len(clips) - len(found)} of {len(clips)} real clips give {need.extractor} nothing"
        return uneven(found) or found.matrix_ND()

    def _features(self, session: Session, systems: Sequence[Judged]) -> OriginalStore:
        """See to the features of all systems; the store that has them."""
        self.want(systems)
        files = self.files()
        summary = run_originals(session, files, self.wanted)
        self._summaries.append(summary.require_accepted(max_reject_fraction=1.0))
        return OriginalStore(session, files, self.wanted)

    def want(self, systems: Sequence[Judged]) -> None:
        """Note what the metrics of these systems look at, and what retrieval compares."""
        for system in systems:
            for metric in self._metrics_of(system):
                for need in (*metric.needs, *metric.checked):
                    self._want(self._sides(system, metric)[need.side], need, metric.protocol.loading)
        if self._given is not None:
            for clips in (systems[0].partners, systems[0].reference):
                self._want(clips, *self._given)

    def files(self) -> list[Original]:
        """What is looked at so far, in the order of the clips' keys."""
        path_of = self._call.path_of
        return [Original(content, path_of[content], frozenset(self._places[content])) for content in self._order()]

    def _order(self) -> list[str]:
        """Contents in the order of the keys, those of the generated clips first."""
        sides = (self._call.generated, self._call.reference, self._call.round_trip)
        streams = [
            content for side in sides for _, clip in sorted(side.items()) for content in (clip.video, clip.audio)
        ]
        return [content for content in dict.fromkeys(streams) if content in self._places]

    def _want(self, clips: Clips, need: Need, loading: Any) -> None:
        for content in contents_of(clips, modality_of(need)).values():
            if content != ABSENT:
                self._places[content].add(place_of(need, loading))

    def _metrics_of(self, system: Judged) -> list[MetricConfig]:
        own = self._call.system
        return [metric for metric in self._call.asked.metrics if says_something(system, metric, own=own)]

    def _sides(self, system: Judged, metric: MetricConfig) -> dict[Side, Clips]:
        chosen = real_for(metric, system) if system.system == "real" else system
        return {Side.GENERATED: chosen.generated, Side.REFERENCE: chosen.real(metric)}

    def _real(self, system: Judged, metric: MetricConfig) -> Clips:
        """The real clips that a number stands on; none where it compares with none."""
        return self._sides(system, metric)[Side.REFERENCE] if needs_reference(metric) else {}

    def _rows(
        self, session: Session, systems: Sequence[Judged], store: OriginalStore
    ) -> tuple[list[Row], dict[str, tuple[str, ...]]]:
        """The rows of `scores`, and their warnings by key; those of their single clips are written.

        A score at a time, for there may be many clips, and before any score's own row: a kill repeats them.
        """
        stamp = {
            "data_digest": self._catalog.content_digest(READ),
            "versions": json.dumps(self._catalog.versions(READ)),
            "run_id": session.run_id,
            "created_at": datetime.now(UTC),
        }
        wanted = [(system, metric) for system in systems for metric in self._metrics_of(system)]
        rows: list[Row] = []
        warnings: dict[str, tuple[str, ...]] = {}
        for done, (system, metric) in enumerate(wanted, start=1):
            found = self._measured(store, system, metric)
            row = self._row(found.score, system, metric, store, found.lacking) | stamp
            rows.append(row)
            named = self._call.names.__getitem__
            self._catalog.insert("clip_scores", list(clip_rows(found.values, found.clips, score=row, named=named)))
            warnings[row["work_key"]] = found.score.warnings
            session.listener(ProgressEvent("evaluate", done, len(wanted), note=metric.name))
        return rows, warnings

    def _measured(self, store: OriginalStore, system: Judged, metric: MetricConfig) -> _Measured:
        sides = self._sides(system, metric)
        inputs, lacking = store.inputs(metric, sides)
        said: tuple[str, ...] = ()
        if lacking and self._call.leave_out:
            inputs, _ = store.inputs(metric, _without(sides, lacking, paired=metric.paired))
            said = tuple(_left_out(side, extractor, why) for (side, extractor), why in sorted(lacking.items()))
        score = metric.score(inputs, {} if said else lacking)
        values = () if score.value is None else metric.clip_measures(inputs)
        return _Measured(replace(score, warnings=(*said, *score.warnings)), lacking, sides[Side.GENERATED], values)

    def _row(self, score: Score, system: Judged, metric: MetricConfig, store: OriginalStore, lacking: Lacking) -> Row:
        prints = prints_of(metric, store.fingerprints)
        of_task = system.system not in ("real", "codec_round_trip")
        task = str(self._call.task) if of_task else "all"
        failed = [[str(side), name, sorted(why)] for (side, name), why in sorted(lacking.items())]
        known: dict[str, Any] = {
            "version": VERSION,
            "score": [metric.name, metric.protocol_hash, system.system, task],
            "stands_on": system.stands_on,
            "extractors": prints,
            "failed": [failed, self._call.leave_out] if failed else [],
        }
        return {
            **score.as_row(),
            "work_key": digest(known),
            "stage_fp": stage_of(system, task),
            "extractors": canonical_json(prints),
            "clips_digest": set_digest(f"{clip.video}/{clip.audio}" for clip in self._real(system, metric).values()),
            "task": task,
            "system": system.system,
            "model_id": self._call.model_id if system.system == self._call.system else None,
        }


def _without(sides: Mapping[Side, Clips], lacking: Lacking, *, paired: bool) -> dict[Side, Clips]:
    """The sides without the clips that lack features; of pairs neither stays without the other."""
    failed = {side: {key for (of, _), why in lacking.items() if of is side or paired for key in why} for side in sides}
    return {side: {key: c for key, c in clips.items() if key not in failed[side]} for side, clips in sides.items()}


def _left_out(side: Side, extractor: str, why: Mapping[str, str]) -> str:
    first = min(why)
    return f"{len(why)} {side} clips left out, which give {extractor} nothing: {first}: {why[first]}"
