"""Inserting, reading, versions, queries, the format record."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from catalog_rows import (
    START,
    caption_row,
    clip_row,
    clock_at,
    latent_rows,
    open_catalog,
    score_row,
    source_row,
    text_row,
)

from uniform_core.catalog import Catalog
from uniform_core.catalog import formats as catalog_formats
from uniform_core.errors import CatalogError, ConfigError, FormatTooNewError, StorageError
from uniform_core.fingerprint import digest, set_digest
from uniform_core.settings import Settings


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return open_catalog(tmp_path / "home")


def test_a_key_is_inserted_once(catalog: Catalog) -> None:
    assert catalog.insert("caption_texts", [text_row(n) for n in (1, 2, 2, 1)]) == 2
    assert catalog.insert("caption_texts", [text_row(n) for n in (2, 3)]) == 1
    assert catalog.insert("caption_texts", [text_row(3, run_id="later")]) == 0
    rows = catalog.read("caption_texts").to_pylist()
    assert len(rows) == 3
    assert {row["run_id"] for row in rows} == {"run"}, "a row never changes"


def test_nothing_to_insert_writes_nothing(catalog: Catalog) -> None:
    assert catalog.insert("caption_texts", []) == 0
    assert catalog.versions(["caption_texts"]) == {"caption_texts": -1}
    catalog.insert("caption_texts", [text_row(1)])
    before = catalog.versions()
    assert catalog.insert("caption_texts", [text_row(1)]) == 0
    assert catalog.versions() == before, "an insert of known keys must not make a version"


def test_writers_of_the_same_keys_in_threads(catalog: Catalog) -> None:
    rows = [text_row(n) for n in range(40)]
    counts: list[int] = []

    def write(order: int) -> None:
        for first in range(0, 40, 8):
            batch = rows[first : first + 8]
            counts.append(catalog.insert("caption_texts", batch if order else batch[::-1]))

    threads = [threading.Thread(target=write, args=(order,)) for order in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 40
    assert (
        len(set(catalog.read("caption_texts")["work_key"].to_pylist())) == catalog.read("caption_texts").num_rows == 40
    )


def test_a_version_is_read_back(catalog: Catalog) -> None:
    catalog.insert("caption_texts", [text_row(1)])
    first = catalog.versions(["caption_texts", "clips"])
    catalog.insert("caption_texts", [text_row(2)])
    assert first["clips"] == -1
    assert catalog.read("caption_texts", version=first["caption_texts"]).num_rows == 1
    counted = "SELECT count(*) AS n FROM caption_texts"
    assert catalog.query(counted, versions=first).to_pylist() == [{"n": 1}]
    assert catalog.query(counted).to_pylist() == [{"n": 2}]
    with pytest.raises(CatalogError, match=r"at version 99.*history"):
        catalog.read("caption_texts", version=99)
    with pytest.raises(CatalogError, match="does not exist yet"):
        catalog.read("clips", version=3)


def test_content_digest_is_of_keys_and_outputs(catalog: Catalog) -> None:
    empty = catalog.content_digest(["caption_texts", "clips"])
    assert empty == set_digest([])
    clips = [clip_row(1), clip_row(2, label=None)]
    catalog.insert("caption_texts", [text_row(1)])
    catalog.insert("clips", clips)
    members = [f"clips\n{c['work_key']}\n{c['clip_sha256']}\ntrain\n{c['label'] or chr(0)}" for c in clips]
    members.append(f"caption_texts\n{text_row(1)['work_key']}\n{text_row(1)['text_hash']}")
    assert catalog.content_digest(["clips", "caption_texts"]) == set_digest(members)
    with pytest.raises(CatalogError, match="attempts"):
        catalog.content_digest(["attempts"])


def test_rows_that_differ_have_digests_that_differ(tmp_path: Path) -> None:
    """Whatever their texts hold: the separator, what null is written as, or what these are escaped to."""
    pairs = [("x\ny", "z"), ("x", "y\nz"), ("x\\ny", "z"), ("x\\", "ny\nz"), ("x", None), ("x", "\0"), ("x", "\\0")]
    digests = set()
    for n, (label, caption) in enumerate(pairs):
        catalog = open_catalog(tmp_path / str(n))
        catalog.insert("sources", [source_row(1, label=label, caption=caption)])
        digests.add(catalog.content_digest(["sources"]))
    assert len(digests) == len(pairs)


def test_content_digest_of_a_version(catalog: Catalog) -> None:
    catalog.insert("caption_texts", [text_row(1)])
    versions, digest = catalog.versions(), catalog.content_digest(["caption_texts"])
    catalog.insert("caption_texts", [text_row(2)])
    assert catalog.content_digest(["caption_texts"]) != digest
    assert catalog.content_digest(["caption_texts"], versions=versions) == digest


def test_content_digest_does_not_see_who_and_when(tmp_path: Path) -> None:
    first, second = open_catalog(tmp_path / "a"), open_catalog(tmp_path / "b")
    first.insert("clips", [clip_row(1)])
    second.insert("clips", [clip_row(1, run_id="another", created_at=START + timedelta(days=3))])
    third = open_catalog(tmp_path / "c")
    third.insert("clips", [clip_row(1, clip_sha256="0" * 64)])
    assert first.content_digest(["clips"]) == second.content_digest(["clips"]) != third.content_digest(["clips"])


def test_queries_take_parameters_and_arrow_tables(catalog: Catalog) -> None:
    catalog.insert("clips", [clip_row(n, label=f"label {n % 2}") for n in range(6)])
    wanted = pa.table({"clip_id": [clip_row(n)["clip_id"] for n in (1, 2, 3)]})
    sql = "SELECT c.source_id FROM clips c JOIN wanted USING (clip_id) WHERE label = ? ORDER BY 1"
    found = catalog.query(sql, parameters=["label 1"], tables={"wanted": wanted}).to_pylist()
    assert found == [{"source_id": "source-1"}, {"source_id": "source-3"}]
    assert catalog.rows("SELECT $n::INTEGER AS n", parameters={"n": 4}) == [{"n": 4}]
    batches = list(catalog.stream("SELECT source_id FROM clips ORDER BY 1", batch_rows=4))
    assert sum(batch.num_rows for batch in batches) == 6
    assert (
        next(catalog.stream("SELECT source_id FROM clips ORDER BY 1", batch_rows=4))["source_id"][0].as_py()
        == "source-0"
    )
    assert catalog.rows("SELECT count(*) AS n FROM duckdb_databases() WHERE NOT internal") == [{"n": 2}], (
        "sessions are closed"
    )


def test_wrong_sql_is_one_clear_error(catalog: Catalog) -> None:
    with pytest.raises(CatalogError, match="nosuch"):
        catalog.query("SELECT * FROM nosuch")
    variable = pa.table({"a": [1]})
    with pytest.raises(CatalogError, match="variable"):
        catalog.query("SELECT * FROM variable")
    assert variable.num_rows == 1


@pytest.mark.parametrize(
    "sql",
    [
        "COPY clips TO '{0}'",
        "SELECT * FROM read_csv('/etc/hostname')",
        "SELECT 1; SELECT 2",
        "SET threads = 1",
        "ATTACH '{0}' AS x",
        "SELECT * FROM glob('/etc/*')",
        "",
    ],
)
def test_sql_of_a_person_only_selects(catalog: Catalog, tmp_path: Path, sql: str) -> None:
    catalog.insert("clips", [clip_row(1)])
    assert catalog.query("SELECT count(*) AS n FROM clips", read_only_sql=True).to_pylist() == [{"n": 1}]
    with pytest.raises(CatalogError):
        catalog.query(sql.format(tmp_path / "out"), read_only_sql=True)
    assert not (tmp_path / "out").exists()


def test_named_queries_run_empty_and_filled(catalog: Catalog) -> None:
    names = [path.stem for path in (Path(__file__).parents[2] / "catalogs" / "queries").glob("*.sql")]
    assert {"status", "failures", "failures_by_class", "captions_by_clip"} <= set(names)
    for name in names:
        catalog.named_query(name)
    catalog.insert("clips", [clip_row(1)])
    catalog.insert("caption_texts", [text_row(1)])
    catalog.insert("captions", [caption_row(clip_row(1), text_row(1)["text_hash"])])
    for name in names:
        assert catalog.named_query(name).to_pylist() == catalog.named_rows(name)
    status = {row["table_name"]: row for row in catalog.named_rows("status")}
    assert set(status) == set(catalog.table_names)
    assert (status["clips"]["rows"], status["clips"]["bytes"], status["latents"]["rows"]) == (1, 10, 0)
    assert catalog.named_rows("captions_by_clip")[0]["text"] == "text number 1"


def test_the_latest_scores_are_told_by_evaluation_and_the_newest_evaluation_comes_first(catalog: Catalog) -> None:
    """Two evaluations of one model, or two protocols of one name, are two numbers, not one that hides the other."""
    first, second = digest("evaluation 1"), digest("evaluation 0")
    later = START + timedelta(hours=1)
    rows = [
        score_row(1, stage_fp=first),
        score_row(2, stage_fp=first, created_at=START + timedelta(minutes=1)),
        score_row(5, stage_fp=first, protocol_hash=digest("other")),
        score_row(3, stage_fp=second, created_at=later),
        score_row(4, stage_fp=second, created_at=START, system="real", task="all", model_id=None),
    ]
    catalog.insert("scores", rows)
    shown = [(row["evaluation"], row["system"], row["value"]) for row in catalog.named_rows("latest_scores")]
    assert shown[:2] == [(second, "real", 4.0), (second, "uniform", 3.0)]
    assert sorted(shown[2:]) == [(first, "uniform", 2.0), (first, "uniform", 5.0)]


def test_a_column_that_was_added_later_is_null_in_old_rows(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    from uniform_core.catalog import tables

    table = tables.table_named("caption_texts")
    older = dataclasses.replace(table, columns=tuple(c for c in table.columns if c.name != "text"), ddl="")
    catalog.delta.insert(older, pa.Table.from_pylist([_without(text_row(1), "text")], schema=older.arrow_schema))
    assert catalog.read("caption_texts")["text"].to_pylist() == [None]
    nullable = dataclasses.replace(
        table, columns=tuple(dataclasses.replace(c, nullable=c.nullable or c.name == "text") for c in table.columns)
    )
    catalog.delta.insert(nullable, pa.Table.from_pylist([text_row(2)], schema=nullable.arrow_schema))
    assert sorted(catalog.read("caption_texts")["text"].to_pylist(), key=str) == [None, "text number 2"]
    with pytest.raises(FormatTooNewError, match="the columns text"):
        catalog.delta.insert(older, pa.Table.from_pylist([_without(text_row(3), "text")], schema=older.arrow_schema))


def _without(row: dict, name: str) -> dict:
    return {key: value for key, value in row.items() if key != name}


def test_the_format_is_recorded_once(tmp_path: Path) -> None:
    record = open_catalog(tmp_path).root / "format.json"
    steps = json.loads(record.read_text())["migrations"]
    assert [step["format"] for step in steps] == list(range(1, catalog_formats.FORMAT + 1))
    before = record.stat().st_mtime_ns
    open_catalog(tmp_path)
    assert record.stat().st_mtime_ns == before


def test_a_newer_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    record = open_catalog(tmp_path).root / "format.json"
    text = json.dumps({"migrations": [{"format": 1}, {"format": 99}]})
    record.write_text(text)
    with pytest.raises(FormatTooNewError, match=r"format 99.*Update UniForm"):
        open_catalog(tmp_path)
    assert record.read_text() == text
    record.write_text("{")
    with pytest.raises(CatalogError, match=r"format\.json"):
        open_catalog(tmp_path)


NEWER = {
    "reader": {"minReaderVersion": 99, "minWriterVersion": 99},
    "feature": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["x"], "writerFeatures": ["x"]},
    "writer": {"minReaderVersion": 1, "minWriterVersion": 99},
    "writer feature": {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["x"]},
}


@pytest.mark.parametrize("name", NEWER)
def test_a_table_of_a_newer_delta_protocol_is_refused(catalog: Catalog, name: str) -> None:
    """At once, by everything that would read or write it; a table that only writers must know better stays readable."""
    catalog.insert("caption_texts", [text_row(1)])
    log = catalog.root / "caption_texts" / "_delta_log"
    (log / f"{2:020d}.json").write_text(json.dumps({"protocol": NEWER[name]}) + "\n")
    began = time.monotonic()
    with pytest.raises(FormatTooNewError, match=r"caption_texts.*Update UniForm"):
        catalog.insert("caption_texts", [text_row(2)])
    assert time.monotonic() - began < 60, "no race was lost here"
    assert not (log / f"{3:020d}.json").exists()
    if name.startswith("writer"):
        assert catalog.read("caption_texts").num_rows == 1
        return
    for read in (lambda: catalog.read("caption_texts"), catalog.versions, lambda: catalog.history("caption_texts")):
        with pytest.raises(FormatTooNewError, match="caption_texts"):
            read()


def test_a_table_that_lost_a_file_says_so_at_once(catalog: Catalog) -> None:
    catalog.insert("caption_texts", [text_row(1)])
    file = next((catalog.root / "caption_texts").glob("*.parquet"))
    file.write_bytes(b"PAR1 torn")
    began = time.monotonic()
    for ask in (lambda: catalog.insert("caption_texts", [text_row(2)]), lambda: catalog.read("caption_texts")):
        with pytest.raises(CatalogError, match="catalog verify"):
            ask()
    file.unlink()
    with pytest.raises(CatalogError, match=r"every file of its newest version.*catalog verify"):
        catalog.insert("caption_texts", [text_row(2)])
    assert time.monotonic() - began < 60, "no race was lost here"
    (catalog.root / "caption_texts" / "_delta_log" / f"{1:020d}.json").write_text('{"add":{"pa')
    for look in (catalog.versions, lambda: catalog.read("caption_texts")):
        with pytest.raises(CatalogError, match=r"a log that can be read.*_delta_log"):
            look()


def test_versions_that_cannot_be_are_refused(catalog: Catalog) -> None:
    catalog.insert("caption_texts", [text_row(1)])
    for version in (-5, 2**70):
        with pytest.raises(CatalogError, match=f"at version {version}"):
            catalog.read("caption_texts", version=version)


def test_a_lock_that_cannot_be_made_is_a_storage_error(catalog: Catalog) -> None:
    rows = latent_rows(catalog, [clip_row(1)])
    for name in (".tensors.lock", ".commit.lock"):
        (catalog.root / name).mkdir()
    for act in (
        lambda: catalog.insert("latents", rows),
        lambda: catalog.insert("caption_texts", [text_row(1)]),
        lambda: catalog.collect_orphans(timedelta(0)),
        catalog.vacuum,
    ):
        with pytest.raises(StorageError, match=r"lock.*Is a directory"):
            act()


def test_migrations_are_applied_in_order_and_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = open_catalog(tmp_path).root
    applied: list[int] = []
    numbers = [catalog_formats.FORMAT + 1, catalog_formats.FORMAT + 2]
    later = [catalog_formats.Migration(n, f"step {n}", lambda _root, n=n: applied.append(n)) for n in numbers]
    monkeypatch.setattr(catalog_formats, "MIGRATIONS", (*catalog_formats.MIGRATIONS, *later))
    monkeypatch.setattr(catalog_formats, "FORMAT", numbers[-1])
    catalog_formats.ensure_format(root, clock_at(days=1))
    catalog_formats.ensure_format(root, clock_at(days=2))
    assert applied == numbers
    steps = json.loads((root / "format.json").read_text())["migrations"]
    assert [(step["format"], step["applied_at"][:10]) for step in steps][-2:] == [(n, "2026-01-02") for n in numbers]


def test_roots_that_cannot_work_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError, match="UNIFORM_HOME"):
        Catalog.open(Settings(home=tmp_path / "file"))
    with pytest.raises(ConfigError, match=r"\["):
        Catalog.open(Settings(home=tmp_path / "a[1]"))
    for name in ("a\nb", "a\x7fb", "a\udcffb"):
        with pytest.raises(ConfigError, match="control characters"):
            Catalog.open(Settings(home=tmp_path / name))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_relative_root_stays_where_it_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    catalog = open_catalog(Path("home"))
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert catalog.insert("latents", latent_rows(catalog, [clip_row(1)])) == 1
    assert (tmp_path / "home" / "tensors").is_dir()
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_root_with_an_odd_name_works(tmp_path: Path) -> None:
    catalog = open_catalog(tmp_path / "it's a\u00a0home; ü~b, (1) & co = $x+1!")
    catalog.insert("sources", [source_row(1)])
    catalog.insert("sources", [source_row(2)])
    catalog.compact("sources")
    catalog.vacuum(timedelta(0), grace=timedelta(0))
    assert catalog.read("sources").num_rows == 2
