"""Which windows of a source are cut, one after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import count

from uniform_core.media.forms import CanonicalForm, CutRule
from uniform_core.media.window import Plan

Span = tuple[float, float]


class Plans:
    """The windows that are still to be opened, by their start: as asked, or by the cut rule without an end."""

    def __init__(self, form: CanonicalForm, *, windows: Sequence[Span] | None, cut: CutRule, both_s: float) -> None:
        self._cut, self._form = cut, form
        self.by_rule = windows is None
        self._steps = count()
        self._base_s = both_s if both_s > form.frame_s else 0.0  # from where picture and sound both run
        self._waiting = deque(Plan(start, end, start + form.duration_s) for start, end in sorted(windows or ()))
        if self.by_rule:
            self._waiting.append(self._by_rule())

    def _by_rule(self) -> Plan:
        start_s = self._base_s + next(self._steps) * self._cut.stride_s
        end_s = start_s + self._cut.clip_s
        return Plan(start_s, end_s, until_s=max(end_s, start_s + self._form.duration_s))

    @property
    def next(self) -> Plan | None:
        return self._waiting[0] if self._waiting else None

    def take(self) -> Plan:
        plan = self._waiting.popleft()
        if self.by_rule:
            self._waiting.append(self._by_rule())
        return plan

    def rest(self) -> list[Plan]:
        """What was asked for and not taken; nothing for the cut rule, which has no end."""
        return [] if self.by_rule else list(self._waiting)
