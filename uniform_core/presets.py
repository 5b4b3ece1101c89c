"""Named runs. Each is a function that returns one whole config, and says where its numbers come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from uniform_core.captioners import ClassLabelConfig, SidecarConfig
from uniform_core.codecs import (
    AudioLdmVaeConfig,
    DctMelConfig,
    DctVideoConfig,
    GriffinLimConfig,
    HifiGanConfig,
    OpenSoraVaeConfig,
    SoundForm,
)
from uniform_core.config import EvaluateConfig, RunConfig
from uniform_core.datasets import (
    AistppConfig,
    AudioSetConfig,
    DatasetConfig,
    LandscapeConfig,
    ProceduralConfig,
    UnionConfig,
    VGGSoundConfig,
)
from uniform_core.diffusion import (
    AncestralConfig,
    DdimConfig,
    EulerConfig,
    GuidanceConfig,
    GuideScale,
    IddpmConfig,
    RectifiedFlowConfig,
)
from uniform_core.generation.config import SampleConfig
from uniform_core.metrics.recipes import NetsConfig, NetTraining
from uniform_core.metrics.tiny import tiny_metrics
from uniform_core.model import InitConfig
from uniform_core.model.config import ModelConfig
from uniform_core.spec import AVSpec
from uniform_core.text import FlanT5Config, HashingTextConfig
from uniform_core.training.config import ModalityScaling, ScalingConfig, TaskWeights, TrainConfig

TINY_SPEC: Final = AVSpec(
    duration_s=1.5,
    video_rate_hz=16,
    height_px=32,
    width_px=32,
    canonical_short_side_px=32,
    hop=250,
)
PAPER_SPEC: Final = AVSpec(  # §4.1.2: the first 4 s, 17 pictures a second, 256x256, 16 kHz
    duration_s=4.0,
    video_rate_hz=17,
    height_px=256,
    width_px=256,
    canonical_short_side_px=360,
)
PAPER_DATA: Final[tuple[DatasetConfig, ...]] = (  # §4.1.1, with the splits that §4.1.1 and §A score on, but AudioSet's
    VGGSoundConfig(),
    AudioSetConfig(split="train"),  # balanced and Strong
    LandscapeConfig(),
    AistppConfig(),
)
# What others score on, of sets whose videos overlap (facts/datasets.md §1.2): no clip of one is trained on, whether the
# set is in the run or not. AIST++'s own split shares nothing, and its videos are nobody else's.
EVALUATION_LISTS: Final[tuple[DatasetConfig, ...]] = (
    VGGSoundConfig(split="test"),
    AudioSetConfig(split="eval"),
    LandscapeConfig(split="test"),
)


def tiny() -> RunConfig:
    """The offline default: minutes on two CPU cores, no network, no weights.

    Shapes: 24 frames of 32x32 at 16 fps and 1.5 s of sound as one latent [16, 6, 4, 4|2|2]. Rectified flow, since it
    is measured better than ε in this time (docs/experiments.md); the paper's own objective is `tiny_iddpm`'s.
    """
    data = ProceduralConfig(train_short=120, train_long=2, held_out_short=32, instrument_short=40, short_s=1.7)
    text = HashingTextConfig()
    return RunConfig(
        preset="tiny",
        spec=TINY_SPEC,
        data=data,
        instrument=data,
        video_codec=DctVideoConfig(),
        audio_codec=DctMelConfig(),
        vocoder=GriffinLimConfig(),
        captioners=(SidecarConfig(), ClassLabelConfig()),
        text=text,
        model=ModelConfig(
            hidden=192,
            depth=2,
            heads=12,  # as frozen; four do as well since attention to texts has a norm (docs/experiments.md)
            text_width=text.width,
            max_text_tokens=text.max_tokens,
            text_qk_norm=True,  # departs from STDiT3: at this rate each token would come to hear one word alone
            patch_THW=(1, 4, 2),  # whole columns: two tokens of picture and one of sound a latent frame
            position_scale=0.0625,
        ),
        task_columns=2,
        # Sampling starts at pure noise, where a given sound or picture says what the clip shows: more of it.
        objective=RectifiedFlowConfig(location=0.4, location_given=1.0, scale=1.15, shift=3.0),
        train=_tiny_training(),
        sample=SampleConfig(
            # Fresh noise mends what tokens disagreed on near pure noise; T2AV bears less of it (docs/experiments.md).
            sampler=DdimConfig(steps=30, eta=0.8),
            sampler_given=DdimConfig(steps=10, eta=1.0),
            device="cpu",
            guidance=GuidanceConfig(
                modality_scale=2.0,
                guide_scale=GuideScale(video=1.25, audio=1.5),
                guide_scale_given=GuideScale(audio=1.5),
            ),
            batch=24,
        ),
        evaluate=EvaluateConfig(
            clips_per_task=192,
            reference_clips=192,  # as many as are made: what k of coverage is chosen for
            untrained_clips=48,
            metrics=tiny_metrics(classes=tuple(sorted(data.labels))),
            nets=NetsConfig(),
        ),
    )


def _tiny_training() -> TrainConfig:
    """Small batches at a high rate; what was tried beside it is in docs/experiments.md."""
    return TrainConfig(
        device="cpu",  # small enough that two cores keep up with a GPU
        steps=3300,
        batch=16,
        lr=5e-3,
        warmup_steps=60,
        lr_decay="cosine",
        lr_final=0.05,
        ema_decay=0.99,
        guide_at=0.3,
        betas=(0.9, 0.98),
        # Departs from the paper's 0.5 (§3.1): what a sound looks like is learned where no text tells it, and T2AV
        # is sampled with guidance 1, for which its loss without text is worth little.
        text_drop=0.05,
        text_drop_given=0.95,
        # T2AV makes both from nothing but words, and what it learns serves the others (docs/experiments.md).
        task_weights=TaskWeights(t2av=1.7, a2v=0.8, v2a=0.5),
        precision="float32",
        scaling=ScalingConfig(
            video=ModalityScaling(over="position", power=0.5), audio=ModalityScaling(over="channel", power=0.5)
        ),
        validation_clips=192,  # by 48 the gap of losses is told to .1, by these to .03
        validation_every=1100,
        log_every=10,
        checkpoint_every=500,
        keep_checkpoints=2,
    )


def tiny_iddpm() -> RunConfig:
    """The tiny preset by the paper's own algorithm (§3.2, §4.1.2): ε, learned variance, min-SNR, ancestral, 30 steps.

    For nights: it takes four times the training of `tiny`. The paper does not say what min-SNR's γ is. The loss counts
    an error of x₀ by min(SNR, γ): with the usual 5, what a given sound or picture says is hardly learned in this time,
    since it decides where SNR is far below that (docs/experiments.md). Departs from the paper: predicted x₀ is kept
    within 4 σ, without which few steps amplify errors near noise; guidance and the share of dropped texts are `tiny`'s.
    """
    base = tiny()
    ancestral = AncestralConfig(steps=30, clamp_x0_sigma=4.0)
    return base.model_copy(
        update={
            "preset": "tiny_iddpm",
            "objective": IddpmConfig(min_snr=0.1, vb_weight=0.02),  # the bound weighs as much as with 5 and 1
            "train": base.train.model_copy(update={"steps": 12_000, "validation_every": 3000}),
            "sample": base.sample.model_copy(update={"sampler": ancestral, "sampler_given": None}),
        }
    )


def nano() -> RunConfig:
    """The same in seconds, for tests and docs: every joint of `tiny`, and no claim to learn."""
    base = tiny()
    data = ProceduralConfig(
        labels=("bouncing_ball", "siren"),
        train_short=4,
        train_long=1,
        windows_per_long=2,
        long_s=5.0,
        held_out_short=3,
        instrument_short=5,
        short_s=1.7,
        size_px=48,
    )
    nets = NetsConfig(
        video=NetTraining(steps=4, members=2, batch=4),
        mel=NetTraining(steps=4, batch=4),
        sync=NetTraining(steps=4, batch=4),
    )
    return base.model_copy(
        update={
            "preset": "nano",
            "data": data,
            "instrument": data,
            "model": base.model.model_copy(update={"hidden": 32, "depth": 1, "heads": 2}),
            "train": base.train.model_copy(
                update={
                    "steps": 8,
                    "batch": 4,
                    "warmup_steps": 2,
                    "validation_clips": 4,
                    "validation_every": 4,
                    "log_every": 1,
                    "checkpoint_every": 3,
                }
            ),
            "sample": base.sample.model_copy(
                update={"sampler": EulerConfig(steps=2), "sampler_given": DdimConfig(steps=2, eta=1.0), "batch": 4}
            ),
            "evaluate": EvaluateConfig(
                clips_per_task=4,
                reference_clips=8,
                metrics=tiny_metrics(classes=tuple(sorted(data.labels))),
                nets=nets,
            ),
        }
    )


def paper() -> RunConfig:
    """The paper's system (§3, §4.1.2): for a GPU with 80 GB, with public weights that `uniform weights pull` brings.

    Shapes: 68 frames and 64,000 samples as one latent [4, 20, 32, 32|5|1], 6,080 tokens. Where the paper is silent:
    FLAN-T5-XXL, at which PixArt's caption projection loads; PixArt-α at 512 as Open-Sora's first model; AudioLDM's VAE
    of s-full-v2, with sound at the level that it was trained on; EMA, warm-up and clipping as Open-Sora v1.2 has them
    (the EMA's decay its code's default). Steps are 230 epochs of VGGSound's and AudioSet's 290,000 clips. Data are the
    five sets of §4.1.1 as one; VGGSound's test clips are scored, as §4.1.1 does for V2A, and others with the same model
    by `--set evaluate.split=landscape:test` and `evaluate.reference_split=landscape:train`. Clips are scored by the
    small nets of `tiny`, which rendered clips teach.
    """
    text = FlanT5Config()
    rendered = ProceduralConfig(instrument_short=40, short_s=4.2, long_s=32.0, size_px=128)
    return RunConfig(
        preset="paper",
        spec=PAPER_SPEC,
        data=UnionConfig(members=PAPER_DATA),
        instrument=rendered,
        guard_against=EVALUATION_LISTS,
        video_codec=OpenSoraVaeConfig(dtype="bfloat16", micro_batch=17),
        audio_codec=AudioLdmVaeConfig(),
        vocoder=HifiGanConfig(),
        sound=SoundForm(level="peak_half"),
        captioners=(SidecarConfig(), ClassLabelConfig()),
        text=text,
        model=ModelConfig(hidden=1152, depth=28, heads=16, text_width=text.width, max_text_tokens=text.max_tokens),
        objective=IddpmConfig(),
        train=TrainConfig(
            steps=2_084_000,
            batch=32,
            micro_batch=2,
            init=InitConfig(source="pixart", weights="pixart-alpha-512x512"),
            compile=True,
            scaling=ScalingConfig(video=ModalityScaling(over="identity"), audio=ModalityScaling(over="identity")),
            checkpoint_every=5000,
        ),
        train_workers=1,
        sample=SampleConfig(
            sampler=AncestralConfig(steps=30),
            guidance=GuidanceConfig(text_scale=5.0),
            batch=8,
            compile=True,
            precision="bfloat16",
        ),
        evaluate=EvaluateConfig(
            split="vggsound:test",
            reference_split="vggsound:train",
            clips_per_task=192,
            reference_clips=192,
            untrained_clips=48,
            metrics=tiny_metrics(classes=tuple(sorted(rendered.labels))),
            nets=NetsConfig(),
        ),
    )


PRESETS: Final[Mapping[str, Callable[[], RunConfig]]] = {
    "tiny": tiny,
    "tiny_iddpm": tiny_iddpm,
    "nano": nano,
    "paper": paper,
}
