"""Overfit: a fresh model of the run's form learns a few training clips by heart, in this process; nothing is kept."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from tasks.context import RunContext
from tasks.train import null_ref
from tasks.train_worker import new_trainer, text_cache
from uniform_core.catalog.shards import ShardReader
from uniform_core.config import RunConfig
from uniform_core.corpus.samples import require_samples, require_text_features, training_samples
from uniform_core.devices import device_of
from uniform_core.training.index import TrainIndex
from uniform_core.training.order import EpochOrder
from uniform_core.training.overfit import STAGE, Learned, overfit, overfit_config
from uniform_core.training.samples import BatchSource
from uniform_core.training.scaling import fit_latent_scale
from uniform_core.training.tensors import TensorCache

SCALE_CLIPS = 1024  # enough for means and deviations; all of a tiny run's, so that its scale is training's own


@dataclass(frozen=True)
class Overfitted:
    """What became of a few clips, and which they were."""

    clip_ids: tuple[str, ...]
    parts: tuple[Learned, ...]


def run_overfit(context: RunContext, *, clips: int, steps: int) -> Overfitted:
    """The clips that training would meet first, at most as many as there are, learned for `steps` steps.

    Raises WorkFailedError where there is nothing to train on, or a number is not finite.
    """
    torch.set_num_threads(1)  # as every worker: threads of a small model wait for one another
    config, current = context.config, context.clips()
    samples = training_samples(context.catalog, config, current, split=config.train_split)
    require_samples(samples, current, split=config.train_split)
    require_text_features(samples, config)
    every = TrainIndex.of(samples)
    tensors = TensorCache(ShardReader(context.settings.tensors_dir))
    null_LD = tensors.read(null_ref(context))
    few = _first(every, clips, seed=config.train.seed)
    short = _shortened(config, steps=steps, clips=len(few))
    wide = BatchSource(short.train, TrainIndex(every.samples[:SCALE_CLIPS]), tensors, null_LD=null_LD)
    scale = fit_latent_scale(config.train.scaling, wide.raw_latents())
    device = device_of(config.train.device, item="train.device")
    trainer = new_trainer(short, short.train.init, scale=scale, null_LD=null_LD, fingerprint=STAGE, device=device)
    source = BatchSource(short.train, few, tensors, null_LD=null_LD, encoded=text_cache(config))
    parts = overfit(trainer, source, listener=context.listener)
    return Overfitted(tuple(sample.clip_id for sample in few.samples), parts)


def _first(index: TrainIndex, clips: int, *, seed: int) -> TrainIndex:
    """The first clips of the order of training, each once."""
    order = EpochOrder(seed, samples=len(index))
    places = [order.sample_at(position) for position in range(min(clips, len(index)))]
    return TrainIndex(tuple(index.samples[place] for place in sorted(places)))


def _shortened(config: RunConfig, *, steps: int, clips: int) -> RunConfig:
    return config.model_copy(update={"train": overfit_config(config.train, steps=steps, clips=clips)})
