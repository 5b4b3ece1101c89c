"""AdamW over a model's weights laid end to end, and its state as named tensors for a checkpoint.

Weight by weight, a small model's step would end in hundreds of small operations; over long vectors it ends in a few.
Axes: N all trained values of the model, those that decay first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from uniform_core.training.config import TrainConfig
from uniform_core.training.forms import Form, forms_of, require_forms

MOMENTS = ("exp_avg", "exp_avg_sq", "step")
STEP_FORM: Form = ((), torch.float32)  # torch counts the steps of AdamW in this


class VectorAdamW:
    """AdamW; weights of two or more axes decay, gains, biases and tables of one do not.

    The model's trained weights become views of one vector: load into them in place, and move the model to its device
    before.
    """

    def __init__(self, config: TrainConfig, model: nn.Module) -> None:
        trained = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
        self._weights = dict(sorted(trained, key=lambda item: item[1].ndim < 2))  # stable: else in the model's order
        values_N = torch.cat([weight.detach().reshape(-1) for weight in self._weights.values()])
        for weight, values in zip(self._weights.values(), self._pieces(values_N), strict=True):
            weight.data = values
        self._decaying = sum(weight.numel() for weight in self._weights.values() if weight.ndim >= 2)
        self._halves = [nn.Parameter(half) for half in self._halved(values_N)]
        self._adamw = torch.optim.AdamW(
            [
                {"params": [half], "weight_decay": decay}
                for half, decay in zip(self._halves, (config.weight_decay, 0.0), strict=True)
            ],
            lr=config.lr,
            betas=config.betas,
            eps=config.adam_eps,
            fused=True,
        )

    def zero_grad(self) -> None:
        """Begin a new gradient. (Backward then hands over what it has made, instead of adding it to zeros.)"""
        for weight in self._weights.values():
            weight.grad = None

    def gradient_N(self) -> Float[Tensor, "N"]:
        """The gradient that backward has summed here; zero for weights that it did not meet."""
        return torch.cat(
            [(torch.zeros_like(w) if w.grad is None else w.grad).reshape(-1) for w in self._weights.values()]
        )

    @torch.no_grad()
    def step(self, gradient_N: Float[Tensor, "N"], *, lr: float) -> None:
        """One update by a gradient in the order of `gradient_N()`."""
        for half, gradient in zip(self._halves, self._halved(gradient_N), strict=True):
            half.grad = gradient
        for group in self._adamw.param_groups:
            group["lr"] = lr
        self._adamw.step()

    def tensors(self) -> dict[str, Tensor]:
        """The moments and step counts of every weight, by `<weight>.<moment>`; none before the first step."""
        states = [self._adamw.state.get(half, {}) for half in self._halves]
        if not all(states):
            return {}
        first, second = (torch.cat([state[moment] for state in states]) for moment in MOMENTS[:2])
        steps = states[0]["step"]
        return {
            f"{name}.{moment}": value
            for name, *values in zip(self._weights, self._pieces(first), self._pieces(second), strict=True)
            for moment, value in zip(MOMENTS, (*values, steps.clone()), strict=True)
        }

    def forms(self) -> dict[str, Form]:
        """The shapes and dtypes of what `tensors` gives after the first step."""
        return {
            f"{name}.{moment}": form
            for name, weight in self._weights.items()
            for moment, form in zip(MOMENTS, [(tuple(weight.shape), weight.dtype)] * 2 + [STEP_FORM], strict=True)
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `tensors` gave, before the first step too. Raises ConfigError where another model gave it."""
        require_forms("optimizer state", self.forms() if tensors else {}, found=forms_of(tensors))
        if not tensors:
            self._adamw.state.clear()
            return
        first, second = (
            torch.cat([tensors[f"{name}.{moment}"].reshape(-1) for name in self._weights]).to(self._halves[0])
            for moment in MOMENTS[:2]
        )
        steps = tensors[f"{next(iter(self._weights))}.step"].to(self._halves[0].device)  # where a fused step reads it
        for half, *moments in zip(self._halves, self._halved(first), self._halved(second), strict=True):
            self._adamw.state[half] = dict(zip(MOMENTS, (*moments, steps.clone()), strict=True))

    def _halved(self, vector_N: Tensor) -> tuple[Tensor, Tensor]:
        """What decays, and what does not."""
        return vector_N[: self._decaying], vector_N[self._decaying :]

    def _pieces(self, vector_N: Tensor) -> Iterator[Tensor]:
        """The part of each weight, in its shape."""
        sizes = [weight.numel() for weight in self._weights.values()]
        for weight, piece in zip(self._weights.values(), torch.split(vector_N, sizes), strict=True):
            yield piece.view(weight.shape)
