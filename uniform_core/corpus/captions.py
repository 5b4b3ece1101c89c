"""Which caption stands for a clip: the first captioner of the run's list that has one."""

from __future__ import annotations

import pyarrow as pa

from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.candidates import captions_candidates


def active_captions(catalog: Catalog, config: RunConfig, clips: pa.Table) -> pa.Table:
    """Columns `clip_id`, `text_hash`, `text`, `captioner`: at most one row for each clip.

    A caption is that of the clip's frames or words as they are now, whatever was said of others since.
    A clip whose captioners all have nothing to say has no row: it is trained and sampled as without text.
    """
    wanted = [captions_candidates(captioner, clips).select(["work_key", "clip_id"]) for captioner in config.captioners]
    ranks = [rank for rank, keys in enumerate(wanted) for _ in range(keys.num_rows)]
    return catalog.query(
        """
        SELECT w.clip_id, k.text_hash, t.text, k.captioner
        FROM captions k
        JOIN wanted w USING (work_key)
        JOIN caption_texts t ON t.text_hash = k.text_hash
        WHERE k.status IN ('success', 'truncated')
        QUALIFY row_number() OVER (PARTITION BY w.clip_id ORDER BY w.rank) = 1
        ORDER BY w.clip_id
        """,
        tables={"wanted": pa.concat_tables(wanted).append_column("rank", pa.array(ranks, pa.int64()))},
    )
