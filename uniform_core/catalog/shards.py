"""Tensor shards: immutable Parquet files of `binary` + shape + dtype that rows of the catalog point to.

Uncompressed, row groups of 16, statistics only on the key (measured: docs/decisions, the catalog).
A shard that no row names does not exist: it is litter, and is collected after a grace period.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from uniform_core.errors import CatalogError, IntegrityError
from uniform_core.files import storage_error, whole_file
from uniform_core.fingerprint import bytes_sha256
from uniform_core.types import TensorRef

ROWS_PER_GROUP: Final = 16
SHARD_SCHEMA: Final = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("data", pa.binary(), nullable=False),
        pa.field("shape", pa.list_(pa.field("element", pa.int64(), nullable=False)), nullable=False),
        pa.field("dtype", pa.string(), nullable=False),
    ]
)
_STORED_AS: Final = {"bfloat16": "uint16"}  # NumPy has no bfloat16: its 16-bit pattern is what is stored


def parquet_writer(file: Any) -> pq.ParquetWriter:
    """A writer of the one shard form."""
    return pq.ParquetWriter(
        file, SHARD_SCHEMA, compression="none", use_dictionary=False, write_statistics=["key"], store_schema=False
    )


class ShardWriter:
    """One new shard `<prefix>-<unique>.parquet`; it appears, whole, at `close`. A prefix may name a folder."""

    def __init__(self, tensors_dir: Path, prefix: str) -> None:
        self.shard = f"{prefix}-{uuid.uuid4().hex}.parquet"
        self._path = tensors_dir / self.shard
        self._pending: list[dict[str, Any]] = []
        self.refs: list[tuple[str, TensorRef]] = []
        self._groups = 0
        self._stack = ExitStack()
        self._writer: pq.ParquetWriter | None = None

    def add(self, key: str, array: np.ndarray, *, dtype: str | None = None) -> None:
        """The tensor is in the shard. `dtype="bfloat16"` says that a uint16 array holds bfloat16 patterns.

        Raises CatalogError for an array that is not numbers, StorageError where the disk refuses.
        """
        name = dtype or array.dtype.name
        stored = np.dtype(_STORED_AS.get(name, name)) if array.dtype.kind in "biufc" else None
        if stored is None or array.dtype != stored:
            raise CatalogError(
                f"tensor {key} of {self.shard}",
                expected=f"a NumPy array of numbers stored as {stored or 'a number type'}",
                found=f"dtype {array.dtype}",
                fix="Convert it before it is added.",
            )
        data = np.ascontiguousarray(array).tobytes()
        row = len(self._pending)
        ref = TensorRef(self.shard, self._groups, row, tuple(array.shape), name, bytes_sha256(data))
        self.refs.append((key, ref))
        self._pending.append({"key": key, "data": data, "shape": list(array.shape), "dtype": name})
        if len(self._pending) == ROWS_PER_GROUP:
            self._flush()

    def close(self) -> list[tuple[str, TensorRef]]:
        """The keys and references of the finished shard, in the order of `add`. Raises StorageError."""
        if self._pending:
            self._flush()
        if self._writer is not None:
            try:
                self._writer.close()
            except OSError as error:
                self._abandon(error)
            self._stack.close()
        return self.refs

    def _flush(self) -> None:
        try:
            if self._writer is None:
                self._writer = parquet_writer(str(self._stack.enter_context(whole_file(self._path))))
            self._writer.write_table(pa.Table.from_pylist(self._pending, schema=SHARD_SCHEMA))
        except OSError as error:
            self._abandon(error)
        self._groups += 1
        self._pending = []

    def _abandon(self, error: OSError) -> None:
        """Nothing of the shard stays; raises the error as a StorageError."""
        self._drop_writer()
        self._stack.__exit__(type(error), error, error.__traceback__)
        raise storage_error(str(self._path), error) from error

    def _drop_writer(self) -> None:
        if self._writer is not None:
            with suppress(OSError):  # the disk that is full is full for the footer, too
                self._writer.close()
            self._writer.is_open = False  # else its finalizer tries once more, on a file that is gone

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _at: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self._drop_writer()
            self._stack.__exit__(kind, error, _at)


def write_shard(tensors_dir: Path, prefix: str, items: Sequence[tuple[str, np.ndarray]]) -> dict[str, TensorRef]:
    """A new shard of these tensors, as references by key. Raises StorageError, and leaves nothing then."""
    writer = ShardWriter(tensors_dir, prefix)
    with writer:
        for key, array in items:
            writer.add(key, array)
    return dict(writer.refs)


class ShardReader:
    """Tensors by reference, from a bounded number of open files. One process and one thread each."""

    def __init__(self, tensors_dir: Path, *, open_files: int = 64, cached_groups: int = 4) -> None:
        self._tensors_dir = tensors_dir
        self._open_files, self._cached_groups = open_files, cached_groups
        self._files: OrderedDict[str, pq.ParquetFile] = OrderedDict()
        self._groups: OrderedDict[tuple[str, int], pa.ChunkedArray] = OrderedDict()

    def read(self, ref: TensorRef, *, verify: bool = False) -> np.ndarray:
        """The tensor, an array of its own; bfloat16 comes as its uint16 patterns. Row-group order is the fastest.

        Raises IntegrityError where the shard is missing, torn, purged, or (with `verify`) holds other bytes.
        """
        try:
            data = self._group(ref)[ref.row].as_buffer()
        except FileNotFoundError as error:
            raise _broken(ref, "no such file") from error
        except (OSError, pa.ArrowException, LookupError, UnicodeError) as error:  # the last two: a torn schema
            raise _broken(ref, (str(error).splitlines() or [repr(error)])[0]) from error
        try:
            dtype = np.dtype(_STORED_AS.get(ref.dtype, ref.dtype))
        except TypeError as error:
            raise _broken(ref, f"a dtype that NumPy does not know, {ref.dtype!r}") from error
        expected = int(np.prod(ref.shape, dtype=np.int64)) * dtype.itemsize
        if len(data) != expected:
            raise _broken(
                ref, f"{len(data)} bytes where {expected} belong" if len(data) else "a tensor that was purged"
            )
        if verify and bytes_sha256(memoryview(data)) != ref.sha256:
            raise _broken(ref, f"bytes with sha256 {bytes_sha256(memoryview(data))}")
        return np.frombuffer(data, dtype=dtype).reshape(ref.shape).copy()

    def _group(self, ref: TensorRef) -> pa.ChunkedArray:
        at = (ref.shard, ref.row_group)
        if at not in self._groups:
            self._groups[at] = self._file(ref.shard).read_row_group(ref.row_group, columns=["data"], use_threads=False)[
                "data"
            ]
            if len(self._groups) > self._cached_groups:
                self._groups.popitem(last=False)
        self._groups.move_to_end(at)
        return self._groups[at]

    def _file(self, shard: str) -> pq.ParquetFile:
        if shard not in self._files:
            self._files[shard] = pq.ParquetFile(self._tensors_dir / shard, memory_map=True)
            if len(self._files) > self._open_files:
                self._files.popitem(last=False)[1].close()
        self._files.move_to_end(shard)
        return self._files[shard]

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()
        self._groups.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _broken(ref: TensorRef, found: str) -> IntegrityError:
    return IntegrityError(
        f"tensors/{ref.shard} row group {ref.row_group} row {ref.row}",
        expected=f"a {ref.dtype} tensor of shape {list(ref.shape)} with sha256 {ref.sha256}",
        found=found,
        fix="Run `uniform catalog verify`; what was lost must come from a backup or be made anew.",
    )


def ref_columns(ref: TensorRef) -> dict[str, Any]:
    """The reference as the columns that the tables with tensors share."""
    return {
        "shard": ref.shard,
        "row_group": ref.row_group,
        "row_in_group": ref.row,
        "shape": list(ref.shape),
        "dtype": ref.dtype,
        "tensor_sha256": ref.sha256,
    }


def ref_of(row: Mapping[str, Any]) -> TensorRef:
    """The reference in a row of a table with tensors; the inverse of `ref_columns`."""
    return TensorRef(
        row["shard"], row["row_group"], row["row_in_group"], tuple(row["shape"]), row["dtype"], row["tensor_sha256"]
    )
