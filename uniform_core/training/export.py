"""The trained model as it leaves training: averaged weights and everything that is needed to use them.

    <folder>/  model.safetensors (moving average)  model.json  COMPLETE
               guide.safetensors (an early moving average), where training kept one

model.json holds the model's and the objective's config, the latent layout and scale, and `made_with`: what the weights
expect around them (spec, codecs, text encoder), as the caller described it; `facts` what the codecs' own
weights add to that, such as `audio_codec.scaling_factor`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from uniform_core.diffusion import AnyObjective, ObjectiveConfig
from uniform_core.errors import ConfigError, FormatTooNewError, IntegrityError
from uniform_core.files import find_damage
from uniform_core.fingerprint import file_sha256
from uniform_core.model import ModelConfig, SeveredUniForm, UniForm
from uniform_core.spec import LatentLayout
from uniform_core.training.checkpoint import GUIDE, load_tensors, save_tensors, whole_folder
from uniform_core.training.scaling import LatentScale
from uniform_core.types import Modality

FORMAT = 1
WEIGHTS = "model.safetensors"
AGAIN = "Export it again; for a model of this catalog run `uniform catalog verify --repair`, then `uniform train`."


@dataclass(frozen=True)
class ModelCard:
    """What stands in model.json besides the weights. `fingerprint` is that of the training run."""

    model: ModelConfig
    layout: LatentLayout
    objective: ObjectiveConfig
    scale: LatentScale
    video_rate_hz: float
    fingerprint: str
    steps: int
    made_with: Mapping[str, Any]
    init: Mapping[str, Any] | None = None  # what became of each weight of the model it started from; None: random
    facts: Mapping[str, Any] = field(default_factory=dict)  # what the codecs' weights say beyond `made_with`

    @property
    def only(self) -> Modality | None:
        """The one modality that the model learned to make (`train.only`); None: both."""
        only = self.made_with.get("train", {}).get("only")
        return None if only is None else Modality(only)


@dataclass(frozen=True)
class Exported:
    """A model ready to use, in evaluation mode, and its card; `guide` is what it was early in its training, if kept."""

    model: UniForm
    card: ModelCard
    weights_sha256: str
    guide: UniForm | None = None


def export_model(
    folder: Path, weights: Mapping[str, Tensor], *, card: ModelCard, guide: Mapping[str, Tensor] | None = None
) -> str:
    """The sha256 of the weights file; `folder` appears whole, or not at all (StorageError)."""
    with whole_folder(folder) as partial:
        save_tensors(partial / WEIGHTS, weights)
        if guide:
            save_tensors(partial / GUIDE, guide)
        value = {
            "format": FORMAT,
            "model": card.model.model_dump(mode="json"),
            "layout": asdict(card.layout),
            "objective": card.objective.model_dump(mode="json"),
            "scale": card.scale.to_json(),
            "video_rate_hz": card.video_rate_hz,
            "fingerprint": card.fingerprint,
            "steps": card.steps,
            "made_with": dict(card.made_with),
            "torch": torch.__version__,
        } | {name: dict(part) for name, part in (("init", card.init), ("facts", card.facts)) if part}
        (partial / "model.json").write_text(json.dumps(value, sort_keys=True, indent=1, allow_nan=False))
    return file_sha256(folder / WEIGHTS)


def read_card(folder: Path) -> ModelCard:
    """The card of an exported model, without its weights.

    Raises ConfigError where there is no model, FormatTooNewError, IntegrityError where the card cannot be read.
    """
    path = folder / "model.json"
    if not path.is_file():
        raise ConfigError(
            f"model {folder}", expected="a folder with model.json", found="none", fix="Train a model first."
        )
    try:
        value = json.loads(path.read_text())
        if value["format"] > FORMAT:
            raise FormatTooNewError(
                f"model {folder}",
                expected=f"format {FORMAT} or older",
                found=str(value["format"]),
                fix="Upgrade this program.",
            )
        return ModelCard(
            model=ModelConfig.model_validate(value["model"]),
            layout=_layout_of(value["layout"]),
            objective=TypeAdapter(AnyObjective).validate_python(value["objective"]),
            scale=LatentScale.from_json(value["scale"]),
            video_rate_hz=float(value["video_rate_hz"]),
            fingerprint=str(value["fingerprint"]),
            steps=int(value["steps"]),
            made_with=value["made_with"],
            init=value.get("init"),
            facts=value.get("facts", {}),
        )
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise IntegrityError(
            f"model {folder}", expected="a readable model.json", found=repr(error), fix=AGAIN
        ) from error


def load_exported(folder: Path, *, device: str | torch.device = "cpu") -> Exported:
    """The model of a folder, checked against its marker and loaded strictly: every weight, and no other.

    Raises ConfigError where there is none, FormatTooNewError, IntegrityError where it is damaged.
    """
    card = read_card(folder)
    problem = find_damage(folder)
    if problem is not None:
        raise IntegrityError(f"model {folder}", expected="the files as they were written", found=problem, fix=AGAIN)
    guide = _model_of(card, folder, GUIDE, device=device) if (folder / GUIDE).exists() else None
    model = _model_of(card, folder, WEIGHTS, device=device)
    return Exported(model, card, file_sha256(folder / WEIGHTS), guide)


def _model_of(card: ModelCard, folder: Path, name: str, *, device: str | torch.device) -> UniForm:
    """The model whose weights a file has: every one, and no other. Raises IntegrityError."""
    weights = load_tensors(folder / name)
    form = UniForm if card.only is None else SeveredUniForm
    model = form(card.model, card.layout, device="meta")
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    differing = sorted(name for name in expected | found if expected.get(name) != found.get(name))
    if differing:
        raise IntegrityError(
            f"model {folder}, {name}",
            expected="the weights that model.json describes",
            found=f"{len(differing)} that differ, such as {', '.join(differing[:3])}",
            fix=AGAIN,
        )
    model.load_state_dict(weights, strict=True, assign=True)
    return model.to(device).eval().requires_grad_(False)


def _layout_of(value: Mapping[str, Any]) -> LatentLayout:
    c, t, h, w = value["video_CTHW"]
    audio_c, audio_t, audio_f = value["audio_CTF"]
    p_t, p_h, p_w = value["patch_THW"]
    form = value.get("audio_form", "time_major")  # models that are older than the choice
    return LatentLayout((c, t, h, w), (audio_c, audio_t, audio_f), value["task_columns"], (p_t, p_h, p_w), form)
