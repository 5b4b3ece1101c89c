"""The clips that captions are of: each as it was cut last, a range of ids at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa

    from uniform_core.catalog import Catalog

_CLIPS: Final = """
    SELECT clip_id, dataset, source_id, video_id, split, label, start_ms, end_ms, path, bytes, clip_sha256
    FROM clips SEMI JOIN said USING (clip_id) WHERE clip_id > $after AND clip_id <= $until
    QUALIFY row_number() OVER (PARTITION BY clip_id ORDER BY created_at DESC, work_key) = 1
"""


def with_clips(catalog: Catalog, said: pa.Table, *, after: str | None, until: str) -> pa.Table:
    """Rows of captions, in the order of their `clip_id`, with what the catalog says of their clips beside them.

    All lie after `after` and until `until`. The new columns are null for a clip that was taken down since; `split` and
    `label` are those of the day on which the clip was cut.
    """
    ids = {"said": said.select(["clip_id"])}
    clips = catalog.query(_CLIPS, parameters={"after": after or "", "until": until}, tables=ids)
    return catalog.query(
        "SELECT f.*, c.* EXCLUDE (clip_id) FROM said f LEFT JOIN shown c USING (clip_id) ORDER BY f.clip_id",
        tables={"said": said, "shown": clips},
    )
