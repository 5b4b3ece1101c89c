"""What the catalog knows of a run that computes text features online: the encoder, and words in place of tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from catalog_rows import caption_row, clip_row, latent_rows, open_catalog, text_row

from tasks.commits import ItemRows
from tasks.text import TextWorker
from tasks.train_worker import text_cache
from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.candidates import captions_candidates, text_candidates
from uniform_core.corpus.fingerprints import captions_fingerprint, encode_fingerprint, model_id, text_fingerprint
from uniform_core.corpus.samples import null_text, require_text_features, samples_digest, training_samples
from uniform_core.errors import WorkFailedError
from uniform_core.fingerprint import text_digest
from uniform_core.training.index import TrainIndex
from uniform_core.types import Modality, TensorRef

STORED, ONLINE = build_run("nano"), build_run("nano", overrides=["text_features=online"])


def test_only_what_is_online_says_so() -> None:
    assert "text_features" not in STORED.model_dump()
    assert ONLINE.model_dump()["text_features"] == "online"
    assert RunConfig.model_validate_json(ONLINE.model_dump_json()) == ONLINE
    assert text_cache(STORED) is None
    assert text_cache(ONLINE) is not None
    assert text_fingerprint(ONLINE) == text_fingerprint(STORED)
    assert model_id(ONLINE, "d" * 64) != model_id(STORED, "d" * 64)


def test_the_null_text_alone_is_stored_and_names_the_encoder() -> None:
    texts = {text_digest("a dog"): "a dog"}
    assert set(text_candidates(STORED, texts)["text"].to_pylist()) == {"", "a dog"}
    assert text_candidates(ONLINE, texts)["text"].to_pylist() == [""]


def text_feature_rows(catalog: Catalog, texts: list[str], *, stamp: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows that the stage `text` of the stored run writes."""
    fp = text_fingerprint(STORED)
    worker = TextWorker(encoder_json=STORED.text.model_dump_json(), tensors_dir=str(catalog.tensors_dir), threads=None)
    made = worker.process(
        [{"work_key": text_digest(t), "stage_fp": fp, "text_hash": text_digest(t), "text": t} for t in texts]
    )
    return [result.rows["text_features"][0] | stamp for result in made if isinstance(result, ItemRows)]


def with_a_captioned_clip(home: Path) -> tuple[Catalog, pa.Table]:
    """A catalog with one clip, its latents and its caption, whose features are stored; and the clip."""
    catalog = open_catalog(home)
    captioner = STORED.captioners[0]
    clip = clip_row(1) | {"source_caption": None}
    clips = pa.Table.from_pylist([clip])
    text = text_row(1)
    rows = []
    for modality in Modality:
        [row] = latent_rows(catalog, [clip])
        key = text_digest(modality)
        rows.append(row | {"work_key": key, "modality": modality, "stage_fp": encode_fingerprint(STORED, modality)})
    catalog.insert("latents", rows)
    [key] = captions_candidates(captioner, clips)["work_key"].to_pylist()
    catalog.insert("caption_texts", [text])
    caption = caption_row(clip, text["text_hash"], work_key=key)
    catalog.insert("captions", [caption | {"stage_fp": captions_fingerprint(captioner)}])
    stamp = {name: text[name] for name in ("run_id", "created_at")}
    catalog.insert("text_features", text_feature_rows(catalog, ["", text["text"]], stamp=stamp))
    return catalog, clips


def test_an_online_training_reads_words_whatever_another_run_has_stored(tmp_path: Path) -> None:
    catalog, clips = with_a_captioned_clip(tmp_path)
    by_config = {
        name: training_samples(catalog, config, clips, split="train")
        for name, config in (("stored", STORED), ("online", ONLINE))
    }
    [from_shards] = TrainIndex.of(by_config["stored"]).samples
    [from_words] = TrainIndex.of(by_config["online"]).samples
    assert isinstance(from_shards.text, TensorRef)
    assert from_words.text == "text number 1"
    require_text_features(by_config["online"], ONLINE)
    with pytest.raises(WorkFailedError, match="uniform text"):
        require_text_features(by_config["online"], STORED)
    digests = {name: samples_digest(table) for name, table in by_config.items()}
    assert digests["stored"] != digests["online"]
    other = by_config["online"].set_column(
        by_config["online"].column_names.index("text_hash"), "text_hash", pa.array([text_digest("other words")])
    )
    assert samples_digest(other) != digests["online"]
    null = null_text(catalog, ONLINE)
    assert null is not None
    assert null["encoder"] == "hashing"
