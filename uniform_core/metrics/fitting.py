"""How a small net is fitted: one loop, one thread, every choice from one derived seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from uniform_core.errors import ConfigError
from uniform_core.metrics.recipes import NetTraining as NetTraining
from uniform_core.progress import Listener, ProgressEvent
from uniform_core.seeds import numpy_rng

WARM_UP = 0.3  # the share of steps in which the learning rate rises
FLOOR = 0.01  # of the peak rate, at the first and the last step


@contextmanager
def single_thread() -> Iterator[None]:
    """One torch thread inside: sums have one order, so that any machine's core count gives the same net."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def split_by_class(
    labels: Sequence[str], *, held_out: float, seed: int
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " m"]]:
    """Indices to train on and indices held out: the same share of each class, at least one where it has two."""
    kept, out = [], []
    for label in sorted(set(labels)):
        members = np.flatnonzero(np.array(labels) == label)
        members = numpy_rng("instrument.split", label, seed).permutation(members)
        count = min(max(1, round(held_out * len(members))), len(members) - 1) if held_out else 0
        out.append(members[:count])
        kept.append(members[count:])
    return np.sort(np.concatenate(kept)), np.sort(np.concatenate(out))


def fit(
    net: nn.Module,
    loss_of_step: Callable[[int], Tensor],
    *,
    training: NetTraining,
    stage: str,
    on_progress: Listener,
) -> None:
    """Fit by AdamW with one cosine up and one down; clipped gradients."""
    optimiser = torch.optim.AdamW(net.parameters(), lr=training.rate, weight_decay=0.01)
    for step in range(training.steps):
        for group in optimiser.param_groups:
            group["lr"] = training.rate * _rate_at((step + 0.5) / training.steps)
        loss = loss_of_step(step)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        if (step + 1) % 10 == 0 or step + 1 == training.steps:
            on_progress(ProgressEvent(stage, step + 1, training.steps, note=f"loss {float(loss.detach()):.3f}"))


def check_clips(item: str, count: int, *, labels: Sequence[str]) -> None:
    """Raises ConfigError unless there is a label for each clip and two clips of each class."""
    if count != len(labels):
        raise ConfigError(
            item, expected=f"{count} labels, one a clip", found=f"{len(labels)}", fix="Hand in one for each."
        )
    few = sorted(label for label in set(labels) if labels.count(label) < 2)
    if not labels or few:
        found = f"one clip of {', '.join(few)}" if few else "no clips"
        raise ConfigError(item, expected="at least two clips of each class", found=found, fix="Render more clips.")


def _rate_at(part: float) -> float:
    """The share of the peak rate after this part of the steps."""
    rising = part < WARM_UP
    phase = part / WARM_UP if rising else (part - WARM_UP) / (1 - WARM_UP)
    height = 0.5 - 0.5 * np.cos(np.pi * phase) if rising else 0.5 + 0.5 * np.cos(np.pi * phase)
    return float(FLOOR + (1 - FLOOR) * height)
