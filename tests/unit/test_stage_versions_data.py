"""Outputs of the data families, frozen: whoever changes one bumps its VERSION and writes the new numbers here.

Tolerances leave room for other CPUs and library builds (measured below 1e-5 relative), not for other code.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from uniform_core.captioners import class_label, sidecar
from uniform_core.captioners.base import CaptionInput
from uniform_core.codecs import DctMelConfig, DctVideoConfig, GriffinLimConfig, dct_mel, dct_video, griffin_lim
from uniform_core.codecs.mel import log_mel
from uniform_core.datasets import ProceduralConfig, folder, procedural
from uniform_core.datasets.scenes import SCENES
from uniform_core.spec import AVSpec
from uniform_core.text import HashingTextConfig, hashing

SPEC = AVSpec(duration_s=2.0, video_rate_hz=16, height_px=32, width_px=32, canonical_short_side_px=32, hop=250)


def ramp(*shape: int) -> torch.Tensor:
    """A tensor of known smooth values that no random generator can change."""
    count = int(np.prod(shape))
    return torch.sin(torch.arange(count, dtype=torch.float64) * 0.37).float().reshape(shape)


def sweep() -> torch.Tensor:
    seconds = torch.arange(SPEC.samples, dtype=torch.float64) / SPEC.audio_rate_hz
    return (0.5 * torch.sin(2 * torch.pi * (200 + 700 * seconds) * seconds)).float()[None]


def sketch(values: torch.Tensor | np.ndarray) -> list[float]:
    """Mean, spread and two weighted sums, which any displaced or altered value moves."""
    flat = np.asarray(values, np.float64).ravel()
    position = np.linspace(0.0, 1.0, len(flat))
    return [flat.mean(), flat.std(), float((flat * position).mean()), float((flat * np.cos(40 * position)).mean())]


def video_latent() -> list[float]:
    return sketch(DctVideoConfig().build(SPEC).encode(ramp(1, *SPEC.pixel_shape_CTHW)))


def mel_latent() -> list[float]:
    return sketch(DctMelConfig().build(SPEC).encode(log_mel(sweep(), SPEC)))


def vocoded() -> list[float]:
    return sketch(GriffinLimConfig().build(SPEC).synthesise(log_mel(sweep(), SPEC)).abs())


def text_features() -> list[float]:
    return sketch(HashingTextConfig().build().encode(["a large red ball"])[0].features_LD)


def rendered_frames() -> list[float]:
    config = ProceduralConfig()
    scenes = [config.scene("train", label, form="short", index=0) for label in SCENES]
    return sketch(np.stack([scene.frames(rate_hz=5, size_px=32) for scene in scenes]))


def rendered_sound() -> list[float]:
    config = ProceduralConfig()
    scenes = [config.scene("train", label, form="short", index=0) for label in SCENES]
    return sketch(np.abs([scene.waveform(rate_hz=16_000) for scene in scenes]))


FROZEN: dict[str, tuple[Callable[[], list[float]], int, int, list[float], float]] = {
    # name: (output, VERSION now, VERSION then, numbers then, tolerance)
    "dct_video": (video_latent, dct_video.VERSION, 1, [-0.002911613, 0.4589259, -0.001936311, -0.0001839672], 0.0001),
    "dct_mel": (mel_latent, dct_mel.VERSION, 1, [-2.934872, 14.25213, -0.04529066, -0.7690581], 0.0001),
    "griffin_lim": (vocoded, griffin_lim.VERSION, 3, [0.2532357, 0.173901, 0.1162, 0.003557681], 0.02),
    "hashing": (text_features, hashing.VERSION, 1, [-0.025, 0.9996875, 0.01622257, 0.06996418], 1e-06),
    "procedural_frames": (rendered_frames, procedural.VERSION, 2, [67.87677, 48.11256, 39.36967, 0.4634334], 0.002),
    "procedural_sound": (rendered_sound, procedural.VERSION, 2, [0.0622314, 0.101681, 0.02418472, 0.00377295], 0.001),
}


@pytest.mark.parametrize("name", FROZEN)
def test_output_changes_only_with_its_version(name: str):
    output, version_now, version_then, expected, tolerance = FROZEN[name]
    assert version_now == version_then, f"{name}: write the new version's numbers here: {output()}"
    np.testing.assert_allclose(output(), expected, rtol=tolerance, atol=tolerance, err_msg=f"bump VERSION of {name}")


def test_rules_of_captions_and_folders_change_only_with_their_version():
    said = class_label.ClassLabelConfig().build().caption([CaptionInput("0" * 32, "a_b  c", None)])[0].text
    assert (class_label.VERSION, said) == (1, "a b c")
    said = (
        sidecar.SidecarConfig(max_chars=9).build().caption([CaptionInput("0" * 32, None, " ab  cd\nefghi j")])[0].text
    )
    assert (sidecar.VERSION, said) == (1, "ab cd")
    splits = [folder.split_of(f"{letter}.mp4", held_out_fraction=0.5)[0] for letter in "abcdefgh"]
    assert (folder.VERSION, "".join(splits)) == (1, "thtththh")


def test_versions_enter_fingerprints():
    for config in (DctVideoConfig(), DctMelConfig(), GriffinLimConfig(), HashingTextConfig(), ProceduralConfig()):
        assert "version" in config.fingerprint_params()
