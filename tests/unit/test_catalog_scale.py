"""The bench of a large catalog, at a small size: what its looks find, beside loops over the same rows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from catalog_rows import open_catalog
from scale_catalog import LABELLED, NEW, NEW_FP, OLD, OLD_FP

from uniform_core.catalog import Catalog
from uniform_core.corpus.fingerprints import captions_fingerprint
from uniform_core.fingerprint import text_digest, work_key

CLIPS = 20_000
TESTS = Path(__file__).parents[1]
Looks = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Catalog, Looks]:
    home = tmp_path_factory.mktemp("scale") / "home"
    bench = [sys.executable, str(TESTS / "bench" / "bench_catalog_scale.py")]
    called = [*bench, "--clips", str(CLIPS), "--home", str(home), "--json"]
    path = os.pathsep.join([str(TESTS), *sys.path])
    done = subprocess.run(called, check=True, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path})
    taken = json.loads(done.stdout)
    texts = CLIPS + CLIPS // 10 + 310
    rows = {"sources": CLIPS, "clips": CLIPS, "captions": 3 * CLIPS - CLIPS // 100, "caption_texts": texts}
    assert taken["rows"] == {**rows, "attempts": 4, "tombstones": 50}
    return open_catalog(home), taken["looks"]


def rows_of(catalog: Catalog, table: str, *columns: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = catalog.read(table, columns=columns).to_pylist()
    return rows


def texts_by(catalog: Catalog, fp: str) -> dict[str, str]:
    said = rows_of(catalog, "captions", "clip_id", "text_hash", "stage_fp")
    return {row["clip_id"]: row["text_hash"] for row in said if row["stage_fp"] == fp}


def test_status_counts_what_people_see(measured: tuple[Catalog, Looks]) -> None:
    catalog, looks = measured
    tables = ("attempts", "caption_texts", "captions", "clips", "sources", "tombstones")
    counted = {name: catalog.read(name, columns=["work_key"]).num_rows for name in tables}
    corpora = {"corpora": 2}
    assert looks["status"]["found"] == {"code": 0, **counted, **corpora}
    assert (counted["clips"], counted["tombstones"]) == (CLIPS - 50, 50)
    assert counted["captions"] == 3 * counted["clips"] - CLIPS // 100


def test_the_work_list_is_that_of_a_loop(measured: tuple[Catalog, Looks]) -> None:
    catalog, looks = measured
    clips = rows_of(catalog, "clips", "clip_id", "clip_sha256")
    keys = [work_key(clip["clip_id"], stage_fp=NEW_FP, source_sha256=clip["clip_sha256"]) for clip in clips]
    done = {row["work_key"] for row in rows_of(catalog, "captions", "work_key")}
    failed = {row["item_key"] for row in rows_of(catalog, "attempts", "item_key")}
    left = set(keys) - done - failed
    assert failed & set(keys)
    todo, one = (looks[name]["found"] for name in ("work list", "list of a run"))
    assert todo == one, "whether SQL or a table in memory names the clips"
    assert todo["to_do"] == todo["outstanding"] == len(left) == CLIPS // 100 - len(failed & set(keys))
    assert (todo["candidates"], todo["done"]) == (len(clips), len(done & set(keys)))
    assert looks["fresh prompt"]["found"] == {"candidates": len(clips), "done": 0, "outstanding": len(clips)}
    assert looks["labels"]["found"] == {"to_do": 0, "candidates": len(clips), "done": len(clips), "outstanding": 0}


def test_the_diff_is_that_of_two_dicts(measured: tuple[Catalog, Looks]) -> None:
    catalog, looks = measured
    old, new = texts_by(catalog, OLD_FP), texts_by(catalog, NEW_FP)
    both = old.keys() & new.keys()
    same = sum(old[clip] == new[clip] for clip in both)
    found = {
        "same": same,
        "changed": len(both) - same,
        "added": len(new.keys() - both),
        "removed": len(old.keys() - both),
    }
    assert looks["diff"]["found"] == {**found, "examples": 5}
    assert found["changed"] == CLIPS // 10


def test_pages_have_the_next_clips_with_what_was_said_of_them(measured: tuple[Catalog, Looks]) -> None:
    catalog, looks = measured
    old, new = texts_by(catalog, OLD_FP), texts_by(catalog, NEW_FP)
    page = [clip_id for clip_id in sorted(new) if clip_id > "8" * 32][:100]
    assert looks["page"]["found"] == {"rows": 100, "first": page[0], "last": page[-1]}
    shown = [clip_id for clip_id in sorted(old) if clip_id > "8" * 32][:24]
    assert looks["browse"]["found"] == {"clips": 24, "said": 24 + len(new.keys() & set(shown))}


def test_the_first_look_at_what_is_gone_is_kept_for_the_next(measured: tuple[Catalog, Looks]) -> None:
    catalog, looks = measured
    assert looks["status again"]["found"] == looks["status"]["found"]
    kept = json.loads((catalog.root / ".gone_texts.json").read_text())
    hidden = set(catalog.read("caption_texts", include_removed=True, columns=["text_hash"])["text_hash"].to_pylist())
    assert set(kept["ids"]) == hidden - {row["text_hash"] for row in rows_of(catalog, "caption_texts", "text_hash")}


def test_the_rows_are_those_that_the_stages_would_write(measured: tuple[Catalog, Looks]) -> None:
    """Else a work list would have nothing done, or the checks of a batch would refuse them."""
    catalog, _ = measured
    seen = {row["clip_id"]: row for row in rows_of(catalog, "clips", "clip_id", "clip_sha256", "label")}
    looks_at_frames = {captions_fingerprint(captioner): captioner.frames > 0 for captioner in (LABELLED, OLD, NEW)}
    for row in rows_of(catalog, "captions", "work_key", "clip_id", "stage_fp"):
        clip = seen[row["clip_id"]]
        words = text_digest(f"{clip['label']}\n{None}")
        source = clip["clip_sha256"] if looks_at_frames[row["stage_fp"]] else words
        assert row["work_key"] == work_key(row["clip_id"], stage_fp=row["stage_fp"], source_sha256=source)
    for table in ("sources", "clips", "captions", "caption_texts", "attempts"):
        assert catalog.insert(table, catalog.read(table).slice(0, 100)) == 0, "rows that are there, and pass the checks"
