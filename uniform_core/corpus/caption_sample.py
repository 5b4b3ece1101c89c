"""Some captions of a corpus to look at: of every class in turn, the same ones for the same seed."""

# ruff: noqa: S608  (names are constants of this package; values are parameters)
from __future__ import annotations

from typing import TYPE_CHECKING

from uniform_core.catalog import Catalog
from uniform_core.corpus.caption_corpora import CorpusVersion, corpus_selection
from uniform_core.corpus.caption_selection import flags_sql

if TYPE_CHECKING:
    import pyarrow as pa


def sample_captions(catalog: Catalog, version: CorpusVersion, *, count: int, seed: int = 0) -> pa.Table:
    """`count` captions (all, where there are fewer): one of each class, then a second of each, and so on.

    Columns: `clip_id`, `dataset`, `source_id`, `label`, `captioner`, `flags`, `text`. Which ones, and in which order
    the classes come, the seed alone decides. Labels are those of the day on which a clip was cut.
    """
    parts = corpus_selection(version, columns=["captioner", "flags"])
    return catalog.query(
        f"""
        WITH {parts.sql},
        of_clips AS (
            SELECT clip_id, dataset, source_id, label FROM clips
            QUALIFY row_number() OVER (PARTITION BY clip_id ORDER BY created_at DESC, work_key) = 1
        ),
        drawn AS (
            SELECT s.clip_id, dataset, source_id, label, captioner, {flags_sql(version.policy, "s")} AS flags,
                   text_hash, md5($seed || coalesce(label, '')) AS place,
                   row_number() OVER (PARTITION BY label ORDER BY md5($seed || s.clip_id), s.clip_id) AS turn
            FROM selected s JOIN of_clips USING (clip_id)
            ORDER BY turn, place, label LIMIT $count
        )
        SELECT d.* EXCLUDE (turn, place, text_hash), t.text FROM drawn d JOIN caption_texts t USING (text_hash)
        ORDER BY d.turn, d.place, d.label
        """,
        parameters={**parts.parameters, "seed": f"{seed}/", "count": count},
        versions=version.versions,
    )
