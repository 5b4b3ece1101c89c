"""A corpus as files for others: each form is whole, says where it is from, and goes on after a kill."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from caption_catalog import HOSTILE, captioned_catalog, clip_id, corpus_of

from uniform_core.corpus.exports import write as writing
from uniform_core.corpus.exports.rows import SCHEMA, ShardRule, safe_split, shards
from uniform_core.corpus.exports.source import export_rows, prompts_of
from uniform_core.corpus.exports.write import Exported, write_export
from uniform_core.errors import ConfigError, IntegrityError
from uniform_core.files import MARKER, find_damage

CLIPS = 25


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    return captioned_catalog(tmp_path_factory.mktemp("captions"), CLIPS, films=CLIPS)


@pytest.fixture(scope="module")
def corpus(catalog):
    return corpus_of(catalog, "mixed", "vlm", "class_label")


def facts(catalog, corpus, form: str) -> Exported:
    tombstones = catalog.versions(["tombstones"])["tombstones"]
    return Exported(corpus.corpus, corpus.version, corpus.content_digest, corpus.clips, form, tombstones)


def export(catalog, corpus, folder: Path, form: str, rule: ShardRule | None = None, **more):
    return write_export(
        folder,
        export_rows(catalog, corpus, page=10),
        facts(catalog, corpus, form),
        media=catalog.media_dir,
        prompts=lambda hashes: prompts_of(catalog, hashes),
        rule=rule,
        **more,
    )


def test_parquet_has_every_caption_with_its_origin(catalog, corpus, tmp_path):
    export(catalog, corpus, tmp_path / "out", "parquet", ShardRule(max_rows=10))
    files = sorted((tmp_path / "out").glob("*.parquet"))
    assert [pq.read_metadata(path).num_rows for path in files] == [10, 10, 5]
    rows = [row for path in files for row in pq.read_table(path).to_pylist()]
    assert [row["clip_id"] for row in rows] == [clip_id(n) for n in range(1, CLIPS + 1)]
    assert list(rows[0]) == SCHEMA.names
    assert rows[2]["caption"] == HOSTILE, "to the letter"
    assert (rows[9]["captioner"], rows[0]["captioner"]) == ("class_label", "vlm")
    assert rows[6]["flags"] == ["repetitive"]
    assert find_damage(tmp_path / "out") is None


def test_csv_is_read_back_and_no_cell_is_a_program(catalog, corpus, tmp_path):
    rows = [dict.fromkeys(SCHEMA.names) | {"clip_id": "1", "split": "train", "flags": [], "prompt_hash": None}]
    for text in ("=1+1", "+1", "-1", "@x", "\tx", "\rx", 'a "b"\nc, d', "plain"):
        rows.append(rows[0] | {"caption": text})
    folder = tmp_path / "out"
    write_export(folder, rows, facts(catalog, corpus, "csv"), media=tmp_path, prompts=lambda _: {})
    data = (folder / "captions-00000.csv").read_bytes()
    assert data.count(b"\r\n") == len(rows) + 1, "RFC 4180"
    said = [row["caption"] for row in csv.DictReader(io.StringIO(data.decode(), newline=""))]
    assert said == ["", "'=1+1", "'+1", "'-1", "'@x", "'\tx", "'\rx", 'a "b"\nc, d', "plain"]


def test_a_hugging_face_folder_names_its_splits_in_its_card(catalog, corpus, tmp_path):
    export(catalog, corpus, tmp_path / "out", "hf")
    _, metadata, text = (tmp_path / "out" / "README.md").read_text().split("---\n", 2)
    [config] = yaml.safe_load(metadata)["configs"]
    assert config["data_files"] == [{"split": "train", "path": "data/train-*.parquet"}]
    assert sum(pq.read_metadata(path).num_rows for path in (tmp_path / "out").glob("data/train-*.parquet")) == CLIPS
    assert corpus.content_digest in text


def test_webdataset_shards_hold_film_text_and_origin_beside_one_another(catalog, corpus, tmp_path):
    film = (catalog.media_dir / "clips" / "1.mp4").stat().st_size
    marker = export(catalog, corpus, tmp_path / "out", "webdataset", ShardRule(max_rows=10, max_bytes=4 * film))
    names: list[str] = []
    for path in sorted((tmp_path / "out").glob("*.tar")):
        with tarfile.open(path) as archive:
            members = archive.getmembers()
            assert sum(member.size for member in members if member.name.endswith(".mp4")) <= 4.4 * film
            names += [member.name for member in members]
            for member in members:
                data = archive.extractfile(member).read()
                n = int(member.name[:32], 16)
                if member.name.endswith(".mp4"):
                    assert data == (catalog.media_dir / "clips" / f"{n}.mp4").read_bytes()
                elif member.name.endswith(".json"):
                    said = json.loads(data)
                    assert (said["clip_id"], said["source_id"]) == (clip_id(n), f"source-{n}")
                else:
                    assert data.decode() == (HOSTILE if n == 3 else said_of(catalog, corpus)[n])
    assert names == [f"{clip_id(n)}.{ending}" for n in range(1, CLIPS + 1) for ending in ("mp4", "txt", "json")]
    assert len([name for name in marker if name.endswith(".tar")]) > 5


def said_of(catalog, corpus) -> dict[int, str]:
    return {int(row["clip_id"], 16): row["caption"] for row in export_rows(catalog, corpus)}


@pytest.mark.parametrize("form", ["parquet", "csv", "hf", "webdataset"])
def test_one_that_was_killed_goes_on_and_ends_with_the_same_bytes(catalog, corpus, tmp_path, form, monkeypatch):
    rule = ShardRule(max_rows=6)
    whole = export(catalog, corpus, tmp_path / "whole", form, rule)

    class Killed(BaseException):
        pass

    def killed(event) -> None:
        if event.done >= 12:
            raise Killed

    with pytest.raises(Killed):
        export(catalog, corpus, tmp_path / "killed", form, rule, listener=killed)
    assert not (tmp_path / "killed" / MARKER).exists()
    written: list[Path] = []
    one = writing.WRITERS[form]
    monkeypatch.setattr(writing, "WRITERS", {form: lambda path, *a: written.append(path) or one(path, *a)})
    assert export(catalog, corpus, tmp_path / "killed", form, rule) == whole
    assert len(written) == 3, "two shards of five were there"
    assert not list((tmp_path / "killed").rglob(".tmp-*"))


@pytest.mark.parametrize("held", ["another form", "other files", "a file", "damaged"])
def test_what_lies_there_is_never_written_over(catalog, corpus, tmp_path, held):
    folder = tmp_path / "out"
    if held == "another form":
        export(catalog, corpus, folder, "csv")
    elif held == "a file":
        folder.write_text("mine")
    else:
        folder.mkdir()
        (folder / ("export.json" if held == "damaged" else "mine")).write_text("mine")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match="Choose another folder"):
        export(catalog, corpus, folder, "parquet")
    assert {path: path.read_bytes() for path in before} == before


def test_a_clip_without_its_file_is_said_by_name(tmp_path):
    catalog = captioned_catalog(tmp_path / "home", 3, films=2)
    corpus = corpus_of(catalog, "label", "class_label")
    with pytest.raises(IntegrityError, match=clip_id(3)):
        export(catalog, corpus, tmp_path / "out", "webdataset")
    assert not list((tmp_path / "out").glob("*.tar")), "no shard without it"


def test_what_was_taken_down_leaves_no_more_also_not_by_going_on(tmp_path):
    catalog = captioned_catalog(tmp_path / "home", 8, films=8)
    corpus = corpus_of(catalog, "label", "class_label")
    (tmp_path / "out").mkdir()
    with pytest.raises(KeyboardInterrupt):
        export(catalog, corpus, tmp_path / "out", "webdataset", ShardRule(max_rows=2), listener=interrupted_at(4))
    catalog.bury("drawn", ["source-2"], reason="asked", run_id="run")
    with pytest.raises(ConfigError, match="before something was taken down"):
        export(catalog, corpus, tmp_path / "out", "webdataset", ShardRule(max_rows=2))
    export(catalog, corpus, tmp_path / "new", "parquet")
    [path] = (tmp_path / "new").glob("*.parquet")
    assert clip_id(2) not in pq.read_table(path)["clip_id"].to_pylist()


def interrupted_at(count: int):
    def listener(event) -> None:
        if event.done >= count:
            raise KeyboardInterrupt

    return listener


@pytest.mark.parametrize("split", ["../../x", "a b", "", "trän", "train"])
def test_a_split_is_a_harmless_part_of_a_name(split):
    safe = safe_split(split)
    assert safe
    assert set(safe) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
    [shard] = shards([{"split": split}], "hf")
    assert Path(shard.name).parent == Path("data")


def test_splits_have_their_own_shards_in_the_order_of_their_clips():
    rows = [{"split": "ab"[n % 2], "n": n} for n in range(10)]
    found = list(shards(rows, "hf", ShardRule(max_rows=2)))
    assert {shard.name for shard in found} == {f"data/{s}-{n:05d}.parquet" for s in "ab" for n in range(3)}
    for split in (0, 1):
        mine = sorted((s for s in found if s.name.startswith(f"data/{'ab'[split]}")), key=lambda s: s.name)
        assert [row["n"] for shard in mine for row in shard.rows] == list(range(split, 10, 2))
