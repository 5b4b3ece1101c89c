"""Whether saved tensors fit where they are to go: names, shapes and dtypes, compared before the first is copied."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from uniform_core.errors import ConfigError

Form = tuple[tuple[int, ...], torch.dtype]
NAMED = 5  # differences that an error tells in full; the others are counted


def forms_of(tensors: Mapping[str, Tensor]) -> dict[str, Form]:
    """The shape and dtype of every tensor, by name."""
    return {name: (tuple(value.shape), value.dtype) for name, value in tensors.items()}


def joined(parts: Mapping[str, Mapping[str, Form]]) -> dict[str, Form]:
    """The forms of several parts as one, by `part/name`."""
    return {f"{part}/{name}": form for part, forms in parts.items() for name, form in forms.items()}


def require_forms(item: str, expected: Mapping[str, Form], *, found: Mapping[str, Form]) -> None:
    """Raises ConfigError where names, shapes or dtypes differ: how many do, and the first few with both sides."""
    differing = sorted(name for name in {**expected, **found} if expected.get(name) != found.get(name))
    if differing:
        told = [f"{name}: {_said(found.get(name))}, not {_said(expected.get(name))}" for name in differing[:NAMED]]
        more = [f"{len(differing) - NAMED} more"] if len(differing) > NAMED else []
        raise ConfigError(
            item,
            expected=f"the {len(expected)} tensors of this model and its optimizer, in their shapes and dtypes",
            found=f"{len(differing)} that differ: " + "; ".join([*told, *more]),
            fix="Resume with the model configuration that wrote it, or train anew in another folder.",
        )


def _said(form: Form | None) -> str:
    if form is None:
        return "none"
    shape, dtype = form
    return f"{list(shape)} {str(dtype).removeprefix('torch.')}"
