"""The words of `uniform captions`, and which function serves which action: each is imported only when it is called."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, Final

from flows.cli.words import number, option

HANDLERS: Final = {
    "build": "flows.cli.captions:build",
    "list": "flows.cli.captions:listed",
    "show": "flows.cli.captions:show",
    "diff": "flows.cli.captions_corpora:diff",
    "activate": "flows.cli.captions_corpora:activated",
    "rollback": "flows.cli.captions_corpora:rolled_back",
    "sample": "flows.cli.captions_corpora:sample",
    "browse": "flows.cli.captions_browse:browse",
    "export": "flows.cli.captions_export:export",
}

NAMED: Final = ("show", "diff", "activate", "rollback", "sample", "browse", "export")

FORMS: Final = ("parquet", "csv", "hf", "webdataset")  # as uniform_core/corpus/exports has them


def add_captions_words(command: argparse.ArgumentParser, *, choice: Callable[..., None]) -> None:
    """The action and its words, but for those of a run and `--json`."""
    choice(command, "action", tuple(HANDLERS))
    several: dict[str, Any] = {"nargs": "*", "metavar": "NAME"}
    words = "show: the beginning of a clip's id; the others: corpora, as name or name@version"
    option(command, "names", of=NAMED, default=[], help=words, **several)
    named = {"metavar": "NAME", "help": "afterwards make a version of this corpus (build); show this corpus (show)"}
    option(command, "--corpus", of=("build", "show"), **named)
    words = (
        "which caption stands for a clip: a name (`show --corpus` lists them), or JSON; default: the run's captioners"
    )
    option(command, "--policy", of=("build",), metavar="P", help=words)
    words = "caption nothing: the version is of the captions that are there"
    option(command, "--select-only", of=("build",), action="store_true", help=words)
    option(command, "--activate", of=("build",), action="store_true", help="make the version the active one")
    option(command, "--corpora", of=("list",), action="store_true", help="versions of corpora instead of captioners")
    words = "compare hashes alone: no lengths, agreement, flags and words"
    option(command, "--by-hash", of=("diff",), action="store_true", help=words)
    least = {"type": number("--examples", int, least=0), "default": 5, "metavar": "N"}
    option(command, "--examples", of=("diff",), help="changed clips to show (default: 5)", **least)
    many = {"type": number("--count", int, least=1), "default": 10, "metavar": "N"}
    option(command, "--count", of=("sample",), help="captions to print (default: 10)", **many)
    option(command, "--seed", of=("sample",), type=number("--seed", int), default=0, help="which ones (default: 0)")
    option(command, "--page", of=("diff",), metavar="FILE", help="write it as an HTML page, with films, instead")
    port = {"type": number("--port", int, least=0, most=65_535), "default": 0, "metavar": "N"}
    option(
        command, "--port", of=("browse",), help="the page's port on this machine (default: any that is free)", **port
    )
    words = "write a picture of the page, PNG, and end (needs a Chromium)"
    option(command, "--screenshot", of=("browse",), metavar="FILE", help=words)
    option(command, "--to", of=("export",), metavar="DIR", help="the folder that the files go to")
    words = "what the files are (default: parquet); webdataset alone holds the films"
    choice(command, "--form", FORMS, of=("export",), default="parquet", help=words)
