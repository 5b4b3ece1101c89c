"""Words of the command line that are not what they must be: all of them are told at once, with those of the config.

So that one does not hide the others, each is read to the error that it deserves, and the call is refused when all
have been read (`right_words`). A flag that nobody knows is argparse's own to refuse.
"""

from __future__ import annotations

import argparse
import difflib
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

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
    name: str, kind: type[int] | type[float], *, least: float = float("-inf"), most: float | None = None
) -> Callable[[str], float | ConfigError]:
    """What reads a finite number that is not below `least` nor above `most`."""
    what = "a whole number" if kind is int else "a number"
    expected = what if least == float("-inf") else f"{what} that is {least:g} or more"
    if most is not None:
        expected = f"{what} from {least:g} to {most:g}"

    def read(text: str) -> float | ConfigError:
        wrong = ConfigError(name, expected=expected, found=repr(text), fix="Correct it.")
        try:
            value = kind(text)
        except ValueError:
            return wrong
        is_within = least <= value < float("inf") and (most is None or value <= most)
        return value if is_within else wrong

    return read


class DataWord(str):
    """A word that names data, among words that name something else."""

    __slots__ = ()


def stage_or_data(name: str, stages: Sequence[str]) -> Callable[[str], str | ConfigError]:
    """What reads the name of a stage, or KIND[:ARG] as a `DataWord`."""
    read_stage = one_of(name, stages)

    def read(text: str) -> str | ConfigError:
        if text in stages:
            return text
        from uniform_core.data_words import is_data  # here: the name of a stage need not wait for it

        return DataWord(text) if is_data(text) else read_stage(text)

    return read


def option(command: argparse.ArgumentParser, *names: str, of: Sequence[str] = (), **more: Any) -> None:
    """A word of a command; `of` names the actions that take it, where not every action does.

    What an action does not take is absent from its arguments, so that nothing can read and forget it.
    """
    known: tuple[_Option, ...] = command.get_default("options") or ()
    if of:
        more = {**more, "help": f"{', '.join(of)}: {more['help']}"}
    added = command.add_argument(*names, **more)
    default = added.default
    if of:
        added.default = argparse.SUPPRESS  # the arguments then tell what was given
    said = (added.option_strings or [added.dest])[0]
    command.set_defaults(options=(*known, _Option(said, added.dest, tuple(of), default)))


@dataclass(frozen=True)
class _Option:
    """What `option` added: as it is said, where its value is, the actions that take it (none: every one)."""

    said: str
    dest: str
    of: tuple[str, ...]
    default: Any


def right_words(arguments: argparse.Namespace) -> argparse.Namespace:
    """The words of a call with the defaults of its action.

    Raises ConfigError for wrong words, and for those of another action; it tells what is wrong with the call's config
    too.
    """
    action = getattr(arguments, "action", None)
    takes = [o for o in arguments.options if not o.of or action in o.of or isinstance(action, ConfigError)]
    foreign = _foreign_words(arguments, takes)
    absent = {o.dest: o.default for o in reversed(takes) if o.dest not in arguments}  # of one value, the first says it
    whole = argparse.Namespace(**{**vars(arguments), **absent})
    wrong = [*foreign, *_wrong_words(whole), *_data_words(whole)]
    if not wrong:
        return whole
    if any(o.dest == "preset" for o in takes):
        from uniform_core.build import build_run  # here: a call that is right need not wait for it

        try:
            build_run(whole.preset, overrides=whole.overrides, data=whole.data)
        except ConfigError as error:
            wrong.append(error)
    if len(wrong) == 1:
        raise wrong[0]
    raise ConfigError(
        "the words of the call",
        expected="each to be right",
        found="; ".join(f"({letter}) {e.as_part()}" for letter, e in zip(string.ascii_lowercase, wrong, strict=False)),
        fix="Correct each of them.",
    )


def _foreign_words(arguments: argparse.Namespace, takes: Sequence[_Option]) -> list[ConfigError]:
    """One error for all words that were given and that the call's action does not take."""
    known = {o.dest for o in takes}
    given: dict[str, list[_Option]] = {}
    for other in arguments.options:
        if other.dest not in known and other.dest in arguments:
            given.setdefault(other.dest, []).append(other)  # two flags may give one value
    if not given:
        return []
    return [
        ConfigError(
            f"uniform {arguments.command} {arguments.action}",
            expected="no other words than " + ", ".join(o.said for o in takes if o.dest != "action"),
            found=", ".join(
                f"{' or '.join(o.said for o in same)}, which is of {' and '.join(same[0].of)}"
                for same in given.values()
            ),
            fix="Leave it out, or choose another action.",
        )
    ]


def _data_words(arguments: argparse.Namespace) -> list[ConfigError]:
    """What is wrong with the words that name data; those of other places than `--data` become its value."""
    kind, words = getattr(arguments, "kind", None), getattr(arguments, "stage", None)
    several = words if isinstance(words, list) else []
    given = [word for word in several if isinstance(word, DataWord)] + ([kind] if kind is not None else [])
    said = dict.fromkeys([str(word) for word in given] + ([arguments.data] if given and arguments.data else []))
    if not said:
        return []
    if several:
        arguments.stage = [word for word in several if not isinstance(word, DataWord)]
    if len(said) > 1:
        found = " and ".join(said)
        return [
            ConfigError(f"uniform {arguments.command}", expected="the data once", found=found, fix="Leave one out.")
        ]
    [arguments.data] = said
    return []


def _wrong_words(arguments: argparse.Namespace) -> list[ConfigError]:
    """The words of a call that are not what they must be."""
    values = [given if isinstance(given, list) else [given] for given in vars(arguments).values()]
    return [value for some in values for value in some if isinstance(value, ConfigError)]
