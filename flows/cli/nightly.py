"""The command that proves learning over several training seeds and both objectives."""

from __future__ import annotations

import argparse
import json

from flows.cli.show import ProgressPrinter, print_json, table
from flows.frozen import NightConfig
from flows.nightly import run_in_process, spend_night
from flows.seed import seeded
from uniform_core.build import build_run
from uniform_core.files import remove, write_text
from uniform_core.settings import ensure_home, load_settings

COLUMNS = ("preset", "task", "check", "score", "passed", "seeds", "mean", "deviation", "frozen", "bound")


def nightly(arguments: argparse.Namespace) -> int:
    """Run every preset with every training seed; print the table, and keep it.

    What is there so far is kept beside it after each run, so that a night that ends early leaves the last whole one.

    Exit code 1 unless every gate is passed.
    Raises ConfigError before anything runs, WorkFailedError where a run fails.
    """
    words = {preset: seeded(preset, arguments.overrides, None) for preset in arguments.presets}
    configs = {preset: NightConfig.of_run(build_run(preset, overrides=own), own) for preset, own in words.items()}
    settings = load_settings()
    ensure_home(settings)
    path = settings.reports_dir / "nightly.json"
    so_far = path.with_name("nightly.so_far.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    with ProgressPrinter() as printer:
        night = spend_night(
            configs,
            range(arguments.seeds),
            run=run_in_process(arguments.overrides),
            listener=printer,
            on_gate=lambda night: write_text(so_far, json.dumps(night.as_json(), indent=1)),
        )
    write_text(path, json.dumps(night.as_json(), indent=1))
    remove(so_far)
    if arguments.json:
        print_json(night.as_json())
    else:
        print(table([row.model_dump() for row in night.frozen()], COLUMNS))
        for (preset, seed), gate in night.gates.items():
            print(f"{preset}, training seed {seed}: gate {gate['verdict']}")
        print(path)
    return 0 if night.is_passed else 1
