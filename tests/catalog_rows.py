"""Rows of the catalog for tests: complete, deterministic, each from a number."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from uniform_core.catalog import Catalog
from uniform_core.catalog.shards import ref_columns, write_shard
from uniform_core.fingerprint import digest, text_digest
from uniform_core.settings import Settings

START = datetime(2026, 1, 1, tzinfo=UTC)
STAGE_FP = digest("a stage")


def open_catalog(home: Path) -> Catalog:
    return Catalog.open(Settings(home=home))


def stamp(**columns: Any) -> dict[str, Any]:
    return {"stage_fp": STAGE_FP, "run_id": "run", "created_at": START, **columns}


def sha(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def text_row(n: int, **columns: Any) -> dict[str, Any]:
    text = f"text number {n}"
    return stamp(**{"work_key": text_digest(text), "text_hash": text_digest(text), "text": text, **columns})


def source_row(n: int, **columns: Any) -> dict[str, Any]:
    values = {
        "work_key": digest(["source", n]),
        "dataset": "drawn",
        "source_id": f"source-{n}",
        "split": "train",
        "label": "bounce",
        "path": f"sources/{n}.mp4",
        "source_sha256": sha("source", n),
        "bytes": 100,
        "clip_ids": [digest(["clip", n])],
        "event_times_s": [0.25, 1.5],
        "attributes": "{}",
    }
    return stamp(**{**values, **columns})


def clip_row(n: int, **columns: Any) -> dict[str, Any]:
    values = {
        "work_key": digest(["clip row", n]),
        "clip_id": digest(["clip", n]),
        "dataset": "drawn",
        "source_id": f"source-{n}",
        "video_id": None,
        "source_sha256": sha("source", n),
        "split": "train",
        "label": "bounce",
        "start_ms": 0,
        "end_ms": 2000,
        "path": f"clips/{n}.mp4",
        "clip_sha256": sha("clip", n),
        "bytes": 10,
        "width_px": 32,
        "height_px": 32,
        "frames": 32,
        "video_rate_hz": 16.0,
        "samples": 32_000,
        "audio_rate_hz": 16_000,
        "source_width_px": 64,
        "source_height_px": 64,
        "source_video_codec": "h264",
        "rotation_deg": 0,
        "held_frames": 0,
        "decode_errors": 0,
        "audio_peak": 0.5,
        "motion": 3.0,
        "is_silent": False,
        "is_still": False,
        "event_times_s": [0.25, 1.5],
        "attributes": "{}",
    }
    return stamp(**{**values, **columns})


def clip_with_file(catalog: Catalog, n: int, **columns: Any) -> dict[str, Any]:
    """A row of `clips` whose file lies on disk."""
    content = f"clip {n} of the test".encode()
    path = catalog.media_dir / "clips" / f"{n}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return clip_row(n, clip_sha256=hashlib.sha256(content).hexdigest(), bytes=len(content), **columns)


def tensor_of(key: str) -> np.ndarray:
    """The tensor that belongs to a key, so that a mixed-up shard shows."""
    return np.frombuffer(hashlib.sha256(key.encode()).digest(), np.uint8).astype(np.float32).reshape(2, 4, 4)


def source_with_file(catalog: Catalog, n: int, **columns: Any) -> dict[str, Any]:
    """A row of `sources` whose rendered file lies on disk."""
    content = f"source {n} of the test".encode()
    path = catalog.media_dir / "sources" / f"{n}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return source_row(n, source_sha256=hashlib.sha256(content).hexdigest(), bytes=len(content), **columns)


def latent_rows(
    catalog: Catalog, clips: list[dict[str, Any]], *, prefix: str = "latents/video"
) -> list[dict[str, Any]]:
    """Rows of `latents` for these clips, their tensors in one new shard."""
    keys = [digest(["latent", clip["clip_id"]]) for clip in clips]
    refs = write_shard(catalog.tensors_dir, prefix, [(key, tensor_of(key)) for key in keys])
    return [
        stamp(
            work_key=key,
            clip_id=clip["clip_id"],
            clip_sha256=clip["clip_sha256"],
            modality="video",
            codec="dct",
            **ref_columns(refs[key]),
        )
        for key, clip in zip(keys, clips, strict=True)
    ]


def caption_row(clip: dict[str, Any], text_hash: str, **columns: Any) -> dict[str, Any]:
    values = {
        "work_key": digest(["caption", clip["clip_id"], text_hash]),
        "clip_id": clip["clip_id"],
        "clip_sha256": clip["clip_sha256"],
        "captioner": "class_label",
        "captioner_revision": "1",
        "text_hash": text_hash,
        "cleaning_version": 1,
        "status": "success",
    }
    return stamp(**{**values, **columns})


def score_row(n: int, **columns: Any) -> dict[str, Any]:
    values = {
        "work_key": digest(["score", n]),
        "name": "fvd.tinyvideo.uniform_tiny",
        "task": "t2av",
        "system": "uniform",
        "model_id": digest("model"),
        "value": float(n),
        "low": None,
        "high": None,
        "reason": None,
        "n_generated": 4,
        "n_reference": 8,
        "protocol": "uniform_tiny",
        "protocol_hash": digest("protocol"),
        "extractors": None,
        "data_digest": sha("data"),
        "versions": "{}",
    }
    return stamp(**{**values, **columns})


def clock_at(**after_start: float):
    """A clock that stands still at START plus a timedelta."""
    return lambda: START + timedelta(**after_start)
