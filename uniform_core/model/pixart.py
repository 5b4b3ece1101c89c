"""PixArt's weights as STDiT3's: which of whose names is which, and what is done with them (facts/model.md §5).

Axes: M hidden width, C channels, D text width.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

PixartForm = Literal["pth", "diffusers"]

PATCH, NULL_TEXT, CAPTIONS = "x_embedder.proj.weight", "y_embedder.y_embedding", "y_embedder.y_proj.fc1.weight"
# (STDiT3 and .pth, diffusers); the modules of several names are stacked. Each has a weight and a bias.
_TOP = (
    ("x_embedder.proj", "pos_embed.proj"),
    ("t_embedder.mlp.0", "adaln_single.emb.timestep_embedder.linear_1"),
    ("t_embedder.mlp.2", "adaln_single.emb.timestep_embedder.linear_2"),
    ("t_block.1", "adaln_single.linear"),
    ("y_embedder.y_proj.fc1", "caption_projection.linear_1"),
    ("y_embedder.y_proj.fc2", "caption_projection.linear_2"),
    ("final_layer.linear", "proj_out"),
)
_BLOCK = (
    ("attn.qkv", "attn1.to_q attn1.to_k attn1.to_v"),
    ("attn.proj", "attn1.to_out.0"),
    ("cross_attn.q_linear", "attn2.to_q"),
    ("cross_attn.kv_linear", "attn2.to_k attn2.to_v"),
    ("cross_attn.proj", "attn2.to_out.0"),
    ("mlp.fc1", "ff.net.0.proj"),
    ("mlp.fc2", "ff.net.2"),
)
# What PixArt has and STDiT3 has not: (a name in either form, why).
_SKIPPED = (
    (r"pos_embed(\.pos_embed)?", "STDiT3 computes positions"),
    (r"(csize|ar)_embedder\..+", "STDiT3 has no embedding of size and aspect"),
    (r"adaln_single\.emb\.(resolution|aspect_ratio)_embedder\..+", "STDiT3 has no embedding of size and aspect"),
    (r"blocks\.\d+\.attn\.(sr|norm)\..+", "STDiT3 does not compress keys and values"),
)


@dataclass(frozen=True)
class Origin:
    """Where a weight of STDiT3 stands in a PixArt file; those of several names are stacked, none has no such name."""

    pth: str
    diffusers: tuple[str, ...]

    def names(self, form: PixartForm) -> tuple[str, ...]:
        """Its names in one form."""
        return (self.pth,) if form == "pth" else self.diffusers


def pixart_origins(depth: int) -> dict[str, Origin]:
    """For each weight of an STDiT3 of `depth` pairs of blocks that PixArt has: where it is there."""
    origins: dict[str, Origin] = {}
    for ours, theirs in _TOP:
        origins |= {f"{ours}.{kind}": Origin(f"{ours}.{kind}", (f"{theirs}.{kind}",)) for kind in ("weight", "bias")}
    origins["final_layer.scale_shift_table"] = Origin("final_layer.scale_shift_table", ("scale_shift_table",))
    origins[NULL_TEXT] = Origin(NULL_TEXT, ())
    for number in range(depth):
        ours, pth, diffusers = f"spatial_blocks.{number}", f"blocks.{number}", f"transformer_blocks.{number}"
        table = "scale_shift_table"
        origins[f"{ours}.{table}"] = Origin(f"{pth}.{table}", (f"{diffusers}.{table}",))
        for module, parts in _BLOCK:
            for kind in ("weight", "bias"):
                theirs_all = tuple(f"{diffusers}.{part}.{kind}" for part in parts.split())
                origins[f"{ours}.{module}.{kind}"] = Origin(f"{pth}.{module}.{kind}", theirs_all)
    return origins


def form_of(names: Mapping[str, Tensor]) -> PixartForm:
    """In which form a PixArt file has its weights, by its names."""
    return "diffusers" if any(name.startswith(("transformer_blocks.", "adaln_single.")) for name in names) else "pth"


def why_skipped(name: str) -> str | None:
    """Why a weight of PixArt has no place in STDiT3; None for a weight that has one, or that PixArt does not have."""
    return next((why for pattern, why in _SKIPPED if re.fullmatch(pattern, name)), None)


def expected_shapes(
    origins: Mapping[str, Origin], shapes: Mapping[str, tuple[int, ...]], *, form: PixartForm
) -> dict[str, tuple[int, ...]]:
    """The name and shape of each tensor that a file must have, so that a model with these shapes can be made of it."""
    expected: dict[str, tuple[int, ...]] = {}
    for ours, origin in origins.items():
        theirs, whole = origin.names(form), shapes[ours]
        if ours == PATCH:
            whole = (*whole[:2], *whole[3:])  # PixArt sees one frame
        for name in theirs:
            expected[name] = (whole[0] // len(theirs), *whole[1:])
    return expected


def converted(ours: str, parts: list[Tensor], *, rows: int) -> Tensor:
    """A weight of STDiT3 of the tensors of its origin; `rows` is how many the null text shall have."""
    whole = torch.cat(parts)
    if ours == PATCH:
        return whole.unsqueeze(2)
    if ours == NULL_TEXT:
        missing = max(rows - len(whole), 0)
        return torch.cat([whole[:rows], whole[-1:].expand(missing, -1)])
    return whole
