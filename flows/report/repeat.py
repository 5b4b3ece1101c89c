"""The command that gives a run's config again: found by comparing it with its preset, and checked."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from uniform_core.build import build_run
from uniform_core.config import RunConfig
from uniform_core.data_words import AND
from uniform_core.datasets import DatasetConfig
from uniform_core.errors import ConfigError


def command_of(config: RunConfig) -> str:
    """`uniform run …` that gives exactly this config; empty where no command line does."""
    for data in _data_words(config):
        try:
            base = build_run(config.preset, data=data)
            words = list(_overrides(base.model_dump(mode="json"), config.model_dump(mode="json")))
            if build_run(config.preset, data=data, overrides=words) == config:
                return shlex.join(_words(config.preset, data, words))
        except ConfigError:
            continue
    return ""


def _words(preset: str, data: str | None, overrides: list[str]) -> list[str]:
    given = [] if data is None else ["--data", data]
    return ["uniform", "run", "--preset", preset, *given, *(word for text in overrides for word in ("--set", text))]


def _data_words(config: RunConfig) -> Iterator[str | None]:
    """What `--data` may have been: nothing, the kind, the kind with one of its texts; of a union one of each member."""
    yield None
    several = [list(_words_of(dataset)) for dataset in (config.data.parts if len(config.data.parts) > 1 else ())]
    yield from _words_of(config.data) if not several else (AND.join(words) for words in _choices(several))


def _words_of(dataset: DatasetConfig) -> Iterator[str]:
    values = dataset.model_dump(mode="json")
    yield values["kind"]
    for name, value in values.items():
        if name != "kind" and isinstance(value, str):
            yield f"{values['kind']}:{value}"


def _choices(several: Sequence[Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """Ways to say the members: the plainest of each, then the longest, which tell the most."""
    yield tuple(words[0] for words in several)
    yield tuple(words[-1] for words in several)


def _overrides(base: Mapping[str, Any], wanted: Mapping[str, Any], *, path: str = "") -> Iterator[str]:
    """`key=value` for each leaf that differs."""
    for name, value in wanted.items():
        if name not in base:
            continue  # another kind of member: the comparison of the whole configs will say so
        if isinstance(value, Mapping) and isinstance(base[name], Mapping) and set(value) == set(base[name]):
            yield from _overrides(base[name], value, path=f"{path}{name}.")
        elif value != base[name]:
            yield f"{path}{name}={json.dumps(value, ensure_ascii=False)}"
