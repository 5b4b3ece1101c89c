"""AdamW over a model's weights, and its state as named tensors for a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from uniform_core.errors import ConfigError
from uniform_core.training.config import TrainConfig

MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def build_optimizer(config: TrainConfig, model: nn.Module) -> torch.optim.AdamW:
    """AdamW; weights of two or more axes decay, gains, biases and tables of one do not."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in trained if weight.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [weight for weight in trained if weight.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, eps=config.adam_eps, fused=True)


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """The moments and step counts of every weight that has been updated, by `<weight>.<moment>`."""
    states = {name: optimizer.state.get(weight, {}) for name, weight in model.named_parameters()}
    return {f"{name}.{moment}": state[moment] for name, state in states.items() for moment in MOMENTS if state}


def load_optimizer(optimizer: torch.optim.Optimizer, model: nn.Module, *, tensors: Mapping[str, Tensor]) -> None:
    """Take back what `optimizer_tensors` gave. Raises ConfigError where it belongs to another model."""
    weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    expected = {f"{name}.{moment}" for name in weights for moment in MOMENTS}
    if set(tensors) - expected or (tensors and expected - set(tensors)):
        differing = sorted(expected ^ set(tensors))
        raise ConfigError(
            "optimizer state",
            expected="the moments of this model's weights",
            found=f"{len(differing)} that differ, such as {differing[0]}",
            fix="Resume with the model that wrote the checkpoint.",
        )
    for name, weight in weights.items():
        if tensors:
            found = {moment: tensors[f"{name}.{moment}"].clone() for moment in MOMENTS}
            optimizer.state[weight] = {
                key: value if key == "step" else value.to(weight.device) for key, value in found.items()
            }
