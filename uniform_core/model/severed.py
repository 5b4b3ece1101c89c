"""A UniForm whose sound and picture do not attend to each other: what is left of it shows what attention did.

Axes: S tokens of a frame.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool
from torch import Tensor

from uniform_core.errors import ConfigError
from uniform_core.model.latent import token_owners
from uniform_core.model.uniform import Conditions, UniForm
from uniform_core.model.values import TextBatch
from uniform_core.spec import LatentLayout
from uniform_core.types import Modality, Task


class SeveredUniForm(UniForm):
    """The same weights and names. Every pass is severed, those of guidance too, for each of them is prepared here.

    Spatial attention is the only place where tokens of different places meet: temporal attention stays at one place,
    and texts are read, never written. So neither modality depends on the other's latent, to the bit.
    """

    def prepare(self, task: Task, text: TextBatch, video_rate_hz: float) -> Conditions:
        """Those of the whole model, with tokens that see their own modality and the task alone."""
        conditions = super().prepare(task, text, video_rate_hz)
        sees_SS = severed_tokens(self.layout).to(self.task_embedder.weight.device)
        return replace(conditions, grid=replace(conditions.grid, sees_SS=sees_SS))


def severed_tokens(layout: LatentLayout) -> Bool[Tensor, "S S"]:
    """Which tokens (second axis) each token sees: those of its own modality, and those of nothing but the task.

    Task tokens see one another alone: they would carry one modality to the other. Raises ConfigError where a token
    holds columns of both modalities, which attention does not part.
    """
    owners = token_owners(layout)
    shared = [column for column, owner in enumerate(owners) if len(owner) > 1]
    if shared:
        raise ConfigError(
            "the latent layout",
            expected="tokens of one modality each, so that attention between them can be severed",
            found=f"token columns {shared} of {len(owners)} with columns of both",
            fix="Use a patch whose width divides the width of the video latent.",
        )
    numbers = [list(Modality).index(next(iter(owner))) if owner else len(Modality) for owner in owners]
    owner_S = torch.tensor(numbers).expand(layout.grid_THW[1], -1).reshape(-1)
    sees_SS: Tensor = (owner_S[:, None] == owner_S) | (owner_S == len(Modality))
    return sees_SS
