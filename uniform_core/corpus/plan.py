"""What a run would do now: for each stage how many pieces are done and to do, the bytes, the time. Reads, never writes.

Stages whose inputs are not there yet are counted by what the stages before them are expected to make.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import pyarrow as pa

from uniform_core.catalog import Candidates, Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.candidates import captions_work, encode_work, text_candidates
from uniform_core.corpus.captions import active_captions
from uniform_core.corpus.clip_scores import scores_done
from uniform_core.corpus.evaluation import clips_of, generation_candidates, makers_of
from uniform_core.corpus.fetch_plan import plan_fetch
from uniform_core.corpus.fetching import fetched_items
from uniform_core.corpus.inputs import current_clips, ingest_candidates, list_items
from uniform_core.corpus.left_out import counts_in_words
from uniform_core.corpus.model_plan import plan_model
from uniform_core.corpus.rates import default_rates
from uniform_core.corpus.samples import current_model_id, is_trained
from uniform_core.corpus.unlisted import listable, plannable, unlisted_clips
from uniform_core.settings import FETCHING, HOSTS_FILE

SCORED_BYTES: Final = 40_000  # of a generated clip of preset `tiny`, shown larger than it is


@dataclass(frozen=True)
class StagePlan:
    """One stage: of `candidates` pieces `already_done`, `waiting` (failed before), `to_do`; what those would cost.

    `seconds` None: nobody knows what this stage takes with these codecs, clips or this model.
    """

    stage: str
    unit: str
    candidates: int
    already_done: int
    waiting: int
    to_do: int
    bytes: int
    seconds: float | None
    note: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)  # what else a script may want

    def as_dict(self) -> dict[str, Any]:
        """The same as a JSON object."""
        return asdict(self)


def plan_stages(
    catalog: Catalog, config: RunConfig, *, workers: int, rates: Mapping[str, float] | None = None
) -> list[StagePlan]:
    """The plan of every stage, in their order; `fetch` only where something is to be fetched from an index.

    Of an index whose lists are not here it counts what was published (`unlisted`), and nothing is left out for a list
    to guard against that is not here. `rates` are seconds a piece on one core, as earlier runs took.
    """
    plans = _Plans(catalog, config, workers=workers, rates={**default_rates(config), **(rates or {})})
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
        config = plannable(config)
        self._catalog, self._config, self._workers, self._rates = catalog, config, workers, rates
        unlisted = unlisted_clips(config)
        every = tuple(list_items(config, only=listable(config, unlisted)))
        listed = fetched_items(catalog, config, every)
        self._fetch = plan_fetch(
            catalog,
            config,
            every,
            clip_s=self._rates["fetch"] / workers,
            hosts_file=catalog.media_dir / FETCHING / HOSTS_FILE,
            unlisted=unlisted,
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
        has_folder = any(part.kind == "folder" for part in self._config.data.parts)
        note = "a file without listed windows counts as one clip" if has_folder else ""
        clip_bytes = self._clip_bytes(self._config.spec.canonical_short_side_px**2)
        return self._plan("ingest", "files", self._sources, piece_bytes=clip_bytes, coming=self._to_fetch, note=note)

    def encode(self) -> StagePlan:
        layout = self._config.layout
        values = math.prod(layout.video_CTHW) + math.prod(layout.audio_CTF)
        counts = self._split(encode_work(self._config, self._clips), "latents", stage="encode")
        return self._plan("encode", "latents", counts, piece_bytes=2 * values, coming=2 * self._coming)

    def captions(self) -> StagePlan:
        works = [captions_work(captioner, self._clips) for captioner in self._config.captioners]
        counts = [self._split(work, "captions", stage="captions") for work in works]
        total, done, waiting = (sum(part) for part in zip(*counts, strict=True))
        return self._plan(
            "captions", "captions", (total, done, waiting), piece_bytes=400, coming=self._coming * len(works)
        )

    def text(self) -> StagePlan:
        captions = active_captions(self._catalog, self._config, self._clips)
        texts = dict(zip(captions["text_hash"].to_pylist(), captions["text"].to_pylist(), strict=True))
        counts = self._split(text_candidates(self._config, texts), "text_features", stage="text")
        note = "more texts may come with the clips" if self._coming else ""
        return self._plan("text", "texts", counts, piece_bytes=self._config.text.typical_bytes, note=note)

    def train(self) -> StagePlan:
        steps = self._config.train.steps
        done = 0 if self._coming else steps * is_trained(self._catalog, self._model)
        plan = plan_model(self._config)
        notes = [f"{plan.checkpoints} checkpoints and the model; one more while it is written"] if steps > done else []
        notes += counts_in_words(self._clips["split"].to_pylist())
        planned = self._plan("train", "steps", (steps, done, 0), piece_bytes=0, note="; ".join(notes))
        return replace(planned, bytes=plan.disk_bytes if planned.to_do else 0)

    def sample(self) -> StagePlan:
        clip_bytes = max(SCORED_BYTES, self._clip_bytes(self._config.spec.height_px * self._config.spec.width_px))
        wanted = generation_candidates(self._catalog, self._config, self._clips, model_id=self._model)
        if wanted.num_rows and not self._coming:
            counts = self._split(wanted, "generations", stage="sample")
        else:
            makers = [system for system in makers_of(self._config) if system.name != "class_mean"]
            counts = (sum(clips_of(self._config, system) for system in makers), 0, 0)
        return self._plan("sample", "clips", counts, piece_bytes=clip_bytes)

    def evaluate(self) -> StagePlan:
        wanted, done = scores_done(self._catalog, self._config, model_id=self._model, clips=self._clips)
        return self._plan("evaluate", "scores", (wanted, 0 if self._coming else done, 0), piece_bytes=500)

    def _clip_bytes(self, picture_px: int) -> int:
        """crf 18 H.264 of small pictures, and 16-bit sound that FLAC halves: measured in docs/experiments.md."""
        spec = self._config.spec
        return round(spec.frames * picture_px * 0.12 + spec.samples)

    def _split(self, candidates: pa.Table | Candidates, table: str, *, stage: str) -> tuple[int, int, int]:
        """How many candidates there are, are done, and wait after a failure."""
        found = self._catalog.progress(table, candidates, stage=stage)
        return found.candidates, found.done, found.waiting

    def _plan(
        self, stage: str, unit: str, counts: tuple[int, int, int], *, piece_bytes: int, coming: int = 0, note: str = ""
    ) -> StagePlan:
        total, done, waiting = counts
        to_do = total - done - waiting + coming
        parallel = self._config.train_workers if stage == "train" else self._workers
        rate = self._rates.get(stage) if to_do else 0.0
        return StagePlan(
            stage=stage,
            unit=unit,
            candidates=total + coming,
            already_done=done,
            waiting=waiting,
            to_do=to_do,
            bytes=to_do * piece_bytes,
            seconds=None if rate is None else to_do * rate / parallel,
            note=note,
        )
