"""The running mean of a model's weights, in float32."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from uniform_core.errors import ConfigError


class Ema:
    """θ̄ ← d·θ̄ + (1 − d)·θ over the trainable weights, d = min(decay, (1 + n) / (10 + n)) after n updates.

    The ramp lets a short run forget its first steps. Buffers are not averaged.
    """

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ConfigError(
                "ema.decay", expected="a number in [0, 1)", found=str(decay), fix="0.99 suits short runs, 0.9999 long."
            )
        self.decay = decay
        self.updates = 0
        self._mean = {name: _copy(weight) for name, weight in model.named_parameters() if weight.requires_grad}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the mean towards the model's weights of now."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        weights = self._weights(model)
        torch._foreach_lerp_(list(self._mean.values()), [weight.float() for weight in weights], 1 - decay)
        self.updates += 1

    @torch.no_grad()
    def copy_to(self, model: nn.Module) -> None:
        """Write the mean into the model."""
        for weight, mean in zip(self._weights(model), self._mean.values(), strict=True):
            weight.copy_(mean)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Inside, the model has the mean as its weights; afterwards its own again."""
        own = [weight.detach().clone() for weight in self._weights(model)]
        self.copy_to(model)
        try:
            yield
        finally:
            with torch.no_grad():
                for weight, value in zip(self._weights(model), own, strict=True):
                    weight.copy_(value)

    def state_dict(self) -> dict[str, Tensor]:
        """The mean under the names of its weights, and `updates` as an int64 tensor: ready for safetensors."""
        return {**self._mean, "updates": torch.tensor(self.updates)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state_dict` gave. Raises ConfigError where names, shapes or dtypes differ."""
        expected, found = (
            {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
            for tensors in (self.state_dict(), state)
        )
        if expected != found:
            differing = sorted(name for name in expected | found if expected.get(name) != found.get(name))
            raise ConfigError(
                "EMA state", expected="the weights of this model", found=f"differences in {differing[:5]}",
                fix="Load the state of the same model configuration.",
            )  # fmt: skip
        for name, mean in self._mean.items():
            mean.copy_(state[name])
        self.updates = int(state["updates"])

    def _weights(self, model: nn.Module) -> list[Tensor]:
        weights = dict(model.named_parameters())
        return [weights[name].detach() for name in self._mean]


def _copy(weight: Tensor) -> Tensor:
    return weight.detach().to(torch.float32, copy=True)
