"""Writers over the same keys, compaction, vacuum and orphan collection beside them, killed at random instants.

No acknowledged row is lost, no key is there twice, every tensor verifies; and with one protection off the same arena
shows doubles, or rows without their tensors, so it would have seen them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from catalog_rows import clip_row, latent_rows, open_catalog, tensor_of

from uniform_core.catalog import Catalog
from uniform_core.catalog.shards import ShardReader, ref_of
from uniform_core.fingerprint import set_digest

WORKER = Path(__file__).with_name("catalog_worker.py")
NOW = timedelta(0)


def fight(home: Path, *, kills: int, mean_pause_s: float, limit_s: float, mode: str = "merge") -> dict:
    home.mkdir()
    command = [sys.executable, str(WORKER), str(home), "7", str(kills), str(mean_pause_s), str(limit_s), mode]
    environment = {**os.environ, "PYTHONPATH": str(WORKER.parent.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit_s + 240)
    assert done.returncode == 0, done.stderr[-4000:]
    summary = json.loads(done.stdout.splitlines()[-1])
    assert not summary["faults"], (summary, done.stderr[-4000:])
    return summary


def acknowledged(home: Path) -> set[str]:
    """The keys whose insert returned to a writer; a last line may be torn by a kill."""
    lines = [line for j in home.glob("writer-*.jsonl") for line in j.read_text().splitlines(keepends=True)]
    return {key for line in lines if line.endswith("\n") for key in json.loads(line)["keys"]}


def assert_whole(catalog: Catalog, home: Path) -> None:
    """None of the rows is lost, none is there twice, and all tensors are right."""
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
    members = [f"latents\n{row['work_key']}\n{row['tensor_sha256']}" for row in rows]
    assert catalog.content_digest(["latents"]) == set_digest(members)


def assert_tidy(catalog: Catalog) -> None:
    """Whatever the kills left behind, care without disturbance takes away: no file is left that nothing needs."""
    catalog.compact("latents")
    catalog.vacuum(NOW, grace=NOW)
    catalog.collect_orphans(NOW)
    files = {path.name for path in (catalog.root / "latents").rglob("*") if path.is_file() and path.suffix != ".json"}
    needed = {Path(file).name for file in catalog.delta.snapshot("latents").files}
    assert {name for name in files if "checkpoint" not in name} == needed
    shards = {path.relative_to(catalog.tensors_dir).as_posix() for path in catalog.tensors_dir.rglob("*.parquet")}
    assert shards == set(catalog.read("latents", columns=["shard"])["shard"].to_pylist())


def test_nothing_is_lost_or_doubled_by_kills(tmp_path: Path) -> None:
    """45 kills at a mean pause of 0.9 s; the limit is for a machine that stands still, not for a slow one."""
    home = tmp_path / "home"
    summary = fight(home, kills=45, mean_pause_s=0.9, limit_s=300)
    assert sum(summary["killed"].values()) == 45, summary
    assert min(summary["killed"][role] for role in ("writer", "caretaker", "reader")) >= 3, summary
    catalog = open_catalog(home)
    assert_whole(catalog, home)
    operations = {commit["operation"] for commit in catalog.history("latents")}
    assert {"MERGE", "OPTIMIZE"} <= operations, "the arena did not exercise what it says"
    assert_tidy(catalog)
    assert_whole(catalog, home)


def test_the_arena_sees_doubles_where_the_merge_is_off(tmp_path: Path) -> None:
    home = tmp_path / "home"
    fight(home, kills=3, mean_pause_s=0.5, limit_s=240, mode="append")
    keys = open_catalog(home).read("latents")["work_key"].to_pylist()
    assert len(keys) > len(set(keys))


def test_the_arena_sees_missing_tensors_where_the_shards_are_not_locked(tmp_path: Path) -> None:
    home = tmp_path / "home"
    fight(home, kills=3, mean_pause_s=0.5, limit_s=240, mode="unlocked")
    assert "tensor" in {finding.check for finding in open_catalog(home).verify()}


KILLED = """
import os, signal, sys
from pathlib import Path
from catalog_rows import clip_row, latent_rows, open_catalog
catalog, when = open_catalog(Path(sys.argv[1])), sys.argv[2]
owner, name = {
    "name": (Path, "replace"),
    "commit": (catalog.delta, "insert"),
    "acknowledgement": (catalog.delta, "_merge"),
}[when]
whole = getattr(owner, name)
def fatal(*arguments, **more):
    if when == "acknowledgement":
        whole(*arguments, **more)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, name, fatal)
catalog.insert("latents", latent_rows(catalog, [clip_row(n) for n in range(5)]))
"""


@pytest.mark.parametrize(("before", "committed"), [("name", 0), ("commit", 0), ("acknowledgement", 5)])
def test_a_writer_that_is_killed_at_the_worst_moments(tmp_path: Path, before: str, committed: int) -> None:
    """Before the shard has its name, before the commit, before the commit is acknowledged.

    The rerun equals the clean run, and what the killed one left is collected.
    """
    catalog = open_catalog(tmp_path / "home")
    command = [sys.executable, "-c", KILLED, str(tmp_path / "home"), before]
    environment = {**os.environ, "PYTHONPATH": str(WORKER.parent.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert catalog.read("latents").num_rows == committed
    rows = latent_rows(catalog, [clip_row(n) for n in range(5)])
    assert catalog.insert("latents", rows) == 5 - committed
    members = [f"latents\n{row['work_key']}\n{row['tensor_sha256']}" for row in rows]
    assert catalog.content_digest(["latents"]) == set_digest(members)
    assert len(catalog.collect_orphans(NOW)) == 1
    assert [f for f in catalog.verify() if f.check != "latents_without_clips"] == []
    assert_tidy(catalog)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_nothing_is_lost_or_doubled_by_a_thousand_kills(tmp_path: Path) -> None:
    home = tmp_path / "home"
    summary = fight(home, kills=1000, mean_pause_s=0.55, limit_s=3000)
    assert sum(summary["killed"].values()) == 1000, summary
    assert_whole(open_catalog(home), home)
    assert_tidy(open_catalog(home))
