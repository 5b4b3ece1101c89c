"""How long a piece of a stage takes where no run has left its times: as in preset `tiny`, as far as that tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from uniform_core.config import RunConfig
from uniform_core.corpus.model_plan import plan_model

# Seconds a piece of preset `tiny` on one core of the machine in docs/experiments.md. A score carries its share of the
# feature nets and of the features.
DEFAULT_RATES: Final[Mapping[str, float]] = {
    "fetch": 0.5,
    "ingest": 0.15,
    "encode": 0.02,
    "captions": 0.0005,
    "text": 0.0005,
    "train": 0.3,
    "sample": 0.2,
    "evaluate": 3.0,
}
# What these were measured on: FLOPs of a step and of a clip, and the size of a clip.
STEP_FLOPS: Final = 5.57e9
CLIP_FLOPS: Final = 6.32e9
CLIP_VALUES: Final = (3, 24, 32, 32)
CLIP_SAMPLES: Final = 24_000
ANALYTIC: Final = ("dct_video", "dct_mel", "griffin_lim")
CHEAP_CAPTIONERS: Final = frozenset({"class_label", "sidecar"})


def default_rates(config: RunConfig) -> dict[str, float]:
    """Seconds a piece on one core, by stage; a stage of which `tiny` tells nothing is missing.

    Larger models that are meant for a CPU take as much longer as they have more FLOPs; smaller ones, whose steps are
    no longer products alone, are not taken to be faster. Nothing is said of other codecs and encoders, of larger clips,
    and of models that a GPU may train.
    """
    model, train = plan_model(config), config.train
    sizes = zip(config.spec.pixel_shape_CTHW, CLIP_VALUES, strict=True)
    is_small = all(size <= tiny for size, tiny in sizes) and config.spec.samples <= CLIP_SAMPLES
    are_analytic = (config.video_codec.kind, config.audio_codec.kind, config.vocoder.kind) == ANALYTIC
    told = {
        "fetch": True,  # whatever a clip is made into: the time of what hosts allow comes on top
        "ingest": is_small,
        "encode": is_small and are_analytic,
        "captions": {captioner.kind for captioner in config.captioners} <= CHEAP_CAPTIONERS,
        "text": config.text.is_light,
        "train": train.device == "cpu" and not config.is_text_online,
        "sample": is_small and are_analytic and config.text.is_light and config.sample.device == "cpu",
        "evaluate": is_small,
    }
    more = {
        "train": max(1.0, model.machine_train_flops * train.batch / STEP_FLOPS),
        "sample": max(1.0, model.generation_flops / CLIP_FLOPS),
    }
    return {stage: rate * more.get(stage, 1.0) for stage, rate in DEFAULT_RATES.items() if told[stage]}
