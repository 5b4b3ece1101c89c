"""Who has an alias, scored on the clips of now: else a candidate would be compared over clips of another day."""

from __future__ import annotations

from dataclasses import replace

from tasks.context import RunContext
from tasks.registry import Registry
from uniform_core.corpus.made_with import config_of, scored_now
from uniform_core.corpus.samples import is_trained
from uniform_core.training.export import read_card


def holder_context(context: RunContext, *, alias: str, name: str, candidate: str) -> RunContext | str:
    """The context in which the model that has the alias is sampled and scored; or why there is nothing to score.

    Raises IntegrityError for a model whose card does not tell what it is, ServiceError.
    """
    holder = Registry.open(context.settings, name).holder(alias)
    if holder is None or holder.model_id == candidate:
        return "nobody has the alias" if holder is None else "the candidate has the alias"
    if not is_trained(context.catalog, holder.model_id):
        return f"version {holder.number} is of a model that this catalog has not"
    folder = context.settings.checkpoints_dir / holder.model_id / "model"
    config = scored_now(config_of(read_card(folder).made_with, folder), context.config)
    if isinstance(config, str):
        return f"version {holder.number} is not scored again: {config}"
    return replace(context, config=config, model_id=holder.model_id)
