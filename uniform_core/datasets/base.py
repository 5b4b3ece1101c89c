"""What a dataset is: a list of source items, and a way to lay one on disk."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field

from uniform_core.datasets.filters import Filters
from uniform_core.errors import ConfigError, Rejection
from uniform_core.families import Member
from uniform_core.spec import AVSpec
from uniform_core.types import PositiveFloat, SourceItem


class DatasetConfig(Member):
    """A dataset: frozen, and cheap to make. Nothing is read before `items` or `fetch` is called.

    `clip_s` and `stride_s` are the cut rule for items that name no windows of their own: windows of `clip_s` seconds
    every `stride_s` seconds, as many as lie wholly inside the source. `filters` say which clips a run leaves out; they
    change no file, and are left out of a dump where there are none.
    """

    splits: ClassVar[tuple[str, ...] | None] = None  # those that items may have; None: only the items (or parts) know
    needs_crop: ClassVar[bool] = False  # whether only the middle of its pictures may be looked at

    clip_s: PositiveFloat | None = None  # None: the duration of the spec
    stride_s: PositiveFloat | None = None  # None: equal to clip_s, no overlap
    filters: Filters = Field(default=Filters(), exclude_if=lambda filters: filters == Filters())

    @classmethod
    def from_argument(cls, argument: str) -> Self:
        """The dataset of `--data KIND:ARGUMENT`; a kind that takes an argument says what it means.

        Raises ConfigError for an argument that the kind does not take.
        """
        if argument:
            raise ConfigError(
                f"--data {cls.model_fields['kind'].default}:{argument}",
                expected="no argument for this kind",
                found=argument,
                fix="Leave it out, or use --set data.KEY=VALUE.",
            )
        return cls.model_validate({})

    @property
    @abstractmethod
    def name(self) -> str:
        """The name in the tables: the same for the same data, and never that of other data."""

    @property
    def parts(self) -> tuple[DatasetConfig, ...]:
        """The datasets that this one is made of, each by itself: for all but a union itself alone."""
        return (self,)

    @abstractmethod
    def items(self, spec: AVSpec) -> Iterator[SourceItem]:
        """Every source item, in an order that is the same on every call."""

    @abstractmethod
    def fetch(self, item: SourceItem, directory: Path) -> Path | Rejection:
        """The item's file: found where it is, or made whole under `directory` (temp, fsync, rename)."""

    @property
    def max_reject_fraction(self) -> float:
        """The share of rejected items above which a run has failed: 1.0 for folders, 0.5 for indexes (DESIGN §7)."""
        return 0.5
