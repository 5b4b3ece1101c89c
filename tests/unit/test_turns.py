import subprocess
import sys
import time
from pathlib import Path

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


def test_as_many_turns_at_a_time_as_places(tmp_path: Path) -> None:
    holders = [Holder(tmp_path), Holder(tmp_path)]
    third = Turns(tmp_path, places=2, patience_s=0.1)
    started_s = time.monotonic()
    with third.one() as has_turn:
        assert not has_turn  # and the block runs all the same
    assert time.monotonic() - started_s >= 0.1
    holders[1].end()
    with third.one() as has_turn:
        assert has_turn
    holders[0].end()


def test_the_dead_hold_no_turn(tmp_path: Path) -> None:
    holders = [Holder(tmp_path), Holder(tmp_path)]
    holders[0].kill()
    with Turns(tmp_path, places=2, patience_s=5.0).one() as has_turn:
        assert has_turn
    holders[1].end()


def test_a_turn_is_given_back_before_the_next_is_taken(tmp_path: Path) -> None:
    turns, others = (Turns(tmp_path, places=1, patience_s=0.0) for _ in range(2))
    for _ in range(3):
        with turns.one() as has_turn:
            assert has_turn
            with others.one() as has_another:
                assert not has_another
