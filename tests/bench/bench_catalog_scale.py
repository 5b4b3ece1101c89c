"""The catalog at ten million clips: `status`, work lists, a diff of two corpora by hash, pages by key.

Run it with `PYTHONPATH=tests`. A catalog of so many clips, with three captions each, is made by simulation in a
temporary folder (about 2 KB a clip), and each look at it runs in a process of its own, by the call that the command or
the stage makes: seconds of the look and of the whole process, CPU seconds, and the peak of its memory. The first
`status` finds nothing kept of what was taken down, and derives it; what comes later need not. `--clips` makes it
smaller; `--home` keeps the catalog, or uses the one that is there.
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

from scale_catalog import EVERY_CLIP, FRESH, LABELLED, NEW, NEW_FP, NO_CLIPS, OLD, OLD_FP, Scale, fill, over

from flows.browse.asking import Ask
from flows.browse.looking import Looker
from flows.cli.main import main as command_line
from flows.cli.show import table
from uniform_core.catalog import Catalog
from uniform_core.catalog.memory import bound_memory
from uniform_core.corpus.candidates import CAPTIONED, captions_work
from uniform_core.corpus.caption_corpora import build_corpus, corpus_captions, corpus_versions
from uniform_core.corpus.caption_diff import KINDS
from uniform_core.corpus.caption_policy import CorpusPolicy
from uniform_core.settings import Settings

PAGE = 100  # captions
MIDDLE = "8" * 32
CORPORA = {"old": OLD_FP, "new": NEW_FP}
TABLES = ("sources", "clips", "captions", "caption_texts", "attempts", "tombstones")


@dataclass(frozen=True)
class Look:
    """One thing that is measured: what it does, and the seconds that it may take at ten million clips, if any."""

    does: Callable[[Catalog], dict[str, Any]]
    bound_s: float | None


def said_by(*words: str) -> dict[str, Any]:
    """What a command of `uniform` says as JSON, with its exit code."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = command_line([*words, "--json"])
    return {**json.loads(said.getvalue()), "code": code}


def status(_catalog: Catalog) -> dict[str, Any]:
    """What `uniform status` says, by its own command."""
    said = said_by("status")
    tables = {row["table_name"]: row["rows"] for row in said["tables"] if row["rows"]}
    return {"code": said["code"], **tables}


def work_list(catalog: Catalog) -> dict[str, Any]:
    """What the stage begins with, by its own call: the clips that a captioner of frames has left, one in a hundred,
    with all that its worker needs, and how many there are and are done. Which clips a run has is not asked.
    """
    todo, counts = catalog.outstanding_of("captions", over(captions_work(NEW, NO_CLIPS)), stage="captions")
    return {"to_do": todo.num_rows, "first": todo["item"][0].as_py(), **vars(counts)}


def list_of_a_run(catalog: Catalog) -> dict[str, Any]:
    """The same as a run has it, whose clips are a table in memory: the columns that its stage asks for."""
    clips = catalog.query(f"SELECT {', '.join(CAPTIONED)} FROM ({EVERY_CLIP}) ORDER BY clip_id")
    todo, counts = catalog.outstanding_of("captions", captions_work(NEW, clips), stage="captions")
    return {"to_do": todo.num_rows, "first": todo["item"][0].as_py(), **vars(counts)}


def fresh_prompt(catalog: Catalog) -> dict[str, Any]:
    """How much a prompt that nobody has used would have to do: all of it."""
    return vars(catalog.progress("captions", over(captions_work(FRESH, NO_CLIPS)), stage="captions"))


def labels(catalog: Catalog) -> dict[str, Any]:
    """The work list of a captioner of words, whose keys have to be made to be compared."""
    todo, counts = catalog.outstanding_of("captions", over(captions_work(LABELLED, NO_CLIPS)), stage="captions")
    return {"to_do": todo.num_rows, **vars(counts)}


def diff(_catalog: Catalog) -> dict[str, Any]:
    """What became of the captions of the one corpus in the other, by hash: `uniform captions diff`, with examples."""
    said = said_by("captions", "diff", "--by-hash", "old", "new")
    return {**{kind: said[kind] for kind in KINDS}, "examples": len(said["examples"])}


def page(catalog: Catalog) -> dict[str, Any]:
    """A hundred captions of a corpus from the middle, with their texts."""
    rows = corpus_captions(catalog, "new", after=MIDDLE, limit=PAGE)
    return {"rows": rows.num_rows, "first": rows["clip_id"][0].as_py(), "last": rows["clip_id"][-1].as_py()}


def browsed(catalog: Catalog) -> dict[str, Any]:
    """A page of `uniform captions browse old new` from the middle: clips with what both corpora say of them."""
    shown = Looker(catalog).page(Ask(a="old", b="new", trail=(MIDDLE,)))
    return {"clips": len(shown.entries), "said": sum(side is not None for one in shown.entries for side in one.sides)}


LOOKS = {
    "status": Look(status, 5.0),
    "status again": Look(status, 5.0),
    "work list": Look(work_list, 5.0),
    "list of a run": Look(list_of_a_run, None),
    "fresh prompt": Look(fresh_prompt, 5.0),
    "labels": Look(labels, None),
    "diff": Look(diff, 20.0),
    "page": Look(page, 0.5),
    "browse": Look(browsed, 0.5),
}


def look_once(name: str, home: Path) -> None:
    """Prints what one look found and took, as JSON."""
    catalog = Catalog.open(Settings(home=home))
    bound_memory()  # as commands that look do
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
    for name, fp in CORPORA.items():
        if not corpus_versions(catalog, name):
            policy = {"selectors": [{"captioner": OLD.kind, "stage_fp": fp}]}
            build_corpus(catalog, name, CorpusPolicy.model_validate(policy), run_id="bench")
    for kept in catalog.root.glob(".gone_*.json"):
        kept.unlink()
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
