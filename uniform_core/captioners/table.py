"""Tables of captions that others have published, CSV or Parquet: which row is a clip's, by the name that it has there.

Names of AudioSetCaps (`Y` and a YouTube id; the id and six digits of seconds; the id, start and duration), of Auto-ACD
(the id and a start), and names of files. Nothing of a table is believed: text is bounded, and looked up, never run.
"""

from __future__ import annotations

import bisect
import csv
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from uniform_core.captioners.base import CaptionInput
from uniform_core.errors import ConfigError
from uniform_core.files import expanded

COLUMNS: Final = (("id", "caption"), ("youtube_id", "caption"), ("file", "caption"))  # AudioSetCaps, Auto-ACD, our own
MAX_TABLE_BYTES: Final = 4 << 30  # the largest that is published, of YouTube-8M, has 828 MB
MAX_ROWS: Final = 20_000_000
MAX_HEADER_BYTES: Final = 64 << 10
_BLOCK_BYTES: Final = 8 << 20
# One YouTube id, perhaps after a Y, perhaps with where the clip begins, perhaps with how long it is; perhaps a file's.
_NAME: Final = r"^Y?(?P<video>[A-Za-z0-9_-]{11})(?:_(?P<start>[0-9]{1,9})(?:_[0-9]{1,9})?)?(?:\.[A-Za-z0-9]{2,4})?$"
_UNSEEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


class CaptionTable:
    """Captions by the names of clips. Where a name stands twice the first row counts."""

    def __init__(self, keys: pa.Array, captions: pa.Array) -> None:
        order = pc.sort_indices(keys)  # stable
        self._keys, self._captions = keys.take(order), captions.take(order)

    def __len__(self) -> int:
        return len(self._keys)

    def caption_of(self, item: CaptionInput) -> str | None:
        """The caption of a clip, without what cannot be seen; None where the table has none of it."""
        for key in clip_keys(item):
            place = bisect.bisect_left(range(len(self._keys)), key, key=lambda row: self._keys[row].as_py())
            if place < len(self._keys) and self._keys[place].as_py() == key:
                return _UNSEEN.sub(" ", self._captions[place].as_py())
        return None


def read_table(path: str, *, id_column: str | None, caption_column: str | None) -> CaptionTable:
    """The table in a `.csv` or `.parquet` file. Raises ConfigError for one that cannot be used, and says why."""
    place = expanded(path)
    try:
        if place.stat().st_size > MAX_TABLE_BYTES:
            raise _wrong(place, f"at most {MAX_TABLE_BYTES:,} bytes", f"{place.stat().st_size:,}")
        read = {".csv": _csv_batches, ".parquet": _parquet_batches}.get(place.suffix.lower())
        if read is None:
            raise _wrong(place, "a table .csv or .parquet", place.name)
        tables = [_usable(batch) for batch in _bounded(place, read(place, id_column, caption_column))]
    except OSError as error:  # without a number: Arrow's own, of bytes that are no Parquet
        expected = "a table of texts" if error.errno is None else "a file that can be read"
        raise _wrong(place, expected, error.strerror or " ".join(str(error).split())[:200]) from error
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise _wrong(place, "a table of texts", " ".join(str(error).split())[:200]) from error
    whole = pa.concat_tables(tables) if tables else _usable(pa.table({"id": [""], "caption": [""]}))
    if not len(whole):
        raise _wrong(place, "at least one row with a name and a caption", "none")
    return CaptionTable(whole["key"].combine_chunks(), whole["caption"].combine_chunks())


def clip_keys(item: CaptionInput) -> Iterator[str]:
    """The keys under which a table may have a clip, the surest first: its file, its moment, its video."""
    names = [] if item.source_id is None else [item.source_id, PurePosixPath(item.source_id).name]
    for name in names:
        yield f"file/{name}"
        yield f"file/{PurePosixPath(name).with_suffix('')}"
    found = re.fullmatch(_NAME[1:-1], names[-1]) if names else None
    video = item.video_id or (found["video"] if found else None)
    if video is None:
        return
    own_ms = 0 if found is None or found["start"] is None or found["video"] != video else _start_ms(found["start"])
    for start_ms in dict.fromkeys((own_ms + (item.start_ms or 0), own_ms)):
        if start_ms % 1000 == 0:
            yield f"{video}/s{start_ms // 1000}"
            yield f"{video}/n{start_ms // 1000}"
        yield f"{video}/n{start_ms}"
    yield f"{video}/"


def _start_ms(digits: str) -> int:
    """What the start in the name of a clip of ours means: six digits are seconds, other numbers milliseconds."""
    return int(digits) * (1000 if len(digits) == 6 else 1)


def _usable(batch: pa.Table) -> pa.Table:
    """The rows that have a name and words, each under its key."""
    names = pc.utf8_trim_whitespace(batch["id"].cast(pa.string()))
    captions = batch["caption"].cast(pa.string())
    is_there = pc.and_(
        pc.greater(pc.utf8_length(names), 0), pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(captions)), 0)
    )
    rows = pa.table({"key": _keys(names), "caption": captions.cast(pa.large_string())})
    return rows.filter(pc.fill_null(is_there, False))


def _keys(names: pa.ChunkedArray) -> pa.ChunkedArray:
    """`VIDEO/`, `VIDEO/sSECONDS` (of six digits), `VIDEO/nNUMBER`, or `file/NAME` for what is no clip's name."""
    parts = pc.extract_regex(names, _NAME)
    video, start = (pc.struct_field(parts, [place]) for place in (0, 1))
    number = pc.utf8_ltrim(start, "0")
    number = pc.if_else(pc.equal(number, ""), pc.if_else(pc.equal(start, ""), "", "0"), number)
    kind = pc.if_else(pc.equal(start, ""), "", pc.if_else(pc.equal(pc.utf8_length(start), 6), "s", "n"))
    clips = pc.binary_join_element_wise(video, "/", kind, number, "")
    files = pc.binary_join_element_wise("file/", names, "")
    return pc.coalesce(clips, files)


def _bounded(path: Path, batches: Iterator[pa.Table]) -> Iterator[pa.Table]:
    rows = size = 0
    for batch in batches:
        rows, size = rows + len(batch), size + batch.nbytes
        if rows > MAX_ROWS or size > MAX_TABLE_BYTES:
            raise _wrong(path, f"at most {MAX_ROWS:,} rows and {MAX_TABLE_BYTES:,} bytes of text", "more")
        yield batch


def _csv_batches(path: Path, id_column: str | None, caption_column: str | None) -> Iterator[pa.Table]:
    with path.open("rb") as file:
        head = file.readline(MAX_HEADER_BYTES)
    try:
        header = next(csv.reader([head.decode("utf-8-sig")], strict=True), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise _wrong(path, "a header in UTF-8", str(error)) from error
    names = _columns(path, header, id_column, caption_column)
    reader = pa_csv.open_csv(
        path,
        read_options=pa_csv.ReadOptions(block_size=_BLOCK_BYTES),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            include_columns=list(names), column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )
    for batch in reader:
        yield pa.Table.from_batches([batch]).rename_columns(["id", "caption"])


def _parquet_batches(path: Path, id_column: str | None, caption_column: str | None) -> Iterator[pa.Table]:
    with pa_parquet.ParquetFile(path) as file:
        schema = file.schema_arrow
        names = _columns(path, schema.names, id_column, caption_column)
        for name in names:
            kind: Any = schema.field(name).type
            if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
                raise _wrong(path, f"texts in the column {name}", str(kind))
        _require_room(path, file, names)
        for batch in file.iter_batches(batch_size=1 << 16, columns=list(names)):
            yield pa.Table.from_batches([batch]).select(list(names)).rename_columns(["id", "caption"])


def _require_room(path: Path, file: pa_parquet.ParquetFile, names: tuple[str, str]) -> None:
    """What the file says of itself is not beyond what is read: a small file may hold a page of terabytes."""
    chunks = [
        file.metadata.row_group(group).column(column)
        for group in range(file.metadata.num_row_groups)
        for column in range(file.metadata.num_columns)
    ]
    size = sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema in names)
    if size > MAX_TABLE_BYTES or file.metadata.num_rows > MAX_ROWS:
        raise _wrong(path, f"at most {MAX_ROWS:,} rows and {MAX_TABLE_BYTES:,} bytes of text", "more")


def _columns(path: Path, header: list[str], id_column: str | None, caption_column: str | None) -> tuple[str, str]:
    """The columns of names and of captions: those of the config, else of the forms that are known."""
    wanted = [(id_column, caption_column)] if id_column and caption_column else list(COLUMNS)
    for names in wanted:
        if all(header.count(str(name)) == 1 for name in names):
            return str(names[0]), str(names[1])
    expected = " or ".join(f"{name} and {caption}" for name, caption in wanted)
    raise _wrong(path, f"the columns {expected}, once each", ", ".join(header)[:200] or "none")


def _wrong(path: Path, expected: str, found: str) -> ConfigError:
    fix = "Give the table as its publisher has it, and name its columns with id_column and caption_column."
    return ConfigError(str(path), expected=expected, found=found, fix=fix)
