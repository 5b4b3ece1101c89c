"""The words of `uniform evaluate`: those of the stage, and those of clips that come from anybody."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, Final

from flows.cli.words import number, one_of, option

TASKS: Final = ("t2av", "v2a", "a2v")
BASELINES: Final = ("real", "codec_round_trip", "shuffled", "retrieval")


def add_evaluate_words(command: argparse.ArgumentParser, *, choice: Callable[..., None]) -> None:
    """Add the words of clips from a folder, or of a model of ours under published protocols."""
    option(command, "--generated", metavar="DIR", help="score the clips of this folder instead: films, or sounds")
    words = "score the clips of this model under --protocol (the beginning of its id, or `newest`)"
    option(command, "--run", metavar="MODEL", help=words)
    words = "the real clips: a folder, or DATASET:SPLIT of the catalog (of --run: those it was given)"
    option(command, "--reference", metavar="DIR|DATASET:SPLIT", help=words)
    choice(command, "--task", TASKS, help="what the system was asked for")
    words = "named protocols (`uniform protocols list`)"
    option(command, "--protocol", nargs="+", default=[], metavar="NAME", help=words)
    words = "a CSV with the columns generated, reference, where names differ"
    option(command, "--match", metavar="FILE.csv", help=words)
    option(command, "--name", metavar="SYSTEM", help="the name that scores go by (default: the folder's)")
    add_weights_words(command)
    words = "also each Fréchet distance of infinitely many clips"
    option(command, "--infinite", action="store_true", help=words)
    baselines: dict[str, Any] = {"type": one_of("--baselines", BASELINES), "nargs": "+", "default": [], "metavar": "B"}
    option(command, "--baselines", help="baselines: " + " ".join(BASELINES), **baselines)
    words = "leave clips that cannot be read out of numbers, with a warning, instead of giving none"
    option(command, "--leave-out-failed", action="store_true", help=words)
    words = "the first N clips"
    option(command, "--limit", type=number("--limit", int, least=1), metavar="N", help=words)
    words = "also write the clips as av-benchmark reads them"
    option(command, "--export-av-benchmark", metavar="DIR", help=words)
    option(command, "--export-javisbench", metavar="DIR", help="also write the clips as JavisBench reads them")


def add_weights_words(command: argparse.ArgumentParser) -> None:
    """Add the words that give published nets their weights."""
    more: dict[str, Any] = {"action": "append", "default": [], "metavar": "NAME=PATH"}
    option(command, "--weights", help="a file or folder of your own for a net (`uniform weights list`)", **more)
    words = "let TorchScript files run, which are programs (only of a sha256 that is known)"
    option(command, "--allow-code", action="store_true", help=words)
