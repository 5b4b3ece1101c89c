"""What each stage could do: one row for each piece of work, with its key. What is done is taken off by the catalog."""

# ruff: noqa: S608  (fingerprints and names come from this project's code)
from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa

from uniform_core.captioners.base import CaptionerConfig
from uniform_core.catalog import Candidates
from uniform_core.catalog.candidates import PLACE, text_digest_sql, work_key_sql
from uniform_core.config import RunConfig
from uniform_core.corpus.fingerprints import captions_fingerprint, encode_fingerprint, text_fingerprint
from uniform_core.corpus.left_out import FILTERED
from uniform_core.fingerprint import text_digest, work_key
from uniform_core.splits import INSTRUMENT
from uniform_core.types import Modality

NULL_TEXT = ""  # encoded in every run: what stands in where a text is dropped or missing

_NAMES: Final = ("clip_id", "clip_sha256", "path", "dataset", "source_id", "start_ms", "end_ms", "split")

_WORDS: Final = ("label", "source_caption", "video_id")
CAPTIONED: Final = (*_NAMES, *_WORDS)
"""The columns of clips that `captions_work` reads."""

# A clip in words: where it comes from, and which part.
_ITEM: Final = (
    "concat(dataset, '/', source_id, ' ', format('{:g}', start_ms / 1000), '-', format('{:g}', end_ms / 1000), ' s')"
)
_CLIP: Final = {name: name for name in ("clip_id", "clip_sha256", "path")}
# A clip and its bytes, as two numbers of 64 bits: as texts, those of ten million clips would not fit in memory, and as
# UUIDs they take five times as long to make. Two clips are taken for one where both numbers meet (1 in 2^128), or where
# a clip's new bytes meet its old ones (1 in 2^64).
_CONTENT: Final = ("hash(clip_id)", "hash(clip_sha256)")
_OWN: Final = f"split <> '{INSTRUMENT}'"
_UNFILTERED: Final = f"NOT starts_with(split, '{FILTERED}')"


def encode_work(config: RunConfig, clips: pa.Table) -> Candidates:
    """One piece for each clip and modality of the run's own data; instrument clips are looked at, never modelled.

    Filtered clips have left the run.
    """
    fingerprints = {modality: encode_fingerprint(config, modality) for modality in Modality}
    listed = ", ".join(f"({n}, '{modality}', '{fp}')" for n, (modality, fp) in enumerate(fingerprints.items()))
    source, tables = _source(clips)
    return Candidates(
        rows=f"""
            SELECT * REPLACE (({PLACE}, part) AS {PLACE}) FROM ({source})
            CROSS JOIN (VALUES {listed}) modalities(part, modality, stage_fp) WHERE {_OWN} AND {_UNFILTERED}
        """,
        key=work_key_sql("concat(clip_id, '/', modality)", stage_fp="stage_fp", source_sha256="clip_sha256"),
        columns={
            "item": f"concat({_ITEM}, ' ', modality)",
            **{name: name for name in ("dataset", "stage_fp", "modality")},
            **_CLIP,
        },
        known_by=[*_CONTENT, "modality"],
        stage_fps=list(fingerprints.values()),
        tables=tables,
    )


def encode_candidates(config: RunConfig, clips: pa.Table) -> pa.Table:
    """`encode_work` of the clips of a run, as a table."""
    return encode_work(config, clips).table()


def screen_candidates(clips: pa.Table, *, stage_fp: str) -> pa.Table:
    """One row for each clip of the run's own data, also those that a filter has left out for want of a screen."""
    source, tables = _source(clips)
    return Candidates(
        rows=f"SELECT *, '{stage_fp}' AS stage_fp FROM ({source}) WHERE {_OWN}",
        key=work_key_sql("clip_id", stage_fp="stage_fp", source_sha256="clip_sha256"),
        columns={"item": _ITEM, "dataset": "dataset", "stage_fp": "stage_fp", **_CLIP},
        tables=tables,
    ).table()


def captions_work(captioner: CaptionerConfig, clips: pa.Table) -> Candidates:
    """One piece for each clip. A captioner that looks at no frames depends on its words, not on the pixels."""
    fp = captions_fingerprint(captioner)
    words = "concat(coalesce(label, 'None'), chr(10), coalesce(source_caption, 'None'))"
    seen = "clip_sha256" if captioner.frames else text_digest_sql(words)
    source, tables = _source(clips, *_WORDS)
    return Candidates(
        rows=f"SELECT *, '{fp}' AS stage_fp FROM ({source}) WHERE {_OWN} AND {_UNFILTERED}",
        key=work_key_sql("clip_id", stage_fp="stage_fp", source_sha256=seen),
        columns={
            "item": _ITEM,
            **{name: name for name in ("dataset", "stage_fp")},
            **_CLIP,
            **{name: name for name in (*_WORDS[:2], "source_id", "video_id")},
            "start_ms": "start_ms::VARCHAR",
        },
        known_by=_CONTENT if captioner.frames else [],
        stage_fps=[fp],
        failed_as=[fp],
        tables=tables,
    )


def captions_candidates(captioner: CaptionerConfig, clips: pa.Table) -> pa.Table:
    """`captions_work` of the clips of a run, as a table."""
    return captions_work(captioner, clips).table()


def text_candidates(config: RunConfig, texts: Mapping[str, str]) -> pa.Table:
    """One row for each distinct text (by its hash) that is to be stored, the null text among them.

    Where features are computed online the null text is alone: its row says by which encoder.
    """
    fp = text_fingerprint(config)
    stored = {} if config.is_text_online else texts
    every = {**stored, text_digest(NULL_TEXT): NULL_TEXT}
    rows = [
        {
            "work_key": work_key(text_hash, stage_fp=fp, source_sha256=text_hash),
            "stage_fp": fp,
            "item": text[:80],
            "dataset": "",
            "text_hash": text_hash,
            "text": text,
        }
        for text_hash, text in sorted(every.items())
    ]
    names = ("work_key", "item", "dataset", "stage_fp", "text_hash", "text")
    return pa.Table.from_pylist(rows, schema=pa.schema([(name, pa.string()) for name in names]))


def _source(clips: pa.Table, *columns: str) -> tuple[str, Mapping[str, pa.Table]]:
    """SQL of clips with their places, and the table that it reads: what names clips, and `columns`."""
    numbered = clips.select([*_NAMES, *columns]).append_column(PLACE, pa.array(np.arange(clips.num_rows)))
    return "SELECT * FROM run_clips", {"run_clips": numbered}
