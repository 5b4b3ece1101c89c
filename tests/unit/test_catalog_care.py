"""Compaction, vacuum, pins, orphans, takedowns, verify."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from catalog_rows import (
    caption_row,
    clip_row,
    clip_with_file,
    latent_rows,
    open_catalog,
    sha,
    source_row,
    source_with_file,
    stamp,
    tensor_of,
    text_row,
)

from uniform_core.catalog import Catalog, shard_care, vacuum
from uniform_core.catalog.shards import ShardReader, ShardWriter, ref_columns, ref_of, write_shard
from uniform_core.catalog.verify import Finding
from uniform_core.errors import CatalogError, ConfigError, IntegrityError
from uniform_core.fingerprint import digest, text_digest

NOW = timedelta(0)
TABLES = ["sources", "clips", "latents", "captions", "caption_texts"]


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return open_catalog(tmp_path / "home")


def fill(catalog: Catalog, count: int) -> list[dict]:
    """A small whole catalog: sources, clips with files, latents, captions with texts."""
    clips = [clip_with_file(catalog, n) for n in range(count)]
    texts = [text_row(n) for n in range(count)]
    catalog.insert("sources", [source_with_file(catalog, n) for n in range(count)])
    catalog.insert("clips", clips)
    catalog.insert("caption_texts", texts)
    captions = zip(clips, texts, strict=True)
    catalog.insert("captions", [caption_row(clip, text["text_hash"]) for clip, text in captions])
    catalog.insert("latents", latent_rows(catalog, clips))
    return clips


def in_a(**time: float):
    return lambda: datetime.now(UTC) + timedelta(**time)


def test_compaction_changes_no_content(catalog: Catalog) -> None:
    fill(catalog, 2)
    for n in (5, 6):
        catalog.insert("clips", [clip_row(n)])
        catalog.insert("caption_texts", [text_row(n)])
    before, rows = catalog.content_digest(TABLES), catalog.read("clips").sort_by("work_key")
    assert catalog.compact("clips") == {"clips": 3}
    assert sum(catalog.compact().values()) == 3
    assert catalog.content_digest(TABLES) == before
    assert catalog.read("clips").sort_by("work_key").equals(rows)
    assert catalog.history("clips")[0]["operation"] == "OPTIMIZE"
    assert catalog.history("models") == []


def test_compaction_lays_rows_near_one_another(catalog: Catalog) -> None:
    """Clips by their ids; what each run has said of them stays together, as it was committed."""
    clips = sorted((clip_row(n) for n in range(40)), key=lambda clip: clip["clip_id"])
    made_by = [text_digest("one"), text_digest("another")]
    for part in (clips[::2], clips[1::2]):
        catalog.insert("clips", part)
    for fp in made_by:
        for start in (0, 20):
            captions = [
                caption_row(clip, "a" * 32, stage_fp=fp, work_key=text_digest(fp + clip["clip_id"]))
                for clip in clips[start : start + 20]
            ]
            catalog.insert("captions", captions)
    assert catalog.compact("clips") == {"clips": 2}
    assert catalog.compact("clips") == {"clips": 0}, "nothing was written since"
    assert catalog.compact("captions") == {"captions": 4}
    [clips_file], [captions_file] = (catalog.delta.snapshot(name).files for name in ("clips", "captions"))
    ids = [clip["clip_id"] for clip in clips]
    assert pq.read_table(clips_file)["clip_id"].to_pylist() == ids
    said = pq.read_table(captions_file).to_pylist()
    together = [(fp, tuple(row["clip_id"] for row in rows)) for fp, rows in groupby(said, key=lambda r: r["stage_fp"])]
    assert sorted(fp for fp, _ in together) == sorted(made_by)
    assert all(sorted(found) == ids for _, found in together)
    catalog.insert("clips", [clip_row(99)])
    assert catalog.compact("clips") == {"clips": 2}


def test_who_has_read_before_sees_what_is_taken_down_since(catalog: Catalog) -> None:
    """What is gone is remembered by the versions of its tables: text 0 goes when the last clip that has it goes."""
    clips = [clip_row(n) for n in range(4)]
    catalog.insert("clips", clips)
    catalog.insert("caption_texts", [text_row(n) for n in range(3)])
    captions = [caption_row(clip, text_row(n % 3)["text_hash"]) for n, clip in enumerate(clips)]
    catalog.insert("captions", captions)

    def seen() -> list[int]:
        return [catalog.read(name).num_rows for name in ("clips", "captions", "caption_texts")]

    assert seen() == [4, 4, 3]
    for source, left in ((0, [3, 3, 3]), (1, [2, 2, 2]), (3, [1, 1, 1])):
        row = stamp(work_key=digest(["gone", source]), dataset="drawn", source_id=f"source-{source}", reason="asked")
        catalog.insert("tombstones", [row])
        assert seen() == seen() == left
    late = caption_row(clips[2], text_row(0)["text_hash"], work_key=digest("late"))
    catalog.insert("captions", [late])
    assert seen() == [1, 2, 2], "a live caption names it again"


def test_a_text_that_a_live_try_names_stays(catalog: Catalog) -> None:
    """Tries that were not kept are texts of their clips too."""
    clips = [clip_row(n) for n in range(2)]
    catalog.insert("clips", clips)
    catalog.insert("caption_texts", [text_row(n) for n in range(4)])
    hashes = [text_row(n)["text_hash"] for n in range(4)]
    tries = [[hashes[2], hashes[3]], [hashes[0], hashes[3]]]
    said = [caption_row(clips[n], hashes[n], other_raw_text_hashes=tries[n]) for n in range(2)]
    catalog.insert("captions", said)
    row = stamp(work_key=digest(["gone", 0]), dataset="drawn", source_id="source-0", reason="asked")
    catalog.insert("tombstones", [row])
    assert set(catalog.read("caption_texts")["text_hash"].to_pylist()) == {hashes[0], hashes[1], hashes[3]}


def test_failures_change_no_digest(catalog: Catalog) -> None:
    fill(catalog, 2)
    before = catalog.content_digest(TABLES)
    catalog.insert("attempts", [_attempt()])
    assert catalog.content_digest(TABLES) == before
    catalog.insert("caption_texts", [text_row(77)])
    assert catalog.content_digest(TABLES) != before


def _attempt() -> dict:
    return stamp(
        work_key="a" * 32,
        stage="encode",
        item_key="b" * 32,
        item="x",
        dataset="",
        event="failed",
        error_class="crash",
        message="m",
        is_terminal=True,
    )


def test_vacuum_spares_pins_retention_and_the_newest(catalog: Catalog) -> None:
    for n in range(3):
        catalog.insert("caption_texts", [text_row(n)])
    pinned, middle = catalog.versions(["caption_texts"]), 2
    catalog.pin("corpus-a", pinned)
    assert catalog.pins() == {"corpus-a": pinned}
    catalog.compact("caption_texts")
    catalog.insert("caption_texts", [text_row(3)])
    assert catalog.vacuum(timedelta(days=7), clock=in_a(days=1)) == [], "within the retention"
    assert catalog.vacuum(NOW, grace=timedelta(hours=1)) == [], "too young"
    assert catalog.vacuum(NOW, clock=in_a(days=1)) == [], "pinned"
    assert catalog.read("caption_texts", version=pinned["caption_texts"]).num_rows == 3
    assert catalog.unpin("corpus-a")
    assert not catalog.unpin("corpus-a")
    kept = {"caption_texts": middle}
    gone = catalog.vacuum(NOW, clock=in_a(days=1), pinned=[kept])
    assert len(gone) == 1, "of three small files the pinned version needs two"
    assert catalog.read("caption_texts", version=middle).num_rows == 2
    with pytest.raises(CatalogError, match=r"at version 3.*pin"):
        catalog.read("caption_texts", version=pinned["caption_texts"])
    assert len(catalog.vacuum(NOW, clock=in_a(days=1))) == 2
    assert catalog.read("caption_texts").num_rows == 4
    assert catalog.verify() == []


def test_a_version_within_the_retention_stays_though_replaced(catalog: Catalog) -> None:
    for n in range(3):
        catalog.insert("caption_texts", [text_row(n)])
    version = catalog.versions(["caption_texts"])["caption_texts"]
    catalog.compact("caption_texts")
    catalog.vacuum(timedelta(hours=1), grace=NOW)
    assert catalog.read("caption_texts", version=version).num_rows == 3


def test_a_version_that_was_vacuumed_cannot_be_pinned(catalog: Catalog) -> None:
    for n in range(2):
        catalog.insert("caption_texts", [text_row(n)])
    catalog.compact("caption_texts")
    catalog.vacuum(NOW, grace=NOW)
    with pytest.raises(CatalogError, match=r"caption_texts at version 2.*2 that are gone.*pin a newer"):
        catalog.pin("late", {"caption_texts": 2})
    assert catalog.pins() == {}


def test_a_pin_that_comes_while_vacuum_waits_is_spared(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(2):
        catalog.insert("caption_texts", [text_row(n)])
    version = catalog.versions(["caption_texts"])
    catalog.compact("caption_texts")
    locked, late = vacuum.lock, [True]

    @contextmanager
    def after_a_pin(path: Path, *, shared: bool) -> Iterator[None]:
        if late.pop() if late else False:
            catalog.pin("late", version)
        with locked(path, shared=shared):
            yield

    monkeypatch.setattr(vacuum, "lock", after_a_pin)
    assert catalog.vacuum(NOW, grace=NOW) == []
    assert catalog.read("caption_texts", version=version["caption_texts"]).num_rows == 2


def test_vacuum_spares_what_models_and_scores_stand_on(catalog: Catalog) -> None:
    for n in range(3):
        catalog.insert("caption_texts", [text_row(n)])
    catalog.insert("models", [model_of(catalog, "m", versions='{"caption_texts": 2, "clips": -1, "gone": 4}')])
    catalog.insert("models", [model_of(catalog, "of another catalog", versions='{"caption_texts": 99}')])
    catalog.compact("caption_texts")
    assert len(catalog.vacuum(NOW, grace=NOW, table="caption_texts")) == 1
    assert catalog.read("caption_texts", version=2).num_rows == 2
    with pytest.raises(CatalogError, match="at version 3"):
        catalog.read("caption_texts", version=3)
    catalog.insert("models", [model_of(catalog, "torn", versions="{")])
    with pytest.raises(CatalogError, match=r"table models, row .*versions by table"):
        catalog.vacuum(NOW)


def test_vacuum_removes_what_interrupted_writers_left(catalog: Catalog) -> None:
    catalog.insert("caption_texts", [text_row(1)])
    folder = catalog.root / "caption_texts"
    litter = [folder / "part-00000-dead.snappy.parquet", folder / "_delta_log" / f"{9:020d}.json#1"]
    for path in litter:
        path.write_bytes(b"torn")
    assert catalog.vacuum(NOW) == []
    assert len(catalog.vacuum(NOW, clock=in_a(hours=2))) == 2
    assert not any(path.exists() for path in litter)
    assert catalog.read("caption_texts").num_rows == 1


def test_vacuum_does_not_pass_over_a_pin_it_cannot_read(catalog: Catalog) -> None:
    catalog.insert("caption_texts", [text_row(1)])
    catalog.pin("good", catalog.versions())
    (catalog.root / "pins" / "torn.json").write_text("{")
    with pytest.raises(CatalogError, match=r"torn\.json"):
        catalog.vacuum(NOW)
    for name, versions in (("../x", {}), ("x", {"nosuch": 1})):
        with pytest.raises(ConfigError):
            catalog.pin(name, versions)
    with pytest.raises(CatalogError, match="version 50"):
        catalog.pin("x", {"caption_texts": 50})
    with pytest.raises(ConfigError, match="at least 0"):
        catalog.vacuum(timedelta(-1))


def test_orphans_are_collected_after_their_grace(catalog: Catalog) -> None:
    rows = latent_rows(catalog, [clip_row(1), clip_row(2)])
    orphan = write_shard(catalog.tensors_dir, "latents/lost", [("k", np.zeros(3))])["k"].shard
    torn = catalog.tensors_dir / "latents" / ".tmp-1-x.parquet"
    torn.write_bytes(b"half")
    assert catalog.collect_orphans() == []
    catalog.insert("latents", rows)
    assert catalog.collect_orphans(timedelta(hours=1), clock=in_a(minutes=59)) == []
    collected = catalog.collect_orphans(timedelta(hours=1), clock=in_a(minutes=61))
    assert collected == ["tensors/latents/.tmp-1-x.parquet", f"tensors/{orphan}"]
    assert catalog.verify() == [finding for finding in catalog.verify() if finding.check == "latents_without_clips"]
    with pytest.raises(ConfigError, match="at least 0"):
        catalog.collect_orphans(timedelta(-1))


def test_media_that_no_row_names_are_collected_after_their_grace(catalog: Catalog) -> None:
    clips = fill(catalog, 2)
    catalog.insert("generations", [generation_of(catalog, clips[0])])
    catalog.bury("drawn", ["source-1"], reason="asked", run_id="r")
    named = {path for path in catalog.media_dir.rglob("*") if path.is_file()}
    litter = ["clips/0a/.part-9-0.mp4", "clips/0a/orphan.mp4", "generated/m/v2a/.tmp-9.mp4"]
    litter += ["sources/.f.mp4.9.part", "sources/drawn/train/x.mp4"]
    for name in [*litter, "generated/mine.mp4"]:
        (catalog.media_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (catalog.media_dir / name).write_bytes(b"x")
    assert catalog.collect_orphans(timedelta(hours=1), clock=in_a(minutes=59)) == []
    os.utime(catalog.media_dir / litter[1], (2e9, 2e9))  # young: its row may come
    assert catalog.collect_orphans(timedelta(hours=1), clock=in_a(minutes=61)) == [
        f"media/{name}" for name in litter if name != litter[1]
    ]
    left = {path for path in catalog.media_dir.rglob("*") if path.is_file()}
    assert left == named | {catalog.media_dir / litter[1], catalog.media_dir / "generated/mine.mp4"}


def test_a_shard_that_is_being_written_is_not_collected(catalog: Catalog) -> None:
    with ShardWriter(catalog.tensors_dir, "latents/slow") as writer:
        for n in range(20):
            writer.add(str(n), np.zeros(3))
        assert catalog.collect_orphans(NOW, clock=in_a(days=30)) == []
    assert ShardReader(catalog.tensors_dir).read(writer.refs[19][1], verify=True).shape == (3,)
    assert catalog.collect_orphans(NOW, clock=in_a(days=30)) == [f"tensors/{writer.shard}"]


def test_files_that_vanish_during_the_look_are_left_out(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another collector, or a writer that gave its temporary file its name."""
    orphan = write_shard(catalog.tensors_dir, "latents/lost", [("k", np.zeros(3))])["k"].shard
    gone = catalog.tensors_dir / "latents" / ".tmp-1-x.parquet"
    seen = shard_care._shard_files
    monkeypatch.setattr(shard_care, "_shard_files", lambda folder: [gone, *seen(folder)])
    assert catalog.collect_orphans(NOW) == [f"tensors/{orphan}"]


@pytest.mark.parametrize("shard", ["/etc/hostname", "../catalog/format.json"])
def test_rows_cannot_name_a_shard_outside(catalog: Catalog, shard: str) -> None:
    row = latent_rows(catalog, [clip_row(1)])[0]
    with pytest.raises(IntegrityError, match=shard):
        catalog.insert("latents", [{**row, "shard": shard}])


def test_rows_cannot_name_a_shard_that_was_collected(catalog: Catalog) -> None:
    rows = latent_rows(catalog, [clip_row(1)])
    assert len(catalog.collect_orphans(NOW)) == 1
    with pytest.raises(IntegrityError, match=r"tensor shard latents/video.*Run the stage again"):
        catalog.insert("latents", rows)
    assert catalog.versions(["latents"]) == {"latents": -1}


def test_the_collector_waits_for_a_commit_that_names_its_shard(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one dangerous moment: the shard was seen by the writer, its rows are not yet committed."""
    import threading

    rows = latent_rows(catalog, [clip_row(1)])
    merge, collected, threads = catalog.delta.insert, [], []

    def slow_insert(*arguments: object) -> int:
        threads.append(threading.Thread(target=lambda: collected.extend(catalog.collect_orphans(NOW))))
        threads[0].start()
        threads[0].join(timeout=1.0)
        assert threads[0].is_alive(), "the collector must wait here"
        return merge(*arguments)

    monkeypatch.setattr(catalog.delta, "insert", slow_insert)
    assert catalog.insert("latents", rows) == 1
    threads[0].join(timeout=30)
    assert collected == []
    assert ShardReader(catalog.tensors_dir).read(ref_of(rows[0]), verify=True).shape == (2, 4, 4)


def test_verify_finds_each_kind_of_damage(catalog: Catalog) -> None:
    clips = fill(catalog, 5)
    assert catalog.verify() == []
    refs = {row["clip_id"]: ref_of(row) for row in catalog.read("latents").to_pylist()}
    shard = catalog.tensors_dir / refs[clips[0]["clip_id"]].shard
    whole = shard.read_bytes()
    tensor = tensor_of(digest(["latent", clips[2]["clip_id"]])).tobytes()
    assert whole.count(tensor) == 1
    shard.write_bytes(whole.replace(tensor, tensor[:-1] + bytes([tensor[-1] ^ 1])))
    (catalog.media_dir / "clips" / "0.mp4").unlink()
    (catalog.media_dir / "clips" / "1.mp4").write_bytes(b"short")
    changed = (catalog.media_dir / "clips" / "3.mp4").read_bytes()[::-1]
    (catalog.media_dir / "clips" / "3.mp4").write_bytes(changed)
    found = [(f.check, f.table, f.work_key) for f in catalog.verify()]
    keys = [clip["work_key"] for clip in clips]
    assert sorted(found) == sorted(
        [
            ("media", "clips", keys[0]),
            ("media", "clips", keys[1]),
            ("media", "clips", keys[3]),
            ("tensor", "latents", digest(["latent", clips[2]["clip_id"]])),
        ]
    )
    assert all(set(f.as_dict()) == {"check", "table", "work_key", "message"} for f in catalog.verify())
    assert len(catalog.verify(deep=False)) == 2, "without sha256 only what is missing or of another size"


def test_what_is_damaged_can_be_taken_out_to_be_made_again_and_nothing_else_goes(catalog: Catalog) -> None:
    clips = fill(catalog, 6)
    catalog.insert("models", [model_of(catalog, name) for name in ("whole", "gone")])
    (catalog.media_dir / "clips" / "0.mp4").unlink()
    shutil.rmtree(catalog.checkpoints_dir / "gone")
    (shard,) = {row["shard"] for row in catalog.read("latents").to_pylist()}
    (catalog.tensors_dir / shard).unlink()
    assert catalog.repair([Finding("duplicate", "clips", clips[3]["work_key"], "for a person")]) == {}
    gone = catalog.repair(catalog.verify())
    assert gone == {"sources": 1, "clips": 1, "latents": 6, "models": 1}
    assert {f.check for f in catalog.verify()} == {"captions_without_clips"}, "until the clip is made again"
    assert clips[0]["clip_id"] not in catalog.read("clips")["clip_id"].to_pylist()
    assert [catalog.read(name).num_rows for name in ("sources", "clips", "captions")] == [5, 5, 6]
    assert catalog.read("models")["model_id"].to_pylist() == [digest("whole")]
    catalog.insert("clips", [clip_with_file(catalog, 0)])
    assert catalog.verify() == []
    assert catalog.repair(catalog.verify()) == {}


def model_of(catalog: Catalog, name: str, **columns: object) -> dict:
    """A row of `models` whose weights lie on disk."""
    folder = catalog.checkpoints_dir / name
    folder.mkdir(parents=True)
    (folder / "weights.safetensors").write_bytes(name.encode())
    values = {"work_key": digest(name), "model_id": digest(name), "kind": "uniform", "path": name, "parameters": 1}
    values |= {"weights_sha256": hashlib.sha256(name.encode()).hexdigest(), "steps": 1, "data_digest": ""}
    return stamp(**{**values, "versions": "{}", "metrics": "{}", **columns})


def test_verify_reads_weights_and_rendered_sources(catalog: Catalog, tmp_path: Path) -> None:
    names = ["whole", "changed", "empty", "gone", "outside"]
    catalog.insert("models", [model_of(catalog, n, **({"path": "../.."} if n == "outside" else {})) for n in names])
    catalog.insert("sources", [source_with_file(catalog, n) for n in range(4)])
    catalog.insert("sources", [source_row(4, path=str(tmp_path / "of its owner.mp4"))])
    catalog.insert("sources", [source_with_file(catalog, 0, work_key=digest("listed again"), split="held_out")])
    assert [f.message for f in catalog.verify()] == [f"checkpoints/../..: outside {catalog.checkpoints_dir}"]
    (catalog.checkpoints_dir / "changed" / "weights.safetensors").write_bytes(b"other bytes")
    (catalog.checkpoints_dir / "empty" / "weights.safetensors").unlink()
    shutil.rmtree(catalog.checkpoints_dir / "gone")
    (catalog.media_dir / "sources" / "1.mp4").unlink()
    (catalog.media_dir / "sources" / "2.mp4").write_bytes(b"other bytes")
    (catalog.media_dir / "sources" / "3.mp4").write_bytes(b"sOurce 3 of the test")
    found = {f.work_key: f.message for f in catalog.verify() if f.check in ("model", "media")}
    said = {digest("changed"): "content differs", digest("empty"): "0 files of weights", digest("gone"): "no such"}
    said |= {digest("outside"): "outside", digest(["source", 1]): "no such file"}
    said |= {digest(["source", 2]): "bytes where", digest(["source", 3]): "content differs"}
    assert found.keys() == said.keys()
    assert all(words in found[key] for key, words in said.items())
    assert len(catalog.verify(deep=False)) == len(said) - 2, "without sha256 not what only differs"


@pytest.mark.parametrize("place", ["../../outside.mp4", "/outside.mp4", "clips/link.mp4"])
def test_verify_opens_nothing_outside(catalog: Catalog, tmp_path: Path, place: str) -> None:
    outside = tmp_path / "outside.mp4"
    outside.write_bytes(b"0123456789")
    (catalog.media_dir / "clips").mkdir(parents=True)
    (catalog.media_dir / "clips" / "link.mp4").symlink_to(outside)
    path = str(outside) if place.startswith("/") else place
    catalog.insert("clips", [clip_row(1, path=path, clip_sha256=hashlib.sha256(b"0123456789").hexdigest())])
    assert [f.message for f in catalog.verify()] == [f"{path}: outside {catalog.media_dir}"]


def test_verify_finds_a_table_that_cannot_be_read(catalog: Catalog) -> None:
    fill(catalog, 1)
    next((catalog.root / "clips").glob("*.parquet")).write_bytes(b"PAR1 torn")
    assert ("unreadable", "clips") in {(f.check, f.table) for f in catalog.verify()}


def test_verify_runs_the_named_checks(catalog: Catalog) -> None:
    clip = clip_with_file(catalog, 1, samples=16_000)
    catalog.insert("clips", [clip])
    catalog.insert("latents", latent_rows(catalog, [clip_row(9)]))
    catalog.insert("captions", [caption_row(clip, text_row(3)["text_hash"], raw_text_hash=text_row(4)["text_hash"])])
    catalog.insert("captions", [caption_row(clip_row(8), None, status="error", work_key="e" * 32)])
    catalog.insert("caption_texts", [text_row(5, text="another text")])
    found = sorted((f.check, f.table) for f in catalog.verify())
    assert found == [
        ("captions_without_clips", "captions"),
        ("captions_without_texts", "captions"),
        ("captions_without_texts", "captions"),
        ("clips_out_of_spec", "clips"),
        ("latents_without_clips", "latents"),
        ("texts_with_another_hash", "caption_texts"),
    ]


def features_of(catalog: Catalog, content_sha256: str) -> dict:
    key = digest(["feature", content_sha256])
    refs = write_shard(catalog.tensors_dir, "features/net", [(key, tensor_of(key))])
    return stamp(
        work_key=key,
        content_sha256=content_sha256,
        modality="video",
        extractor="net",
        extractor_fp="f" * 32,
        layer="features",
        protocol_part="d" * 32,
        **ref_columns(refs[key]),
    )


def generation_of(catalog: Catalog, clip: dict) -> dict:
    path = catalog.media_dir / "generations" / f"{clip['clip_id']}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(clip["clip_id"].encode())
    return stamp(
        work_key=digest(["generation", clip["clip_id"]]),
        model_id="a" * 32,
        task="v2a",
        system="uniform",
        clip_id=clip["clip_id"],
        seed=1,
        steps=3,
        guidance=2.0,
        path=f"generations/{path.name}",
        file_sha256=sha(clip["clip_id"]),
        bytes=32,
    )


def test_a_takedown_hides_and_purges_everything_of_a_source(catalog: Catalog) -> None:
    clips = fill(catalog, 3)
    catalog.insert(
        "latents", latent_rows(catalog, clips)
    )  # a writer that lost: its shard holds copies, no row names it
    catalog.insert("features", [features_of(catalog, clip["clip_sha256"]) for clip in clips])
    catalog.insert("generations", [generation_of(catalog, clip) for clip in clips])
    catalog.pin("before", catalog.versions())
    everything = [*TABLES, "features", "generations"]
    versions, digest_before = catalog.versions(), catalog.content_digest(everything)

    burial = catalog.bury("drawn", ["source-1"], reason="takedown request", run_id="r")
    assert (burial.sources, burial.media_files, burial.tensors, burial.rows) == (1, 3, 3, 1)

    for table in everything:
        assert catalog.read(table).num_rows == 2, table
        assert catalog.read(table, version=versions[table]).num_rows == 2, "it applies to older versions too"
    assert catalog.content_digest(everything) != digest_before
    assert catalog.content_digest(everything, versions=versions) == catalog.content_digest(everything)
    assert catalog.query("SELECT count(*) AS n FROM captions", read_only_sql=True).to_pylist() == [{"n": 2}]
    for name in ("clips/1.mp4", "sources/1.mp4", f"generations/{clips[1]['clip_id']}.mp4"):
        assert not (catalog.media_dir / name).exists()
    key = digest(["latent", clips[1]["clip_id"]])
    assert not any(tensor_of(key).tobytes() in path.read_bytes() for path in catalog.tensors_dir.rglob("*.parquet"))
    for table in ("stored.clips", "latest.clips", '"STORED".clips', "stored /* . */\n.clips", "query('FROM clips')"):
        with pytest.raises(CatalogError, match="taken down"):
            catalog.query(f"SELECT '--', count(*) FROM {table}", read_only_sql=True)
    joined = "SELECT count(*) AS n FROM captions k JOIN clips c USING (clip_id)"
    assert catalog.query(joined, read_only_sql=True).to_pylist() == [{"n": 2}]
    hidden = [r for r in catalog.read("latents", include_removed=True).to_pylist() if r["work_key"] == key]
    with pytest.raises(IntegrityError, match="purged"):
        ShardReader(catalog.tensors_dir).read(ref_of(hidden[0]))
    with ShardReader(catalog.tensors_dir) as reader:
        for row in catalog.read("latents").to_pylist():
            assert np.array_equal(reader.read(ref_of(row), verify=True), tensor_of(row["work_key"]))
    assert [f for f in catalog.verify() if f.table not in ("generations",)] == []

    again = catalog.bury("drawn", ["source-1"], reason="takedown request", run_id="r")
    assert (again.sources, again.media_files, again.tensors, again.rows) == (0, 0, 0, 0)
    assert set(again.as_dict()) == {"sources", "media_files", "tensors", "rows"}


@pytest.mark.parametrize("ids", [["nosuch"], ["source-0", "nosuch"], ["Source-0"], [""]], ids=str)
def test_a_source_that_nobody_knows_buries_nothing(catalog: Catalog, ids: list[str]) -> None:
    fill(catalog, 1)
    with pytest.raises(ConfigError, match=r"drawn: .*1 that it does not know: .*Nothing was buried"):
        catalog.bury("drawn", ids, reason="asked", run_id="r")
    with pytest.raises(ConfigError, match="1 that it does not know: source-0"):
        catalog.bury("filmed", ["source-0"], reason="asked", run_id="r")
    assert catalog.read("tombstones").num_rows == 0
    assert catalog.read("clips").num_rows == 1


def test_a_source_without_a_row_of_its_own_is_known_by_its_clips_and_by_its_failures(catalog: Catalog) -> None:
    catalog.insert("clips", [clip_with_file(catalog, 3)])
    catalog.insert("attempts", [{**_attempt(), "stage": "ingest", "item": "drawn/a/b.mp4", "dataset": "drawn"}])
    burial = catalog.bury("drawn", ["source-3", "a/b.mp4"], reason="asked", run_id="r")
    assert (burial.sources, burial.media_files) == (2, 1)


def test_a_takedown_that_was_killed_is_found_and_finished(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(catalog, 2)
    with monkeypatch.context() as patch:
        patch.setattr(shard_care, "_purge_media", lambda _store: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            catalog.bury("drawn", ["source-0"], reason="asked", run_id="r")
    assert catalog.read("clips").num_rows == 1, "hidden from the first moment"
    assert [(f.check, f.table) for f in catalog.verify()] == [("not_purged", "clips"), ("not_purged", "sources")]
    assert catalog.purge().tensors == 1
    assert catalog.verify() == []


def test_a_text_that_a_live_caption_names_stays(catalog: Catalog) -> None:
    clips = fill(catalog, 2)
    shared = text_row(7)
    catalog.insert("caption_texts", [shared])
    catalog.insert("captions", [caption_row(clip, shared["text_hash"]) for clip in clips])
    catalog.bury("drawn", ["source-0"], reason="asked", run_id="r")
    left = set(catalog.read("caption_texts")["text"].to_pylist())
    assert left == {"text number 1", "text number 7"}


def test_a_file_that_stays_with_its_owner_is_not_deleted(catalog: Catalog, tmp_path: Path) -> None:
    own = tmp_path / "own.mp4"
    own.write_bytes(b"mine")
    catalog.insert("sources", [source_row(1, path=str(own))])
    catalog.bury("drawn", ["source-1"], reason="asked", run_id="r")
    assert own.exists()
    catalog.insert("sources", [source_row(2, path="../../own.mp4")])
    with pytest.raises(CatalogError, match="inside media"):
        catalog.bury("drawn", ["source-2"], reason="asked", run_id="r")
    assert own.exists()
