"""From words to a run: a preset's name, `--data KIND[:ARG]`, `--set key=value`. One validation for all of them.

Raises ConfigError that lists every mistake at once, each with its path.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from inspect import isclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from uniform_core.captioners import CaptionerConfig
from uniform_core.config import RunConfig
from uniform_core.corpus.parts import members_read, words_read
from uniform_core.data_words import data_of, splits_for
from uniform_core.devices import device_of
from uniform_core.errors import ConfigError, ServiceError, UniformError, nearest
from uniform_core.presets import PRESETS
from uniform_core.settings import load_settings
from uniform_core.weights import find_weights, weights_digest


def build_run(preset: str, *, overrides: Sequence[str] = (), data: str | None = None) -> RunConfig:
    """The run of a preset with its overrides.

    One wrong word hides no other: the rest is still looked at, with the preset that a misspelt name is nearest to.
    """
    mistakes: list[ConfigError] = []
    base = preset
    if preset not in PRESETS:
        mistakes.append(_unknown_preset(preset))
        base = next(iter(difflib.get_close_matches(preset, PRESETS, n=1)), next(iter(PRESETS)))
    values = PRESETS[base]().model_dump(mode="json")
    if data is not None:
        try:
            dataset = data_of(data)
        except (ConfigError, ValidationError) as error:
            wrong = _config_error(f"--data {data}", error) if isinstance(error, ValidationError) else error
            mistakes.append(wrong)
            overrides = [text for text in overrides if not text.startswith("data.")]  # keys of a kind nobody knows
        else:
            values["data"] = dataset.model_dump(mode="json")
            values |= splits_for(dataset, values)
    for number, text in enumerate(overrides):
        try:
            _apply(values, text, earlier=[other.partition("=")[0] for other in overrides[:number]])
        except ConfigError as error:
            mistakes.append(error)
    try:
        config = RunConfig.model_validate_json(json.dumps(values))
    except ValidationError as error:
        if not mistakes:
            raise _config_error(f"preset {preset}", error) from error
        raise _all_of(mistakes, _said(error, whole=False)) from error
    if mistakes:
        raise _all_of(mistakes)
    return config


def require_items(config: RunConfig) -> None:
    """The run's own data lists at least one item. Raises ConfigError; also where its place cannot be read."""
    if next(config.data.items(config.spec), None) is None:
        values = config.data.model_dump(mode="json")
        raise ConfigError(
            f"data {config.data.name}",
            expected="at least one file to work on",
            found=f"none in {values['path']}" if "path" in values else "none",
            fix="Put files there, or name other data.",
        )


def require_weights(config: RunConfig, *, stages: Iterable[str] | None = None) -> None:
    """The weights that stages read (None: all of them) are on this machine, and are those of the config.

    Raises ConfigError that lists all that are not there; else all of other names and shapes; else all whose bytes are
    not the published ones.
    """
    given = None if stages is None else list(stages)
    words = words_read(config, given)
    _each(find_weights, words)
    _each(lambda part: part.weight_facts(), members_read(config, given).values())
    _each(weights_digest, words)


def require_captioners(config: RunConfig) -> None:
    """Every captioner could be built and would answer. Raises ConfigError that lists all that is wrong with any.

    A single server that does not answer is a ServiceError.
    """
    _each(lambda captioner: captioner.require_ready(), config.captioners)


def require_devices(config: RunConfig) -> None:
    """There is a GPU for every captioner whose config names one. Raises ConfigError that lists those that lack it.

    With `UNIFORM_GPU_SHARE` models run wherever Ray has a GPU: then none is asked for here.
    """
    if load_settings().gpu_share is None:
        _each(_require_device, config.captioners)


def _require_device(captioner: CaptionerConfig) -> None:
    if getattr(captioner, "device", "cpu") == "cuda":
        device_of("cuda", item=f"captioner {captioner.kind}, device")


def _each(look: Callable[[Any], object], items: Iterable[Any]) -> None:
    """Every item is looked at. Raises what was wrong: a single error itself, several as one ConfigError."""
    mistakes: list[ConfigError | ServiceError] = []
    for item in items:
        try:
            look(item)
        except (ConfigError, ServiceError) as error:
            mistakes.append(error)
    if mistakes:
        raise _all_of(mistakes)


def _unknown_preset(name: str) -> ConfigError:
    return ConfigError(
        f"preset {name!r}", expected="one of " + ", ".join(sorted(PRESETS)), found=name, fix=nearest(name, PRESETS)
    )


def _all_of(mistakes: Sequence[UniformError], values: Sequence[str] = ()) -> UniformError:
    """One error for all words that are wrong and all values that do not fit; a single one is itself."""
    if len(mistakes) == 1 and not values:
        return mistakes[0]
    every = [*(mistake.as_part() for mistake in mistakes), *values]
    return ConfigError(
        "the call",
        expected="names that exist and values that fit",
        found=f"{len(every)} mistakes: " + " ".join(f"({n}) {words}" for n, words in enumerate(every, start=1)),
        fix="Correct each of them.",
    )


def _apply(values: dict[str, Any], text: str, *, earlier: Sequence[str] = ()) -> None:
    """Set one dotted path to a JSON value, or to a plain text where it is not JSON. The path must exist.

    Another `kind` replaces its whole part by that kind's defaults, for the values beside it are another kind's; paths
    of the part that were set `earlier` would be lost, which is a mistake.
    """
    path, equals, literal = text.partition("=")
    if not equals:
        raise ConfigError(
            f"--set {text}", expected="KEY=VALUE", found=text, fix="Write, for example, --set train.lr=2e-4."
        )
    if path == "preset":
        raise ConfigError("--set preset", expected="a key that changes a run", found=text, fix="Use --preset NAME.")
    *parents, last = path.split(".")
    node: Any = values
    models: Sequence[type[BaseModel]] = (RunConfig,)
    for depth, name in enumerate([*parents, last]):
        known = _keys_of(node, models)
        if name not in known:
            where = ".".join(path.split(".")[:depth]) or "the run"
            listed = _listed(node, known)
            raise ConfigError(
                f"--set {path}", expected=f"a key of {where} ({listed})", found=name, fix=nearest(name, known)
            )
        if depth < len(parents):
            model = None if isinstance(node, list) else _model_of(node, models)
            models = models if isinstance(node, list) else _models_in(model, name)
            if model is not None and name not in node and len(models) == 1:  # left out of a dump at its default
                default = model.model_fields[name].default
                node[name] = default.model_dump(mode="json") if isinstance(default, BaseModel) else {}
            node = node[_place(node, name)] if isinstance(node, list) else node.get(name)
    value = _value(path, literal)
    kinds = _kinds(models)
    if last == "kind" and kinds and value != node["kind"]:
        part = ".".join(parents)
        if lost := [other for other in earlier if other == part or other.startswith(f"{part}.")]:
            raise ConfigError(
                f"--set {path}",
                expected=f"the kind before the rest of {part}",
                found=f"it after {lost[-1]}",
                fix="Write the kind first.",
            )
        defaults = _defaults(path, value, kinds)  # before the rest goes: a kind that nobody knows leaves the old one
        node.clear()
        node.update(defaults)
    elif isinstance(node, list):
        node[_place(node, last)] = value
    else:
        node[last] = value


def _listed(node: Any, known: Iterable[str]) -> str:
    """The keys of a part in words; the numbers of a list by the first and the last."""
    if isinstance(node, list) and known:
        return ", ".join([*sorted(name for name in known if not name.isdigit()), f"0 to {len(node) - 1}"])
    return ", ".join(sorted(known)) or f"no keys: {_without_keys(node)}"


def _place(parts: Sequence[Any], name: str) -> int:
    """The place of a part in a list, by its number or by its kind; `_keys_of` knows the names."""
    return int(name) if name.isdigit() else [part["kind"] for part in parts].index(name)


def _keys_of(node: Any, models: Sequence[type[BaseModel]]) -> Iterable[str]:
    """The keys that a part may have: those of its class, one without a default among them, or of a plain mapping.

    The parts of a list are named by their numbers, and by their kinds where one alone has it.
    """
    if isinstance(node, list) and node and all(isinstance(part, Mapping) and "kind" in part for part in node):
        kinds = [part["kind"] for part in node]
        return [*(kind for kind in kinds if kinds.count(kind) == 1), *map(str, range(len(node)))]
    if not isinstance(node, Mapping):
        return ()
    model = _model_of(node, models)
    return node if model is None else model.model_fields


def _model_of(node: Mapping[str, Any], models: Sequence[type[BaseModel]]) -> type[BaseModel] | None:
    """The class of a part: the one whose kind it has, where there are several."""
    return models[0] if len(models) == 1 else _kinds(models).get(node.get("kind", ""))


def _models_in(model: type[BaseModel] | None, name: str) -> Sequence[type[BaseModel]]:
    """The classes that a field takes: none for a plain value, several for a family."""
    return [] if model is None else list(_models_of(model.model_fields[name].annotation))


def _models_of(annotation: Any) -> Iterator[type[BaseModel]]:
    if isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_of(part)


def _kinds(models: Sequence[type[BaseModel]]) -> dict[str, type[BaseModel]]:
    return {model.model_fields["kind"].default: model for model in models if "kind" in model.model_fields}


def _defaults(path: str, kind: Any, kinds: Mapping[str, type[BaseModel]]) -> dict[str, Any]:
    """The values of a member that have a default. Raises ConfigError for a kind that is none of these."""
    name = str(kind)
    if name not in kinds:
        raise ConfigError(f"--set {path}", expected="one of " + ", ".join(kinds), found=name, fix=nearest(name, kinds))
    return kinds[name].model_construct().model_dump(mode="json")


def _value(path: str, literal: str) -> Any:
    """The JSON value of a text, or the text itself where it is no JSON."""
    try:
        value = json.loads(literal)
    except (ValueError, RecursionError):
        value = literal
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"--set {path}", expected="UTF-8 text", found=repr(literal), fix="Correct it.") from error
    return value


def _without_keys(node: Any) -> str:
    """Why a value has no keys to set."""
    if isinstance(node, list):
        return f"it is a list of {len(node)}, which is set whole, as JSON"
    text = json.dumps(node, ensure_ascii=False)
    return f"{text if len(text) <= 80 else text[:79] + '…'} is a single value"


def _config_error(item: str, error: ValidationError) -> ConfigError:
    """Every mistake of a validation in one paragraph, each with its path and what was found."""
    mistakes = _said(error)
    return ConfigError(
        item,
        expected="valid values",
        found=f"{len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}: " + "; ".join(mistakes),
        fix="Correct each of them.",
    )


def _said(error: ValidationError, *, whole: bool = True) -> list[str]:
    """Each mistake with its path and what was found; `whole` False leaves out what parts say of each other.

    (Where a word could not be used, two parts may not fit only because of it.)
    """
    every = error.errors()
    # What is wrong with a part of a list also leaves the list too short, in the validator's eyes alone.
    parts = [mistake["loc"][:depth] for mistake in every for depth in range(len(mistake["loc"]))]
    return [
        f"{'.'.join(str(part) for part in mistake['loc']) or 'the whole'}: "
        + mistake["msg"].removeprefix("Value error, ")
        + ("" if isinstance(mistake["input"], Mapping) else f" (found {mistake['input']!r})")
        for mistake in every
        if (mistake["loc"] or whole) and not (mistake["type"] == "too_short" and mistake["loc"] in parts)
    ]
