"""How the small nets are trained: plain values that a run's config can hold. Times are of one core."""

from __future__ import annotations

from pydantic import Field, model_validator

from uniform_core.types import Count, Fraction, Frozen, PositiveFloat

VERSION = 3  # bumped by hand when nets, losses or draws change what comes out


class NetTraining(Frozen):
    """How long and how fast, and how many class nets of the kind look together (they are trained apart)."""

    steps: Count
    members: Count = Field(default=1, le=8)
    batch: Count = 24  # clips a step; the class nets see each also worn and broken
    rate: PositiveFloat = 4e-3
    held_out: Fraction = 0.2  # of each class, kept from training, for the quality that the net reports
    traits: float = Field(default=0.0, ge=0)  # weight of telling a class net's clips of one class apart
    drift: float = Field(default=0.0, ge=0)  # weight of what wear does to the features of a class net, beside its loss


class NetsConfig(Frozen):
    """The recipes of the three kinds of nets."""

    video: NetTraining = NetTraining(steps=150, members=2, batch=12, traits=1.0)  # 20–50 s
    mel: NetTraining = NetTraining(steps=300, batch=12, traits=0.5, drift=1.0)  # 6–15 s, some of it to hear worn sound
    sync: NetTraining = NetTraining(steps=60, batch=36, rate=3e-3)  # 8–12 s

    @model_validator(mode="after")
    def _one_listens_and_looks(self) -> NetsConfig:
        if self.sync.members != 1:
            raise ValueError(f"sync.members {self.sync.members} must be 1: only class nets look together")
        return self
