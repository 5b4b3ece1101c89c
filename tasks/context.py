"""What every stage of a run is handed: its config, its catalog, its Ray, its listener."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from tasks.ray_session import RaySession
from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.inputs import ListedItem, current_clips, list_items
from uniform_core.progress import Listener
from uniform_core.settings import Settings


@dataclass(frozen=True)
class RunContext:
    """One run on one machine. `run_id` is the Prefect flow run's id, or a local one.

    `model_id` is a trained model that is sampled and scored; None: the one that the config gives on the clips of now.
    """

    settings: Settings
    config: RunConfig
    catalog: Catalog
    ray: RaySession
    run_id: str
    listener: Listener
    model_id: str | None = None

    @cached_property
    def listed(self) -> tuple[ListedItem, ...]:
        """The items of the run, listed once: what comes to a folder in mid-run is for the next run."""
        return tuple(list_items(self.config))

    def clips(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The clips that these items have become so far (`current_clips`), with these columns or all."""
        return current_clips(self.catalog, self.config, listed=self.listed, columns=columns)


@dataclass(frozen=True)
class Session:
    """Work on one machine that no config of a run describes. `run_id` is the Prefect flow run's id, or a local one."""

    settings: Settings
    catalog: Catalog
    ray: RaySession
    run_id: str
    listener: Listener


def item_name(candidate: Mapping[str, Any]) -> str:
    """A candidate in words, for the ledger: every table of candidates has the column `item`."""
    return str(candidate["item"])
