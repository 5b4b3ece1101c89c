"""How a captioner chooses its words."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from uniform_core.types import Frozen

Temperature = Annotated[float, Field(ge=0, le=5, allow_inf_nan=False)]


class Sampling(Frozen):
    """Greedy by default. `retry_temperature` is for greedy captioners that are asked again with another seed.

    Where it is null a greedy captioner says the same again, and `can_vary` says so.
    """

    temperature: Temperature = 0.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    repetition_penalty: Annotated[float, Field(ge=1, le=5)] = 1.0  # of 1: none
    max_new_tokens: Annotated[int, Field(strict=True, gt=0, le=8192)] = 256
    retry_temperature: Temperature | None = 0.7

    @property
    def can_vary(self) -> bool:
        """Whether another seed may bring other words."""
        return bool(self.temperature or self.retry_temperature)

    def temperature_for(self, seed: int) -> float:
        """The temperature of the first asking (seed 0), or of another.

        >>> Sampling().temperature_for(0), Sampling().temperature_for(1), Sampling(temperature=0.2).temperature_for(1)
        (0.0, 0.7, 0.2)
        """
        return self.temperature if seed == 0 or self.temperature else self.retry_temperature or 0.0
