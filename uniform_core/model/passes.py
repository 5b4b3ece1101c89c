"""Blocks one after another, each in the form that was asked for.

Axes: B batch, T frames, S tokens of a frame, M hidden width.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from uniform_core.model.block import Block
from uniform_core.model.config import BlockForm

# Two kinds of blocks, with and without a mask of texts, in training and not, of fixed and of changing sizes: each of
# these is compiled once. torch's own limit of 8 is fewer, and past it blocks would silently be run eagerly.
VARIANTS = 32


def runner(form: BlockForm, index: int) -> Callable[..., Tensor]:
    """What runs block number `index`: called with the block and what the block is called with."""
    run = _compiled(form.backend) if form.is_compiled else _plain
    if form.recompute_every and index % form.recompute_every == 0 and torch.is_grad_enabled():
        # Nothing in a block is random, so there is no state to put back.
        return partial(checkpoint, run, use_reentrant=False, preserve_rng_state=False)
    return run


def _plain(block: Block, *args: Any, **kwargs: Any) -> Tensor:
    y_BTSM: Tensor = block(*args, **kwargs)
    return y_BTSM


@cache
def _compiled(backend: str) -> Callable[..., Tensor]:
    """Runs a block through torch.compile. What is compiled holds no weights: they go in with the block."""
    import torch._dynamo.config as limits

    compiled = torch.compile(_plain, backend=backend)

    def run(block: Block, *args: Any, **kwargs: Any) -> Tensor:
        with limits.patch(recompile_limit=VARIANTS, fail_on_recompile_limit_hit=True):
            return compiled(block, *args, **kwargs)

    return run
