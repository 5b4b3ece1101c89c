"""What a run would do now: for each stage how many pieces are done and to do, the bytes, the time. Reads, never writes.

Stages whose inputs are not there yet are counted by what the stages before them are expected to make.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import pyarrow as pa

from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.candidates import captions_candidates, encode_candidates, text_candidates
from uniform_core.corpus.captions import active_captions
from uniform_core.corpus.evaluation import clips_of, generation_candidates, makers_of, scores_done
from uniform_core.corpus.fetch_plan import plan_fetch
from uniform_core.corpus.fetching import fetched_items
from uniform_core.corpus.inputs import current_clips, ingest_candidates, list_items
from uniform_core.corpus.left_out import counts_in_words
from uniform_core.corpus.samples import current_model_id, is_trained
from uniform_core.settings import FETCHING, HOSTS_FILE

# Seconds a piece on one core of the machine in docs/experiments.md; `rates` of earlier runs replace them. A score
# carries its share of the feature nets and of the features.
DEFAULT_RATES: Final[Mapping[str, float]] = {
    "fetch": 0.5,
    "ingest": 0.15,
    "encode": 0.02,
    "captions": 0.0005,
    "text": 0.0005,
    "train": 0.3,
    "sample": 0.2,
    "evaluate": 3.0,
}


@dataclass(frozen=True)
class StagePlan:
    """One stage: of `candidates` pieces `already_done`, `waiting` (failed before), `to_do`; what those would cost."""

    stage: str
    unit: str
    candidates: int
    already_done: int
    waiting: int
    to_do: int
    bytes: int
    seconds: float
    note: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)  # what else a script may want

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def plan_stages(
    catalog: Catalog, config: RunConfig, *, workers: int, rates: Mapping[str, float] | None = None
) -> list[StagePlan]:
    """The plan of every stage, in their order; `fetch` only where something is to be fetched from an index."""
    plans = _Plans(catalog, config, workers=workers, rates={**DEFAULT_RATES, **(rates or {})})
    return [
        *plans.fetch(),
        plans.ingest(),
        plans.encode(),
        plans.captions(),
        plans.text(),
        plans.train(),
        plans.sample(),
        plans.evaluate(),
    ]


class _Plans:
    def __init__(self, catalog: Catalog, config: RunConfig, *, workers: int, rates: Mapping[str, float]) -> None:
        self._catalog, self._config, self._workers, self._rates = catalog, config, workers, rates
        every = tuple(list_items(config))
        listed = fetched_items(catalog, config, every)
        self._fetch = plan_fetch(
            catalog,
            config,
            every,
            clip_s=self._rates["fetch"] / workers,
            hosts_file=catalog.media_dir / FETCHING / HOSTS_FILE,
        )
        self._to_fetch = 0 if self._fetch is None else self._fetch.to_do
        self._clips = current_clips(catalog, config, listed=every)
        self._model = current_model_id(catalog, config, clips=self._clips)
        candidates = ingest_candidates(config, listed=listed)
        self._sources = self._split(candidates, "sources", stage="ingest")
        todo = set(catalog.outstanding("sources", candidates, stage="ingest")["work_key"].to_pylist())
        self._coming = self._to_fetch + sum(
            len(one.item.windows) if one.item.windows is not None else 1
            for one in listed
            if one.key in todo and one.item.split != "instrument"
        )

    def fetch(self) -> list[StagePlan]:
        plan = self._fetch
        if plan is None:
            return []
        return [
            StagePlan(
                stage="fetch",
                unit="clips",
                candidates=plan.clips,
                already_done=plan.done,
                waiting=plan.waiting + plan.absent + plan.lost,
                to_do=plan.to_do,
                bytes=plan.bytes,
                seconds=plan.seconds,
                note=plan.note,
                details=asdict(plan),
            )
        ]

    def ingest(self) -> StagePlan:
        note = "a file without listed windows counts as one clip" if self._config.data.kind == "folder" else ""
        spec = self._config.spec
        # crf 18 H.264 of small pictures, and 16-bit sound that FLAC halves: measured in docs/experiments.md
        clip_bytes = round(spec.frames * spec.canonical_short_side_px**2 * 0.12 + spec.samples)
        return self._plan("ingest", "files", self._sources, piece_bytes=clip_bytes, coming=self._to_fetch, note=note)

    def encode(self) -> StagePlan:
        layout = self._config.layout
        values = math.prod(layout.video_CTHW) + math.prod(layout.audio_CTF)
        counts = self._split(encode_candidates(self._config, self._clips), "latents", stage="encode")
        return self._plan("encode", "latents", counts, piece_bytes=2 * values, coming=2 * self._coming)

    def captions(self) -> StagePlan:
        tables = [captions_candidates(captioner, self._clips) for captioner in self._config.captioners]
        counts = self._split(pa.concat_tables(tables), "captions", stage="captions")
        return self._plan("captions", "captions", counts, piece_bytes=400, coming=self._coming * len(tables))

    def text(self) -> StagePlan:
        captions = active_captions(self._catalog, self._config, self._clips)
        texts = dict(zip(captions["text_hash"].to_pylist(), captions["text"].to_pylist(), strict=True))
        counts = self._split(text_candidates(self._config, texts), "text_features", stage="text")
        note = "more texts may come with the clips" if self._coming else ""
        return self._plan("text", "texts", counts, piece_bytes=self._config.text.typical_bytes, note=note)

    def train(self) -> StagePlan:
        steps = self._config.train.steps
        done = 0 if self._coming else steps * is_trained(self._catalog, self._model)
        notes = ["without checkpoints and the model"] if steps > done else []
        notes += counts_in_words(self._clips["split"].to_pylist())
        note = "; ".join(notes)
        return self._plan("train", "steps", (steps, done, 0), piece_bytes=0, note=note)

    def sample(self) -> StagePlan:
        model = self._model
        wanted, made = generation_candidates(self._catalog, self._config, self._clips, model_id=model), 0
        if wanted.num_rows and not self._coming:
            return self._plan("sample", "clips", self._split(wanted, "generations", stage="sample"), piece_bytes=40_000)
        total = sum(clips_of(self._config, system) for system in makers_of(self._config) if system.name != "class_mean")
        return self._plan("sample", "clips", (total, made, 0), piece_bytes=40_000)

    def evaluate(self) -> StagePlan:
        wanted, done = scores_done(self._catalog, self._config, model_id=self._model, clips=self._clips)
        return self._plan("evaluate", "scores", (wanted, 0 if self._coming else done, 0), piece_bytes=500)

    def _split(self, candidates: pa.Table, table: str, *, stage: str) -> tuple[int, int, int]:
        """How many candidates there are, are done, and wait after a failure."""
        total = candidates.num_rows
        todo = self._catalog.outstanding(table, candidates, stage=stage).num_rows
        done = self._catalog.query(
            f"SELECT count(DISTINCT t.work_key) AS n FROM {table} t JOIN wanted w USING (work_key)",  # noqa: S608
            tables={"wanted": candidates.select(["work_key"])},
        )["n"][0].as_py()
        return total, done, total - done - todo

    def _plan(
        self, stage: str, unit: str, counts: tuple[int, int, int], *, piece_bytes: int, coming: int = 0, note: str = ""
    ) -> StagePlan:
        total, done, waiting = counts
        to_do = total - done - waiting + coming
        parallel = self._config.train_workers if stage == "train" else self._workers
        return StagePlan(
            stage=stage,
            unit=unit,
            candidates=total + coming,
            already_done=done,
            waiting=waiting,
            to_do=to_do,
            bytes=to_do * piece_bytes,
            seconds=to_do * self._rates[stage] / parallel,
            note=note,
        )
