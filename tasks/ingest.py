"""Ingest: every source found or fetched, cut into canonical clips in the sandbox; each window a clip or a reason."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import TypeAdapter

from tasks.commits import ItemRows, PartFailure
from tasks.context import RunContext, item_name
from tasks.pool import PoolLimits
from tasks.stage import CommitRule, Stage, StageSummary, count_done, run_stage, still_wanted
from uniform_core.config import RunConfig
from uniform_core.corpus.fetching import fetched_items
from uniform_core.corpus.fingerprints import ingest_fingerprint
from uniform_core.corpus.inputs import ingest_candidates
from uniform_core.corpus.items import item_from_json
from uniform_core.datasets import AnyDataset, DatasetConfig
from uniform_core.errors import Rejection, WorkFailedError
from uniform_core.fetching.entries import portable_path
from uniform_core.fingerprint import derive_clip_id, file_sha256, work_key
from uniform_core.media import CanonicalClip, CanonicalForm, CutRule, RejectedWindow, Sandbox
from uniform_core.spec import AVSpec
from uniform_core.types import SourceItem, Window

TABLE: Final = "sources by dataset"  # the title of the table of a union


@dataclass(frozen=True)
class Recipe:
    """How one dataset of the run is ingested: plain values, so that they travel to the worker."""

    dataset_json: str
    stage_fp: str
    canonical: CanonicalForm
    cut: CutRule

    @classmethod
    def of(cls, dataset: DatasetConfig, spec: AVSpec, stage_fp: str) -> Recipe:
        """The recipe of a dataset under a spec, whose ingest has this fingerprint."""
        cut = CutRule.of(spec, dataset.clip_s, dataset.stride_s)
        return cls(dataset.model_dump_json(), stage_fp, CanonicalForm.of(spec), cut)


class IngestWorker:
    """Fetches a source and makes its clips. Holds one sandboxed decoder."""

    def __init__(self, *, recipes: Sequence[Recipe], media_dir: str) -> None:
        self._recipes = recipes
        self._datasets: list[DatasetConfig] = [TypeAdapter(AnyDataset).validate_json(r.dataset_json) for r in recipes]
        self._media_dir = Path(media_dir)
        self._sandbox = Sandbox()

    def process(self, batch: Sequence[Mapping[str, Any]]) -> list[ItemRows | Rejection]:
        """One source each: its clips and its row, or why there are none."""
        return [self._ingest(row) for row in batch]

    def close(self) -> None:
        """End the decoder."""
        self._sandbox.close()

    def _ingest(self, row: Mapping[str, Any]) -> ItemRows | Rejection:
        item = item_from_json(json.loads(row["source"]))
        dataset, recipe = self._datasets[row["dataset_index"]], self._recipes[row["dataset_index"]]
        found = dataset.fetch(item, self._media_dir / "sources" / dataset.name)
        if isinstance(found, Rejection):
            return found
        try:
            if found.is_relative_to(self._media_dir):
                found.touch()  # rendered by a run that was killed, say: what no row names yet is collected by its age
            stamp = _stamp(found)
            sha256 = file_sha256(found)
        except OSError as error:  # no right to read it, or a disk that fails
            message = f"a readable file expected, {error.strerror} found"
            return Rejection("unreadable", message, terminal=False)
        results = self._sandbox.canonicalise(
            found,
            item.windows,
            cut=recipe.cut,
            form=recipe.canonical,
            out_dir=self._media_dir / "clips" / recipe.stage_fp[:8],
            names=lambda window: f"{_clip_id(item, window)}-{sha256[:8]}.mp4",
        )
        if (changed := _changed(found, stamp)) is not None:  # the hash, the clips or both are of another content
            return changed
        clips = [r for r in results if isinstance(r, CanonicalClip)]
        refused = [r for r in results if isinstance(r, RejectedWindow)]
        if not clips:
            return _one_reason(refused)
        rows: dict[str, Sequence[Mapping[str, Any]]] = {
            "clips": [self._clip_row(item, clip, recipe=recipe, source_sha256=sha256) for clip in clips]
        }
        failures = [_failure(row, item, r, recipe=recipe, source_sha256=sha256) for r in refused]
        if all(
            r.rejection.terminal for r in refused
        ):  # else the source stays to be done, and its clips are found again
            rows["sources"] = [
                self._source_row(row["work_key"], item, found, clips, source_sha256=sha256, size_bytes=stamp[0])
            ]
        return ItemRows(rows=rows, failures=failures, accepted=len(clips), bytes=sum(clip.bytes for clip in clips))

    def _clip_row(self, item: SourceItem, clip: CanonicalClip, *, recipe: Recipe, source_sha256: str) -> dict[str, Any]:
        clip_id = _clip_id(item, clip.window)
        start_s = clip.window.start_s
        end_s = min(clip.window.end_s, start_s + recipe.canonical.duration_s)  # a clip may be shorter than its window
        events = item.event_times_s
        return {
            **clip.columns(),
            "work_key": work_key(clip_id, stage_fp=recipe.stage_fp, source_sha256=source_sha256),
            "clip_id": clip_id,
            "source_sha256": source_sha256,
            "path": clip.path.relative_to(self._media_dir).as_posix(),
            "event_times_s": None if events is None else [t - start_s for t in events if start_s <= t < end_s],
            **_origin(item),
            "stage_fp": recipe.stage_fp,
        }

    def _source_row(
        self,
        key: str,
        item: SourceItem,
        found: Path,
        clips: Sequence[CanonicalClip],
        *,
        source_sha256: str,
        size_bytes: int,
    ) -> dict[str, Any]:
        inside = found.is_relative_to(self._media_dir)
        return {
            "work_key": key,
            "path": found.relative_to(self._media_dir).as_posix() if inside else portable_path(found),
            "source_sha256": source_sha256,
            "bytes": size_bytes,
            "caption": item.caption,
            "clip_ids": [_clip_id(item, clip.window) for clip in clips],
            "event_times_s": None if item.event_times_s is None else list(item.event_times_s),
            **_origin(item),
        }


def run_ingest(context: RunContext) -> list[StageSummary]:
    """Ingest what the run's datasets list and the catalog has not."""
    config = context.config
    fingerprints = [ingest_fingerprint(config, dataset) for dataset in config.datasets]
    recipes = [Recipe.of(d, config.spec, fp) for d, fp in zip(config.datasets, fingerprints, strict=True)]
    stage = Stage(
        name="ingest",
        table="sources",
        stage_fp=fingerprints[0],
        worker=IngestWorker,
        setup={"recipes": recipes, "media_dir": str(context.settings.media_dir)},
        workers=context.settings.worker_cpus,
        batch=8,
        describe=item_name,
        limits=PoolLimits(batch_limit_s=8 * 3600.0),  # the sandbox has its own, shorter limits for each file
        commit=CommitRule(rows=512, seconds=15.0),
    )
    candidates = ingest_candidates(config, listed=fetched_items(context.catalog, config, context.listed))
    summary = run_stage(
        stage,
        candidates,
        catalog=context.catalog,
        ray=context.ray,
        run_id=context.run_id,
        listener=context.listener,
    )
    table = _by_dataset(context, candidates)
    _require_of_each(config, table)
    whole = summary.require_accepted(max_reject_fraction=1.0)  # some source of some dataset must be of use
    return [replace(whole, tables={TABLE: table}) if len(config.data.parts) > 1 else whole]


def _by_dataset(context: RunContext, candidates: pa.Table) -> list[dict[str, Any]]:
    """How many sources of each dataset of the run are here to be ingested, and are."""
    wanted = still_wanted(context.catalog, candidates)
    rows = []
    for name in (dataset.name for dataset in context.config.datasets):
        own = wanted.filter(pc.equal(wanted["dataset"], name))
        ingested = count_done(context.catalog, "sources", own)
        sources = pc.count_distinct(own["work_key"]).as_py()
        rows.append({"dataset": name, "sources": sources, "ingested": ingested, "rejected": sources - ingested})
    return rows


def _require_of_each(config: RunConfig, table: Sequence[Mapping[str, Any]]) -> None:
    """Raises WorkFailedError where more of a dataset's sources were rejected than it allows."""
    limits = [config.reject_limit_of(dataset) for dataset in config.datasets]
    far = [
        (row, limit)
        for row, limit in zip(table, limits, strict=True)
        if row["sources"] and row["rejected"] / row["sources"] > limit
    ]
    if far:
        raise WorkFailedError(
            "stage ingest",
            expected=", ".join(
                f"at most {limit:.0%} of {row['sources']} of {row['dataset']} rejected" for row, limit in far
            ),
            found=", ".join(f"{row['rejected']} rejected" for row, _ in far),
            fix="Look at `uniform failures list --stage ingest`, or allow more with --max-reject-fraction.",
        )


def _clip_id(item: SourceItem, window: Window) -> str:
    return derive_clip_id(item.dataset, item.source_id, start_ms=window.start_ms, end_ms=window.end_ms)


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of a file. Raises OSError."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _changed(path: Path, before: tuple[int, int]) -> Rejection | None:
    """Why a file is to be read another day: it is not the one any more that it was before it was read."""
    try:
        after = _stamp(path)
    except OSError as error:
        found = f"it cannot be found any more ({error.strerror})"
    else:
        if after == before:
            return None
        found = f"its size or time changed ({before[0]} bytes before, {after[0]} after)"
    message = f"a file that stays as it is while it is read expected, {found}"
    return Rejection("changed_file", message, terminal=False)


def _origin(item: SourceItem) -> dict[str, Any]:
    attributes = json.dumps(dict(item.attributes), ensure_ascii=False, sort_keys=True)
    return {
        "dataset": item.dataset,
        "source_id": item.source_id,
        "video_id": item.video_id,
        "split": item.split,
        "label": item.label,
        "attributes": attributes,
    }


def _one_reason(refused: Sequence[RejectedWindow]) -> Rejection:
    """Why a source gave no clip at all: the file's own reason, or that of its first window."""
    if not refused:
        return Rejection("no_window", "expected at least one window inside the source; found none")
    whole = next((r.rejection for r in refused if r.window is None), refused[0].rejection)
    return Rejection(**{**asdict(whole), "terminal": all(r.rejection.terminal for r in refused)})


def _failure(
    row: Mapping[str, Any], item: SourceItem, refused: RejectedWindow, *, recipe: Recipe, source_sha256: str
) -> PartFailure:
    """The ledger's entry of a refused window; of a part of the file, where the window is not known."""
    if refused.window is None or not refused.rejection.terminal:
        return PartFailure(row["work_key"], row["item"], refused.rejection)
    key = work_key(_clip_id(item, refused.window), stage_fp=recipe.stage_fp, source_sha256=source_sha256)
    return PartFailure(key, f"{row['item']} {refused.window.start_s:g}-{refused.window.end_s:g} s", refused.rejection)
