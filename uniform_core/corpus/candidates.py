"""What each stage could do: one row for each piece of work, with its key. What is done is taken off by the catalog."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from uniform_core.captioners.base import CaptionerConfig
from uniform_core.config import RunConfig
from uniform_core.corpus.fingerprints import captions_fingerprint, encode_fingerprint, text_fingerprint
from uniform_core.corpus.left_out import is_filtered
from uniform_core.fingerprint import text_digest, work_key
from uniform_core.types import Modality

NULL_TEXT = ""  # encoded in every run: what stands in where a text is dropped or missing


def encode_candidates(config: RunConfig, clips: pa.Table) -> pa.Table:
    """One row for each clip and modality of the run's own data; instrument clips are looked at, never modelled.

    Filtered clips have left the run.
    """
    fingerprints = {modality: encode_fingerprint(config, modality) for modality in Modality}
    rows = [
        {
            "work_key": work_key(f"{clip['clip_id']}/{modality}", stage_fp=fp, source_sha256=clip["clip_sha256"]),
            "stage_fp": fp,
            "modality": str(modality),
            "item": f"{_name_of(clip)} {modality}",
            **{name: clip[name] for name in ("clip_id", "clip_sha256", "path", "dataset")},
        }
        for clip in clips.to_pylist()
        if clip["split"] != "instrument" and not is_filtered(clip["split"])
        for modality, fp in fingerprints.items()
    ]
    names = ("work_key", "item", "dataset", "stage_fp", "modality", "clip_id", "clip_sha256", "path")
    return _text_table(rows, names)


def screen_candidates(clips: pa.Table, *, stage_fp: str) -> pa.Table:
    """One row for each clip of the run's own data, also those that a filter has left out for want of a screen."""
    rows = [
        {
            "work_key": work_key(clip["clip_id"], stage_fp=stage_fp, source_sha256=clip["clip_sha256"]),
            "stage_fp": stage_fp,
            "item": _name_of(clip),
            **{name: clip[name] for name in ("clip_id", "clip_sha256", "path", "dataset")},
        }
        for clip in clips.to_pylist()
        if clip["split"] != "instrument"
    ]
    return _text_table(rows, ("work_key", "item", "dataset", "stage_fp", "clip_id", "clip_sha256", "path"))


def captions_candidates(captioner: CaptionerConfig, clips: pa.Table) -> pa.Table:
    """One row for each clip. A captioner that looks at no frames depends on its words, not on the pixels."""
    fp = captions_fingerprint(captioner)
    rows = []
    for clip in clips.to_pylist():
        if clip["split"] == "instrument" or is_filtered(clip["split"]):
            continue
        words = text_digest(f"{clip['label']}\n{clip['source_caption']}")
        seen = clip["clip_sha256"] if captioner.frames else words
        key = work_key(clip["clip_id"], stage_fp=fp, source_sha256=seen)
        start = {"start_ms": str(clip["start_ms"])}
        rows.append(clip | start | {"work_key": key, "stage_fp": fp, "item": _name_of(clip)})
    seen = ("label", "source_caption", "source_id", "video_id", "start_ms")
    names = ("work_key", "item", "dataset", "stage_fp", "clip_id", "clip_sha256", "path", *seen)
    return _text_table([{name: row[name] for name in names} for row in rows], names)


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
    return _text_table(rows, ("work_key", "item", "dataset", "stage_fp", "text_hash", "text"))


def _name_of(clip: Mapping[str, Any]) -> str:
    """A clip in words: where it comes from, and which part."""
    return f"{clip['dataset']}/{clip['source_id']} {clip['start_ms'] / 1000:g}-{clip['end_ms'] / 1000:g} s"


def _text_table(rows: Iterable[Mapping[str, Any]], names: tuple[str, ...]) -> pa.Table:
    """The table of rows whose columns are all texts; typed even where there are no rows."""
    return pa.Table.from_pylist([dict(row) for row in rows], schema=pa.schema([(name, pa.string()) for name in names]))
