"""Preset `paper`, value by value: each with the section of the paper it follows, or what decided where it is silent."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import pytest

from uniform_core.build import build_run
from uniform_core.corpus.fetching import needed_lists
from uniform_core.datasets import AudioSetConfig, IndexDataset

PAPER = build_run("paper")
# place in the config, value, where it comes from
VALUES: list[tuple[str, Any, str]] = [
    ("spec.video_rate_hz", 17, "§4.1.2: videos at 17 fps"),
    ("spec.height_px", 256, "§4.1.2: 256 x 256"),
    ("spec.width_px", 256, "§4.1.2: 256 x 256"),
    ("spec.audio_rate_hz", 16_000, "§4.1.2: audio at 16 kHz"),
    ("spec.duration_s", 4.0, "§4.1.2: the first 4 s"),
    ("spec.frames", 68, "4 s of 17"),
    ("spec.samples", 64_000, "4 s of 16,000"),
    ("resize", "crop", "corrections.md: squashing would bend what the public weights know"),
    ("data.kind", "union", "§4.1.1: five sets together"),
    ("data.name", "vggsound+audioset+landscape+aistpp", "§4.1.1"),
    ("train_split", "train", "§4.1.1: of all of them"),
    ("evaluate.split", "vggsound:test", "§4.1.1: V2A on VGGSound"),
    ("evaluate.reference_split", "vggsound:train", "decision 024: of the set that is scored"),
    ("leakage", "exclude", "issue 5: by default"),
    ("video_codec.kind", "opensora_vae", "§4.1.2: VAE of Open-Sora"),
    ("video_codec.weights", "opensora-vae-1.2", "reference [41], its release 1.2"),
    ("audio_codec.kind", "audioldm_vae", "§4.1.2: VAE of AudioLDM"),
    ("audio_codec.weights", "audioldm-s-full-v2", "decision 018"),
    ("audio_codec.scaling_factor", None, "the checkpoint's own"),
    ("vocoder.kind", "hifigan", "§3.3.3: pre-trained HiFi-GAN"),
    ("vocoder.weights", "audioldm-s-full-v2", "decision 018"),
    ("sound.level", "peak_half", "decision 018: as AudioLDM's VAE was trained"),
    ("sound.mel", "training", "issue C: the default form"),
    ("text.kind", "flan_t5", "§3.3.1: FLAN-T5"),
    ("text.weights", "flan-t5-xxl", "decision 018: where PixArt's caption projection loads"),
    ("text.token_limit", 300, "Open-Sora v1.2"),
    ("text.dtype", "bfloat16", "issue C: bf16"),
    ("text.width", 4096, "of XXL"),
    ("model.hidden", 1152, "§3.3.2: STDiT3, XL/2"),
    ("model.depth", 28, "§3.3.2: STDiT3, XL/2: 28 spatial and 28 temporal blocks"),
    ("model.heads", 16, "§3.3.2: STDiT3, XL/2"),
    ("model.mlp_ratio", 4.0, "STDiT3-XL/2"),
    ("model.patch_THW", (1, 2, 2), "STDiT3-XL/2"),
    ("model.qk_norm", True, "STDiT3-XL/2"),
    ("model.text_qk_norm", False, "STDiT3-XL/2"),
    ("model.position", "video_anchored", "decision 018: tokens where PixArt had them"),
    ("model.position_scale", 0.5, "sqrt(256 x 256) / 512"),
    ("model.clean_time", "global", "facts/model.md §6: one time for all"),
    ("model.audio_form", "time_major", "corrections.md"),
    ("model.null_text", "token", "corrections.md"),
    ("task_columns", 1, "§3.3.2: a task token beside the latent"),
    ("layout.unified_CTHW", (4, 20, 32, 38), "§3.3.1: joined along the last axis"),
    ("objective.kind", "iddpm", "§3.2, Eq. (5)–(9)"),
    ("objective.diffusion_steps", 1000, "Open-Sora's iddpm"),
    ("objective.variance", "learned_range", "§3.3.3: predicted noise and variance"),
    ("objective.min_snr", 5.0, "Eq. (5): γ_t by the signal-to-noise ratio; 5 as in Tango"),
    ("train.init.source", "pixart", "§4.1.2: weights from image generation [3]"),
    ("train.init.weights", "pixart-alpha-512x512", "decision 018"),
    ("train.steps", 2_084_000, "§4.1.2: 230 epochs of 290,000 clips by 32"),
    ("train.batch", 32, "§4.1.2: batch size 32"),
    ("train.lr", 1e-4, "§4.1.2: constant 1e-4"),
    ("train.lr_decay", "constant", "§4.1.2: constant 1e-4"),
    ("train.warmup_steps", 1000, "§4.1.2: linear warm-up of 1000 steps"),
    ("train.text_drop", 0.5, "§3.1, §3.3.4: text with probability 50 %"),
    ("train.text_drop_given", None, "§3.3.4: the same for all three tasks"),
    ("train.task_weights.t2av", 1.0, "Fig. 2: one of three tasks at random"),
    ("train.task_weights.a2v", 1.0, "Fig. 2: one of three tasks at random"),
    ("train.task_weights.v2a", 1.0, "Fig. 2: one of three tasks at random"),
    ("train.ema_decay", 0.9999, "decision 018"),
    ("train.guide_at", None, "not in the paper"),
    ("train.betas", (0.9, 0.999), "Open-Sora v1.2"),
    ("train.weight_decay", 0.0, "Open-Sora v1.2"),
    ("train.grad_clip", 1.0, "Open-Sora v1.2"),
    ("train.precision", "bfloat16", "Open-Sora v1.2"),
    ("train.scaling.video.over", "identity", "its VAE scales itself"),
    ("train.scaling.audio.over", "identity", "its VAE scales itself"),
    ("sample.sampler.kind", "ancestral", "§3.2, Eq. (6)–(8)"),
    ("sample.sampler.steps", 30, "§4.1.2: 30 steps for each task"),
    ("sample.sampler_given", None, "§4.1.2: 30 steps for each task"),
    ("sample.guidance.text_scale", 5.0, "§4.1.2: guidance 5"),
    ("sample.guidance.modality_scale", 1.0, "not in the paper"),
]


@pytest.mark.parametrize(("place", "value", "source"), VALUES, ids=[place for place, _, _ in VALUES])
def test_a_value_is_the_papers(place: str, value: Any, source: str) -> None:
    found = attrgetter(place)(PAPER)
    assert (type(found), found) == (type(value), value), source


def test_steps_are_the_papers_epochs() -> None:
    assert PAPER.train.steps * PAPER.train.batch == pytest.approx(230 * 290_000, rel=1e-3)


def test_the_paper_trains_on_five_sets_and_on_no_list_that_others_score_on() -> None:
    vggsound, audioset, landscape, aistpp = PAPER.data.parts
    assert isinstance(audioset, AudioSetConfig)
    assert (audioset.split, audioset.subsets) == ("train", ("balanced", "strong"))
    for whole in (vggsound, landscape, aistpp):
        assert isinstance(whole, IndexDataset)
        assert (whole.split, whole.limit) == (None, None), "also what it is scored on"
    guarded = [(one.kind, one.split) for one in PAPER.guard_against if isinstance(one, IndexDataset)]
    assert guarded == [("vggsound", "test"), ("audioset", "eval"), ("landscape", "test")]
    assert list(needed_lists(build_run("paper", data="folder:videos"))) == [], "a folder has no videos to guard"
