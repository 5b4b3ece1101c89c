"""Tensor shards: what is written is read, and what is broken says so."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from uniform_core.catalog.shards import ShardReader, ShardWriter, ref_columns, ref_of, write_shard
from uniform_core.errors import CatalogError, IntegrityError, StorageError
from uniform_core.seeds import numpy_rng
from uniform_core.types import TensorRef

ARRAYS = [
    ("float16", numpy_rng("a").normal(size=(4, 5, 2)).astype(np.float16)),
    ("float32", numpy_rng("b").normal(size=(3,)).astype(np.float32)),
    ("not contiguous", np.arange(24, dtype=np.float64).reshape(4, 6).T),
    ("scalar", np.float32(3.5).reshape(())),
    ("int64", np.array([[1, -2]])),
    ("uint8", np.arange(7, dtype=np.uint8)),
    ("bool", np.array([True, False])),
]


def test_arrays_come_back(tmp_path: Path) -> None:
    refs = write_shard(tmp_path, "latents/video", ARRAYS)
    with ShardReader(tmp_path) as reader:
        for key, array in ARRAYS:
            back = reader.read(refs[key], verify=True)
            assert back.dtype == array.dtype
            assert back.shape == array.shape
            assert np.array_equal(back, array)
            assert back.flags.writeable
            assert ref_of(ref_columns(refs[key])) == refs[key]


def test_bfloat16_is_stored_as_its_patterns(tmp_path: Path) -> None:
    patterns = np.array([0x3F80, 0xC000], np.uint16)
    with ShardWriter(tmp_path, "x") as writer:
        writer.add("a", patterns, dtype="bfloat16")
        with pytest.raises(CatalogError, match="float32"):
            writer.add("b", patterns.astype(np.float32), dtype="bfloat16")
        with pytest.raises(CatalogError, match="object"):
            writer.add("c", np.array([None]))
    ((_, ref),) = writer.close()
    assert ref.dtype == "bfloat16"
    assert np.array_equal(ShardReader(tmp_path).read(ref, verify=True), patterns)


def test_the_form_of_a_shard(tmp_path: Path) -> None:
    refs = write_shard(tmp_path, "p", [(f"key {n:02}", np.full((64,), n, np.float32)) for n in range(37)])
    assert [(r.row_group, r.row) for r in refs.values()] == [(n // 16, n % 16) for n in range(37)]
    assert len({r.shard for r in refs.values()}) == 1
    meta = pq.read_metadata(tmp_path / refs["key 00"].shard)
    assert [meta.row_group(g).num_rows for g in range(meta.num_row_groups)] == [16, 16, 5]
    columns = {meta.row_group(0).column(c).path_in_schema: meta.row_group(0).column(c) for c in range(meta.num_columns)}
    assert {c.compression for c in columns.values()} == {"UNCOMPRESSED"}
    assert [name for name, c in columns.items() if c.is_stats_set] == ["key"]
    with ShardReader(tmp_path, open_files=1, cached_groups=1) as reader:
        for n in (36, 0, 17, 1, 35):
            assert reader.read(refs[f"key {n:02}"], verify=True)[0] == n


def test_names_are_never_used_twice_and_nothing_makes_no_file(tmp_path: Path) -> None:
    shards = {write_shard(tmp_path, "p", [("k", np.zeros(1))])["k"].shard for _ in range(5)}
    assert len(shards) == 5
    assert write_shard(tmp_path, "empty", []) == {}
    assert len(list(tmp_path.iterdir())) == 5


def test_a_shard_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def fail_midway() -> None:
        with ShardWriter(tmp_path, "p") as writer:
            for n in range(20):
                writer.add(str(n), np.zeros(4))
            assert not (tmp_path / writer.shard).exists()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_midway()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if call == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StorageError, match=r"No space left.*larger disk"):
        write_shard(tmp_path, "p", [(str(n), np.zeros(4)) for n in range(20)])
    assert list(tmp_path.iterdir()) == []


def test_broken_shards_are_named(tmp_path: Path) -> None:
    refs = write_shard(tmp_path, "p", [(str(n), np.full(8, n, np.float32)) for n in range(3)])
    path = tmp_path / refs["0"].shard
    whole = path.read_bytes()
    at = whole.index(np.full(8, 1, np.float32).tobytes())
    path.write_bytes(whole[:at] + b"\1" + whole[at + 1 :])
    assert ShardReader(tmp_path).read(refs["1"]).shape == (8,)
    with pytest.raises(IntegrityError, match="sha256"):
        ShardReader(tmp_path).read(refs["1"], verify=True)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(IntegrityError, match=refs["1"].shard):
        ShardReader(tmp_path).read(refs["1"])
    path.unlink()
    with pytest.raises(IntegrityError, match="no such file"):
        ShardReader(tmp_path).read(refs["1"])
    path.write_bytes(whole)
    for wrong in (TensorRef(path.name, 7, 0, (8,), "float32", ""), TensorRef(path.name, 0, 9, (8,), "float32", "")):
        with pytest.raises(IntegrityError, match="row group"):
            ShardReader(tmp_path).read(wrong)
    with pytest.raises(IntegrityError, match="32 bytes where 64"):
        ShardReader(tmp_path).read(TensorRef(path.name, 0, 0, (16,), "float32", ""))
    with pytest.raises(IntegrityError, match="nonsense"):
        ShardReader(tmp_path).read(TensorRef(path.name, 0, 0, (8,), "nonsense", ""))


def test_no_damage_passes_for_the_tensor_or_for_another_error(tmp_path: Path) -> None:
    """One byte in many places, cut-off files, other files of the same name: right values, or an IntegrityError."""
    tensors = {f"key {n}": np.full(6, n, np.float32) for n in range(18)}
    refs = write_shard(tmp_path, "p", list(tensors.items()))
    path = tmp_path / refs["key 0"].shard
    whole, rng, refused = path.read_bytes(), numpy_rng("damage"), 0
    pq.write_table(pa.table({"x": list(range(18))}), tmp_path / "other.parquet")
    damaged = [whole[:at] + bytes([whole[at] ^ (1 << rng.integers(8))]) + whole[at + 1 :] for at in range(len(whole))]
    cut = [whole[:at] for at in range(0, len(whole), 50)]
    for content in [*damaged[::2], *cut, (tmp_path / "other.parquet").read_bytes()]:
        path.write_bytes(content)
        for key in ("key 1", "key 17"):
            with ShardReader(tmp_path) as reader:
                try:
                    assert np.array_equal(reader.read(refs[key], verify=True), tensors[key])
                except IntegrityError:
                    refused += 1
    assert refused > 2 * len(cut)
