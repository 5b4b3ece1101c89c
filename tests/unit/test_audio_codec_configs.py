"""Configs of AudioLDM's parts: what fits a spec, and what is refused before anything is loaded."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from uniform_core.build import build_run
from uniform_core.codecs import AudioLdmVaeConfig, HifiGanConfig
from uniform_core.devices import device_of
from uniform_core.errors import ConfigError
from uniform_core.spec import AVSpec

PAPER = AVSpec(duration_s=4.0, video_rate_hz=17, height_px=256, width_px=256, canonical_short_side_px=360)


def spec_with(**change: Any) -> AVSpec:
    return AVSpec.model_validate(PAPER.model_dump() | change)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (spec_with(hop=250), "expected spec.hop 160, which its weights were trained on; found 250"),
        (spec_with(n_mels=80), "expected spec.n_mels 64"),
        (spec_with(n_fft=2048), "expected spec.n_fft 1024"),
        (spec_with(audio_rate_hz=32_000), "expected spec.audio_rate_hz 16000"),
        (spec_with(f_max_hz=7600.0), "expected spec.f_max_hz 8000.0"),
        (spec_with(duration_s=1.03, video_rate_hz=100), "multiples of 4; found (103, 64)"),
    ],
)
def test_a_spec_that_does_not_fit_the_vae(spec: AVSpec, said: str) -> None:
    for look in (AudioLdmVaeConfig().latent_shape_CTF, AudioLdmVaeConfig().build):
        with pytest.raises(ConfigError) as error:
            look(spec)
        assert said in str(error.value)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (spec_with(hop=250), "expected spec.hop 160, the product of upsample_rates (5, 4, 2, 2, 2); found 250"),
        (spec_with(n_mels=80), "expected spec.n_mels 64; found 80"),
        (spec_with(audio_rate_hz=32_000), "expected spec.audio_rate_hz 16000; found 32000"),
    ],
)
def test_a_spec_that_does_not_fit_the_vocoder(spec: AVSpec, said: str) -> None:
    for look in (HifiGanConfig().require_fit, HifiGanConfig().build):
        with pytest.raises(ConfigError) as error:
            look(spec)
        assert said in str(error.value)
    HifiGanConfig().require_fit(PAPER)


def test_a_run_refuses_a_vocoder_that_its_clips_do_not_fit_before_it_trains() -> None:
    with pytest.raises(ConfigError, match=r"vocoder hifigan: expected spec\.hop 160"):
        build_run("nano", overrides=["vocoder.kind=hifigan"])


@pytest.mark.parametrize(
    ("member", "change", "said"),
    [
        (AudioLdmVaeConfig, {"widths": (128, 100)}, r"widths \[100\] must be multiples of groups 32"),
        (AudioLdmVaeConfig, {"scaling_factor": 0.0}, "greater than 0"),
        (HifiGanConfig, {"upsample_rates": (5, 4)}, "one kernel for each of upsample_rates"),
        (HifiGanConfig, {"upsample_kernels": (4, 16, 8, 4, 4)}, "not smaller than it"),
        (HifiGanConfig, {"resblock_kernels": (3,)}, "one list for each of resblock_kernels"),
        (HifiGanConfig, {"initial_channels": 48}, "a multiple of 32"),
    ],
)
def test_sizes_that_make_no_network_are_refused(member: Any, change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        member(**change)


def test_a_gpu_is_used_where_there_is_one_and_asked_for_in_vain_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for has_gpu, kind in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda has_gpu=has_gpu: has_gpu)
        assert device_of("auto").type == kind
    assert device_of("cpu").type == "cpu"
    with pytest.raises(ConfigError, match="expected a GPU that torch can use; found none"):
        device_of("cuda")


def test_configs_and_their_fingerprints_need_no_torch() -> None:
    code = (
        "import sys; from uniform_core.codecs import AudioLdmVaeConfig, HifiGanConfig, SoundForm; "
        "[config.fingerprint_params() for config in (AudioLdmVaeConfig(), HifiGanConfig(), SoundForm())]; "
        "print({'torch', 'diffusers', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.stdout.strip() == "set()", done.stderr
