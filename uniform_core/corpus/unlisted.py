"""What was published of a run's lists: how many clips, how those come that are not here, how those differ that are.

No network is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from uniform_core.config import RunConfig, placed
from uniform_core.corpus.fetching import index_datasets, needed_lists, told_at


@dataclass(frozen=True)
class MissingList:
    """A list that a run reads and that is not here. `place` is its dataset's in the config.

    `published` says how many clips of each split it was published with, as far as anybody says.
    """

    place: str
    dataset: str
    name: str
    what: str
    published: str
    comes: str


def missing_lists(config: RunConfig) -> list[MissingList]:
    """The lists that a run reads and that are not here; none where it has no index.

    Raises ConfigError where a list of one's own is named and not there.
    """
    return [
        MissingList(
            place=place,
            dataset=dataset.name,
            name=file.name,
            what=file.what,
            published=", ".join(
                f"{split} {'?' if count is None else f'{count:,}'}"
                for split, count in file.published
                if dataset.split in (None, split)
            ),
            comes=file.comes,
        )
        for place, dataset in needed_lists(config).items()
        for file in dataset.missing_lists
    ]


def list_differences(config: RunConfig, *, official_only: bool = False) -> list[str]:
    """Where the lists of a run that are here have not as many clips or labels as were published, in words.

    `official_only` leaves out those that somebody has given in place of the official ones. Lists are read to their
    end, whatever limit a dataset has. Raises ConfigError where one cannot be used.
    """
    return [
        f"{place}: {words}"
        for place, dataset in needed_lists(config).items()
        if not dataset.missing_lists and not (official_only and dataset.index)
        for words in dataset.differences()
    ]


def refusals(config: RunConfig) -> list[str]:
    """Why some of a run's indexes may not be fetched as they are set up, in words."""
    refused = ((place, dataset.refused) for place, dataset in needed_lists(config).items())
    return [told_at(place, error).as_part() for place, error in refused if error is not None]


def unlisted_clips(config: RunConfig) -> dict[int, int | None]:
    """How many clips each dataset of the run whose lists are not here was published with, by its place."""
    return {place: one.published_clips for place, one in index_datasets(config).items() if one.missing_lists}


def plannable(config: RunConfig) -> RunConfig:
    """The run without the lists to guard against that are not here: a plan counts what it can, and says the rest."""
    missing = {one.place for one in missing_lists(config)}
    guards = placed("guard_against", config.guard_against)
    kept = tuple(one for place, one in guards.items() if place not in missing)
    return config if kept == config.guard_against else config.model_copy(update={"guard_against": kept})


def listable(config: RunConfig, unlisted: Mapping[int, int | None]) -> frozenset[int]:
    """The places of the datasets that can be listed."""
    return frozenset(range(len(config.datasets))) - unlisted.keys()
