"""What the splits of a run are for: to learn from, or to be kept from what learns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import pyarrow as pa

from uniform_core.config import RunConfig
from uniform_core.splits import INSTRUMENT, SplitName


@dataclass(frozen=True)
class Roles:
    """The part that each split of a run plays.

    Held out are the evaluated split and every other that is called neither as what is trained on nor as what is
    referred to: so the same clips are trained on, whichever member of a union is scored today.
    """

    learned: tuple[SplitName, ...]  # what is trained on, and what is referred to
    evaluated: SplitName
    is_union: bool

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """The roles of a config's splits."""
        evaluate = config.evaluate
        learned = (SplitName.of(config.train_split), SplitName.of(evaluate.reference_split))
        return cls(learned, SplitName.of(evaluate.split), is_union=len(config.data.parts) > 1)

    def held_out(self, dataset: str, split: str) -> str | None:
        """The name of the held-out split that a dataset's split is, `vggsound:test` in a union; None if it is none."""
        is_called_otherwise = split not in {INSTRUMENT, *(name.split for name in self.learned)}
        if not (self.evaluated.has(dataset, split) or is_called_otherwise):
            return None
        return f"{dataset}:{split}" if self.is_union else split

    def learns(self, dataset: str, split: str) -> bool:
        """Whether clips of the split are trained on, or stand as the real ones that others are compared with."""
        is_meant = any(name.has(dataset, split) for name in self.learned)
        return is_meant and not self.evaluated.has(dataset, split)


def clips_in(clips: pa.Table, split: str) -> pa.Table:
    """The rows of `clips` (columns `dataset`, `split`) that a word of the config means: `test`, or `vggsound:test`."""
    name = SplitName.of(split)
    pairs = zip(clips["dataset"].to_pylist(), clips["split"].to_pylist(), strict=True)
    return clips.filter(pa.array([name.has(dataset, own) for dataset, own in pairs], pa.bool_()))
