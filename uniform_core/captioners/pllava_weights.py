"""The tensors of a pLLaVA checkpoint by the library's names, its LoRA merged into the base.

The checkpoints were saved with peft around the language model, so that a name like
`language_model.base_model.model.model.layers.0.self_attn.q_proj.base_layer.weight` stands for what the library calls
`model.language_model.layers.0.self_attn.q_proj.weight`. Words that only say what surrounds a layer are left out of both
sides, which also covers checkpoints without peft and older names of the vision tower.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from uniform_core.errors import ConfigError
from uniform_core.weights import FoundWeights
from uniform_core.weights.hub_form import AGAIN, opened, tensor_files, tensor_forms
from uniform_core.weights.reading import check_finite, require_kinds, require_names

WRAPPING: Final = frozenset({"model", "base_model", "vision_model", "base_layer", "default"})
LORA_A, LORA_B = ".lora_A.weight", ".lora_B.weight"
COMPUTED: Final = ("inv_freq", "position_ids")  # kept by old checkpoints


def plain_name(name: str) -> str:
    """A tensor's name without what surrounds its layer.

    >>> plain_name("language_model.base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight")
    'language_model.layers.0.self_attn.q_proj.lora_A.weight'
    >>> plain_name("language_model.base_model.model.lm_head.weight")
    'lm_head.weight'
    """
    plain = ".".join(word for word in name.split(".") if word not in WRAPPING)
    return plain.removeprefix("language_model.") if plain.startswith("language_model.lm_head.") else plain


def require_forms(found: FoundWeights, model: Any, *, lora_alpha: float | None) -> None:
    """The checkpoint has the model's tensors in their shapes, and a LoRA where one is expected. Raises ConfigError.

    No numbers are read; `model` may be on the device "meta".
    """
    files = tensor_files(found)
    forms = {path: tensor_forms(path) for path in sorted(set(files.values()))}
    for path, of_path in forms.items():
        require_kinds(path, {name: form.kind for name, form in of_path.items()})
    shapes = {
        plain_name(name): form.shape
        for of_path in forms.values()
        for name, form in of_path.items()
        if name in files and not name.endswith(COMPUTED)
    }
    _require_lora(shapes, lora_alpha, item=f"weights {found.word}")
    there = {name: torch.empty(shape, device="meta") for name, shape in shapes.items() if not _is_lora(name)}
    expected = {plain_name(name): tuple(value.shape) for name, value in model.state_dict().items()}
    require_names(there, expected, item=f"weights {found.word}")


def merged_state(found: FoundWeights, model: Any, *, lora_alpha: float | None, dtype: torch.dtype) -> dict[str, Tensor]:
    """The model's tensors by its own names, the LoRA merged: W + alpha / rank · B A, in float32, then rounded once.

    Raises ConfigError.
    """
    require_forms(found, model, lora_alpha=lora_alpha)
    own = {plain_name(name): name for name in model.state_dict()}
    files = tensor_files(found)
    lora = {plain_name(name): _read(path, [name])[name].float() for name, path in files.items() if _is_lora(name)}
    state: dict[str, Tensor] = {}
    for path in sorted(set(files.values())):
        names = [name for name, place in files.items() if place == path and plain_name(name) in own]
        for name, tensor in _read(path, names).items():
            plain = plain_name(name)
            layer = plain.removesuffix(".weight")
            if layer + LORA_A in lora:
                assert lora_alpha is not None, "`require_forms` has looked"
                low, high = lora[layer + LORA_A], lora[layer + LORA_B]
                tensor = tensor.float() + lora_alpha / len(low) * (high @ low)
            state[own[plain]] = tensor.to(dtype)
    check_finite(state, item=f"weights {found.word}")
    return state


def _require_lora(shapes: Mapping[str, tuple[int, ...]], lora_alpha: float | None, *, item: str) -> None:
    """Every half of a LoRA has its other and its base, in shapes that fit; and there is one where there should be."""
    layers = {name.removesuffix(LORA_A).removesuffix(LORA_B) for name in shapes if _is_lora(name)}
    if bool(layers) is (lora_alpha is None):
        raise ConfigError(
            item,
            expected="no LoRA, since lora_alpha is null" if layers else "a LoRA, to be merged with lora_alpha",
            found=f"one of {len(layers)} layers" if layers else "none",
            fix="Give lora_alpha (4.0 as its authors' scripts)."
            if layers
            else "Set lora_alpha to null if it is merged.",
        )
    broken = [layer for layer in sorted(layers) if not _fits(layer, shapes)]
    if broken:
        found = f"{len(broken)} of {len(layers)} that do not fit ({', '.join(broken[:3])})"
        raise ConfigError(item, expected="the two halves of each LoRA beside its base", found=found, fix=AGAIN)


def _fits(layer: str, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    low, high, base = (shapes.get(layer + end, ()) for end in (LORA_A, LORA_B, ".weight"))
    if not len(low) == len(high) == len(base) == 2:
        return False
    return low[0] == high[1] > 0 and (high[0], low[1]) == base


def _is_lora(name: str) -> bool:
    return plain_name(name).endswith((LORA_A, LORA_B))


def _read(path: Path, names: Iterable[str]) -> dict[str, Tensor]:
    with opened(path) as file:
        return {name: file.get_tensor(name) for name in names}
