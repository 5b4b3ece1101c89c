"""The command that writes the report of a run."""

from __future__ import annotations

import argparse
from pathlib import Path

from flows.cli.show import print_json
from flows.report.browser import find_chromium
from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.corpus.samples import current_model_id
from uniform_core.settings import load_settings


def report(arguments: argparse.Namespace) -> int:
    """Write the page of the model that this config gives, and print where it is; with `screenshots`, pictures of it.

    Raises ConfigError, StorageError, WorkFailedError where that model has not been trained, ServiceError where there is
    no browser to take pictures with.
    """
    if arguments.screenshots is not None:
        find_chromium()  # told before the work, not after it
    config = build_run(arguments.preset, overrides=arguments.overrides, data=arguments.data)
    settings = load_settings()
    catalog = Catalog.open(settings)
    from flows.report.write import write_report  # here: it needs torch, and a wrong word should not wait for it

    path = write_report(settings, catalog, config, model_id=current_model_id(catalog, config))
    pictures = [] if arguments.screenshots is None else _pictures(path, Path(arguments.screenshots))
    if arguments.json:
        print_json({"path": str(path), "screenshots": pictures})
    else:
        print(path, *pictures, sep="\n")
    return 0


def _pictures(page: Path, folder: Path) -> list[str]:
    from flows.report.screenshots import take_screenshots  # here: quick commands do without what makes pictures small

    return [str(picture) for picture in take_screenshots(page, folder)]
