"""Commands about what an index lists. None imports prefect, ray or torch."""

from __future__ import annotations

import argparse

from flows.cli.show import plain, print_json
from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.corpus.fetching import fetch_candidates, has_indexes, states
from uniform_core.corpus.fetching import missing as missing_clips
from uniform_core.corpus.inputs import list_items
from uniform_core.errors import ConfigError
from uniform_core.settings import load_settings


def missing(arguments: argparse.Namespace) -> int:
    """Print the clips that are listed and have no file, one a line: the id and the class of what failed, by a tab.

    Raises ConfigError for data without an index.
    """
    config = build_run(arguments.preset, overrides=arguments.overrides, data=arguments.data)
    if not has_indexes(config):
        raise ConfigError(
            f"data {config.data.name}",
            expected="data that an index lists, as vggsound:test",
            found=config.data.kind,
            fix="Name it: `uniform missing KIND:SPLIT`.",
        )
    catalog = Catalog.open(load_settings())
    rows = missing_clips(states(catalog, fetch_candidates(config, list_items(config))))
    if arguments.json:
        print_json(rows)
        return 0
    for row in rows:
        print(f"{plain(row['source_id'])}\t{plain(row['error_class'])}")
    return 0
