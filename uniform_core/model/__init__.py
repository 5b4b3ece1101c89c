"""UniForm, the transformer, and the values that enter and leave it. The config is read without torch."""

import importlib
from typing import TYPE_CHECKING, Any

from uniform_core.model.config import ModelConfig as ModelConfig
from uniform_core.model.init_config import InitConfig as InitConfig

if TYPE_CHECKING:
    from uniform_core.model.account import InitReport as InitReport
    from uniform_core.model.ema import Ema as Ema
    from uniform_core.model.loading import initialise_from as initialise_from
    from uniform_core.model.severed import SeveredUniForm as SeveredUniForm
    from uniform_core.model.stdit3 import STDiT3 as STDiT3
    from uniform_core.model.uniform import Conditions as Conditions
    from uniform_core.model.uniform import UniForm as UniForm
    from uniform_core.model.values import JointLatent as JointLatent
    from uniform_core.model.values import JointOutput as JointOutput
    from uniform_core.model.values import TextBatch as TextBatch
    from uniform_core.model.values import drop_text as drop_text

_HOMES = {
    "InitReport": "account",
    "initialise_from": "loading",
    "Ema": "ema",
    "STDiT3": "stdit3",
    "SeveredUniForm": "severed",
    "Conditions": "uniform",
    "UniForm": "uniform",
    "JointLatent": "values",
    "JointOutput": "values",
    "TextBatch": "values",
    "drop_text": "values",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
