"""The command that writes figures of generated clips beside the real ones."""

from __future__ import annotations

import argparse

from flows.cli.show import print_json
from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.corpus.caption_pointer import pinned
from uniform_core.corpus.inputs import current_clips
from uniform_core.corpus.samples import current_model_id, require_trained
from uniform_core.files import expanded
from uniform_core.settings import load_settings


def gallery(arguments: argparse.Namespace) -> int:
    """Write the figures and their page, and print where it is.

    Raises ConfigError, StorageError, WorkFailedError where there is no such model, or it has made no clips.
    """
    folder = expanded(arguments.out, item="--out").absolute()
    catalog = Catalog.open(load_settings())
    config = pinned(catalog, build_run(arguments.preset, overrides=arguments.overrides, data=arguments.data))
    clips = current_clips(catalog, config)
    model_id = current_model_id(catalog, config, clips=clips)
    require_trained(catalog, model_id)
    from flows.report.gallery import write_gallery  # here: it needs torch, and a wrong word should not wait for it

    page, figures = write_gallery(catalog, config, clips, model_id=model_id, folder=folder, count=arguments.clips)
    if arguments.json:
        print_json({"page": str(page), "figures": [str(figure) for figure in figures]})
    else:
        print(page)
    return 0
