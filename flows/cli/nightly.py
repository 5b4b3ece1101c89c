"""The command that proves learning over several training seeds and both objectives."""

from __future__ import annotations

import argparse
import json

from flows.cli.show import ProgressPrinter, print_json, table
from flows.nightly import run_in_process, spend_night
from uniform_core.build import build_run
from uniform_core.files import write_text
from uniform_core.settings import ensure_home, load_settings

COLUMNS = ("preset", "task", "check", "score", "passed", "seeds", "mean", "deviation", "frozen", "bound")


def nightly(arguments: argparse.Namespace) -> int:
    """Run every preset with every training seed; print the table, and keep it after each run.

    Exit code 1 unless every gate is passed.
    Raises ConfigError before anything runs, WorkFailedError where a run fails.
    """
    for preset in arguments.presets:
        build_run(preset, overrides=arguments.overrides)
    settings = load_settings()
    ensure_home(settings)
    path = settings.reports_dir / "nightly.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with ProgressPrinter() as printer:
        night = spend_night(
            arguments.presets,
            range(arguments.seeds),
            run=run_in_process(arguments.overrides),
            listener=printer,
            on_gate=lambda so_far: write_text(path, json.dumps(so_far.as_json(), indent=1)),
        )
    if arguments.json:
        print_json(night.as_json())
    else:
        print(table([row.model_dump() for row in night.frozen()], COLUMNS))
        for (preset, seed), gate in night.gates.items():
            print(f"{preset}, training seed {seed}: gate {gate['verdict']}")
        print(path)
    return 0 if night.is_passed else 1
