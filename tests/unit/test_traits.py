"""Traits: what differs within a class, and nothing of what training changes."""

import numpy as np
import torch

from uniform_core.metrics.traits import TRAITS, mel_traits, video_traits, within_classes


def clips(n: int = 6) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (n, 4, 16, 24, 3), dtype=np.uint8))


def mels(n: int = 6) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).normal(-6.0, 2.0, (n, 20, 64)).astype(np.float32))


def test_a_mirrored_picture_has_the_same_traits_and_one_upside_down_has_not():
    seen = video_traits(clips())
    assert torch.allclose(video_traits(clips().flip(3)), seen, atol=1e-6)
    assert (video_traits(clips().flip(2)) - seen).abs().mean() > 0.01
    assert (video_traits(clips().flip(4)) - seen).abs().mean() > 0.01  # other colours


def test_a_louder_or_later_sound_has_the_same_traits_and_a_higher_one_has_not():
    heard = mel_traits(mels())
    assert torch.allclose(mel_traits(mels().roll(7, dims=1) + 0.8), heard, atol=1e-4)
    assert (mel_traits(mels().roll(8, dims=2)) - heard).abs().mean() > 0.1


def test_fewer_bands_than_the_traits_would_take_are_taken_as_they_are():
    assert mel_traits(mels()[:, :, :10]).shape == (6, 20)


def test_what_differs_between_classes_is_no_trait():
    rng = np.random.default_rng(2)
    classes = torch.tensor([0, 1] * 40)
    within = torch.from_numpy(rng.normal(size=(80, 2))).float()  # two ways of differing within a class …
    numbers = within @ torch.from_numpy(rng.normal(size=(2, 30))).float() + 100.0 * classes[:, None]  # … and a class
    found = within_classes(numbers, classes)
    assert found.shape == (80, TRAITS)
    assert torch.allclose(found[:, :2].std(dim=0, correction=0), torch.ones(2), atol=1e-4)
    assert (found[:, 2:] == 0).all()
    assert torch.allclose(found[classes == 0].mean(dim=0), found[classes == 1].mean(dim=0), atol=1e-3)


def test_traits_do_not_depend_on_the_sign_that_a_library_gives_an_axis():
    numbers = video_traits(clips(20))
    classes = torch.tensor([0, 1, 2, 3] * 5)
    first, turned = within_classes(numbers, classes), within_classes(-numbers, classes)
    assert torch.allclose(first, -turned, atol=1e-3)


def test_few_clips_and_equal_ones_give_zeros_and_no_nan():
    few = within_classes(video_traits(clips(2)), torch.tensor([0, 1]))
    equal = within_classes(torch.ones(8, 5), torch.tensor([0, 1] * 4))
    assert (few == 0).all()
    assert (equal == 0).all()
