"""Why a clip is filtered out of a run: the filters of the dataset against what is known of the clip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from uniform_core.catalog import Catalog
from uniform_core.corpus.left_out import FILTERED
from uniform_core.datasets.filters import Filters


def filtered_split(clip: Mapping[str, Any], filters: Filters, screen: Mapping[str, Any] | None) -> str | None:
    """The split of a clip that a filter leaves out, named by the first filter that does; None where none does.

    `clip` is a row of `clips`, `screen` its row of `screens` where there is one.
    """
    if filters.drop_silent and clip["is_silent"]:
        return f"{FILTERED}silent"
    if filters.drop_still and clip["is_still"]:
        return f"{FILTERED}still"
    if filters.min_motion is not None and clip["motion"] < filters.min_motion:
        return f"{FILTERED}motion"
    if not filters.reads_screens:
        return None
    if screen is None:
        return f"{FILTERED}unscreened"
    if filters.min_on_screen is not None and screen["on_screen"] < filters.min_on_screen:
        return f"{FILTERED}off_screen"
    if filters.max_offset_s is not None and abs(screen["av_offset_s"]) > filters.max_offset_s:
        return f"{FILTERED}offset"
    return None


def screens_of(catalog: Catalog, filters: Filters) -> dict[tuple[str, str], dict[str, Any]]:
    """What the screener says of each clip, by clip id and sha256, the newest word where there are several."""
    if not filters.reads_screens:
        return {}
    rows = catalog.rows(
        """
        SELECT clip_id, clip_sha256, av_offset_s, on_screen FROM screens WHERE screener = $screener
        QUALIFY row_number() OVER (PARTITION BY clip_id, clip_sha256 ORDER BY created_at DESC, work_key) = 1
        """,
        parameters={"screener": filters.screener},
    )
    return {(row["clip_id"], row["clip_sha256"]): row for row in rows}
