"""Features of texts, stored or computed online: in the encoder's precision, and the same to training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_flan_t5 import tiny_flan_t5
from training_toy import LAYOUT, MODEL, MemoryReader, make_config, make_data

from tasks.commits import ItemRows
from tasks.text import TextWorker
from uniform_core.catalog.shards import ShardReader, ref_of
from uniform_core.diffusion import RectifiedFlowConfig
from uniform_core.errors import WorkFailedError
from uniform_core.fingerprint import text_digest
from uniform_core.model import UniForm
from uniform_core.text import HashingTextConfig, TextEncoder, TextEncoderConfig, TextFeatures
from uniform_core.training.index import TrainIndex, index_row
from uniform_core.training.online_texts import online_texts
from uniform_core.training.samples import BatchSource, padded_texts
from uniform_core.training.scaling import fit_latent_scale
from uniform_core.training.tensors import TensorCache, array_of, tensor_of
from uniform_core.training.trainer import Trainer
from uniform_core.types import TensorRef

CAPTIONS = ["the red dog", "a ball", "", "the video shows the blue ball and the red dog", "a dog", "word"]


def stored(config: TextEncoderConfig, texts: Sequence[str], folder: Path) -> dict[str, dict[str, Any]]:
    """The rows of `text_features` that the stage's worker makes of texts."""
    worker = TextWorker(encoder_json=config.model_dump_json(), tensors_dir=str(folder), threads=None)
    batch = [{"work_key": text_digest(t), "stage_fp": "f", "text_hash": text_digest(t), "text": t} for t in texts]
    results = worker.process(batch)
    assert all(isinstance(result, ItemRows) for result in results)
    return {text: result.rows["text_features"][0] for text, result in zip(texts, results, strict=True)}


def tiny(kind: str, folder: Path, **values: Any) -> TextEncoderConfig:
    return HashingTextConfig(dimensions=32) if kind == "hashing" else tiny_flan_t5(folder, **values)


def test_bfloat16_is_stored_as_it_is_and_ragged(tmp_path: Path) -> None:
    config = tiny("flan_t5", tmp_path / "weights", token_limit=6)
    rows = stored(config, CAPTIONS, tmp_path)
    expected = dict(zip(CAPTIONS, config.build().encode(CAPTIONS), strict=True))
    for text, row in rows.items():
        assert (row["dtype"], row["encoder"]) == ("bfloat16", "flan_t5")
        assert row["shape"] == [row["tokens"], 32] == list(expected[text].features_LD.shape)
        assert row["is_truncated"] == expected[text].is_truncated == (text == CAPTIONS[3])
        found = TensorCache(ShardReader(tmp_path)).read(ref_of(row))
        assert found.dtype == torch.bfloat16
        assert torch.equal(found, expected[text].features_LD)
    assert sum(file.stat().st_size for file in tmp_path.glob("*.parquet")) < 32_000


def test_the_hashing_encoder_is_stored_in_float32_as_ever(tmp_path: Path) -> None:
    row = stored(HashingTextConfig(dimensions=4), ["a ball"], tmp_path)["a ball"]
    assert (row["dtype"], row["shape"], row["tokens"]) == ("float32", [3, 4], 3)


def test_an_array_is_the_tensor_again() -> None:
    for dtype in (torch.bfloat16, torch.float32, torch.float16):
        tensor = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).to(dtype).T
        array, name = array_of(tensor)
        assert torch.equal(tensor_of(np.array(array), name), tensor)


def losses(config: TextEncoderConfig, folder: Path, *, online: bool) -> list[float]:
    """The losses of a training on captions whose features are stored, or are not."""
    index, latents = make_data(len(CAPTIONS))
    rows = stored(config, CAPTIONS, folder)
    texts = {text: text if online else ref_of(rows[text]) for text in CAPTIONS}
    samples = [replace(one, text=texts[text] or None) for one, text in zip(index.samples, CAPTIONS, strict=True)]
    train = make_config(text_drop=0.25)
    null_LD = TensorCache(ShardReader(folder)).read(ref_of(rows[""]))
    encoded = online_texts(config.build()) if online else None
    reader = _Both(latents, ShardReader(folder))
    source = BatchSource(train, TrainIndex(tuple(samples)), TensorCache(reader), null_LD=null_LD, encoded=encoded)
    trainer = Trainer(
        train,
        UniForm(MODEL.model_copy(update={"text_width": 32, "max_text_tokens": 40}), LAYOUT, seed=0),
        RectifiedFlowConfig(),
        scale=fit_latent_scale(train.scaling, source.raw_latents()),
        null_text=padded_texts([null_LD]),
        video_rate_hz=8.0,
        fingerprint="f",
    )
    return [trainer.train_step(source.batch_at(step)).loss for step in range(train.steps)]


class _Both:
    """Latents from memory, texts from shards."""

    def __init__(self, memory: MemoryReader, shards: ShardReader) -> None:
        self._memory, self._shards = memory, shards

    def read(self, ref: TensorRef) -> np.ndarray:
        return self._memory.read(ref) if ref.shard in self._memory.arrays else self._shards.read(ref)


@pytest.mark.parametrize("kind", ["hashing", "flan_t5"])
def test_training_is_the_same_to_the_bit_where_each_text_is_encoded_alone(kind: str, tmp_path: Path) -> None:
    config = tiny(kind, tmp_path / "weights", **({} if kind == "hashing" else {"batch": 1}))
    assert losses(config, tmp_path, online=True) == losses(config, tmp_path, online=False)


def test_training_is_the_same_up_to_rounding_where_stored_texts_were_encoded_together(tmp_path: Path) -> None:
    config = tiny("flan_t5", tmp_path / "weights")
    np.testing.assert_allclose(losses(config, tmp_path, online=True), losses(config, tmp_path, online=False), rtol=2e-3)


class _Counting(TextEncoder):
    """Counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> list[TextFeatures]:
        self.asked += texts
        return [TextFeatures(torch.full((2, 8), float(len(text))), is_truncated=False) for text in texts]


def test_a_text_is_encoded_once_while_there_is_room() -> None:
    encoder = _Counting()
    cache = online_texts(encoder, limit_bytes=2 * 64)
    for text in ("a", "bb", "a", "bb", "ccc", "bb", "a"):
        assert float(cache.read(text)[0, 0]) == len(text)
    assert encoder.asked == ["a", "bb", "ccc", "a"]
    assert cache.held_bytes == 128


def test_a_caption_whose_features_are_nowhere_stops_the_training() -> None:
    """It would be trained as without text."""
    index, latents = make_data(2)
    samples = [replace(one, text="the red dog") for one in index.samples]
    again = TrainIndex.of_rows([index_row(one) for one in samples])
    assert [one.text for one in again.samples] == ["the red dog"] * 2
    source = BatchSource(make_config(batch=2), again, TensorCache(latents), null_LD=torch.zeros(1, 4))
    with pytest.raises(WorkFailedError, match="expected stored features of its caption; found none"):
        source.batch_at(0)
