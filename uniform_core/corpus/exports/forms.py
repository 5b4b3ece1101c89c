"""How one file of each form is written, to a path that becomes its name when it is whole."""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from uniform_core.corpus.exports.rows import SCHEMA, Form, Row, as_json, as_table
from uniform_core.errors import IntegrityError
from uniform_core.files import is_inside

Writer = Callable[[Path, Sequence[Row], Path], None]  # path, rows, the root's media
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")  # a cell that begins so is a program to a spreadsheet


def write_parquet(path: Path, rows: Sequence[Row], _media: Path) -> None:
    """Rows as Parquet, compressed with zstd."""
    pq.write_table(as_table(rows), path, compression="zstd")


def write_csv(path: Path, rows: Sequence[Row], _media: Path) -> None:
    """Rows as CSV (RFC 4180, UTF-8). A text that a spreadsheet would run begins with ' instead."""
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, quoting=csv.QUOTE_MINIMAL, lineterminator="\r\n")
        writer.writerow(SCHEMA.names)
        for row in rows:
            writer.writerow([_cell(row.get(name)) for name in SCHEMA.names])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        value = " ".join(value)
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) and not isinstance(value, int | float) else text


def write_tar(path: Path, rows: Sequence[Row], media: Path) -> None:
    """A WebDataset shard: `clip_id.mp4`, `.txt` (the caption) and `.json` of each clip beside one another.

    Every member has the same owner and time, so that the same clips are the same bytes. Raises IntegrityError for a
    clip whose file is gone or lies outside of the media.
    """
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for row in rows:
            film = media / row["path"]
            if not is_inside(film, media) or not film.is_file():
                raise IntegrityError(
                    f"clip {row['clip_id']}",
                    expected=f"its file at media/{row['path']}",
                    found="none",
                    fix="`uniform catalog verify --repair`, then ingest, make it again; then export once more.",
                )
            with film.open("rb") as handle:
                archive.addfile(_member(f"{row['clip_id']}.mp4", film.stat().st_size), handle)
            for ending, data in (("txt", (row["caption"] or "").encode()), ("json", as_json(row))):
                archive.addfile(_member(f"{row['clip_id']}.{ending}", len(data)), io.BytesIO(data))


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member


WRITERS: Final[Mapping[Form, Writer]] = {
    "parquet": write_parquet,
    "csv": write_csv,
    "hf": write_parquet,
    "webdataset": write_tar,
}
