"""Which clips of a dataset a run leaves out. They stay in the catalog, and are counted under the reason."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from uniform_core.types import Frozen, PositiveFloat

Level = Annotated[float, Field(ge=0, le=255, allow_inf_nan=False)]
Agreement = Annotated[float, Field(ge=0, le=2)]


class Filters(Frozen):
    """What every clip of a run must be; nothing by default. Instrument clips are never filtered.

    `min_on_screen` and `max_offset_s` read the table `screens`: a clip that `screener` has not looked at is left out.
    """

    min_motion: Level | None = None  # mean difference of neighbouring pictures, grey levels
    drop_silent: bool = False
    drop_still: bool = False
    min_on_screen: Agreement | None = None
    max_offset_s: PositiveFloat | None = None  # of the sound against the picture, either way
    screener: str = "tinysync"  # one of those that there are: the run's config looks

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked for."""
        return self == Filters(screener=self.screener)

    @property
    def reads_screens(self) -> bool:
        """Whether a screener must have looked."""
        return self.min_on_screen is not None or self.max_offset_s is not None
