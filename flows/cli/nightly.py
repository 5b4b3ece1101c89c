"""The command that proves learning over several training seeds and both objectives."""

from __future__ import annotations

import argparse

from flows.cli.show import ProgressPrinter, print_json, table
from flows.nightly import keep_night

COLUMNS = ("preset", "task", "check", "score", "passed", "seeds", "mean", "deviation", "frozen", "bound")


def nightly(arguments: argparse.Namespace) -> int:
    """Run every preset with every training seed; print the table, and keep it. Exit code 1 unless every gate is passed.

    Raises ConfigError before anything runs, WorkFailedError where a run fails.
    """
    with ProgressPrinter() as printer:
        night, path = keep_night(arguments.presets, arguments.seeds, arguments.overrides, listener=printer)
    if arguments.json:
        print_json(night.as_json())
    else:
        print(table([row.model_dump() for row in night.frozen()], COLUMNS))
        print("\n".join(night.verdicts()))
        print(path)
    return 0 if night.is_passed else 1
