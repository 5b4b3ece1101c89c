"""Writers over the same keys, compaction, vacuum and orphan collection beside them, killed at random instants.

No acknowledged row is lost, no key is there twice, every tensor verifies; and with the protection off the same arena
shows doubles, so it would have seen them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from catalog_rows import open_catalog, tensor_of

from uniform_core.catalog import Catalog
from uniform_core.catalog.shards import ShardReader, ref_of
from uniform_core.errors import CatalogError
from uniform_core.fingerprint import set_digest

WORKER = Path(__file__).with_name("catalog_worker.py")


def fight(home: Path, *, kills: int, mean_pause_s: float, limit_s: float, mode: str = "merge") -> dict:
    home.mkdir()
    command = [sys.executable, str(WORKER), str(home), "7", str(kills), str(mean_pause_s), str(limit_s), mode]
    environment = {**os.environ, "PYTHONPATH": str(WORKER.parent.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit_s + 240)
    assert done.returncode == 0, done.stderr[-4000:]
    summary = json.loads(done.stdout.splitlines()[-1])
    assert mode != "merge" or not summary["faults"], (summary, done.stderr[-4000:])
    return summary


def acknowledged(home: Path) -> set[str]:
    """The keys whose insert returned to a writer; a last line may be torn by a kill."""
    keys: set[str] = set()
    for journal in home.glob("journal-*.jsonl"):
        for line in journal.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                keys |= set(json.loads(line)["keys"])
    return keys


def assert_whole(catalog: Catalog, home: Path) -> int:
    """How many rows there are, once it is seen that none is lost, none is there twice, and all tensors are right."""
    rows = catalog.read("latents").to_pylist()
    keys = [row["work_key"] for row in rows]
    assert len(keys) == len(set(keys)), "a key is there twice"
    assert acknowledged(home) <= set(keys), "an acknowledged row is lost"
    assert keys, "nothing was written"
    assert len(keys) % 60 == 0, "a round is not complete"
    assert [f for f in catalog.verify() if f.check != "latents_without_clips"] == []
    with ShardReader(catalog.tensors_dir) as reader:
        for row in rows:
            assert (reader.read(ref_of(row), verify=True) == tensor_of(row["work_key"])).all()
    assert len(list((home / "catalog" / "latents").glob("*.parquet"))) < 40, "vacuum or compaction did not work"
    members = [f"latents\n{row['work_key']}\n{row['tensor_sha256']}" for row in rows]
    assert catalog.content_digest(["latents"]) == set_digest(members)
    return len(keys)


def test_nothing_is_lost_or_doubled_by_kills(tmp_path: Path) -> None:
    home = tmp_path / "home"
    summary = fight(home, kills=45, mean_pause_s=0.9, limit_s=55)
    killed = summary["killed"]
    assert killed["writer"] + killed["caretaker"] >= 40, summary
    assert killed["caretaker"] >= 3, summary
    catalog = open_catalog(home)
    assert_whole(catalog, home)
    operations = {commit["operation"] for commit in catalog.history("latents")}
    assert {"MERGE", "OPTIMIZE"} <= operations, "the arena did not exercise what it says"


def test_the_arena_sees_the_harm_where_the_protection_is_off(tmp_path: Path) -> None:
    """Blind appends take no lock and look at no keys: keys stand twice, or vacuum takes files from under a reader."""
    home = tmp_path / "home"
    summary = fight(home, kills=3, mean_pause_s=0.5, limit_s=30, mode="append")
    try:
        keys = open_catalog(home).read("latents")["work_key"].to_pylist()
    except CatalogError:
        return
    assert len(keys) > len(set(keys)) or summary["faults"]


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_nothing_is_lost_or_doubled_by_a_thousand_kills(tmp_path: Path) -> None:
    home = tmp_path / "home"
    summary = fight(home, kills=1000, mean_pause_s=0.55, limit_s=2400)
    assert sum(summary["killed"].values()) >= 1000, summary
    assert_whole(open_catalog(home), home)
