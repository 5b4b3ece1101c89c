"""The words that make a model's own config again: a preset, and what was set beside it."""

from __future__ import annotations

import json

from pydantic_core import to_jsonable_python

from flows.cli.generate import MODELS, choose_model
from flows.tables.state import Words
from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.errors import IntegrityError
from uniform_core.presets import PRESETS
from uniform_core.settings import Settings


def words_of_model(settings: Settings, catalog: Catalog, wanted: str) -> Words:
    """The words of the model whose id begins so.

    Raises WorkFailedError where there is no model at all, ConfigError where the beginning fits none or several,
    IntegrityError where its card cannot be read.
    """
    model = choose_model(catalog.rows(MODELS), wanted, command="table", flag="--run")
    card = settings.checkpoints_dir / model["path"] / "model.json"
    try:
        made_with = json.loads(card.read_text())["made_with"]
        preset = made_with.pop("preset")
        base = PRESETS[preset]().model_dump(mode="json", exclude={"preset"})
    except (OSError, ValueError, KeyError) as error:
        raise IntegrityError(
            f"model {card}",
            expected="the config that it was made with, of a preset that there is",
            found=repr(error),
            fix="Run `uniform catalog verify --repair`, then `uniform train`.",
        ) from error
    # A dump leaves out what is as it was before the field was there: its default.
    left_out = base.keys() - made_with.keys()
    whole = {name: to_jsonable_python(RunConfig.model_fields[name].get_default()) for name in left_out} | made_with
    return preset, [f"{name}={json.dumps(value)}" for name, value in whole.items() if base.get(name) != value], None
