"""UniForm: STDiT3 over the unified latent, with task columns (paper §3.3).

Axes: B batch, C channels, T time, H height, W width, S tokens of a frame, M hidden width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from uniform_core.errors import ConfigError
from uniform_core.model.config import ModelConfig
from uniform_core.model.embed import ModalityEmbedder, grid_positions, sincos_embedding
from uniform_core.model.initialise import initialise
from uniform_core.model.latent import given_tokens, join, split, token_shares
from uniform_core.model.stdit3 import GridConditions, STDiT3
from uniform_core.model.values import JointLatent, JointOutput, TextBatch
from uniform_core.seeds import torch_generator
from uniform_core.spec import LatentLayout
from uniform_core.types import Modality, Task

ADDITIONS = (".task_embedder.", ".modality_embedder.", ".cross_attn.q_norm.", ".cross_attn.k_norm.")


@dataclass(frozen=True, eq=False)
class Conditions:
    """What a batch is made under: constant over the diffusion steps. `is_clean` marks tokens that keep t = 0."""

    task: Task
    grid: GridConditions
    task_columns_CHW: Float[Tensor, "C H W"]
    is_clean: Bool[Tensor, "1 1 S 1"] | None


class UniForm(STDiT3):
    """One transformer for T2AV, A2V and V2A. Its names are STDiT3's, and those that `is_addition` tells.

    On device "meta" it has shapes and no weights; elsewhere it is initialised from `seed`, and from nothing global.
    """

    def __init__(
        self, config: ModelConfig, layout: LatentLayout, *, seed: int = 0, device: str | torch.device = "cpu"
    ) -> None:
        for name, words, own, laid in (
            ("patch_THW", "patch", config.patch_THW, layout.patch_THW),
            ("audio_form", "form of audio columns", config.audio_form, layout.audio_form),
        ):
            if own != laid:
                raise ConfigError(
                    f"model.{name}",
                    expected=f"the {words} of the latent layout, {laid}",
                    found=str(own),
                    fix="Give both the same.",
                )
        channels, _, height, _ = layout.unified_CTHW
        with torch.device("meta"):  # so that torch's own initialisation draws nothing
            super().__init__(config, channels=channels)
            self.task_embedder = nn.Embedding(len(Task), channels * height)
            kinds = len(Modality) + 1  # and the task's columns
            self.modality_embedder = ModalityEmbedder(config.hidden, kinds=kinds) if config.modality_embedding else None
        self.layout = layout
        if torch.device(device).type != "meta":
            self.to_empty(device="cpu")
            with torch.no_grad():
                initialise(self, torch_generator("model.initialise", seed))
            self.to(device)

    def prepare(self, task: Task, text: TextBatch, video_rate_hz: float) -> Conditions:
        """The constant half of the work. Raises ConfigError where a text is empty or of another width."""
        _check(text, self.config)
        device = self.task_embedder.weight.device
        frames = self.layout.grid_THW[0]
        grid = self.prepare_grid(
            text.features_BLD,
            text.mask_BL,
            rate_hz_B=torch.tensor([float(video_rate_hz)], device=device),
            position_SM=self._position_SM(),
            frames=frames,
        )
        channels, _, height, _ = self.layout.unified_CTHW
        code = self.task_embedder.weight[list(Task).index(task)].view(channels, height, 1)
        return Conditions(task, grid, code.expand(-1, -1, self.layout.task_columns), self._is_clean(task, device))

    def forward(self, noisy: Mapping[Modality, Tensor], t_B: Float[Tensor, "B"], conditions: Conditions) -> JointOutput:
        """Noise (or velocity) and variance of both modalities at times t in [0, 1000); of the given one meaningless."""
        unified_BCTHW = join(noisy, conditions.task_columns_CHW, self.layout)
        return split(self.predict_grid(unified_BCTHW, t_B, conditions.grid, is_clean=conditions.is_clean), self.layout)

    def null_for(self, text: TextBatch, null: TextBatch) -> TextBatch:
        """What stands for each of these texts where it is dropped; `null` is the encoding of "", one row.

        Under `null_text="reference"` one row a text, as long as the text. Raises ConfigError where a text is too long.
        """
        if self.config.null_text == "token":
            return null
        rows_LD = self.y_embedder.y_embedding
        if text.tokens > len(rows_LD):
            raise ConfigError(
                "text features",
                expected=f"at most {len(rows_LD)} tokens (model.max_text_tokens), as null_text reference has rows for",
                found=str(text.tokens),
                fix="Raise model.max_text_tokens, or use null_text token.",
            )
        rows_BLD = rows_LD[: text.tokens].to(text.features_BLD).expand(len(text), -1, -1)
        return TextBatch(rows_BLD, text.mask_BL)

    def latent(self, tensors: Mapping[Modality, Tensor]) -> JointLatent:
        """The latents of a mapping, as this model's type."""
        return JointLatent.of(tensors)

    def _position_SM(self) -> Tensor:
        _, rows, columns = self.layout.grid_THW
        video_columns = self.layout.video_CTHW[3] // self.config.patch_THW[2]
        anchor = (rows, video_columns) if self.config.position == "video_anchored" else None
        at_H, at_W = grid_positions(rows, columns, scale=self.config.position_scale, anchor_HW=anchor)
        places_SM = sincos_embedding(at_H, at_W, hidden=self.config.hidden)
        if self.modality_embedder is None:
            return places_SM
        kinds_SM: Tensor = self.modality_embedder(token_shares(self.layout))
        return places_SM.to(kinds_SM) + kinds_SM

    def _is_clean(self, task: Task, device: torch.device) -> Tensor | None:
        if self.config.clean_time == "global" or task.given is None:
            return None
        columns_W = torch.tensor(given_tokens(self.layout, task.given), device=device)
        return columns_W.expand(self.layout.grid_THW[1], -1).reshape(1, 1, -1, 1)


def is_addition(name: str) -> bool:
    """Whether a weight is UniForm's, and none of STDiT3's."""
    return any(part in f".{name}" for part in ADDITIONS)


def _check(text: TextBatch, config: ModelConfig) -> None:
    if text.features_BLD.shape[-1] != config.text_width:
        raise ConfigError(
            "text features",
            expected=f"width {config.text_width} (model.text_width)",
            found=f"width {text.features_BLD.shape[-1]}",
            fix="Use the text encoder that the model was configured for.",
        )
    empty = (~text.mask_BL.any(1)).nonzero().flatten().tolist()
    if empty:
        raise ConfigError(
            f"text rows {empty}",
            expected="at least one real token a row",
            found="none",
            fix="Give the null text (the encoding of '') to a clip without text.",
        )
