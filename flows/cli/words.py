"""Words of the command line that are not what they must be: all of them are told at once, with those of the config.

So that one does not hide the others, each is read to the error that it deserves, and the call is refused when all
have been read (`require_right_words`). A flag that nobody knows is argparse's own to refuse.
"""

from __future__ import annotations

import argparse
import difflib
import string
from collections.abc import Callable, Sequence

from uniform_core.errors import ConfigError


def one_of(name: str, choices: Sequence[str]) -> Callable[[str], str | ConfigError]:
    """What reads one of some words; `name` says which word of the call it is."""

    def read(text: str) -> str | ConfigError:
        if text in choices:
            return text
        near = difflib.get_close_matches(text, choices, n=1)
        fix = f"Did you mean {near[0]!r}?" if near else "Choose one of them."
        return ConfigError(name, expected="one of " + ", ".join(choices), found=repr(text), fix=fix)

    return read


def number(
    name: str, kind: type[int] | type[float], *, least: float = float("-inf")
) -> Callable[[str], float | ConfigError]:
    """What reads a finite number that is not below `least`."""
    what = "a whole number" if kind is int else "a number"
    expected = what if least == float("-inf") else f"{what} that is {least:g} or more"

    def read(text: str) -> float | ConfigError:
        wrong = ConfigError(name, expected=expected, found=repr(text), fix="Correct it.")
        try:
            value = kind(text)
        except ValueError:
            return wrong
        return value if least <= value < float("inf") else wrong

    return read


def wrong_words(arguments: argparse.Namespace) -> list[ConfigError]:
    """The words of a call that are not what they must be."""
    values = [given if isinstance(given, list) else [given] for given in vars(arguments).values()]
    return [value for some in values for value in some if isinstance(value, ConfigError)]


def require_right_words(arguments: argparse.Namespace) -> None:
    """Raises ConfigError for a call with wrong words; it tells what is wrong with the call's config too."""
    wrong = wrong_words(arguments)
    if not wrong:
        return
    if "preset" in vars(arguments):
        from uniform_core.build import build_run  # here: a call that is right need not wait for it

        try:
            build_run(arguments.preset, overrides=arguments.overrides, data=arguments.data)
        except ConfigError as error:
            wrong.append(error)
    if len(wrong) == 1:
        raise wrong[0]
    raise ConfigError(
        "the words of the call",
        expected="each to be right",
        found=" ".join(f"({letter}) {error}" for letter, error in zip(string.ascii_lowercase, wrong, strict=False)),
        fix="Correct each of them.",
    )
