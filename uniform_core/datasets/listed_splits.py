"""Which splits the datasets of a run list, and which of them they are scored on where nobody says."""

from __future__ import annotations

from collections.abc import Sequence

from uniform_core.datasets.base import DatasetConfig
from uniform_core.datasets.index import IndexDataset
from uniform_core.splits import INSTRUMENT, SplitName


def default_split(parts: Sequence[DatasetConfig], word: str) -> str | None:
    """What a union is scored on where its `evaluate.split` may be any that is called as in `word`; None if no union.

    It may be one that no member lists: such a run brings and trains, and scores nothing.
    """
    if len(parts) == 1:
        return None
    told = scored_part(parts, SplitName.of(word).split)
    return f"{told.name}:{scored_split(told, SplitName.of(word).split)}"


def scored_part(parts: Sequence[DatasetConfig], scored: str) -> DatasetConfig:
    """The member that is scored: the first that lists the split, or what it has in its place; else the first."""
    return next((part for part in parts if lists_split(part, scored_split(part, scored))), parts[0])


def scored_split(part: DatasetConfig, wanted: str) -> str:
    """The split that a dataset is scored on: the wanted one, or the last of its own."""
    if part.splits is None or wanted in part.splits:
        return wanted
    return next(split for split in reversed(part.splits) if split != INSTRUMENT)


def lists_split(part: DatasetConfig, split: str) -> bool:
    """Whether items of a split are listed, as far as one knows without looking."""
    chosen = part.split if isinstance(part, IndexDataset) else None
    return chosen in (None, split) and (part.splits is None or split in part.splits)
