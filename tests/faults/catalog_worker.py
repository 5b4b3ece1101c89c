"""An arena of lean catalog processes that are killed at random: writers over the same keys, a caretaker beside them.

Run as a script: `catalog_worker.py HOME SEED KILLS MEAN_PAUSE_S LIMIT_S {merge,append}`; prints one JSON summary.
`append` switches the catalog's protection off (a blind append in place of the merge): the control.
The arena forks its workers after its imports, so that a worker starts in milliseconds; it alone reaps them, so a
process id is never another's when it is killed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from datetime import timedelta
from pathlib import Path

import catalog_rows
import deltalake
import duckdb  # noqa: F401  (imported once, before the workers are forked, as is pandas, which DuckDB looks for)
import pandas as pd  # noqa: F401
import pyarrow as pa

from uniform_core.catalog import Catalog, Failure
from uniform_core.catalog.batch import checked_batch
from uniform_core.catalog.tables import table_named
from uniform_core.errors import IntegrityError, Rejection
from uniform_core.fingerprint import digest

KEYS_PER_ROUND = 60
AT_LEAST_BATCHES = 40
ROLES = ("writer", "writer", "writer", "caretaker")


def clips_of_round(number: int) -> list[dict[str, object]]:
    return [catalog_rows.clip_row(number * KEYS_PER_ROUND + i) for i in range(KEYS_PER_ROUND)]


def latent_key(clip: dict[str, object]) -> str:
    return digest(["latent", clip["clip_id"]])


def write_for_ever(catalog: Catalog, rng: random.Random, *, journal: Path, stop: Path, append: bool) -> None:
    """Round after round until the stop file: outstanding work, a shard, its rows; what was acknowledged is noted."""
    number = 0
    while True:
        clips = {latent_key(clip): clip for clip in clips_of_round(number)}
        todo = catalog.outstanding("latents", pa.table({"work_key": list(clips)}), stage="encode")
        keys = todo["work_key"].to_pylist()
        if len(keys) == len(clips) and stop.exists():
            return  # at a round that nobody has begun: every round before it is complete
        if not keys:
            number += 1
            continue
        if rng.random() < 0.3:
            keys = list(clips)  # somebody who did not look at the work list
        chosen = rng.sample(keys, min(len(keys), rng.randint(1, 12)))
        rows = catalog_rows.latent_rows(catalog, [clips[key] for key in chosen])
        try:
            if append:
                blind_append(catalog, rows)
            else:
                catalog.insert("latents", rows)
        except IntegrityError:
            continue  # the collector was faster than this writer: its work is simply done again
        if rng.random() < 0.2:
            failure = Failure("other", chosen[0], "an item", Rejection("crash", "killed"), catalog_rows.STAGE_FP, "run")
            catalog.record_failures([failure])
        with journal.open("a") as file:
            file.write(json.dumps({"round": number, "keys": chosen}) + "\n")


def blind_append(catalog: Catalog, rows: list[dict[str, object]]) -> None:
    """What the catalog must not do: rows added without a look at the keys that are there."""
    table = table_named("latents")
    deltalake.write_deltalake(str(catalog.delta.path("latents")), checked_batch(table, rows), mode="append")


def care_for_ever(catalog: Catalog, rng: random.Random, stop: Path) -> None:
    """Compaction, vacuum and orphan collection, with the shortest possible times, until the stop file."""
    while not stop.exists():
        catalog.compact(rng.choice(["latents", "attempts"]))
        time.sleep(rng.random() * 0.3)
        catalog.vacuum(timedelta(0), grace=timedelta(0))
        time.sleep(rng.random() * 0.3)
        catalog.collect_orphans(timedelta(seconds=rng.choice([0.0, 0.5])))
        time.sleep(rng.random() * 0.3)


def start(role: str, home: Path, seed: int, *, append: bool) -> int:
    """The process id of a new worker."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        catalog, stop = catalog_rows.open_catalog(home), home / "stop"
        rng = random.Random(seed)
        if role == "writer":
            write_for_ever(catalog, rng, journal=home / f"journal-{os.getpid()}.jsonl", stop=stop, append=append)
        else:
            care_for_ever(catalog, rng, stop)
        status = 0
    except BaseException:
        traceback.print_exc()  # nobody else would: the process ends below, without unwinding the arena's own stack
    finally:
        sys.stderr.flush()
        os._exit(status)


def acknowledged_batches(home: Path) -> int:
    return sum(journal.read_text().count("\n") for journal in home.glob("journal-*.jsonl"))


def fight(home: Path, *, seed: int, kills: int, mean_pause_s: float, limit_s: float, append: bool) -> dict[str, object]:
    """What happened: workers run and are killed until enough were, then finish their round undisturbed."""
    rng = random.Random(seed)
    began = time.monotonic()
    running = {start(role, home, rng.getrandbits(32), append=append): role for role in ROLES}
    killed: dict[str, int] = {"writer": 0, "caretaker": 0}
    faults: list[str] = []
    while sum(killed.values()) < kills and time.monotonic() - began < limit_s and not faults:
        time.sleep(rng.uniform(0, 2 * mean_pause_s))
        victim = rng.choice(list(running))
        os.kill(victim, signal.SIGKILL)
        _, status = os.waitpid(victim, 0)
        role = running.pop(victim)
        if os.WIFSIGNALED(status):
            killed[role] += 1
        else:
            faults.append(f"{role} ended by itself with {os.waitstatus_to_exitcode(status)}")
        running[start(role, home, rng.getrandbits(32), append=append)] = role
    fought_s = time.monotonic() - began
    while acknowledged_batches(home) < AT_LEAST_BATCHES and time.monotonic() - began < limit_s + 60:
        time.sleep(0.1)  # a busy machine: without work there would be nothing to see
    (home / "stop").touch()
    for pid, role in running.items():
        _, status = os.waitpid(pid, 0)
        if status:
            faults.append(f"{role} ended with {os.waitstatus_to_exitcode(status)}")
    return {"killed": killed, "faults": faults, "fought_s": fought_s, "wall_s": time.monotonic() - began}


if __name__ == "__main__":
    home, seed, kills, mean_pause_s, limit_s, mode = sys.argv[1:]
    summary = fight(
        Path(home),
        seed=int(seed),
        kills=int(kills),
        mean_pause_s=float(mean_pause_s),
        limit_s=float(limit_s),
        append=mode == "append",
    )
    print(json.dumps(summary))
