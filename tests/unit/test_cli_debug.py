"""The verdicts of `uniform debug`: which numbers are as they must be, and what a person is told to look at."""

from __future__ import annotations

import pytest

from flows.cli.debug import require_cut, require_overfitted
from tasks.cut import Cut
from tasks.overfit import Overfitted
from uniform_core.errors import WorkFailedError
from uniform_core.metrics.base import Score
from uniform_core.training.overfit import Learned
from uniform_core.types import Task

PARTS = [(task, modality) for task in Task for modality in task.made]


def overfitted(**ratios: float) -> Overfitted:
    """Errors of 1.0 at first; all come near zero but those that are named, such as `t2av_video`."""
    parts = [Learned(task, m, 2.0, 2.0 * ratios.get(f"{task}_{m}", 0.01)) for task, m in PARTS]
    return Overfitted(("clip",), tuple(parts))


def score(value: float, low: float, high: float) -> Score:
    return Score("synchrony", value, low, high, 96, 0, "p", "0" * 32)


ABOVE, AT, UNLUCKY, OFF = (
    score(0.83, 0.78, 0.87),
    score(0.51, 0.45, 0.57),
    score(0.58, 0.517, 0.64),  # measured: the severed tiny model, from the noise of its evaluation
    score(0.65, 0.59, 0.71),
)


def test_errors_near_zero_are_as_they_must_be() -> None:
    require_overfitted(overfitted(t2av_video=0.05), steps=800)


@pytest.mark.parametrize(
    ("ratios", "found", "fix"),
    [
        (
            {"t2av_audio": 0.3, "v2a_audio": 0.06},
            "t2av audio 30.0%, v2a audio 6.0%",
            "else look at the way of audio alone",
        ),
        ({"a2v_video": 0.9, "v2a_audio": 0.9}, "a2v video 90.0%, v2a audio 90.0%", "look at a2v and v2a"),
        ({f"{task}_{m}": 0.2 for task, m in PARTS}, "t2av video 20.0%", "give more --steps"),
        ({f"{task}_{m}": 1.0 for task, m in PARTS}, "t2av video 100.0%", "Nothing was learned"),
    ],
)
def test_an_error_that_stays_is_named_with_what_to_look_at(ratios: dict[str, float], found: str, fix: str) -> None:
    with pytest.raises(WorkFailedError) as error:
        require_overfitted(overfitted(**ratios), steps=800)
    assert found in error.value.found
    assert fix in error.value.fix


def test_a_cut_model_at_chance_and_a_whole_one_above_it_are_as_they_must_be() -> None:
    require_cut([Cut(Task.V2A, ABOVE, AT), Cut(Task.A2V, ABOVE, UNLUCKY)])
    below = score(0.42, 0.36, 0.484)
    require_cut([Cut(Task.V2A, ABOVE, below)])


@pytest.mark.parametrize(
    ("cut", "found", "fix"),
    [
        (Cut(Task.V2A, AT, AT), "whole at chance: v2a", "train longer"),
        (Cut(Task.V2A, ABOVE, OFF), "severed off chance: v2a", "captions tell"),
        (Cut(Task.V2A, ABOVE, ABOVE), "severed off chance: v2a", "captions tell"),
    ],
)
def test_a_cut_that_shows_something_else_is_told(cut: Cut, found: str, fix: str) -> None:
    with pytest.raises(WorkFailedError) as error:
        require_cut([Cut(Task.A2V, ABOVE, AT), cut])
    assert error.value.found == found
    assert fix in error.value.fix
