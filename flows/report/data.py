"""What a report shows, as complete frozen records: gathered first, rendered after, so that a test can make its own.

Texts here are as they came, from datasets and from people: the template escapes every one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Fact:
    """One line of what was run: a name, its value, and a remark that may be empty."""

    name: str
    value: str
    remark: str = ""


@dataclass(frozen=True)
class Tile:
    """A clip that can be watched: data URIs of its mp4, of its middle frame, of eight of its frames, of its log-mel.

    `kind` is `truth` or the task; `given` says in words what it was made from, `picture_is` and `sound_is` whether
    they are `real`, `given` or `made`. `strip_aspect` is the height of the strip of frames over its width. `marks_s`
    are known times of events.
    """

    kind: str
    given: str
    picture_is: str
    sound_is: str
    video_uri: str
    poster_uri: str
    strip_uri: str
    strip_aspect: float
    mel_uri: str
    marks_s: tuple[float, ...]
    is_lost: ClassVar[bool] = False


@dataclass(frozen=True)
class LostTile:
    """A clip that cannot be shown, and why."""

    kind: str
    given: str
    reason: str
    is_lost: ClassVar[bool] = True


@dataclass(frozen=True)
class ClipCard:
    """One real clip, and what the model made from it at each task."""

    label: str
    source: str
    caption: str
    duration_s: float
    tiles: tuple[Tile | LostTile, ...]

    @property
    def has_marks(self) -> bool:
        """Whether times of events are shown."""
        return any(tile.marks_s for tile in self.tiles if isinstance(tile, Tile))


@dataclass(frozen=True)
class Tick:
    """A place on an axis, in the units of the picture, and what stands there."""

    at: float
    text: str


@dataclass(frozen=True)
class Curve:
    """A loss over the steps: `raw` and `smooth` as SVG points; places of dots, losses at fixed noise; the last numbers.

    `fixed_train` are training clips at fixed noise, `held_out` held-out ones.
    """

    task: str
    raw: str
    smooth: str
    fixed_train: tuple[tuple[float, float], ...]
    held_out: tuple[tuple[float, float], ...]
    last: float
    last_fixed_train: float | None
    last_held_out: float | None


@dataclass(frozen=True)
class LossChart:
    """The losses of one modality by task."""

    modality: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class Cell:
    """One score; `value` is None where it could not be computed, then `reason` says why.

    `n_generated` is None where it speaks of the model itself.
    """

    value: float | None
    low: float | None
    high: float | None
    n_generated: int | None
    n_reference: int
    reason: str | None


@dataclass(frozen=True)
class ScoreColumn:
    system: str
    task: str


@dataclass(frozen=True)
class ScoreRow:
    """One metric; a cell is None where the metric says nothing of that system."""

    name: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Mark:
    """A value on an axis, with the ends of its interval, in the units of the picture."""

    kind: str
    at: float
    low: float | None
    high: float | None
    value: float


@dataclass(frozen=True)
class PlotRow:
    """One line of a plot: its marks, the model's last so that it lies on top, and what they come to in words."""

    task: str
    marks: tuple[Mark, ...]
    words: str


@dataclass(frozen=True)
class Plot:
    """Values of several systems side by side on one axis; `chance` is where guessing would stand."""

    name: str
    is_log: bool
    ticks: tuple[Tick, ...]
    rows: tuple[PlotRow, ...]
    chance: float | None


@dataclass(frozen=True)
class Headline:
    """One number that matters, with the verdict that it supports (None where there is nothing to judge by)."""

    title: str
    number: str
    words: str
    is_good: bool | None


@dataclass(frozen=True)
class GateLine:
    """One check of the gate. `found` is None where it could not be computed, then `reason` says why; `interval` is its
    own, in its units.

    `stream` says what was looked at, `cell` is the score behind the number, None where nothing was measured; `beside`
    are the values that the baselines have of the same metric, in the order of `Gate.baselines`.
    """

    task: str
    rule: str
    stream: str
    words: str
    metric: str
    verdict: str
    found: float | None
    interval: tuple[float, float] | None
    bound: float
    wanted: str
    reaches_goal: bool | None
    cell: Cell | None
    p: float | None
    reason: str | None
    beside: tuple[float | None, ...]


@dataclass(frozen=True)
class GateRow:
    """One rule in the overview: its checks at each task of `Gate.tasks`, none where it is not asked."""

    rule: str
    wanted: str
    words: str
    cells: tuple[tuple[GateLine, ...], ...]


@dataclass(frozen=True)
class ControlCell:
    """What the gate says of a control at a task: `missed` are rules that it had to fail and did not."""

    verdict: str
    failed: tuple[str, ...]
    missed: tuple[str, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class ControlRow:
    """A control at each task of `Gate.tasks`; None where it means nothing there."""

    control: str
    cells: tuple[ControlCell | None, ...]


@dataclass(frozen=True)
class Unknown:
    """Why some checks could not be computed."""

    reason: str
    checks: tuple[str, ...]


@dataclass(frozen=True)
class Gate:
    """The gate: its verdict, the overview, every check, and how it did on the controls.

    `narrower` is what it asks less of than the standard gate does.
    """

    verdict: str
    narrower: tuple[str, ...]
    counts: Mapping[str, int]
    tasks: tuple[str, ...]
    baselines: tuple[str, ...]
    rows: tuple[GateRow, ...]
    lines: tuple[GateLine, ...]
    unknown: tuple[Unknown, ...]
    controls: tuple[ControlRow, ...]
    controls_asked: int
    controls_refused: int


@dataclass(frozen=True)
class ReportData:
    """Everything on the page. A part that is not there yet is empty, and the page says so.

    `remark` says what numbers of nets are worth on clips that these have seen nothing of; None where they have.
    """

    title: str
    model_id: str
    written_at: str
    facts: tuple[Fact, ...]
    gate: Gate
    remark: str | None
    headlines: tuple[Headline, ...]
    cards: tuple[ClipCard, ...]
    charts: tuple[LossChart, ...]
    columns: tuple[ScoreColumn, ...]
    scores: tuple[ScoreRow, ...]
    plots: tuple[Plot, ...]
    stages: tuple[Mapping[str, Any], ...]
    tables: tuple[Mapping[str, Any], ...]
    failures: tuple[Mapping[str, Any], ...]
    provenance: tuple[Fact, ...]
    config_json: str
    command: str
