"""The catalog at ten million clips: `status`, work lists, a diff of two corpora by hash, a page by key.

Run it with `PYTHONPATH=tests`. A catalog of so many clips, with three captions each, is made by simulation in a
temporary folder (about 2 KB a clip), and each look at it runs in a process of its own: seconds of the look and of the
whole process, CPU seconds, and the peak of its memory. `--clips` makes it smaller; `--home` keeps the catalog, or uses
the one that is there.
"""

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scale_catalog import FRESH, LABELLED, NEW, NEW_FP, NO_CLIPS, OLD_FP, Scale, fill, over

from flows.cli.main import main as command_line
from flows.cli.show import table
from uniform_core.catalog import Catalog
from uniform_core.catalog.memory import memory_connection
from uniform_core.corpus.candidates import captions_work
from uniform_core.settings import Settings

PAGE = 100  # clips
MEMORY = "1200MiB"  # of DuckDB in the process of a look; with Python, Arrow and a result it is 2 GiB
TABLES = ("sources", "clips", "captions", "caption_texts", "attempts", "tombstones")


@dataclass(frozen=True)
class Look:
    """One thing that is measured: what it does, and the seconds that it may take at ten million clips, if any."""

    does: Callable[[Catalog], dict[str, Any]]
    bound_s: float | None


def status(_catalog: Catalog) -> dict[str, Any]:
    """What `uniform status` says, by its own command."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = command_line(["status", "--json"])
    tables = {row["table_name"]: row["rows"] for row in json.loads(said.getvalue())["tables"] if row["rows"]}
    return {"code": code, **tables}


def work_list(catalog: Catalog) -> dict[str, Any]:
    """The clips that a captioner of frames has left, one in a hundred, with all that its worker needs."""
    todo = catalog.outstanding("captions", over(captions_work(NEW, NO_CLIPS)), stage="captions")
    return {"to_do": todo.num_rows, "first": todo["item"][0].as_py()}


def fresh_prompt(catalog: Catalog) -> dict[str, Any]:
    """How much a prompt that nobody has used would have to do: all of it."""
    return vars(catalog.progress("captions", over(captions_work(FRESH, NO_CLIPS)), stage="captions"))


def labels(catalog: Catalog) -> dict[str, Any]:
    """The work list of a captioner of words, whose keys have to be made to be compared."""
    todo = catalog.outstanding("captions", over(captions_work(LABELLED, NO_CLIPS)), stage="captions")
    return {"to_do": todo.num_rows}


def diff(catalog: Catalog) -> dict[str, Any]:
    """Which clips the two prompts say other things of."""
    [found] = catalog.rows(
        """
        SELECT count(*) FILTER (WHERE a.text_hash = b.text_hash) AS same,
            count(*) FILTER (WHERE a.text_hash <> b.text_hash) AS changed,
            count(*) FILTER (WHERE a.text_hash IS NULL) AS added,
            count(*) FILTER (WHERE b.text_hash IS NULL) AS removed
        FROM (SELECT clip_id, text_hash FROM captions WHERE stage_fp = $old) a
        FULL JOIN (SELECT clip_id, text_hash FROM captions WHERE stage_fp = $new) b USING (clip_id)
        """,
        parameters={"old": OLD_FP, "new": NEW_FP},
    )
    return found


def page(catalog: Catalog) -> dict[str, Any]:
    """A hundred clips from the middle, with what the two prompts say of them."""
    rows = catalog.query(
        f"""
        WITH page AS (SELECT clip_id, path, label FROM clips WHERE clip_id > $after ORDER BY clip_id LIMIT {PAGE})
        SELECT p.clip_id, p.path, p.label, k.stage_fp, t.text
        FROM page p JOIN captions k USING (clip_id) JOIN stored.caption_texts t ON t.text_hash = k.text_hash
        WHERE k.stage_fp IN ($old, $new) ORDER BY p.clip_id, k.stage_fp
        """,
        parameters={"after": "8" * 32, "old": OLD_FP, "new": NEW_FP},
    )
    return {"rows": rows.num_rows, "clips": len(set(rows["clip_id"].to_pylist()))}


LOOKS = {
    "status": Look(status, 5.0),
    "work list": Look(work_list, 5.0),
    "fresh prompt": Look(fresh_prompt, 5.0),
    "labels": Look(labels, None),
    "diff": Look(diff, 20.0),
    "page": Look(page, 0.5),
}


def look_once(name: str, home: Path) -> None:
    """Prints what one look found and took, as JSON."""
    catalog = Catalog.open(Settings(home=home))
    with memory_connection() as con:  # a setting of the engine that all sessions of a process share
        con.execute(f"SET memory_limit = '{MEMORY}'")
    catalog.rows("SELECT 1")  # an engine that has started
    before, cpu_before = time.monotonic(), time.process_time()
    found = LOOKS[name].does(catalog)
    took = {"s": time.monotonic() - before, "cpu_s": time.process_time() - cpu_before}
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) // 1024
    print(json.dumps({"found": found, "peak_mib": peak, **took}))


def in_a_process(name: str, home: Path) -> dict[str, Any]:
    """What `look_once` prints, and the seconds of the process as a whole."""
    before = time.monotonic()
    called = [sys.executable, __file__, "--home", str(home), "--one", name]
    done = subprocess.run(called, check=True, stdout=subprocess.PIPE, env={**os.environ, "UNIFORM_HOME": str(home)})
    return {**json.loads(done.stdout), "process_s": time.monotonic() - before}


def measure(home: Path, clips: int, *, looks: list[str]) -> dict[str, dict[str, Any]]:
    """The rows of a catalog of so many clips, which is made where there is none, and what each look at it takes."""
    catalog = Catalog.open(Settings(home=home))
    if not catalog.rows("SELECT count(*) AS n FROM stored.clips")[0]["n"]:
        fill(catalog, Scale(clips=clips, left=clips // 100))
    counts = ", ".join(f"(SELECT count(*) FROM stored.{name}) AS {name}" for name in TABLES)
    [rows] = catalog.rows(f"SELECT {counts}")
    return {"rows": rows, "looks": {name: in_a_process(name, home) for name in looks}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=10_000_000)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--look", action="append", choices=LOOKS)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", choices=LOOKS, help=argparse.SUPPRESS)  # the process of one look
    chosen = parser.parse_args()
    if chosen.one:
        look_once(chosen.one, chosen.home)
        return
    with (
        contextlib.nullcontext(chosen.home) if chosen.home else tempfile.TemporaryDirectory(prefix="uf-bench-") as home
    ):
        taken = measure(Path(home), chosen.clips, looks=chosen.look or list(LOOKS))
    if chosen.json:
        print(json.dumps(taken))
        return
    print("rows: " + ", ".join(f"{rows:,} {name}" for name, rows in taken["rows"].items()) + "\n")
    print(table([_row(name, one) for name, one in taken["looks"].items()]))


def _row(name: str, taken: dict[str, Any]) -> dict[str, Any]:
    """A look for a person."""
    return {
        "look": name,
        "s": round(taken["s"], 2),
        "at most": LOOKS[name].bound_s,
        "CPU s": round(taken["cpu_s"], 2),
        "process s": round(taken["process_s"], 2),
        "peak MiB": taken["peak_mib"],
        "found": ", ".join(f"{word} {value}" for word, value in taken["found"].items() if word not in TABLES),
    }


if __name__ == "__main__":
    main()
