"""What a person sees: no file's name can move the cursor, clear the screen or turn a line round."""

from __future__ import annotations

import unicodedata

import pytest

from flows.cli.show import table


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
