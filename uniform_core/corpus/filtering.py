"""Why a clip is filtered out of a run: the filters of its dataset against what is known of the clip."""

# ruff: noqa: S608  (conditions come from this file; values are parameters)
from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa

from uniform_core.catalog import Catalog
from uniform_core.corpus.left_out import COPY_OF, FILTERED, TWIN_OF, VIDEO_OF
from uniform_core.datasets.filters import Filters
from uniform_core.splits import INSTRUMENT

LOOKED_AT: Final = ("clip_id", "clip_sha256", "dataset", "split", "is_silent", "is_still", "motion")
_LEFT: Final = " OR ".join(
    [f"c.split = '{INSTRUMENT}'", *(f"starts_with(c.split, '{way}')" for way in (COPY_OF, VIDEO_OF, TWIN_OF))]
)


def filtered_splits(catalog: Catalog, filters: Filters, clips: pa.Table, *, dataset: str) -> pa.ChunkedArray:
    """The split of each clip, in their order: of one that a filter leaves out, named by the first filter that does.

    `clips` are rows of `clips`; the filters are those of one dataset. Clips of others stay as they are, and so do
    instrument clips and those that have left the run. Of what a screener has said of a clip, the newest word counts.
    """
    numbered = clips.select(LOOKED_AT).append_column("n", pa.array(np.arange(clips.num_rows)))
    reasons, parameters = _reasons(filters)
    cases = " ".join(f"WHEN {condition} THEN '{FILTERED}{name}'" for name, condition in reasons)
    return catalog.query(
        f"""
        WITH newest AS (
            SELECT clip_id, clip_sha256, av_offset_s, on_screen FROM screens WHERE screener = $screener
            QUALIFY row_number() OVER (PARTITION BY clip_id, clip_sha256 ORDER BY created_at DESC, work_key) = 1
        )
        SELECT CASE WHEN c.dataset <> $dataset OR {_LEFT} THEN c.split {cases} ELSE c.split END AS split
        FROM run_clips c LEFT JOIN newest s USING (clip_id, clip_sha256) ORDER BY c.n
        """,
        parameters={"dataset": dataset, "screener": filters.screener, **parameters},
        tables={"run_clips": numbered},
    )["split"]


def _reasons(filters: Filters) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    """The filters that are asked for, by name: when each takes a clip `c` with its screen `s`; and their limits."""
    named = [
        ("silent", "c.is_silent", filters.drop_silent),
        ("still", "c.is_still", filters.drop_still),
        ("motion", "c.motion < $min_motion", filters.min_motion is not None),
        ("unscreened", "s.on_screen IS NULL", filters.reads_screens),
        ("off_screen", "s.on_screen < $min_on_screen", filters.min_on_screen is not None),
        ("offset", "abs(s.av_offset_s) > $max_offset_s", filters.max_offset_s is not None),
    ]
    limits = {name: getattr(filters, name) for name in ("min_motion", "min_on_screen", "max_offset_s")}
    asked = [(name, condition) for name, condition, is_asked in named if is_asked]
    return asked, {name: value for name, value in limits.items() if value is not None}
