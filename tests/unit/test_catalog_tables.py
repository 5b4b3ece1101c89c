"""The definitions: schemas from the SQL text, and batches against them."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from catalog_rows import clip_row, open_catalog, source_row, stamp, text_row

from uniform_core.catalog import Catalog
from uniform_core.catalog.tables import all_tables, arrow_type
from uniform_core.errors import CatalogError, ConfigError, SchemaError


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return open_catalog(tmp_path / "home")


def test_every_definition_is_complete() -> None:
    tables = all_tables()
    assert {"sources", "clips", "captions", "latents", "attempts", "tombstones", "models"} <= set(tables)
    for table in tables.values():
        assert {"work_key", "stage_fp", "run_id", "created_at"} <= set(table.names), table.name
        assert all(column.meaning for column in table.columns), table.name
        assert set(table.output) <= set(table.names), table.name
        assert bool(table.output) != (table.name in ("attempts", "tombstones")), table.name


def test_arrow_schema_follows_the_definition() -> None:
    schema = all_tables()["clips"].arrow_schema
    assert schema.field("start_ms") == pa.field("start_ms", pa.int64(), nullable=False)
    assert schema.field("label") == pa.field("label", pa.string(), nullable=True)
    assert schema.field("created_at").type == pa.timestamp("us", "UTC")
    assert schema.field("event_times_s").type == pa.list_(pa.field("element", pa.float64()))
    with pytest.raises(CatalogError, match="HUGEINT"):
        arrow_type("HUGEINT")


def test_a_table_that_nobody_wrote_is_empty_with_its_schema(catalog: Catalog) -> None:
    for name, table in all_tables().items():
        assert catalog.read(name).schema.equals(table.arrow_schema), name
        assert catalog.read(name, version=-1).num_rows == 0
    assert set(catalog.versions().values()) == {-1}


def test_what_is_written_is_read_back_the_same(catalog: Catalog) -> None:
    rows = [clip_row(1), clip_row(2, label=None, event_times_s=[], source_audio_rate_hz=44_100)]
    assert catalog.insert("clips", rows) == 2
    back = {row["work_key"]: row for row in catalog.read("clips").to_pylist()}
    for row in rows:
        assert {name: back[row["work_key"]][name] for name in row} == row
    assert back[rows[0]["work_key"]]["source_audio_codec"] is None
    assert catalog.read("clips").schema.equals(all_tables()["clips"].arrow_schema)
    assert catalog.read("clips", columns=["clip_id", "label"]).column_names == ["clip_id", "label"]


BAD = {
    "a null where NOT NULL": ("caption_texts", text_row(2, text=None), "text VARCHAR NOT NULL.*text null"),
    "a check": ("caption_texts", text_row(2, text_hash="short"), "CHECK.*text_hash 'short'"),
    "another type": ("caption_texts", text_row(2, text=5), "text string.*text 5"),
    "bytes for a text": ("caption_texts", text_row(2, text=b"five"), "text string.*text b'five'"),
    "a text that is not Unicode": ("caption_texts", text_row(2, text="\udcff"), r"text string.*text '.udcff'"),
    "a text for a time": ("caption_texts", text_row(2, created_at="yesterday"), "created_at timestamp.*'yesterday'"),
    "a time without zone": ("caption_texts", text_row(2, created_at=datetime(2026, 1, 1)), "created_at.*UTC.*2026"),
    "a number for a time": ("caption_texts", text_row(2, created_at=5), "created_at timestamp.*created_at 5"),
    "an unknown column": ("caption_texts", text_row(2, color="red"), "unknown color"),
    "a fraction for a count": ("clips", clip_row(2, start_ms=1.5), "start_ms int64.*start_ms 1.5"),
    "a truth for a count": ("clips", clip_row(2, start_ms=True), "start_ms int64.*start_ms True"),
    "too large a count": ("clips", clip_row(2, frames=2**40), "frames int32.*frames 1099511627776"),
    "a number for a truth": ("clips", clip_row(2, is_still=1), "is_still bool.*is_still 1"),
    "a text for a list": ("sources", source_row(2, clip_ids="abc"), "clip_ids list.*clip_ids 'abc'"),
    "a null in a list": ("clips", clip_row(2, event_times_s=[1.0, None]), "event_times_s list.*None"),
}
FIRST = {"caption_texts": text_row(1), "clips": clip_row(1), "sources": source_row(1)}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_stops_its_whole_batch_and_is_named(catalog: Catalog, name: str) -> None:
    table, bad, message = BAD[name]
    of_row = "" if name == "an unknown column" else "row 1 of the batch.*"
    with pytest.raises(SchemaError, match=of_row + message) as error:
        catalog.insert(table, [FIRST[table], bad])
    assert str(error.value).startswith(f"table {table}")
    assert catalog.versions([table]) == {table: -1}


def test_values_of_the_same_kind_are_taken(catalog: Catalog) -> None:
    row = clip_row(1, frames=np.int32(5), motion=3, audio_peak=np.float32(0.5), is_still=np.bool_(True))
    times = np.linspace(0, 1, 100_000)
    there = timezone(timedelta(hours=2))
    row |= {
        "event_times_s": times,
        "created_at": datetime(2026, 1, 1, 2, tzinfo=there),
        "label": "a\0b\n\u2028\U0001f600'",
    }
    assert catalog.insert("clips", [row]) == 1
    [back] = catalog.read("clips").to_pylist()
    assert (back["frames"], back["motion"], back["audio_peak"], back["is_still"]) == (5, 3.0, 0.5, True)
    assert back["event_times_s"] == times.tolist()
    assert back["created_at"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert back["label"] == row["label"]
    assert catalog.verify(deep=False)[0].check == "media"


def test_a_missing_column_is_named_and_a_nullable_one_is_null(catalog: Catalog) -> None:
    row = source_row(1)
    assert "caption" not in row
    catalog.insert("sources", [row])
    assert catalog.read("sources")["caption"].to_pylist() == [None]
    with pytest.raises(SchemaError, match="no split"):
        catalog.insert("sources", [{k: v for k, v in source_row(2).items() if k != "split"}])


def test_arrow_batches_are_checked_too(catalog: Catalog) -> None:
    good = pa.Table.from_pylist([clip_row(1)]).select(list(clip_row(1)))
    assert catalog.insert("clips", good) == 1
    index = good.column_names.index("start_ms")
    late = good.set_column(index, "start_ms", pa.array([5000], pa.int64()))
    with pytest.raises(SchemaError, match=r"row 0.*end_ms > start_ms.*start_ms 5000"):
        catalog.insert("clips", late)
    with pytest.raises(SchemaError, match="start_ms int64"):
        catalog.insert("clips", good.set_column(index, "start_ms", pa.array(["12"])))
    with pytest.raises(SchemaError, match=r"start_ms int64.*double"):
        catalog.insert("clips", good.set_column(index, "start_ms", pa.array([1.0])))
    with pytest.raises(SchemaError, match=r"created_at timestamp.*timestamp\[us\]\."):
        catalog.insert("clips", _replaced(good, "created_at", pa.array([datetime(2026, 1, 1)])))
    with pytest.raises(SchemaError, match=r"row 0.*event_times_s.*null"):
        catalog.insert("clips", _replaced(good, "event_times_s", pa.array([[1.0, None]])))
    with pytest.raises(SchemaError, match="each column once"):
        catalog.insert("clips", good.append_column("label", good["label"]))
    label = good["label"].cast(pa.large_string()).dictionary_encode()
    assert catalog.insert("clips", _replaced(good, "label", label)) == 0


def _replaced(table: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def test_checks_of_enumerations_hold(catalog: Catalog) -> None:
    row = stamp(
        work_key="a" * 32,
        clip_id="b" * 32,
        clip_sha256="c" * 64,
        captioner="x",
        captioner_revision="1",
        cleaning_version=1,
    )
    with pytest.raises(SchemaError, match="status 'fine'"):
        catalog.insert("captions", [{**row, "status": "fine"}])


def test_unknown_tables_and_columns_list_the_known(catalog: Catalog) -> None:
    with pytest.raises(ConfigError, match="one of attempts, caption_texts"):
        catalog.read("clip")
    with pytest.raises(ConfigError, match="clip_sha256"):
        catalog.read("clips", columns=["sha"])
    with pytest.raises(ConfigError, match="status"):
        catalog.named_query("nosuch")


def test_times_are_utc(catalog: Catalog) -> None:
    catalog.insert("caption_texts", [text_row(1)])
    assert catalog.rows("SELECT created_at FROM caption_texts")[0]["created_at"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert catalog.rows("SELECT created_at::VARCHAR AS t FROM caption_texts") == [{"t": "2026-01-01 00:00:00+00"}]


def test_importing_and_opening_the_catalog_imports_nothing_heavy(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom uniform_core.catalog import Catalog\n"
        "from uniform_core.settings import Settings\n"
        "heavy = {'torch', 'ray', 'prefect', 'mlflow', 'duckdb', 'pyarrow', 'deltalake', 'pandas'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        f"catalog = Catalog.open(Settings(home=Path({str(tmp_path / 'home')!r})))\n"
        "catalog.named_rows('status'), catalog.named_rows('failures_by_class'), catalog.versions()\n"
        "heavy -= {'duckdb', 'deltalake'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
