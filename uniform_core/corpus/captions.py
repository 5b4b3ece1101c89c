"""Which caption stands for a clip: the first captioner of the run's list that has one."""

from __future__ import annotations

import pyarrow as pa

from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.fingerprints import captions_fingerprint


def active_captions(catalog: Catalog, config: RunConfig, clips: pa.Table) -> pa.Table:
    """Columns `clip_id`, `text_hash`, `text`, `captioner`: at most one row for each clip.

    A clip whose captioners all have nothing to say has no row: it is trained and sampled as without text.
    """
    ranks = pa.table(
        {
            "stage_fp": pa.array([captions_fingerprint(c) for c in config.captioners], pa.string()),
            "rank": pa.array(range(len(config.captioners)), pa.int64()),
        }
    )
    return catalog.query(
        """
        SELECT k.clip_id, k.text_hash, t.text, k.captioner
        FROM captions k
        JOIN ranks r USING (stage_fp)
        JOIN run_clips c ON c.clip_id = k.clip_id AND c.clip_sha256 = k.clip_sha256
        JOIN caption_texts t ON t.text_hash = k.text_hash
        WHERE k.status IN ('success', 'truncated')
        QUALIFY row_number() OVER (PARTITION BY k.clip_id ORDER BY r.rank, k.created_at DESC, k.work_key) = 1
        ORDER BY k.clip_id
        """,
        tables={"ranks": ranks, "run_clips": clips.select(["clip_id", "clip_sha256"])},
    )
