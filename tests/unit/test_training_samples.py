"""Batches: no state, every sample once an epoch over all ranks, the same union for any world size, text as it is."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from training_toy import LAYOUT, NULL_LD, MemoryReader, make_config, make_data, make_source

from uniform_core.catalog.shards import ShardReader, write_shard
from uniform_core.errors import ConfigError, SchemaError, WorkFailedError
from uniform_core.training.distributed import Place
from uniform_core.training.index import TRAIN_INDEX_SCHEMA, Sample, TrainIndex, index_row
from uniform_core.training.samples import BatchSource, padded_texts
from uniform_core.training.tensors import TensorCache, tensor_of
from uniform_core.types import Task, TensorRef


@pytest.mark.parametrize("world", [1, 2, 3])
def test_an_epoch_has_every_clip_once_whatever_the_ranks(world: int) -> None:
    source = make_source(make_config(batch=4), clips=10)
    seen = [
        (position, clip_id)
        for step in range(5)
        for rank in range(world)
        for batch in [source.batch_at(step, Place(rank, world))]
        for position, clip_id in zip(batch.positions, batch.clip_ids, strict=True)
    ]
    by_position = dict(seen)
    assert len(by_position) == len(seen) == 20
    for epoch in range(2):
        assert Counter(by_position[place] for place in range(10 * epoch, 10 * epoch + 10)) == Counter(
            f"{number:032x}" for number in range(10)
        )


def test_a_step_is_the_same_whenever_it_is_asked_for() -> None:
    config = make_config()
    source = make_source(config)
    walked = [source.batch_at(step) for step in range(8)]
    for step in (7, 0, 5):
        fresh = make_source(config).batch_at(step)
        assert fresh.clip_ids == walked[step].clip_ids
        assert fresh.task == walked[step].task
        assert torch.equal(fresh.raw.video_BCTHW, walked[step].raw.video_BCTHW)
        assert torch.equal(fresh.text.features_BLD, walked[step].text.features_BLD)


def test_every_rank_draws_the_same_task() -> None:
    source = make_source(make_config())
    for step in range(30):
        tasks = {source.batch_at(step, Place(rank, 4)).task for rank in range(4)}
        assert len(tasks) == 1
    assert {source.batch_at(step).task for step in range(30)} == set(Task)


def test_a_batch_holds_its_clips_tensors_and_texts() -> None:
    index, reader = make_data(7)
    source = BatchSource(make_config(batch=7), index, TensorCache(reader), null_LD=NULL_LD)
    batch = source.batch_at(0)
    for row, clip_id in enumerate(batch.clip_ids):
        np.testing.assert_array_equal(batch.raw.video_BCTHW[row], reader.arrays["v" + clip_id])
        np.testing.assert_array_equal(batch.raw.audio_BCTF[row], reader.arrays["a" + clip_id])
        number = int(clip_id, 16)
        text = NULL_LD.numpy() if number % 3 == 0 else reader.arrays["t" + clip_id]
        mask = batch.text.mask_BL[row]
        assert int(mask.sum()) == len(text)
        np.testing.assert_array_equal(batch.text.features_BLD[row][mask], text)
    part = batch.part(2, 5)
    assert (part.positions, part.clip_ids) == (batch.positions[2:5], batch.clip_ids[2:5])
    assert torch.equal(part.raw.audio_BCTF, batch.raw.audio_BCTF[2:5])


def test_the_index_does_not_care_for_the_order_of_rows() -> None:
    index, _ = make_data(6)
    rows = [index_row(sample) for sample in index.samples]
    assert TrainIndex.of_rows(rows[::-1]) == index


def test_an_index_that_cannot_be_is_refused() -> None:
    index, _ = make_data(3)
    rows = [index_row(sample) for sample in index.samples]
    with pytest.raises(SchemaError, match="one row for each clip"):
        TrainIndex.of_rows([*rows, rows[1]])
    with pytest.raises(SchemaError, match="no audio"):
        TrainIndex.of_rows([rows[0] | {"audio_shard": None}])
    with pytest.raises(WorkFailedError, match="at least one clip"):
        TrainIndex.of(TRAIN_INDEX_SCHEMA.empty_table())
    with pytest.raises(SchemaError, match="no video_shape"):
        TrainIndex.of(TRAIN_INDEX_SCHEMA.empty_table().drop_columns(["video_shape"]))


def test_more_ranks_than_clips_in_a_batch_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least one clip for each of 5 ranks"):
        make_source(make_config(batch=4)).batch_at(0, Place(0, 5))


def test_the_cache_reads_once_and_keeps_to_its_limit() -> None:
    index, reader = make_data(10)
    cache = TensorCache(reader)
    source = BatchSource(make_config(batch=10), index, cache, null_LD=NULL_LD)
    for step in range(3):
        source.batch_at(step)
    assert reader.reads == sum(3 if sample.text else 2 for sample in index.samples)
    small = TensorCache(reader, limit_bytes=1000)
    frugal = BatchSource(make_config(batch=10), index, small, null_LD=NULL_LD)
    batch = frugal.batch_at(2)
    assert small.held_bytes <= 1000
    assert torch.equal(batch.raw.video_BCTHW, source.batch_at(2).raw.video_BCTHW)


def test_fixed_batches_share_out_the_same_clips() -> None:
    source = make_source(make_config(batch=4), clips=9)
    alone = [clip for batch in source.fixed_batches(Task.V2A, clips=7) for clip in batch.clip_ids]
    assert len(set(alone)) == 7
    shared = [
        clip
        for rank in range(2)
        for batch in source.fixed_batches(Task.V2A, clips=7, place=Place(rank, 2))
        for clip in batch.clip_ids
    ]
    assert sorted(shared) == sorted(alone)
    assert len(list(source.fixed_batches(Task.V2A, clips=100))) == 3


def test_real_shards_are_read_in_every_stored_precision(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    video = rng.standard_normal(LAYOUT.video_CTHW).astype(np.float16)
    audio = rng.standard_normal(LAYOUT.audio_CTF).astype(np.float32)
    refs = write_shard(tmp_path, "latents/test", [("v", video), ("a", audio)])
    sample = Sample("0" * 32, "ball", refs["v"], refs["a"], None)
    index = TrainIndex.of_rows([index_row(sample)])
    source = BatchSource(make_config(batch=2), index, TensorCache(ShardReader(tmp_path)), null_LD=NULL_LD)
    batch = source.batch_at(0)  # a batch larger than the data visits it twice
    assert batch.clip_ids == ("0" * 32, "0" * 32)
    np.testing.assert_array_equal(batch.raw.video_BCTHW[1], video.astype(np.float32))
    np.testing.assert_array_equal(batch.raw.audio_BCTF[0], audio)


def test_bfloat16_patterns_become_bfloat16() -> None:
    values = torch.tensor([1.0, -2.5, 3e38]).to(torch.bfloat16)
    pattern = values.view(torch.int16).numpy().view(np.uint16)
    assert torch.equal(tensor_of(pattern, "bfloat16"), values)
    ref = TensorRef("s", 0, 0, (3,), "bfloat16", "0" * 64)
    assert TensorCache(MemoryReader({"s": pattern})).read(ref).dtype == torch.bfloat16


def test_padding_is_zero_and_masked() -> None:
    batch = padded_texts([torch.ones(2, 3), torch.ones(1, 3).to(torch.bfloat16)])
    assert batch.features_BLD.dtype == torch.float32
    assert batch.mask_BL.tolist() == [[True, True], [True, False]]
    assert batch.features_BLD[1, 1].abs().max() == 0
