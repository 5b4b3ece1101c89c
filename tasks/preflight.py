"""What is looked at before any stage begins: a wrong file of weights is not found out after hours of other work."""

from __future__ import annotations

from collections.abc import Sequence

from uniform_core.build import require_captioners, require_devices, require_weights
from uniform_core.config import RunConfig


def require_parts(config: RunConfig, *, stages: Sequence[str] | None = None) -> None:
    """The weights that stages read (None: all of them) are here and are those of this config; captioners have their GPU
    and would answer.

    Of frozen parts names and shapes are compared; what training starts from is read whole. Raises ConfigError, or
    ServiceError for a captioner's server.
    """
    captions = stages is None or "captions" in stages
    if captions:
        require_devices(config)
    require_weights(config, stages=stages)
    if captions:
        require_captioners(config)
    if config.train.init.source != "random" and (stages is None or "train" in stages):
        from tasks.train_worker import init_account  # here: it imports torch

        init_account(config)
