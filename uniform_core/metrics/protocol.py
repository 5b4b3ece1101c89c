"""Protocols: what must be equal before two numbers of one metric may be compared."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from uniform_core.metrics.loading import AudioLoading as AudioLoading
from uniform_core.metrics.loading import Loading as Loading
from uniform_core.metrics.loading import VideoLoading as VideoLoading
from uniform_core.types import Count, Frozen, Modality

# What is looked at in each clip beside its features: a layer that an extractor of the metric fills.
Check = Annotated[str, Field(pattern=r"^[a-z0-9_]+/(rate_hz|peak|movement)$")]
Word = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]  # a part of a metric's name: no dot, no `@`


class Choice(Frozen):
    """The clips of a side: at most `clips` of a split, the classes taking turns."""

    split: str
    clips: Count


class Terms(Frozen):
    """What a protocol may leave to the run that scores under it."""

    loading: Loading
    conditions: Choice  # the clips that generated ones are made from; the truth of paired metrics
    reference: Choice  # the real clips that distribution metrics compare with


class Protocol(Frozen):
    """A name for how a number is made. The parameters of one metric (ddof, splits, seeds) stand in its config;
    `MetricConfig.protocol_hash` covers both.
    """

    name: Word
    extractor: Word
    layer: str = "features"
    judges: Modality | None = None  # the modality that the number speaks of; None: of both together
    # None for each of these: as the run has it; `at` spells it out.
    loading: Loading | None = None
    conditions: Choice | None = None
    reference: Choice | None = None
    items: Count | None = None  # how many clips a side the protocol asks for; fewer are scored with a warning
    # Of the reduction; features are what the extractor gives. `float32_svd` is the form of MM-Diffusion's lineage.
    precision: Literal["float64", "float32_svd"] = "float64"
    # What may be wrong with clips beside their features (`checks.py`): rates that differ and sounds that are all silent
    # give no number, silent and still clips are counted. Left out of a dump where there is none.
    checks: tuple[Check, ...] = Field(default=(), exclude_if=lambda value: value == ())

    def at(self, terms: Terms) -> Protocol:
        """The protocol with the run's terms spelled out, as numbers are made and hashed under."""
        return self.model_copy(update={name: given for name, given in terms if getattr(self, name) is None})

    def against(self, terms: Terms) -> str | None:
        """Which term of this protocol the run cannot score under, in words; None where it can."""
        odd = [name for name, given in terms if getattr(self, name) not in (None, given)]
        return f"its {odd[0]} must be null, or what the run has: {getattr(terms, odd[0])!r}" if odd else None
