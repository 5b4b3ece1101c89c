import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from uniform_core.turns import Turns

HOLD = """
import sys
from pathlib import Path
from uniform_core.turns import Turns
with Turns(Path(sys.argv[1]), places=2).one() as has_turn:
    print(has_turn, flush=True)
    sys.stdin.read()
"""


class Holder:
    """A process that has a turn until it is told, or killed."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "True\n"

    def end(self) -> None:
        self.process.communicate()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def turns(tmp_path: Path) -> Iterator[Callable[..., Turns]]:
    made: list[Turns] = []

    def make(*, places: int, patience_s: float) -> Turns:
        made.append(Turns(tmp_path, places=places, patience_s=patience_s))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_as_many_turns_at_a_time_as_places(turns: Callable[..., Turns], tmp_path: Path) -> None:
    holders = [Holder(tmp_path), Holder(tmp_path)]
    third = turns(places=2, patience_s=0.1)
    started_s = time.monotonic()
    with third.one() as has_turn:
        assert not has_turn  # and the block runs all the same
    assert time.monotonic() - started_s >= 0.1
    holders[1].end()
    with third.one() as has_turn:
        assert has_turn
    holders[0].end()


def test_the_dead_hold_no_turn(turns: Callable[..., Turns], tmp_path: Path) -> None:
    holders = [Holder(tmp_path), Holder(tmp_path)]
    holders[0].kill()
    with turns(places=2, patience_s=5.0).one() as has_turn:
        assert has_turn
    holders[1].end()


def test_a_turn_is_given_back_before_the_next_is_taken(turns: Callable[..., Turns]) -> None:
    first, second = turns(places=1, patience_s=0.0), turns(places=1, patience_s=0.0)
    for _ in range(3):
        with first.one() as has_turn:
            assert has_turn
            with second.one() as has_another:
                assert not has_another


def test_who_has_closed_may_take_turns_again(turns: Callable[..., Turns]) -> None:
    one = turns(places=1, patience_s=0.0)
    for _ in range(2):
        with one.one() as has_turn:
            assert has_turn
        one.close()
