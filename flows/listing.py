"""What a run works on is known before it starts: the lists of its indexes are here, and name something."""

from __future__ import annotations

from uniform_core.build import require_items
from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.fetching import needed_lists, prepare_indexes
from uniform_core.progress import Listener, silent
from uniform_core.settings import Settings, ensure_home


def list_data(settings: Settings, config: RunConfig, *, listener: Listener = silent) -> None:
    """The run's data lists at least one item; the official lists of an index are fetched where they are not here.

    Raises ConfigError, ServiceError, StorageError.
    """
    if needed_lists(config):
        Catalog.open(settings)  # before anything is written: a root of a newer format is left alone
        ensure_home(settings)
        prepare_indexes(config, on_progress=listener)
    require_items(config)
