"""A catalog of any size by simulation: rows as the stages write them, without the media that they name.

Keys, hashes and prints have their real widths, and the work_key of a caption is the one that its stage would give.
Clips and texts lie in the order of their ids, as `Catalog.compact` puts them, and captions as three runs leave them,
whose work lists are in the order of clips. Clip `n` of N has the n-th clip id in the order of ids.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

import pyarrow as pa
from deltalake import write_deltalake

from uniform_core.captioners.base import Captioner, CaptionerConfig
from uniform_core.captioners.class_label import ClassLabelConfig
from uniform_core.catalog import Candidates, Catalog
from uniform_core.catalog.candidates import PLACE, text_digest_sql, work_key_sql
from uniform_core.catalog.delta import CONFIGURATION, ROW_GROUP, writer_properties
from uniform_core.catalog.memory import memory_connection
from uniform_core.catalog.tables import table_named
from uniform_core.corpus.fingerprints import captions_fingerprint
from uniform_core.fingerprint import digest, text_digest

if TYPE_CHECKING:
    import duckdb

LABELS: Final = 310
"""Classes of VGGSound."""
FAILED: Final = 100
"""One clip in so many of those that are left has a failure in the ledger."""
MEMORY: Final = "4GiB"
"""Of DuckDB while it makes the rows: texts are put in order."""
BURIED: Final = 50
"""Sources that were taken down."""
NO_CLIPS: Final = (
    table_named("clips").arrow_schema.empty_table().append_column("source_caption", pa.array([], pa.string()))
)
"""The clips of a run that has none yet."""
EVERY_CLIP: Final = f"SELECT *, NULL::VARCHAR AS source_caption, clip_id AS {PLACE} FROM clips"
"""All clips of a catalog, with the split and label that they had when they were made."""


def over(work: Candidates, clips: str = EVERY_CLIP) -> Candidates:
    """The same work of clips that SQL names, where they are too many for a table in memory."""
    names = ", ".join(work.tables["run_clips"].column_names)
    return replace(work, rows=work.rows.replace("run_clips", f"(SELECT {names} FROM ({clips}))"), tables={})


class PromptedConfig(CaptionerConfig):
    """A captioner that looks at frames and follows a prompt. It is asked for its fingerprint alone."""

    kind: Literal["prompted"] = "prompted"
    frames: int = 4
    words: str

    @property
    def revision(self) -> str:
        return "prompted-13b@1"

    @property
    def prompt(self) -> str:
        return self.words

    def build(self) -> Captioner:
        raise NotImplementedError("the rows of a simulation are not captioned")


LABELLED, OLD, NEW = ClassLabelConfig(), PromptedConfig(words="an old prompt"), PromptedConfig(words="a new prompt")
FRESH = PromptedConfig(words="a prompt that no clip was captioned by")
LABEL_FP, OLD_FP, NEW_FP = (captions_fingerprint(captioner) for captioner in (LABELLED, OLD, NEW))
INGEST_FP = digest("ingest")


@dataclass(frozen=True)
class Scale:
    """How large: of `clips` clips, `left` have no caption by the new prompt yet, one in `changed` has another text."""

    clips: int
    left: int
    changed: int = 10

    @property
    def every(self) -> int:
        """One clip in so many is left."""
        return self.clips // self.left


def _hex32(of: str) -> str:
    """SQL of 32 hex digits that a number decides."""
    return f"md5(({of})::VARCHAR)"


def _sha(of: str) -> str:
    """SQL of 64 hex digits that a number decides."""
    return f"(md5(({of})::VARCHAR || 'a') || md5(({of})::VARCHAR || 'b'))"


def _text(of: str) -> str:
    """SQL of a caption of about a hundred letters that a number decides."""
    words = (
        "['a small dog', 'the old engine', 'some water', 'a crowd', 'the red car', 'a violin', 'heavy rain', 'a bird']"
    )
    acts = (
        "['runs past', 'is heard near', 'drips on', 'stands beside', 'turns towards', 'plays with', 'covers', 'leaves']"
    )
    parts = [
        f"{listed}[1 + (hash({of}) >> {3 * place} & 7)::INTEGER]" for place, listed in enumerate([words, acts, words])
    ]
    return f"concat_ws(' ', {', '.join(parts)}, 'while', ({of})::VARCHAR, 'goes on in the background')"


def _base(scale: Scale) -> str:
    """SQL of the facts of each clip that several tables repeat."""
    step = (1 << 64) // scale.clips
    return f"""
        SELECT n, printf('%016x', n::UBIGINT * {step}) || left({_hex32("n")}, 16) AS clip_id,
            {_sha("n")} AS clip_sha256, {_sha("-n - 1")} AS source_sha256,
            left({_hex32("n + 7")}, 11) AS video_id,
            left({_hex32("n + 7")}, 11) || '_' || printf('%06d', n % 300) AS source_id,
            n % {LABELS} AS class
        FROM range({scale.clips}) t(n)
    """


_STAMP: Final = "'bench' AS run_id, TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_microseconds(n * 1000) AS created_at"


def _clips(scale: Scale) -> str:
    key = work_key_sql("clip_id", stage_fp=f"'{INGEST_FP}'", source_sha256="source_sha256")
    return f"""
        SELECT {key} AS work_key, clip_id, 'vggsound' AS dataset, source_id, video_id, source_sha256,
            CASE WHEN n % 20 = 0 THEN 'held_out' ELSE 'train' END AS split, 'class ' || class AS label,
            0 AS start_ms, 4000 AS end_ms,
            concat('clips/', left(clip_id, 2), '/', left(clip_sha256, 32), '.mkv') AS path, clip_sha256,
            400000 + n % 1000 AS bytes, 340 AS width_px, 256 AS height_px, 68 AS frames,
            17.0 AS video_rate_hz, 64000 AS samples, 16000 AS audio_rate_hz, 640 AS source_width_px,
            360 AS source_height_px, 29.97 AS source_video_rate_hz, 44100 AS source_audio_rate_hz, 2 AS source_channels,
            'h264' AS source_video_codec, 'aac' AS source_audio_codec, 10.0 AS source_duration_s, 0 AS rotation_deg,
            0 AS held_frames, 0 AS decode_errors, (n % 1000) / 1000 AS audio_peak, -20.0 - n % 7 AS audio_rms_db,
            (n % 997) / 10 AS motion, n % 100 = 3 AS is_silent, n % 50 = 3 AS is_still,
            {_sha("n + 1")} || {_sha("n + 2")} AS picture_hash,
            left(repeat({_sha("n + 3")}, 4), 248) AS sound_print, NULL AS event_times_s, '{{}}' AS attributes,
            '{INGEST_FP}' AS stage_fp, {_STAMP}
        FROM base
    """


def _sources(_scale: Scale) -> str:
    return f"""
        SELECT {_hex32("n * 3 + 1")} AS work_key, 'vggsound' AS dataset, source_id, video_id,
            CASE WHEN n % 20 = 0 THEN 'held_out' ELSE 'train' END AS split, 'class ' || class AS label,
            NULL AS caption, 'sources/vggsound/' || source_id || '.mp4' AS path, source_sha256, 900000 AS bytes,
            [clip_id] AS clip_ids, NULL AS event_times_s, '{{}}' AS attributes, '{INGEST_FP}' AS stage_fp, {_STAMP}
        FROM base
    """


def _labels(_scale: Scale) -> str:
    """What the captioner of labels says of every clip."""
    seen = text_digest_sql("'class ' || class || chr(10) || 'None'")
    key = work_key_sql("clip_id", stage_fp=f"'{LABEL_FP}'", source_sha256=seen)
    return f"""
        SELECT {key} AS work_key, clip_id, clip_sha256, 'class_label' AS captioner, '1' AS captioner_revision,
            {text_digest_sql("'class ' || class")} AS text_hash, text_hash AS raw_text_hash, 1 AS cleaning_version,
            'success' AS status, '{LABEL_FP}' AS stage_fp, {_STAMP}
        FROM base
    """


def _said(scale: Scale, captioner: PromptedConfig) -> str:
    """What the captioner of frames says by one prompt; by the new one some clips are left, and some texts differ."""
    fp, is_new = captions_fingerprint(captioner), captioner is NEW
    key = work_key_sql("clip_id", stage_fp=f"'{fp}'", source_sha256="clip_sha256")
    text = _hex32(f"CASE WHEN n % {scale.changed} = 0 THEN -n - 1 ELSE n END" if is_new else "n")
    return f"""
        SELECT {key} AS work_key, clip_id, clip_sha256, '{OLD.kind}' AS captioner,
            '{OLD.revision}' AS captioner_revision, '{text_digest(captioner.prompt)}' AS prompt_hash,
            [0, 16, 33, 50] AS frame_indices, {text} AS text_hash, text_hash AS raw_text_hash,
            1 AS cleaning_version, 2900 AS tokens_in, 60 + n % 100 AS tokens_out,
            'stop' AS finish_reason, 'success' AS status, '{fp}' AS stage_fp, {_STAMP}
        FROM base WHERE NOT ({is_new} AND n % {scale.every} = 1)
    """


def _texts(scale: Scale) -> str:
    """Every text once."""
    return f"""
        SELECT {_hex32("n")} AS work_key, work_key AS text_hash, {_text("n")} AS text, '{OLD_FP}' AS stage_fp, {_STAMP}
        FROM (SELECT n FROM base UNION ALL SELECT -n - 1 FROM base WHERE n % {scale.changed} = 0) ORDER BY work_key
    """


def _label_texts() -> str:
    return f"""
        SELECT {text_digest_sql("'class ' || n")} AS work_key, work_key AS text_hash, 'class ' || n AS text,
            '{LABEL_FP}' AS stage_fp, {_STAMP}
        FROM range({LABELS}) t(n)
    """


def _failures(scale: Scale) -> str:
    """Failures of clips by both prompts, of which those by the new one are among the clips that are left."""
    key = work_key_sql("clip_id", stage_fp="fp", source_sha256="clip_sha256")
    return f"""
        SELECT {_hex32("concat(n, fp)")} AS work_key, 'captions' AS stage, {key} AS item_key,
            concat('vggsound/', source_id, ' 0-4 s') AS item, 'vggsound' AS dataset, 'failed' AS event,
            'damaged_clip' AS error_class, 'a whole clip was expected, and a torn one found' AS message,
            true AS is_terminal, fp AS stage_fp, {_STAMP}
        FROM base, (SELECT unnest(['{OLD_FP}', '{NEW_FP}']) AS fp) WHERE n % {scale.every * FAILED} = 1
    """


def _tombstones(scale: Scale) -> str:
    return f"""
        SELECT {_hex32("n")} AS work_key, 'vggsound' AS dataset, source_id, 'takedown request' AS reason,
            '{INGEST_FP}' AS stage_fp, {_STAMP}
        FROM base WHERE n % {max(1, scale.clips // BURIED)} = 2
    """


def fill(catalog: Catalog, scale: Scale) -> None:
    """The tables of a catalog that is empty hold this many clips, their sources, captions and texts."""
    parts = {
        "sources": [_sources(scale)],
        "clips": [_clips(scale)],
        "captions": [_labels(scale), _said(scale, OLD), _said(scale, NEW)],
        "caption_texts": [_texts(scale), _label_texts()],
        "attempts": [_failures(scale)],
        "tombstones": [_tombstones(scale)],
    }
    for table, rows in parts.items():
        for sql in rows:
            with memory_connection(own=True) as con:
                con.execute(f"SET memory_limit = '{MEMORY}'; CREATE VIEW base AS {_base(scale)}")
                _write(catalog, table, con, sql)


def _write(catalog: Catalog, table: str, con: duckdb.DuckDBPyConnection, sql: str) -> None:
    """The rows that SQL makes are in a table, by one commit; columns that it leaves out are null."""
    definition = table_named(table)
    made = con.sql(sql).columns
    columns = ", ".join(f"{c.name if c.name in made else 'NULL'}::{c.type} AS {c.name}" for c in definition.columns)
    reader = con.sql(f"SELECT {columns} FROM ({sql})").to_arrow_reader(ROW_GROUP)
    schema = definition.arrow_schema
    batches = (pa.record_batch(batch.columns, schema=schema) for batch in reader)
    write_deltalake(
        str(catalog.delta.path(table)),
        pa.RecordBatchReader.from_batches(schema, batches),
        mode="append",
        configuration=CONFIGURATION,
        writer_properties=writer_properties(),
    )
