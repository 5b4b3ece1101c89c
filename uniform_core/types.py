"""The values that travel between floors: tasks, source items, windows, tensor references."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(strict=True, gt=0)]
NonNegative = Annotated[int, Field(strict=True, ge=0)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Frozen(BaseModel):
    """The base of every config: immutable, and a key that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Modality(StrEnum):
    """Video before audio, everywhere."""

    VIDEO = "video"
    AUDIO = "audio"


class Task(StrEnum):
    """The three tasks of paper §3.1. The value is their name in tables and on the command line."""

    T2AV = "t2av"
    A2V = "a2v"
    V2A = "v2a"

    @property
    def given(self) -> Modality | None:
        """The modality that enters clean; None where both are made."""
        return {Task.T2AV: None, Task.A2V: Modality.AUDIO, Task.V2A: Modality.VIDEO}[self]

    @property
    def made(self) -> tuple[Modality, ...]:
        """The modalities that are noised, predicted and counted in the loss."""
        return tuple(m for m in Modality if m is not self.given)


@dataclass(frozen=True)
class Window:
    """A cut of a source on its own timeline, seconds from its first presented sample."""

    start_s: float
    end_s: float

    @property
    def start_ms(self) -> int:
        return round(self.start_s * 1000)

    @property
    def end_ms(self) -> int:
        return round(self.end_s * 1000)


@dataclass(frozen=True)
class SourceItem:
    """One file of a dataset, before it has been looked at.

    `windows` are the cuts of its file that the dataset asks for; None leaves them to the cut rule of the config.
    `event_times_s` (known only for rendered files) and `attributes` describe the whole source.
    """

    dataset: str
    source_id: str
    split: str
    label: str | None = None
    caption: str | None = None
    path: Path | None = None
    video_id: str | None = None  # of an index: the video that the item is a clip of
    span: Window | None = None  # of an index: where in that video it lies; its own file begins there
    windows: tuple[Window, ...] | None = None
    event_times_s: tuple[float, ...] | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TensorRef:
    """Where a tensor lies: a row of an immutable shard, and the sha256 of its bytes."""

    shard: str  # relative to the root's `tensors/`
    row_group: int
    row: int  # within the row group
    shape: tuple[int, ...]
    dtype: str  # NumPy name: "float32", "float16", …; "bfloat16" is stored as its 16-bit pattern
    sha256: str
