"""The command that writes the report of a run."""

from __future__ import annotations

import argparse

from flows.cli.show import print_json
from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.corpus.samples import current_model_id
from uniform_core.settings import load_settings


def report(arguments: argparse.Namespace) -> int:
    """Write the page of the model that this config gives, and print where it is.

    Raises ConfigError, StorageError, WorkFailedError where that model has not been trained.
    """
    config = build_run(arguments.preset, overrides=arguments.overrides, data=arguments.data)
    settings = load_settings()
    catalog = Catalog.open(settings)
    from flows.report.write import write_report  # here: it needs torch, and a wrong word should not wait for it

    path = write_report(settings, catalog, config, model_id=current_model_id(catalog, config))
    print_json({"path": str(path)}) if arguments.json else print(path)
    return 0
