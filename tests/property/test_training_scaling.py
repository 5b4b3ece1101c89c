"""Laws of the latent scale: there and back is the identity, batches do not matter, the level comes out as 1."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uniform_core.errors import CatalogError, WorkFailedError
from uniform_core.seeds import torch_generator
from uniform_core.training.config import ModalityScaling, ScalingConfig
from uniform_core.training.scaling import LatentScale, fit_latent_scale

KINDS = st.builds(
    ModalityScaling, over=st.sampled_from(["channel", "position"]), power=st.sampled_from([0.0, 0.5, 1.0])
) | st.just(ModalityScaling(over="identity"))


def latents(seed: int, clips: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch_generator("test.scaling", seed)
    gains_v = torch.logspace(-1, 1, 6, dtype=torch.float64)[:, None, None, None]
    video = torch.randn(clips, 6, 4, 3, 2, generator=generator, dtype=torch.float64) * gains_v + 5 * gains_v
    audio = torch.randn(clips, 3, 8, 4, generator=generator, dtype=torch.float64) * 7 - 100
    return video, audio


@given(video=KINDS, audio=KINDS, seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_to_model_and_back_is_the_identity(video: ModalityScaling, audio: ModalityScaling, seed: int) -> None:
    raw_v, raw_a = latents(seed)
    scale = fit_latent_scale(ScalingConfig(video=video, audio=audio), [(raw_v, raw_a)])
    for part, raw in ((scale.video, raw_v), (scale.audio, raw_a)):
        torch.testing.assert_close(part.to_raw(part.to_model(raw)), raw, rtol=1e-13, atol=1e-12)
        single = raw.float()
        torch.testing.assert_close(part.to_raw(part.to_model(single)), single, rtol=1e-6, atol=1e-4)
        assert part.to_model(single).dtype == torch.float32


@given(config=KINDS, cut=st.integers(1, 11))
@settings(max_examples=30, deadline=None)
def test_the_batches_do_not_matter(config: ModalityScaling, cut: int) -> None:
    raw_v, raw_a = latents(3)
    whole = fit_latent_scale(ScalingConfig(video=config, audio=config), [(raw_v, raw_a)])
    parts = [(raw_v[:cut], raw_a[:cut]), (raw_v[cut:], raw_a[cut:])]
    pieced = fit_latent_scale(ScalingConfig(video=config, audio=config), parts)
    for left, right in ((whole.video, pieced.video), (whole.audio, pieced.audio)):
        torch.testing.assert_close(left.shift, right.shift, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(left.divisor, right.divisor, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("over", ["channel", "position"])
def test_model_latents_have_mean_square_one_at_every_power(over: str, power: float) -> None:
    raw_v, raw_a = latents(5)
    part = ModalityScaling(over=over, power=power)
    scale = fit_latent_scale(ScalingConfig(video=part, audio=part), [(raw_v, raw_a)])
    for modality, raw in ((scale.video, raw_v), (scale.audio, raw_a)):
        model = modality.to_model(raw)
        assert model.square().mean().item() == pytest.approx(1.0, rel=1e-9)
    deviations = scale.video.to_model(raw_v).std(dim=(0, 2, 3, 4), correction=0)
    assert (deviations.max() / deviations.min()).item() == pytest.approx(10 ** (2 * (1 - power)), rel=0.3)


def test_a_power_between_keeps_part_of_the_differences() -> None:
    raw_v, raw_a = latents(6)
    half = ModalityScaling(over="channel", power=0.5)
    scale = fit_latent_scale(ScalingConfig(video=half, audio=half), [(raw_v, raw_a)])
    raw_levels = raw_v.std(dim=(0, 2, 3, 4), correction=0)
    levels = scale.video.to_model(raw_v).std(dim=(0, 2, 3, 4), correction=0)
    ratio = levels / raw_levels.sqrt()
    torch.testing.assert_close(ratio, ratio.mean().expand_as(ratio), rtol=1e-9, atol=0)


def test_a_dead_channel_does_not_divide_by_nothing() -> None:
    raw_v, raw_a = latents(7)
    raw_v[:, 2] = 4.0
    scale = fit_latent_scale(ScalingConfig(), [(raw_v, raw_a)])
    model = scale.video.to_model(raw_v)
    assert torch.isfinite(model).all()
    assert model[:, 2].abs().max() == 0.0


def test_json_gives_back_the_same_bits() -> None:
    scale = fit_latent_scale(ScalingConfig(video=ModalityScaling(over="position", power=0.3)), [latents(8)])
    again = LatentScale.from_json(json.loads(json.dumps(scale.to_json())))
    for left, right in ((scale.video, again.video), (scale.audio, again.audio)):
        assert torch.equal(left.shift, right.shift)
        assert torch.equal(left.divisor, right.divisor)


def test_where_nothing_is_scaled_one_batch_is_all_that_is_read() -> None:
    same = ModalityScaling(over="identity")

    def batches(*, few: int):
        for number in range(few + 1):
            assert number < few, "a corpus was read for nothing"
            yield latents(number)

    scale = fit_latent_scale(ScalingConfig(video=same, audio=same), batches(few=1))
    for part, shape in ((scale.video, (1, 1, 1, 1)), (scale.audio, (1, 1, 1))):
        assert torch.equal(part.divisor, torch.ones(shape, dtype=torch.float64))
        assert torch.equal(part.shift, torch.zeros(shape, dtype=torch.float64))
    with pytest.raises(WorkFailedError, match="at least one training latent"):
        fit_latent_scale(ScalingConfig(video=same, audio=same), [])
    with pytest.raises(AssertionError, match="read for nothing"):
        fit_latent_scale(ScalingConfig(video=same), batches(few=2))  # sound is scaled: all of it is read


def test_no_latents_and_no_scale_are_said() -> None:
    with pytest.raises(WorkFailedError, match="at least one training latent"):
        fit_latent_scale(ScalingConfig(), [])
    with pytest.raises(CatalogError, match="latent scale"):
        LatentScale.from_json({"video": {}})
