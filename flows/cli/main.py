"""The words of the command line, and the function that each command runs."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from typing import Any, NoReturn

from flows.cli.captions_words import add_captions_words
from flows.cli.endings import Terminated, exit_code_of, termination_unwinds
from flows.cli.evaluate_words import add_evaluate_words, add_weights_words
from flows.cli.words import number, one_of, option, right_words, stage_or_data
from uniform_core import __version__
from uniform_core.errors import UniformError

STAGES = ("fetch", "ingest", "encode", "captions", "text", "train", "sample", "evaluate")
PAPER_TABLES = ("1", "2", "3", "4", "5", "6", "s1", "s2", "s3", "s4", "s5", "s6")
# By these names failures are kept: an evaluation also has instruments to train and features to compute.
LEDGER_STAGES = (*STAGES[:-1], "instruments", "features", "evaluate")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done; 1 the work failed; 2 the call was wrong; 130 interrupted; 143 ended."""
    arguments = build_parser().parse_args(argv)
    module, _, function = arguments.handler.partition(":")
    try:
        whole = right_words(arguments)
        if "overrides" in whole and "preset" in whole:
            from flows.seed import seeded  # here: not every command needs a config

            whole.overrides = seeded(whole.preset, whole.overrides, whole.data)
        with termination_unwinds():
            result: int = getattr(importlib.import_module(module), function)(whole)
    except (UniformError, KeyboardInterrupt, Terminated, OSError) as error:
        return exit_code_of(error)
    return result


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors also say where the help is, and that takes `names` wherever they stand."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """As argparse does it, which leaves names behind that come after a flag."""
        found, left = super().parse_known_args(args, namespace)
        if not any(action.dest == "names" and not action.option_strings for action in self._actions):
            return found, left
        late = [word for word in left if not word.startswith("-")]
        if late:
            found.names = [*getattr(found, "names", []), *late]
        return found, [word for word in left if word.startswith("-")]

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\nSee `{self.prog} --help`.\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command; each names the function that serves it, imported only when called."""
    parser = _Parser(prog="uniform", description="UniForm: from video datasets to a model of sound and picture.")
    parser.add_argument("--version", action="version", version=f"uniform {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _run_commands(commands)
    _look_commands(commands)
    _care_commands(commands)
    _weights_command(commands)
    _debug_command(commands)
    return parser


Commands = argparse._SubParsersAction  # the type has no public name


def _command(commands: Commands, name: str, handler: str, words: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=words, description=words)
    command.set_defaults(handler=handler)
    return command


def _config_words(command: argparse.ArgumentParser, *, of: Sequence[str] = ()) -> None:
    option(command, "--preset", of=of, default="tiny", metavar="P", help="a named run config (default: tiny)")
    option(command, "--data", of=of, metavar="KIND[:ARG]", help="procedural, folder:DIR, …; default: the preset's own")
    more = {"action": "append", "default": [], "metavar": "K=V", "dest": "overrides"}
    option(command, "--set", of=of, help="train.steps=100 and the like", **more)


def _json_word(command: argparse.ArgumentParser) -> None:
    option(command, "--json", action="store_true", help="one JSON value on stdout, for scripts")


def _limit_word(command: argparse.ArgumentParser, *, of: Sequence[str] = ()) -> None:
    words = "rows to print (default: 50, with --json all; 0: all)"
    option(command, "--limit", of=of, type=number("--limit", int, least=0), metavar="N", help=words)


def _choice(command: argparse.ArgumentParser, name: str, choices: Sequence[str], **more: Any) -> None:
    """A word that is one of some; the help shows them where `more` has no metavar."""
    option(command, name, type=one_of(name, choices), **{"metavar": "{" + ",".join(choices) + "}", **more})


def _run_commands(commands: Commands) -> None:
    run = _command(commands, "run", "flows.cli.work:run", "The whole pipeline, or some of its stages.")
    _choice(run, "--only", STAGES, nargs="+", metavar="STAGE", help="only these stages: " + " ".join(STAGES))
    _work_words(run)
    for stage in STAGES:
        if stage == "captions":
            _captions_command(commands)
            continue
        words = f"The stage {stage} alone." + MORE_OF_STAGES.get(stage, "")
        if stage == "evaluate":
            evaluate = _command(commands, stage, "flows.cli.evaluate:evaluate", words)
            add_evaluate_words(evaluate, choice=_choice)
            _stage_words(evaluate)
            continue
        command = _command(commands, stage, "flows.cli.work:stage", words)
        if stage in ("fetch", "ingest"):
            _kind_word(command)
        _work_words(command)
    generate = _command(commands, "generate", "flows.cli.generate:generate", "Make a clip from a person's own files.")
    _choice(generate, "task", ("t2av", "v2a", "a2v"))
    option(generate, "--text", help="a caption; needed for t2av, a help for the others")
    option(generate, "--video", metavar="FILE", help="the picture to make sound for (v2a)")
    option(generate, "--audio", metavar="FILE", help="the sound to make a picture for (a2v)")
    option(generate, "--out", default="generated.mp4", metavar="FILE", help="where the mp4 goes")
    option(generate, "--seed", type=number("--seed", int), default=0)
    option(generate, "--model", metavar="ID", help="a model id, or the beginning of one (default: the newest)")
    _json_word(generate)
    report = _command(commands, "report", "flows.cli.report:report", "Write the HTML report of what is in the catalog.")
    _config_words(report)
    option(report, "--screenshots", metavar="DIR", help="also take pictures of it, with a headless Chromium")
    _json_word(report)
    words = "What the gate says of the model: every check, and every control. Exit code 1 where it is not passed."
    proof = _command(commands, "proof", "flows.cli.proof:proof", words)
    _config_words(proof)
    words = "also say what is worse than the bounds that a night froze (`nightly.json`)"
    option(proof, "--frozen", metavar="FILE", help=words)
    _json_word(proof)
    words = "Give an alias of MLflow's registry to the model where a rule holds. Exit code 1 where it does not."
    promote = _command(commands, "promote", "flows.cli.promote:promote_model", words)
    _config_words(promote)
    option(promote, "--alias", default="champion", metavar="NAME", help="the alias (default: champion)")
    option(promote, "--name", default="uniform", metavar="NAME", help="the registered model (default: uniform)")
    more = {"action": "append", "default": [], "metavar": "TASK/SCORE"}
    words = "a score that must be better than that of who has the alias, by more than its interval"
    option(promote, "--better", help=words, **more)
    option(promote, "--not-worse", help="a score that must not be worse by more than its interval", **more)
    option(promote, "--any-gate", action="store_true", help="also where the gate is not passed (needs --better)")
    option(promote, "--dry-run", action="store_true", help="say what would be done, and do nothing")
    _json_word(promote)
    _tables_commands(commands)
    words = "The gate over several training seeds and both objectives: hours. Exit code 1 unless each passes."
    nightly = _command(commands, "nightly", "flows.cli.nightly:nightly", words)
    presets = {"nargs": "+", "default": ["tiny", "tiny_iddpm"], "metavar": "P"}
    option(nightly, "--presets", help="the presets (default: tiny tiny_iddpm)", **presets)
    option(nightly, "--seeds", type=number("--seeds", int, least=1), default=3, metavar="N", help="seeds (default: 3)")
    option(nightly, "--set", action="append", default=[], metavar="K=V", dest="overrides", help="as for run")
    _json_word(nightly)


def _tables_commands(commands: Commands) -> None:
    words = "The paper's tables beside our own numbers: what is missing is made first, by the model that is there."
    tables = _command(commands, "table", "flows.cli.table:tables", words)
    _choice(tables, "numbers", (*PAPER_TABLES, "all"), nargs="+", metavar="N", help="1 to 6, s1 to s6, or all")
    _config_words(tables)
    option(
        tables,
        "--run",
        metavar="ID",
        help="a model id, or the beginning of one: tables of that model, by its own config",
    )
    words = "another system's clips, scored beside ours: their folder, or one below for each task (DIR/v2a) and dataset"
    option(tables, "--external", action="append", default=[], metavar="NAME=DIR", help=words)
    add_weights_words(tables)
    option(tables, "--markdown", metavar="FILE", help="also write the tables there")
    option(tables, "--dry-run", action="store_true", help="say what would be made, and make nothing")
    _json_word(tables)
    words = "Figures of generated clips beside the real ones: strips of pictures and log-mels, and a page of them."
    gallery = _command(commands, "gallery", "flows.cli.gallery:gallery", words)
    option(gallery, "--out", metavar="DIR", required=True, help="the folder that they go into")
    option(gallery, "--clips", type=number("--clips", int, least=1), default=6, metavar="N", help="clips (default: 6)")
    _config_words(gallery)
    _json_word(gallery)


def _captions_command(commands: Commands) -> None:
    words = "Captions: build them, and corpora of them; look at both, compare corpora, put an old one back."
    captions = _command(commands, "captions", "flows.cli.captions:captions", words)
    add_captions_words(captions, choice=_choice)
    _work_words(captions, of=("build",))


# What a stage's name does not say.
MORE_OF_STAGES = {
    "fetch": " It brings the files of the clips that an index lists, politely.",
    "ingest": " Of an index, it fetches first.",
    "sample": " `sample` makes the evaluation set.",
    "evaluate": " With --generated or --run, anybody's clips under named protocols.",
}


def _kind_word(command: argparse.ArgumentParser) -> None:
    option(command, "kind", nargs="?", metavar="KIND[:ARG]", help="as --data")


def _first_word(command: argparse.ArgumentParser, *, of: Sequence[str] = ()) -> None:
    option(
        command,
        "--limit",
        of=of,
        action="append",
        type=lambda text: f"data.limit={text}",  # a value of the config, and checked with it
        metavar="N",
        dest="overrides",
        help="only the first N clips that an index lists",
    )


def _work_words(command: argparse.ArgumentParser, *, of: Sequence[str] = ()) -> None:
    _stage_words(command, of=of)
    _first_word(command, of=of)


def _stage_words(command: argparse.ArgumentParser, *, of: Sequence[str] = ()) -> None:
    _config_words(command, of=of)
    option(command, "--dry-run", of=of, action="store_true", help="say what would be done, and do nothing")
    option(
        command,
        "--max-reject-fraction",
        of=of,
        action="append",
        type=lambda text: f"max_reject_fraction={text}",  # a value of the config, and checked with it
        metavar="X",
        dest="overrides",
        help="fail where more of the items than this are rejected",
    )
    _json_word(command)


def _look_commands(commands: Commands) -> None:
    plan = _command(commands, "plan", "flows.cli.plan:plan", "What would be done: how many, bytes, time, by stage.")
    words = "only these stages (" + " ".join(STAGES) + "); one word may be data, as --data"
    option(plan, "stage", type=stage_or_data("stage", STAGES), nargs="*", metavar="STAGE", help=words)
    _config_words(plan)
    _first_word(plan)
    _json_word(plan)
    words = "The clips that an index lists and that have no file, and why: one a line."
    missing = _command(commands, "missing", "flows.cli.corpus:missing", words)
    _kind_word(missing)
    _config_words(missing)
    _first_word(missing)
    _json_word(missing)
    status = _command(commands, "status", "flows.cli.look:status", "What is in the catalog.")
    _json_word(status)
    query = _command(commands, "query", "flows.cli.look:query", "A SELECT over the tables of the catalog.")
    option(
        query,
        "sql",
        nargs="?",
        help="one SELECT, or the name of a query of ours (worst_clips, …); without it, the tables and their columns",
    )
    _limit_word(query)
    _json_word(query)
    words = (
        "Runs beside each other: their scores, clip by clip where both made the same clips, and which clips changed."
    )
    compare = _command(commands, "compare", "flows.cli.compare:compare_runs", words)
    words = "an evaluation, model or run (an id or its beginning), or PRESET[@K=V]; the first is the base"
    option(compare, "names", nargs="*", metavar="RUN", help=words + "; RUN/SYSTEM is a baseline of a run")
    words = "clips of each task that got better or worse (default: 3)"
    option(compare, "--top", type=number("--top", int, least=1), default=3, metavar="N", help=words)
    option(compare, "--page", metavar="FILE", help="also write a page with the films of these clips side by side")
    _json_word(compare)
    doctor = _command(commands, "doctor", "flows.cli.look:doctor", "Is this machine fit for it? What is missing?")
    _json_word(doctor)
    words = "The named protocols of evaluation: which there are, and every constant of one."
    protocols = _command(commands, "protocols", "flows.cli.protocols:protocols", words)
    _choice(protocols, "action", ("list", "show"))
    option(protocols, "names", nargs="*", metavar="NAME", help="the protocols, as `list` names them (show needs some)")
    _json_word(protocols)


def _care_commands(commands: Commands) -> None:
    failures = _command(commands, "failures", "flows.cli.care:failures", "What failed and why; ask for another try.")
    _choice(failures, "action", ("list", "retry"))
    _choice(failures, "--stage", LEDGER_STAGES)
    option(failures, "--error-class", metavar="CLASS")
    option(failures, "--dataset", metavar="NAME")
    words = "a condition in SQL over the columns of `attempts` and `tries`: \"error_class = 'transient'\""
    option(failures, "--where", metavar="SQL", help=words)
    _limit_word(failures, of=("list",))
    words = "also videos that are gone, and not due for another look yet"
    option(failures, "--early", of=("retry",), action="store_true", help=words)
    option(failures, "--dry-run", of=("retry",), action="store_true", help="say how many, and ask for none")
    _json_word(failures)
    catalog = _command(commands, "catalog", "flows.cli.care:catalog", "Care for the catalog.")
    _choice(catalog, "action", ("verify", "compact", "vacuum", "history", "bury"))
    words = "take damaged rows out, so that the next run makes them again"
    option(catalog, "--repair", of=("verify",), action="store_true", help=words)
    option(catalog, "--table", of=("compact", "history"), metavar="T", help="one table (default: every one)")
    hours = {"type": number("--keep-hours", float, least=0), "default": 168.0, "metavar": "H"}
    option(catalog, "--keep-hours", of=("vacuum",), help="spare what was replaced since (default: 168)", **hours)
    option(catalog, "--dataset", of=("bury",), metavar="NAME", help="the dataset")
    option(catalog, "--source", of=("bury",), action="append", default=[], metavar="ID", help="a source to take down")
    words = (
        "a video to take down with all its clips, of every dataset where none is named (--video=-ID where it begins so)"
    )
    option(catalog, "--video", of=("bury",), action="append", default=[], metavar="ID", help=words)
    option(catalog, "--reason", of=("bury",), metavar="WORDS", help="why")
    _json_word(catalog)


def _weights_command(commands: Commands) -> None:
    words = "Public weights: which there are, get them, are they whole, where do they lie?"
    weights = _command(commands, "weights", "flows.cli.weights:weights", words)
    _choice(weights, "action", ("list", "pull", "verify", "where"))
    option(weights, "names", nargs="*", metavar="NAME", help="the weights, as `list` names them (pull needs some)")
    given = {"metavar": "PATH", "dest": "given", "help": "take files that you have there already"}
    option(weights, "--from", of=("pull",), **given)
    _json_word(weights)


def _debug_command(commands: Commands) -> None:
    words = "Does the model work? `overfit`: a few clips learned by heart. `cut`: synchrony without its attention."
    debug = _command(commands, "debug", "flows.cli.debug:debug", words)
    _choice(debug, "action", ("overfit", "cut"))
    help_words = "clips to learn (overfit: 4 unless said), or to make for each task (cut: 96 unless said)"
    option(debug, "--clips", type=number("--clips", int, least=1), metavar="N", help=help_words)
    steps = {"type": number("--steps", int, least=1), "default": 800, "metavar": "N"}
    option(debug, "--steps", of=("overfit",), help="steps of training (default: 800)", **steps)
    _config_words(debug)
    _json_word(debug)
