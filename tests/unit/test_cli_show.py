"""What a person sees: progress as a bar or as lines, and tables whose names cannot move the cursor."""

from __future__ import annotations

import io
import unicodedata

import pytest

from flows.cli.show import ProgressPrinter, table
from uniform_core.progress import ProgressEvent


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def progress(stream: io.StringIO, *events: tuple[float, ProgressEvent]) -> list[str]:
    """What was written, piece by piece, at each of the events and at the end."""
    clock, said = Clock(), []
    with ProgressPrinter(stream, clock=clock) as printer:
        for clock.now, event in events:
            printer(event)
            said.append(stream.getvalue())
    said.append(stream.getvalue())
    return [whole[len(before) :] for before, whole in zip(["", *said], said, strict=False)]


def test_elsewhere_a_line_comes_every_30_s_of_a_stage() -> None:
    events = [
        (0.0, ProgressEvent("encode", 1, 10)),
        (29.0, ProgressEvent("encode", 3, 10)),
        (30.0, ProgressEvent("encode", 4, 10, failed=1)),
        (59.0, ProgressEvent("encode", 5, 10)),
        (61.0, ProgressEvent("encode", 6, 10, note="loss 0.5")),
        (62.0, ProgressEvent("train", 1, 4)),
        (91.0, ProgressEvent("train", 2, 4)),
        (92.0, ProgressEvent("train", 4, 4)),
    ]
    said = progress(io.StringIO(), *events)
    assert [bool(text) for text in said] == [False, False, True, False, True, False, False, True, False]
    assert said[2] == "encode        40% 4/10, 1 rejected (30.0 s, 45.0 s left)\n"
    assert said[4] == "encode        60% 6/10, loss 0.5 (1 min 1 s, 40.7 s left)\n"
    assert said[7] == "train        100% 4/4 (30.0 s)\n"


def test_on_a_terminal_each_event_draws_the_bar_again_on_one_line_a_stage() -> None:
    events = [
        (0.0, ProgressEvent("encode", 0, 4)),
        (2.0, ProgressEvent("encode", 1, 4)),
        (3.0, ProgressEvent("encode", 4, 4)),
        (3.0, ProgressEvent("train", 1, 2)),
    ]
    said = progress(Terminal(), *events)
    assert said[0] == f"\r\x1b[2Kencode       {'·' * 24} 0/4 (0.0 s)"
    assert said[1] == f"\r\x1b[2Kencode       {'█' * 6}{'·' * 18} 1/4 (2.0 s, 6.0 s left)"
    assert said[2] == f"\r\x1b[2Kencode       {'█' * 24} 4/4 (3.0 s)"
    assert said[3] == f"\n\r\x1b[2Ktrain        {'█' * 12}{'·' * 12} 1/2 (0.0 s)"
    assert said[4] == "\n", "what is printed next begins on a line of its own"


def test_a_sender_who_knows_what_is_left_is_believed_and_not_the_mean_so_far() -> None:
    events = [
        (0.0, ProgressEvent("fetch", 0, 4, left_s=3600.0)),
        (2.0, ProgressEvent("fetch", 1, 4, left_s=3598.0)),
        (3.0, ProgressEvent("fetch", 3, 4, left_s=0.0)),
    ]
    said = progress(Terminal(), *events)
    assert said[0].endswith("0/4 (0.0 s, 1 h 0 min left)")
    assert said[1].endswith("1/4 (2.0 s, 59 min 58 s left)")
    assert said[2].endswith("3/4 (3.0 s)"), "what is left to others takes this run no time"


def test_nothing_is_written_where_nothing_was_done() -> None:
    assert progress(Terminal()) == [""]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\x1b[2Jx", "\\x1b[2Jx"),
        ("a\rb", "a\\rb"),
        ("a\u202egpm.exe", "a\\u202egpm.exe"),
        ("a\u2028b\u2066c\x9bd\ufeff", "a\\u2028b\\u2066c\\x9bd\\ufeff"),
        ("a\nb", "a b"),
        ("späße 火 👩\u200d🚀 c:\\x", "späße 火 👩\u200d🚀 c:\\x"),
    ],
)
def test_a_table_shows_names_and_obeys_none(name: str, shown: str) -> None:
    text = table([{name: name, "n": 1}, {name: "y" * 200, "n": 2}])
    head, _, first, second = text.split("\n")
    assert head.split("  ")[0].rstrip() == shown
    assert first.split("  ")[0].rstrip() == shown
    assert second.startswith("y" * 77 + "…")
    assert not any(unicodedata.category(letter) == "Cc" for letter in text.replace("\n", ""))
