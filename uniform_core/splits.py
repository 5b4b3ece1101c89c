"""The names of splits in a config: `test` is that split of every dataset of a run, `vggsound:test` of one alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

INSTRUMENT: Final = "instrument"  # the split that teaches the feature nets: never modelled, scored or guarded


@dataclass(frozen=True)
class SplitName:
    """A split of the dataset of that name, or of every dataset where it is None."""

    split: str
    dataset: str | None = None

    @classmethod
    def of(cls, word: str) -> Self:
        """The split that a word of the config names; a dataset's own name may have colons, a split's has none.

        >>> SplitName.of("test"), SplitName.of("vggsound:test")
        (SplitName(split='test', dataset=None), SplitName(split='test', dataset='vggsound'))
        """
        dataset, _, split = word.rpartition(":")
        return cls(split, dataset or None)

    def has(self, dataset: str, split: str) -> bool:
        """Whether clips of this dataset that are in this split of it are meant.

        >>> SplitName.of("vggsound:test").has("landscape", "test")
        False
        """
        return self.split == split and self.dataset in (None, dataset)

    def meets(self, other: SplitName) -> bool:
        """Whether one clip can be in both.

        >>> SplitName.of("vggsound:test").meets(SplitName.of("test"))
        True
        """
        return self.split == other.split and (None in (self.dataset, other.dataset) or self.dataset == other.dataset)
