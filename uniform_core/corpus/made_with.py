"""The run that a model came from, as its card tells it; and a run of now with that model in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from uniform_core.config import RunConfig
from uniform_core.errors import IntegrityError

# What clips are to a model, and what is made of its latents: another one of these is another world.
_OF_CLIPS: Final = ("spec", "resize", "video_codec", "audio_codec", "sound", "vocoder")
# What is asked of a model that is scored, whatever it was trained on.
_OF_NOW: Final = (
    "data",
    "instrument",
    "captioners",
    "caption_quality",
    "corpus",
    "leakage",
    "guard_against",
    "evaluate",
)


def config_of(made_with: Mapping[str, Any], folder: Path) -> RunConfig:
    """The run that a model came from. Raises IntegrityError where its card does not tell."""
    try:
        return RunConfig.model_validate_json(json.dumps(made_with))
    except ValidationError as error:
        raise IntegrityError(
            f"model {folder}",
            expected="the config that it was made with",
            found=f"{error.error_count()} values that this program does not take: {error.errors()[0]['loc']}",
            fix="Train the model again with this version.",
        ) from error


def scored_now(made_with: RunConfig, now: RunConfig) -> RunConfig | str:
    """The config under which a model is scored on the clips of now, sampled as in its own run; or why it cannot be."""
    if odd := [name for name in _OF_CLIPS if getattr(made_with, name) != getattr(now, name)]:
        return f"its {', '.join(odd)} differ from what clips of now have"
    of_now = {name: value for name, value in now.model_dump(mode="json").items() if name in _OF_NOW}
    kept = {name: value for name, value in made_with.model_dump(mode="json").items() if name not in _OF_NOW}
    try:
        return RunConfig.model_validate_json(json.dumps(kept | of_now))
    except ValidationError as error:
        return f"its config does not fit the data of now: {error.errors()[0]['msg']}"
