"""The table that training reads: each clip of a split with its latents and its text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.captions import active_captions
from uniform_core.corpus.fingerprints import encode_fingerprint, model_id, text_fingerprint
from uniform_core.corpus.inputs import current_clips
from uniform_core.corpus.roles import clips_in
from uniform_core.errors import WorkFailedError
from uniform_core.fingerprint import set_digest, text_digest
from uniform_core.types import Modality

REF_COLUMNS = ("shard", "row_group", "row_in_group", "shape", "dtype", "tensor_sha256")


def training_samples(catalog: Catalog, config: RunConfig, clips: pa.Table, *, split: str) -> pa.Table:
    """One row for each clip of a split that has both latents: `TRAIN_INDEX_SCHEMA`, plus `text_hash` and `text`.

    `split` is a word of the config: `train` means that split of every dataset.

    The text columns are null for clips without a caption, and the features of a caption until it has been encoded; or
    always, where they are computed online, whatever another run has stored.
    """
    refs = ", ".join(f"{part}.{name} AS {part}_{name}" for part in ("video", "audio", "text") for name in REF_COLUMNS)
    captions = active_captions(catalog, config, clips)
    return catalog.query(
        f"""
        SELECT c.clip_id, c.label, k.text_hash, k.text AS caption, {refs}
        FROM run_clips c
        JOIN latents video ON video.clip_id = c.clip_id AND video.clip_sha256 = c.clip_sha256 AND video.stage_fp = ?
        JOIN latents audio ON audio.clip_id = c.clip_id AND audio.clip_sha256 = c.clip_sha256 AND audio.stage_fp = ?
        LEFT JOIN active_captions k ON k.clip_id = c.clip_id
        LEFT JOIN text_features text ON text.text_hash = k.text_hash AND text.stage_fp = ? AND NOT ?
        ORDER BY c.clip_id
        """,  # noqa: S608  (column names are constants above)
        parameters=[
            *(encode_fingerprint(config, m) for m in Modality),
            text_fingerprint(config),
            config.is_text_online,
        ],
        tables={"run_clips": clips_in(clips, split), "active_captions": captions},
    )


def require_samples(samples: pa.Table, clips: pa.Table, *, split: str) -> None:
    """Raises WorkFailedError where a split of the run's clips has none to train on: it says where they are instead."""
    if samples.num_rows:
        return
    splits = Counter(clips["split"].to_pylist())
    if not splits.keys() - {"instrument"}:
        fix = "Ingest and encode first; see `uniform status` and `uniform failures list`."
    elif clips_in(clips, split).num_rows:
        fix = "Run `uniform encode` first; see `uniform failures list`."
    else:
        fix = "Give more files, or hold fewer out (of a folder: --set data.held_out_fraction=0)."
    raise WorkFailedError(
        f"training on split {split!r}",
        expected="at least one clip with both latents",
        found="none among " + (", ".join(f"{n} clips of {name!r}" for name, n in sorted(splits.items())) or "no clips"),
        fix=fix,
    )


def require_text_features(samples: pa.Table, config: RunConfig) -> None:
    """Raises WorkFailedError where a clip has a caption that is not encoded: it would be trained as without text.

    Where training encodes captions itself there is nothing to require.
    """
    if config.is_text_online:
        return
    is_missing = pc.and_(pc.is_valid(samples["text_hash"]), pc.is_null(samples["text_tensor_sha256"]))
    missing = samples.filter(is_missing)
    if missing.num_rows:
        raise WorkFailedError(
            f"training, clip {missing['clip_id'][0]}",
            expected="features of every caption",
            found=f"{missing.num_rows} of {samples.num_rows} clips whose caption has none",
            fix="Run `uniform text` first.",
        )


def null_text(catalog: Catalog, config: RunConfig) -> Mapping[str, object] | None:
    """The row of `text_features` that holds the null text; None before the text stage has run."""
    rows = catalog.query(
        "SELECT * FROM text_features WHERE stage_fp = ? AND text_hash = ?",
        parameters=[text_fingerprint(config), text_digest("")],
    ).to_pylist()
    return rows[0] if rows else None


def samples_digest(samples: pa.Table) -> str:
    """64 hex digits of what training would read: clips, latents, texts, labels; independent of their order.

    A text is its stored features, or itself where it has none.
    """
    names = ("clip_id", "label", "video_tensor_sha256", "audio_tensor_sha256")
    texts = pc.coalesce(samples["text_tensor_sha256"], samples["text_hash"])
    columns = [column.to_pylist() for column in (*(samples[name] for name in names), texts)]
    return set_digest("/".join(map(str, row)) for row in zip(*columns, strict=True))


def current_model_id(catalog: Catalog, config: RunConfig, *, clips: pa.Table | None = None) -> str:
    """The id of the model that this config gives on the clips that the catalog has now (`current_clips`)."""
    clips = current_clips(catalog, config) if clips is None else clips
    samples = training_samples(catalog, config, clips, split=config.train_split)
    return model_id(config, samples_digest(samples))


def is_trained(catalog: Catalog, model_id: str) -> bool:
    """Whether the catalog has this model."""
    return bool(catalog.rows("SELECT 1 FROM models WHERE model_id = ? LIMIT 1", parameters=[model_id]))


def require_trained(catalog: Catalog, model_id: str) -> None:
    """Raises WorkFailedError where the catalog lacks this model."""
    if not is_trained(catalog, model_id):
        raise WorkFailedError(
            "model",
            expected=f"a model trained with this config on these clips ({model_id[:12]})",
            found="none",
            fix="Run `uniform train` with the same preset, data and settings first.",
        )
