"""From words to a run: a preset's name, `--data KIND[:ARG]`, `--set key=value`. One validation for all of them.

Raises ConfigError that lists every mistake at once, each with its path.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from uniform_core.config import RunConfig
from uniform_core.datasets import MEMBERS as DATASETS
from uniform_core.datasets import DatasetConfig
from uniform_core.errors import ConfigError
from uniform_core.presets import PRESETS


def build_run(preset: str, *, overrides: Sequence[str] = (), data: str | None = None) -> RunConfig:
    """The run of a preset with its overrides."""
    if preset not in PRESETS:
        raise ConfigError(
            f"preset {preset!r}",
            expected="one of " + ", ".join(sorted(PRESETS)),
            found=preset,
            fix=_near(preset, PRESETS),
        )
    values = PRESETS[preset]().model_dump(mode="json")
    if data is not None:
        values["data"] = _data_values(data)
    for text in overrides:
        _apply(values, text)
    try:
        return RunConfig.model_validate_json(json.dumps(values))
    except ValidationError as error:
        raise _config_error(f"preset {preset}", error) from error


def _data_values(text: str) -> dict[str, Any]:
    """`folder:DIR` → the values of that dataset's config; its class says what the argument means."""
    kind, _, argument = text.partition(":")
    kinds = {m.model_fields["kind"].default: m for m in DATASETS if issubclass(m, DatasetConfig)}
    if kind not in kinds:
        raise ConfigError(f"--data {text}", expected="one of " + ", ".join(kinds), found=kind, fix=_near(kind, kinds))
    member = kinds[kind]
    try:
        config = member.from_argument(argument)
    except ValidationError as error:
        raise _config_error(f"--data {text}", error) from error
    return config.model_dump(mode="json")


def _apply(values: dict[str, Any], text: str) -> None:
    """Set one dotted path to a JSON value, or to a plain text where it is not JSON. The path must exist."""
    path, equals, literal = text.partition("=")
    if not equals:
        raise ConfigError(
            f"--set {text}", expected="KEY=VALUE", found=text, fix="Write, for example, --set train.lr=2e-4."
        )
    *parents, last = path.split(".")
    node: Any = values
    for depth, name in enumerate([*parents, last]):
        known: Iterable[str] = node if isinstance(node, Mapping) else ()
        if name not in known:
            where = ".".join(path.split(".")[:depth]) or "the run"
            listed = ", ".join(sorted(known)) or f"no keys: {json.dumps(node)} is a single value"
            raise ConfigError(
                f"--set {path}", expected=f"a key of {where} ({listed})", found=name, fix=_near(name, known)
            )
        if depth < len(parents):
            node = node[name]
    try:
        node[last] = json.loads(literal)
    except json.JSONDecodeError:
        node[last] = literal


def _near(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"Did you mean {near[0]!r}?" if near else "Correct the name."


def _config_error(item: str, error: ValidationError) -> ConfigError:
    """Every mistake of a validation in one paragraph, each with its path and what was found."""
    mistakes = [
        f"{'.'.join(str(part) for part in mistake['loc']) or 'the whole'}: {mistake['msg']}"
        + ("" if isinstance(mistake["input"], Mapping) else f" (found {mistake['input']!r})")
        for mistake in error.errors()
    ]
    return ConfigError(
        item,
        expected="valid values",
        found=f"{len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}: " + "; ".join(mistakes),
        fix="Correct each of them.",
    )
