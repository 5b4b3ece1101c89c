"""STDiT3: the transformer over one latent grid, with the parameter names of Open-Sora's checkpoints.

Axes: B batch, C channels, T time, H height, W width, S tokens of a frame, L text tokens, D text width, M hidden width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from uniform_core.model.attention import RotaryTime, TextKeys
from uniform_core.model.block import Block, FinalLayer
from uniform_core.model.config import BlockForm, ModelConfig
from uniform_core.model.embed import CaptionEmbedder, PatchEmbed, ScalarEmbedder, unpatchify
from uniform_core.model.passes import runner


@dataclass(frozen=True, eq=False)
class GridConditions:
    """What the transformer reads that is the same at every diffusion step."""

    text: tuple[TextKeys, ...]  # in the order in which blocks run: spatial 0, temporal 0, spatial 1, …
    rate_BM: Float[Tensor, "B_or_1 M"]
    position_SM: Float[Tensor, "S M"]
    rotation_T2d: Float[Tensor, "T two d"]
    sees_SS: Bool[Tensor, "S S"] | None = None  # which tokens of its frame each token attends to; None: all


class STDiT3(nn.Module):
    """Pairs of a spatial and a temporal block between a patch embedder and a layer back to patches."""

    def __init__(self, config: ModelConfig, *, channels: int) -> None:
        super().__init__()
        self.config = config
        self.block_form = BlockForm()  # who trains or samples may set another at any time
        p_t, p_h, p_w = config.patch_THW
        self.x_embedder = PatchEmbed(channels, config.hidden, config.patch_THW)
        self.t_embedder = ScalarEmbedder(config.hidden)
        self.fps_embedder = ScalarEmbedder(config.hidden)
        self.t_block = nn.Sequential(nn.SiLU(), nn.Linear(config.hidden, 6 * config.hidden))
        self.y_embedder = CaptionEmbedder(config.text_width, config.hidden, config.max_text_tokens)
        self.spatial_blocks = nn.ModuleList(Block(config, temporal=False) for _ in range(config.depth))
        self.temporal_blocks = nn.ModuleList(Block(config, temporal=True) for _ in range(config.depth))
        self.rope = RotaryTime(config.head_width)
        self.final_layer = FinalLayer(config.hidden, p_t * p_h * p_w * 2 * channels)

    def blocks(self) -> list[Block]:
        """All blocks in the order in which they run."""
        pairs = zip(self.spatial_blocks, self.temporal_blocks, strict=True)
        return [block for pair in pairs for block in pair if isinstance(block, Block)]

    def prepare_grid(
        self,
        text_BLD: Float[Tensor, "B L D"],
        mask_BL: Bool[Tensor, "B L"],
        *,
        rate_hz_B: Float[Tensor, "B_or_1"],
        position_SM: Float[Tensor, "S M"],
        frames: int,
    ) -> GridConditions:
        """The conditions of a batch; `frames` counts token frames. A row without a real token is the caller's error."""
        text_BLM = self.y_embedder(text_BLD)
        mask = None if bool(mask_BL.all()) else mask_BL[:, None, None, :]
        return GridConditions(
            text=tuple(block.cross_attn.keys(text_BLM, mask) for block in self.blocks()),
            rate_BM=self.fps_embedder(rate_hz_B),
            position_SM=position_SM.to(text_BLM),
            rotation_T2d=self.rope.rotation(frames),
        )

    def predict_grid(
        self,
        grid_BCTHW: Float[Tensor, "B C T H W"],
        t_B: Float[Tensor, "B"],
        conditions: GridConditions,
        *,
        is_clean: Bool[Tensor, "#B #T #S 1"] | None = None,
    ) -> Float[Tensor, "B twice_C T H W"]:
        """Noise and variance of a noisy grid, float32. Tokens that `is_clean` marks are modulated with t = 0."""
        x_BTSM = self.x_embedder(grid_BCTHW.to(self.x_embedder.proj.weight.dtype)) + conditions.position_SM
        time_BM, codes = self._time(t_B, conditions)
        clean_BM, clean_codes = (None, None) if is_clean is None else self._time(torch.zeros_like(t_B), conditions)
        for index, (block, text) in enumerate(zip(self.blocks(), conditions.text, strict=True)):
            rotation, sees = (conditions.rotation_T2d, None) if block.temporal else (None, conditions.sees_SS)
            given = {"rotation_T2d": rotation, "sees_SS": sees, "clean_codes": clean_codes, "is_clean": is_clean}
            x_BTSM = runner(self.block_form, index)(block, x_BTSM, codes, text, **given)
        patches = self.final_layer(x_BTSM, time_BM, clean_time_BM=clean_BM, is_clean=is_clean)
        size_THW = (grid_BCTHW.shape[2], grid_BCTHW.shape[3], grid_BCTHW.shape[4])
        return unpatchify(patches.float(), patch_THW=self.config.patch_THW, size_THW=size_THW)

    def _time(self, t_B: Tensor, conditions: GridConditions) -> tuple[Tensor, Tensor]:
        """Time and rate as one vector [B, M], and the six modulations of it [6, B, 1, 1, M]."""
        time_BM = self.t_embedder(t_B) + conditions.rate_BM
        codes = self.t_block(time_BM).unflatten(-1, (6, -1)).transpose(0, 1)[:, :, None, None]
        return time_BM, codes
