"""Log-mel laws, and what Griffin-Lim keeps of a sound: its spectrum, its timing, its length."""

from __future__ import annotations

import math

import pytest
import torch

from uniform_core.codecs import GriffinLimConfig
from uniform_core.codecs.griffin_lim import linear_magnitudes
from uniform_core.codecs.mel import LOG_MEL_FLOOR, log_mel, mel_basis
from uniform_core.datasets import ProceduralConfig
from uniform_core.seeds import torch_generator
from uniform_core.spec import AVSpec

TINY = AVSpec(duration_s=2.0, video_rate_hz=16, height_px=32, width_px=32, canonical_short_side_px=32, hop=250)
PAPER = AVSpec(duration_s=4.0, video_rate_hz=17, height_px=256, width_px=256, canonical_short_side_px=360)
ODD = TINY.model_copy(update={"hop": 125})


def noise(spec: AVSpec, batch: int = 1) -> torch.Tensor:
    return torch.randn(batch, spec.samples, generator=torch_generator("noise")) * 0.1


@pytest.mark.parametrize("spec", [TINY, PAPER, ODD])
def test_one_frame_a_hop(spec: AVSpec):
    assert log_mel(noise(spec, 2), spec).shape == (2, *spec.mel_shape_TF)


def test_silence_is_the_floor_and_nothing_is_below():
    assert torch.equal(log_mel(torch.zeros(1, TINY.samples), TINY), torch.full((1, *TINY.mel_shape_TF), math.log(1e-5)))
    assert log_mel(noise(TINY) * 1e-6, TINY).min() >= LOG_MEL_FLOOR


def test_twice_as_loud_is_log_two_higher():
    torch.testing.assert_close(
        log_mel(noise(TINY) * 2, TINY), log_mel(noise(TINY), TINY) + math.log(2), rtol=0, atol=1e-4
    )


def test_frame_i_is_centred_half_a_hop_after_i_hops():
    click = torch.zeros(1, TINY.samples)
    click[0, 40 * TINY.hop + TINY.hop // 2] = 1.0
    assert log_mel(click, TINY)[0].mean(-1).argmax() == 40


@pytest.mark.parametrize("spec", [TINY, PAPER, ODD])
def test_a_vocoded_sound_has_the_mel_it_was_made_from(spec: AVSpec):
    mel = log_mel(noise(spec), spec)
    again = log_mel(GriffinLimConfig().build(spec).synthesise(mel), spec)
    assert (again - mel).abs().mean() < 0.15


def test_a_vocoded_clip_does_not_depend_on_those_beside_it():
    mel = log_mel(noise(TINY, 3), TINY)
    vocoder = GriffinLimConfig(iterations=4).build(TINY)
    assert torch.equal(vocoder.synthesise(mel)[1:2], vocoder.synthesise(mel[1:2]))


def test_a_vocoded_click_stays_where_it_was():
    """Within 2 ms: the half hop between Griffin-Lim's frames and ours is accounted for."""
    click = torch.zeros(1, TINY.samples)
    place = 15_000
    click[0, place : place + 32] = 0.7
    waveform = GriffinLimConfig().build(TINY).synthesise(log_mel(click, TINY))
    energy = waveform.square()[0]
    centre = (energy * torch.arange(len(energy))).sum() / energy.sum()
    assert abs(float(centre) - (place + 16)) < 0.002 * TINY.audio_rate_hz


def test_rendered_sounds_come_back():
    config = ProceduralConfig()
    waveforms = torch.stack(
        [
            torch.from_numpy(config.scene("held_out", label, form="short", index=1).waveform(rate_hz=16_000))[
                : TINY.samples
            ]
            for label in config.labels
        ]
    )
    mel = log_mel(waveforms, TINY)
    again = log_mel(GriffinLimConfig().build(TINY).synthesise(mel), TINY)
    assert (again - mel).abs().mean() < 0.3


def test_magnitudes_are_positive_and_explain_the_mel():
    mel = log_mel(noise(TINY), TINY).exp().transpose(1, 2)
    magnitudes = linear_magnitudes(mel, TINY)
    assert magnitudes.shape == (1, TINY.n_fft // 2 + 1, TINY.mel_frames)
    assert magnitudes.min() >= 0
    explained = mel_basis(TINY).T @ magnitudes
    assert ((explained - mel).abs() / mel).mean() < 0.02


def test_more_iterations_come_nearer():
    mel = log_mel(noise(TINY), TINY)
    errors = [
        float((log_mel(GriffinLimConfig(iterations=count).build(TINY).synthesise(mel), TINY) - mel).abs().mean())
        for count in (1, 32)
    ]
    assert errors[1] < errors[0]
