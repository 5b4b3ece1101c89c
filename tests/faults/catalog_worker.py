"""An arena of lean catalog processes that are killed at random: writers over the same keys, a caretaker, a reader.

Run as a script: `catalog_worker.py HOME SEED KILLS MEAN_PAUSE_S LIMIT_S MODE`; prints one JSON summary. Modes:
`merge` is the catalog as it is; the controls switch one protection off each: `append` writes blindly in place of the
merge, `unlocked` commits rows without the lock and the look at their shards.
The arena forks its workers after its imports, so that a worker starts in milliseconds; it alone reaps them, so a
process id is never another's when it is killed. How long it takes does not decide whether it passes: kills are
counted, and then the workers go on undisturbed until enough was written and cared for to see harm.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import catalog_rows
import deltalake
import duckdb  # noqa: F401  (imported once, before the workers are forked, as is pandas, which DuckDB looks for)
import pandas as pd  # noqa: F401
import pyarrow as pa
from deltalake.exceptions import CommitFailedError

from uniform_core.catalog import Catalog, Failure
from uniform_core.catalog.batch import checked_batch
from uniform_core.catalog.tables import table_named
from uniform_core.errors import IntegrityError, Rejection
from uniform_core.files import lock
from uniform_core.fingerprint import digest

KEYS_PER_ROUND = 60
_CARED = {"batches": 40, "care rounds": 6, "compacted": 1, "vacuumed": 1}
# Blind writers never lose a race, so that they leave no shard to collect.
ENOUGH = {"merge": {**_CARED, "collected": 1}, "append": _CARED, "unlocked": {**_CARED, "collected": 1}}
WRITERS_AND_CARE = ("writer", "writer", "writer", "caretaker")
ROLES = {"merge": (*WRITERS_AND_CARE, "reader"), "append": WRITERS_AND_CARE, "unlocked": WRITERS_AND_CARE}


def clips_of_round(number: int) -> list[dict[str, object]]:
    return [catalog_rows.clip_row(number * KEYS_PER_ROUND + i) for i in range(KEYS_PER_ROUND)]


def latent_key(clip: dict[str, object]) -> str:
    return digest(["latent", clip["clip_id"]])


def notes(home: Path, role: str) -> Iterator[dict]:
    """What the workers of a role noted, a line after each deed; a last line may be torn by a kill."""
    for journal in home.glob(f"{role}-*.jsonl"):
        for line in journal.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                yield json.loads(line)


def note(journal: Path, **deed: object) -> None:
    with journal.open("a") as file:
        file.write(json.dumps(deed) + "\n")


def acknowledged(home: Path) -> set[str]:
    """The keys whose insert returned to a writer."""
    return {key for deed in notes(home, "writer") for key in deed["keys"]}


def write_for_ever(catalog: Catalog, rng: random.Random, *, journal: Path, stop: Path, mode: str) -> None:
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
            INSERTS[mode](catalog, rows)
        except IntegrityError:
            continue  # the collector was faster than this writer: its work is simply done again
        if rng.random() < 0.2:
            failure = Failure("other", chosen[0], "an item", Rejection("crash", "killed"), catalog_rows.STAGE_FP, "run")
            catalog.record_failures([failure])
        note(journal, round=number, keys=chosen)


def merged(catalog: Catalog, rows: list[dict[str, object]]) -> None:
    catalog.insert("latents", rows)


def appended(catalog: Catalog, rows: list[dict[str, object]]) -> None:
    """What the catalog must not do: rows added without a look at the keys that are there."""
    batch = checked_batch(table_named("latents"), rows)
    with lock(catalog.tensors_lock, shared=True), lock(catalog.delta.commit_lock, shared=True):
        if all((catalog.tensors_dir / shard).is_file() for shard in batch["shard"].unique().to_pylist()):
            try:
                deltalake.write_deltalake(str(catalog.delta.path("latents")), batch, mode="append")
            except CommitFailedError:  # another writer made the table at that moment
                deltalake.write_deltalake(str(catalog.delta.path("latents")), batch, mode="append")


def unlocked(catalog: Catalog, rows: list[dict[str, object]]) -> None:
    """What the catalog must not do, either: rows whose shard may be gone by the time that they are there."""
    table = table_named("latents")
    catalog.delta.insert(table, checked_batch(table, rows))


INSERTS = {"merge": merged, "append": appended, "unlocked": unlocked}


def care_for_ever(catalog: Catalog, rng: random.Random, *, journal: Path, stop: Path) -> None:
    """Compaction, vacuum and orphan collection, with the shortest possible times, until the stop file."""
    while not stop.exists():
        note(journal, compacted=sum(catalog.compact(rng.choice(["latents", "latents", "attempts"])).values()))
        time.sleep(rng.random() * 0.3)
        note(journal, vacuumed=len(catalog.vacuum(timedelta(0), grace=timedelta(0))))
        time.sleep(rng.random() * 0.3)
        collected = catalog.collect_orphans(timedelta(seconds=rng.choice([0.0, 0.0, 0.5])))
        note(journal, collected=len(collected), **{"care rounds": 1})
        time.sleep(rng.random() * 0.3)


def read_for_ever(catalog: Catalog, *, home: Path, stop: Path) -> None:
    """At every moment of the fight: what was acknowledged is there, and nothing is there twice."""
    while not stop.exists():
        before = acknowledged(home)
        keys = catalog.read("latents", columns=["work_key"])["work_key"].to_pylist()
        if len(keys) != len(set(keys)) or not before <= set(keys):
            raise AssertionError(f"{len(keys)} rows of {len(set(keys))} keys; {len(before - set(keys))} are lost")
        time.sleep(0.3)


def start(role: str, home: Path, number: int, *, seed: int, mode: str) -> int:
    """The process id of a new worker. `number` names its journal: a process id may come again."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        catalog, rng = catalog_rows.open_catalog(home), random.Random(seed)
        stop, journal = home / "stop", home / f"{role}-{number}.jsonl"
        if role == "writer":
            write_for_ever(catalog, rng, journal=journal, stop=stop, mode=mode)
        elif role == "caretaker":
            care_for_ever(catalog, rng, journal=journal, stop=stop)
        else:
            read_for_ever(catalog, home=home, stop=stop)
        status = 0
    except BaseException:
        traceback.print_exc()  # nobody else would: the process ends below, without unwinding the arena's own stack
    finally:
        sys.stderr.flush()
        os._exit(status)


def deeds(home: Path) -> Counter[str]:
    """How much was written and cared for."""
    done: Counter[str] = Counter(batches=sum(1 for _ in notes(home, "writer")))
    for deed in notes(home, "caretaker"):
        done.update(deed)
    return done


def fight(home: Path, *, seed: int, kills: int, mean_pause_s: float, limit_s: float, mode: str) -> dict[str, object]:
    """What happened: workers run and are killed until enough were, then go on until enough is done, and finish."""
    rng, began, started = random.Random(seed), time.monotonic(), 0
    running: dict[int, str] = {}
    killed: Counter[str] = Counter()
    faults: list[str] = []

    def begin(role: str) -> None:
        nonlocal started
        started += 1
        running[start(role, home, started, seed=rng.getrandbits(32), mode=mode)] = role

    for role in ROLES[mode]:
        begin(role)
    while killed.total() < kills and time.monotonic() - began < limit_s and not faults:
        time.sleep(rng.uniform(0, 2 * mean_pause_s))
        victim = rng.choice(list(running))
        os.kill(victim, signal.SIGKILL)
        _, status = os.waitpid(victim, 0)
        role = running.pop(victim)
        if os.WIFSIGNALED(status):
            killed[role] += 1
        else:
            faults.append(f"{role} ended by itself with {os.waitstatus_to_exitcode(status)}")
        begin(role)
    fought_s = time.monotonic() - began
    while not faults and any(deeds(home)[deed] < least for deed, least in ENOUGH[mode].items()):
        if time.monotonic() - began > limit_s:
            faults.append(f"only {dict(deeds(home))} within {limit_s} s")
        time.sleep(0.2)
        gone = [pid for pid in running if os.waitpid(pid, os.WNOHANG) != (0, 0)]
        faults += [f"{running.pop(pid)} ended by itself" for pid in gone]
    (home / "stop").touch()
    for pid, role in running.items():
        _, status = os.waitpid(pid, 0)
        if status:
            faults.append(f"{role} ended with {os.waitstatus_to_exitcode(status)}")
    wall_s = time.monotonic() - began
    return {"killed": killed, "faults": faults, "deeds": deeds(home), "fought_s": fought_s, "wall_s": wall_s}


if __name__ == "__main__":
    home, seed, kills, mean_pause_s, limit_s, mode = sys.argv[1:]
    summary = fight(
        Path(home),
        seed=int(seed),
        kills=int(kills),
        mean_pause_s=float(mean_pause_s),
        limit_s=float(limit_s),
        mode=mode,
    )
    print(json.dumps(summary))
