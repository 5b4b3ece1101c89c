"""Which parts of a run read weights in which stage, which weights these are, and what those say of themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from uniform_core.config import RunConfig
from uniform_core.errors import ConfigError
from uniform_core.families import Member
from uniform_core.weights.found import is_path, known_weights, licence_text


def members_read(config: RunConfig, stages: Iterable[str] | None = None) -> dict[str, Member]:
    """The frozen parts that stages build (None: all stages), by their place in the config."""
    codecs: dict[str, Member] = {"video_codec": config.video_codec, "audio_codec": config.audio_codec}
    text: dict[str, Member] = {"text": config.text}
    parts: Mapping[str, Mapping[str, Member]] = {
        "encode": codecs,
        "captions": {f"captioners.{place}": captioner for place, captioner in enumerate(config.captioners)},
        "text": text,
        "train": text if config.is_text_online else {},
        "sample": {**codecs, "vocoder": config.vocoder, **text},
    }
    read = parts if stages is None else stages
    return {place: part for stage in read for place, part in parts.get(stage, {}).items()}


def words_read(config: RunConfig, stages: Iterable[str] | None = None) -> list[str]:
    """The weights that stages read, each once, as the config has them: names of the manifest, or paths."""
    given = None if stages is None else list(stages)
    words = [getattr(part, "weights", None) for part in members_read(config, given).values()]
    if given is None or "train" in given:
        words.append(config.train.init.weights)
    return list(dict.fromkeys(word for word in words if word is not None))


def weight_facts(config: RunConfig, stages: Iterable[str]) -> dict[str, Any]:
    """What the weights that stages read say beyond the config, by its dotted names; of weights not here nothing.

    >>> from uniform_core.presets import tiny
    >>> weight_facts(tiny(), ["encode"])
    {}
    """
    facts: dict[str, Any] = {}
    for place, part in members_read(config, stages).items():
        try:
            facts |= {f"{place}.{name}": value for name, value in part.weight_facts().items()}
        except ConfigError:  # whoever builds the part says why; latents may have been made on another machine
            continue
    return facts


def forbidding_licences(words: Sequence[str]) -> list[str]:
    """A line for each name of the manifest whose licence forbids commercial use."""
    known = [known_weights(word) for word in words if not is_path(word)]
    return [f"{one.name}: its licence is {licence_text(one)}" for one in known if not one.is_commercial]
