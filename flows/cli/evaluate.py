"""`uniform evaluate`: the stage, or the clips of any system, from a folder, under named protocols."""

from __future__ import annotations

import argparse
import dataclasses
import re
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flows.cli.show import print_json, table
from uniform_core.errors import ConfigError, WorkFailedError
from uniform_core.files import expanded

if TYPE_CHECKING:
    from tasks.anybody import Scored
    from uniform_core.catalog import Catalog
    from uniform_core.corpus.anybody.call import Call, Words
    from uniform_core.corpus.anybody.exports import Export, Exported

# The words that clips from anybody have alone, by their names in the arguments.
OF_CLIPS: Final = (
    *("reference", "task", "protocol", "match", "name", "weights", "allow_code", "infinite", "baselines"),
    *("leave_out_failed", "export_av_benchmark", "export_javisbench"),
)
SEED: Final = re.compile(r"\w+\.seed=\d+")
NEWEST: Final = "newest"
CHANCE: Final = ("av_align.", "av_align_chance.")


def evaluate(arguments: argparse.Namespace) -> int:
    """Score clips that are named, or run the stage. Raises ConfigError for words of the one with the other."""
    if arguments.generated is None and arguments.run is None:
        return _stage(arguments)
    words = words_of(arguments)
    from uniform_core.catalog import Catalog
    from uniform_core.corpus.anybody.call import call_of
    from uniform_core.settings import ensure_home, load_settings

    settings = load_settings()
    catalog = Catalog.open(settings)
    if arguments.run is not None:
        words = _with_model(words, arguments.run, catalog)
    call = call_of(words, settings=settings, catalog=catalog)
    from flows.cli.show import ProgressPrinter
    from tasks.anybody import progress_of, score_clips
    from tasks.anybody_tracking import log_scored
    from tasks.context import Session
    from tasks.ray_session import ray_session

    if arguments.dry_run:
        _say_plan(call, *progress_of(catalog, call), as_json=arguments.json)
        return 0
    ensure_home(settings)
    exports = _exports(arguments)
    with ray_session(settings) as ray, ProgressPrinter() as printer:
        session = Session(settings, catalog, ray, f"local-{uuid.uuid4()}", printer)
        scored = score_clips(session, call)
    run_id = log_scored(session, call, scored, words=_said(arguments, call))
    exported = [export(call.sides, folder) for folder, export in exports]
    if arguments.json:
        print_json(as_json(call, scored) | {"mlflow_run": run_id, "exports": [_exported(one) for one in exported]})
    else:
        print("\n" + "\n".join([as_text(call, scored), *map(_export_line, exported), "", f"MLflow run {run_id}"]))
    return 0


def _stage(arguments: argparse.Namespace) -> int:
    """The stage, whose `--limit` is that of its data."""
    given = [f"--{name.replace('_', '-')}" for name in OF_CLIPS if getattr(arguments, name)]
    if given:
        raise ConfigError(
            "uniform evaluate",
            expected="--generated DIR or --run MODEL with these words",
            found=", ".join(given),
            fix="Say whose clips are scored, or leave them out.",
        )
    from flows.cli.work import stage

    if arguments.limit is not None:
        arguments.overrides = [*arguments.overrides, f"data.limit={arguments.limit}"]
    return stage(arguments)


def words_of(arguments: argparse.Namespace) -> Words:
    """What is asked for. Raises ConfigError for words that are missing, or that are the stage's."""
    from uniform_core.corpus.anybody.call import Words
    from uniform_core.types import Task

    mistakes = [said for said, was_given in _of_stage(arguments).items() if was_given]
    if arguments.generated is not None and arguments.run is not None:
        mistakes.append("both --generated and --run")
    if arguments.name is not None and arguments.run is not None:
        mistakes.append("--name with --run, whose clips are those of uniform")
    mistakes += [f"no --{name}" for name in ("task", "protocol") if not getattr(arguments, name)]
    if mistakes:
        raise ConfigError(
            "uniform evaluate",
            expected="--generated DIR or --run MODEL, with --task and --protocol",
            found="; ".join(mistakes),
            fix="See `uniform evaluate --help`; `uniform protocols list` has the protocols.",
        )
    return Words(
        task=Task(arguments.task),
        protocols=tuple(arguments.protocol),
        generated=_path("--generated", arguments.generated),
        reference=arguments.reference,
        match=_path("--match", arguments.match),
        system=arguments.name,
        weights=tuple(arguments.weights),
        allow_code=arguments.allow_code,
        infinite=arguments.infinite,
        baselines=tuple(dict.fromkeys(arguments.baselines)),
        limit=arguments.limit,
        leave_out=arguments.leave_out_failed,
    )


def _of_stage(arguments: argparse.Namespace) -> dict[str, bool]:
    """Words that are the stage's alone, and whether they were given. Seeds of the settings are nobody's words."""
    return {
        "--preset is the stage's": arguments.preset != "tiny",
        "--data is the stage's": arguments.data is not None,
        "--set and --max-reject-fraction are the stage's": not all(map(SEED.fullmatch, arguments.overrides)),
    }


def _path(flag: str, word: str | None) -> Path | None:
    return None if word is None else expanded(word, item=f"{flag} {word}")


def _with_model(words: Words, wanted: str, catalog: Catalog) -> Words:
    """The words with the id of the model that was meant. Raises WorkFailedError, ConfigError."""
    rows = catalog.rows("SELECT model_id FROM models WHERE kind = 'uniform' ORDER BY created_at DESC, model_id")
    ids = [row["model_id"] for row in rows]
    if not ids:
        fix = "Run `uniform run` first."
        raise WorkFailedError(
            "uniform evaluate --run", expected="a trained model", found="none in the catalog", fix=fix
        )
    fitting = ids[:1] if wanted == NEWEST else [one for one in ids if one.startswith(wanted)]
    if len(fitting) != 1:
        known = ", ".join(one[:12] for one in ids[:10])
        raise ConfigError(
            f"--run {wanted}",
            expected=f"{NEWEST}, or the beginning of one model's id, of {known}",
            found=f"{len(fitting)} that begin so" if fitting else "none that begins so",
            fix="Correct the id.",
        )
    return dataclasses.replace(words, model_id=fitting[0])


def _exports(arguments: argparse.Namespace) -> list[tuple[Path, Export]]:
    """What is exported, and where to, after all is scored. Raises ConfigError for a folder with something in it."""
    from uniform_core.corpus.anybody.exports import exports_of, require_empty

    flags = ("export_av_benchmark", "export_javisbench")
    exports = list(exports_of(*(_path(f"--{flag.replace('_', '-')}", getattr(arguments, flag)) for flag in flags)))
    for folder, _ in exports:
        require_empty(folder)
    return exports


def _said(arguments: argparse.Namespace, call: Call) -> dict[str, Any]:
    """What the call said, as parameters of the MLflow run."""
    names = ("generated", "reference", "match", "run", "weights", "infinite", "baselines", "leave_out_failed", "limit")
    counts = {"clips": len(call.generated), "pairs": len(call.sides.pairs)}
    return {name: getattr(arguments, name) for name in names} | counts


def _say_plan(call: Call, total: int, todo: int, *, as_json: bool) -> None:
    plan: dict[str, Any] = {
        "system": call.system,
        "task": str(call.task),
        "protocols": [protocol.name for protocol in call.protocols],
        "generated": len(call.generated),
        "reference": len(call.reference),
        "pairs": len(call.sides.pairs),
        "scores": [metric.name for metric in call.asked.metrics],
        "features": total,
        "features_to_make": todo,
        "not_made": _gaps(call.asked.not_made),
    }
    if as_json:
        print_json(plan)
        return
    print(_head(call))
    print(f"{len(call.asked.metrics)} scores: {', '.join(plan['scores'])}")
    print(f"{todo} of {total} features are still to be made")
    print("\n".join(_gap_lines(plan["not_made"])))


def as_json(call: Call, scored: Scored) -> dict[str, Any]:
    """All that a script may want to know."""
    return {
        "system": call.system,
        "task": str(call.task),
        "protocols": {protocol.name: protocol.hash for protocol in call.protocols},
        "scores": [{**row, "warnings": list(scored.warnings[row["work_key"]])} for row in scored.rows],
        "not_made": _gaps(scored.not_made),
        "stages": [summary.as_dict() for summary in scored.summaries],
    }


def as_text(call: Call, scored: Scored) -> str:
    """A table for each system, and below it what is to be known of its numbers."""
    parts = [_head(call)]
    for system in dict.fromkeys(row["system"] for row in scored.rows):
        rows = [row for row in scored.rows if row["system"] == system]
        parts += ["", f"{system}, {rows[0]['task']}", table(_lines(rows)), *_remarks(rows, scored.warnings)]
    return "\n".join([*parts, *_gap_lines(_gaps(scored.not_made))])


def _head(call: Call) -> str:
    pairs = f", {len(call.sides.pairs)} of them in pairs" if call.reference else ""
    real = f"{len(call.reference)} real clips" if call.reference else "no real clips"
    return f"{call.system}, {call.task}: {len(call.generated)} clips{pairs}; {real}"


def _lines(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A line for each number; that of AV-align has what chance gives beside it."""
    by_name = {row["name"]: row for row in rows}
    chances = {
        name.replace(*CHANCE, 1): by_name.get(name.replace(*CHANCE, 1))
        for name in by_name
        if name.startswith(CHANCE[0])
    }
    lines = []
    for row in rows:
        if row["name"] in chances:
            continue
        beside = chances.get(row["name"].replace(*CHANCE, 1))
        lines.append(
            {
                "score": row["name"],
                "value": row["value"],
                "low": row["low"],
                "high": row["high"],
                "by chance": None if beside is None else beside["value"],
                "clips": row["n_generated"],
                "real": row["n_reference"],
                "hash": row["protocol_hash"][:12],
            }
        )
    return lines


def _remarks(rows: Sequence[Mapping[str, Any]], warnings: Mapping[str, Sequence[str]]) -> list[str]:
    """Why a number is missing, and what is to be known of the others, each once with the scores that it is said of."""
    said: dict[str, list[str]] = {}
    for row in rows:
        for remark in ([row["reason"]] if row["reason"] else []) + list(warnings[row["work_key"]]):
            said.setdefault(remark, []).append(row["name"])
    return [f"  {', '.join(names)}: {remark}" for remark, names in said.items()]


def _gaps(gaps: Sequence[Any]) -> list[dict[str, str]]:
    return [{"what": gap.what, "reason": gap.reason} for gap in gaps]


def _gap_lines(gaps: Sequence[Mapping[str, str]]) -> list[str]:
    return ["", "not made:", *(f"  {gap['what']}: {gap['reason']}" for gap in gaps)] if gaps else []


def _exported(one: Exported) -> dict[str, Any]:
    return {"folder": str(one.folder), "clips": one.clips, "left_out": dict(one.left_out)}


def _export_line(one: Exported) -> str:
    first = next(iter(one.left_out.items()), None)
    without = "" if first is None else f"; {len(one.left_out)} files are not in it: {first[0]}: {first[1]}"
    return f"\n{one.clips} clips in {one.folder}{without}"
