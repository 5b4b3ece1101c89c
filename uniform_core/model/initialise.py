"""Initial weights (facts/model.md §1.4), from one generator and nothing global."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import nn

from uniform_core.model.attention import HeadNorm, RotaryTime
from uniform_core.model.embed import ModalityEmbedder
from uniform_core.model.stdit3 import STDiT3

Start = Literal["random", "zeros", "ones", "computed"]


def initialise(model: STDiT3, generator: torch.Generator) -> None:
    """Fill a model in place, as STDiT3 starts, with two departures.

    The final layer is zero (STDiT3's is not: it starts from PixArt's weights, and from nothing it would begin with
    random output), and embeddings of tasks have unit variance, like the latents beside which they stand.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv3d):
            bound = 1 / math.sqrt(module.weight[0].numel())  # torch's own default
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            assert module.bias is not None
            nn.init.uniform_(module.bias, -bound, bound, generator=generator)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, generator=generator)
        elif isinstance(module, ModalityEmbedder):
            nn.init.zeros_(module.weight)
        elif isinstance(module, HeadNorm):
            nn.init.ones_(module.weight)
        elif isinstance(module, RotaryTime):
            module.freqs.copy_(module.computed())
    _tables(model, generator)
    _zeros(model, generator)


def start_of(name: str) -> Start:
    """How `initialise` fills the weight of a name."""
    module, _, kind = name.rpartition(".")
    if name == "rope.freqs":
        return "computed"
    if module.endswith("_norm"):
        return "ones"
    if module == "modality_embedder" or (kind == "bias" and module != "x_embedder.proj"):
        return "zeros"
    silent = ("attn.proj", "cross_attn.proj", "mlp.fc2")
    is_silent = name.startswith("temporal_blocks.") and module.split(".", 2)[-1] in silent
    return "zeros" if is_silent or module in ("fps_embedder.mlp.2", "final_layer.linear") else "random"


def _tables(model: STDiT3, generator: torch.Generator) -> None:
    for table in [*(block.scale_shift_table for block in model.blocks()), model.final_layer.scale_shift_table]:
        nn.init.normal_(table, std=1 / math.sqrt(table.shape[1]), generator=generator)
    null = model.y_embedder.y_embedding
    nn.init.normal_(null, std=1 / math.sqrt(null.shape[1]), generator=generator)


def _zeros(model: STDiT3, generator: torch.Generator) -> None:
    """Frame rate and temporal blocks say nothing at first, and the output is zero."""
    first, last = (layer for layer in model.fps_embedder.mlp if isinstance(layer, nn.Linear))
    nn.init.normal_(first.weight, std=0.02, generator=generator)
    silent: list[nn.Linear] = [last, model.final_layer.linear]
    for block in model.blocks():
        if block.temporal:
            silent += [block.attn.proj, block.cross_attn.proj, block.mlp.fc2]
    for layer in silent:
        nn.init.zeros_(layer.weight)
