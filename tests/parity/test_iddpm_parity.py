"""Our IDDPM is Open-Sora's: strictly with its float32 tables, and with our float64 tables as far as those differ.

The reference casts its betas to float32, which moves the posterior near t = 0 by 1.7e-4 and the bound there by 0.6 %.
With its own tables what is left is the rounding of float32.
"""

from __future__ import annotations

import functools
import re
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from golden_data import golden_arrays, golden_folders, golden_json
from torch import Tensor

from uniform_core.diffusion import AncestralConfig, DdimConfig, IddpmConfig, SamplerConfig
from uniform_core.diffusion.base import Level, Prediction, Step, Tensors, Walk, masked_mean
from uniform_core.diffusion.gaussian import GaussianTables, at_times, spaced_times
from uniform_core.diffusion.guidance import extrapolated
from uniform_core.diffusion.iddpm import Iddpm, min_snr_weight
from uniform_core.errors import ConfigError
from uniform_core.types import Modality

VIDEO = Modality.VIDEO
each_folder = pytest.mark.parametrize("folder", golden_folders("iddpm"), ids=lambda path: path.name)
STRICT = {"rtol": 1e-6, "atol": 1e-6}
with_tables = pytest.mark.parametrize("source", ["theirs", "ours"])


@functools.cache
def arrays(folder: Path) -> dict[str, Tensor]:
    return golden_arrays(folder / "inputs.npz") | golden_arrays(folder / "outputs.npz")


def said(folder: Path, word: str) -> float:
    """A number of the folder's config."""
    return golden_json(folder / "config.json")["config"][word]


def reference(folder: Path) -> IddpmConfig:
    """The reference's objective, whose betas grow as its steps become fewer."""
    steps = int(said(folder, "diffusion_steps"))
    return IddpmConfig(
        diffusion_steps=steps, beta_first=0.1 / steps, beta_last=20 / steps, min_snr=None, likelihood="image_255"
    )


def numbers(folder: Path, pattern: str) -> list[int]:
    """The numbers in the names of a folder's arrays where the one group of a pattern has them."""
    found = (re.fullmatch(pattern, name) for name in arrays(folder))
    return sorted({int(match[1]) for match in found if match})


def their_tables(folder: Path, prefix: str) -> GaussianTables:
    return GaussianTables(**{field.name: arrays(folder)[f"{prefix}.{field.name}"] for field in fields(GaussianTables)})


def objective(folder: Path, source: str, **change: float | None) -> Iddpm:
    config = reference(folder).model_copy(update=change)
    if source == "ours":
        return config.build()
    return Iddpm(config, their_tables(folder, f"tables{config.diffusion_steps}"))


def steps(folder: Path, source: str, count: int) -> tuple[Step, ...]:
    if source == "ours":
        return objective(folder, source).steps(count)
    return their_tables(folder, f"tables{count}").steps(arrays(folder)[f"timestep_map{count}"].tolist())


def fake_model(x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
    """The network that the golden data was made with (README)."""
    u = t.view(-1, 1, 1, 1, 1) / 1000
    a = torch.exp(-(0.05 * u + 4.975 * u**2))
    noise = torch.sqrt(1 - a**2) * x + 0.3 * a * torch.cos(3 * x)
    noise[:, 0] += 0.05 * a[:, 0]
    variance = torch.tanh(0.5 * x - 0.2)
    if y is not None:
        shift = y.view(-1, 1, 1, 1, 1)
        noise, variance = noise + 0.1 * a * shift, variance + 0.05 * shift
    return torch.cat([noise, variance], dim=1)


class Guided(NamedTuple):
    """The condition of each sample, what stands for none, and how strongly the one is followed."""

    y: Tensor
    y_null: Tensor
    scale: float


def walk_of(ours: Iddpm, noise: Tensor, guided: Guided | None = None) -> Walk:
    def evaluate(state: Tensors, at: Level) -> dict[Modality, Prediction]:
        z = state[VIDEO]
        t = torch.full((z.shape[0],), at.time)
        output = fake_model(z, t, None if guided is None else guided.y)
        if guided is not None:
            output = extrapolated(output, fake_model(z, t, guided.y_null), scale=guided.scale)
        return {VIDEO: ours.predict(output, z, at)}

    return Walk(ours, evaluate, lambda _like: noise)


def run(sampler: SamplerConfig, folder: Path, source: str, *, noises: Tensor, guided: Guided | None = None) -> Tensor:
    """What becomes of the folder's pure noise in as many steps as there are noises."""
    ours, z = objective(folder, source), arrays(folder)["z_T"]
    for step, noise in zip(steps(folder, source, len(noises)), noises, strict=True):
        z = sampler.advance({VIDEO: z}, step, walk=walk_of(ours, noise, guided))[VIDEO]
    return z


@each_folder
def test_tables(folder: Path) -> None:
    a, total = arrays(folder), int(said(folder, "diffusion_steps"))
    ours, counts = objective(folder, "ours").tables, numbers(folder, r"tables(\d+)\.betas")
    assert total in counts
    assert not a[f"tables{total}.dtype_is_float64"].any(), "the reference's tables were float32 when this was written"
    for field in fields(GaussianTables):
        name, loose = field.name, field.name.startswith(("posterior", "sqrt_recipm1"))  # near t = 0, in float32
        exact = getattr(ours, name)
        torch.testing.assert_close(exact, a[f"tables{total}_f64.{name}"], rtol=1e-12, atol=1e-300)
        near = 2e-4 if loose else 4e-7
        torch.testing.assert_close(exact, a[f"tables{total}.{name}"].double(), rtol=near, atol=1e-9)
        for count in counts:
            value = getattr(ours.respaced(spaced_times(total, count)), name)
            near = 2e-4 if loose else 2e-6
            torch.testing.assert_close(value, a[f"tables{count}.{name}"].double(), rtol=near, atol=0)


@each_folder
def test_timestep_maps(folder: Path) -> None:
    total, counts = int(said(folder, "diffusion_steps")), numbers(folder, r"timestep_map(\d+)")
    assert counts
    for count in counts:
        assert spaced_times(total, count) == arrays(folder)[f"timestep_map{count}"].tolist()
    for count in numbers(folder, r"timestep_map_ddim(\d+)"):
        assert spaced_times(total, count, spacing="ddim") == arrays(folder)[f"timestep_map_ddim{count}"].tolist()


def test_whole_strides_have_at_most_half_of_the_times_or_all() -> None:
    with pytest.raises(ConfigError, match="at most 500 steps"):
        spaced_times(1000, 501, spacing="ddim")
    assert spaced_times(1000, 1000, spacing="ddim") == list(range(1000))


def test_every_count_is_spaced_as_the_reference_adds_its_strides() -> None:
    """In float64 the sum of strides is not their product: it decides which way a half is rounded."""
    for count in range(2, 1001):
        place, expected = 0.0, []
        for _ in range(count):
            expected.append(round(place))
            place += 999 / (count - 1)
        assert spaced_times(1000, count) == expected


@each_folder
@with_tables
def test_forward_process(folder: Path, source: str) -> None:
    a = arrays(folder)
    noisy = objective(folder, source).noised(a["x_start"], noise=a["noise"], t_B=a["t"])
    tolerance = STRICT if source == "theirs" else {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(noisy, a["q_sample"], **tolerance)


@each_folder
@with_tables
def test_posterior(folder: Path, source: str) -> None:
    a, tables = arrays(folder), objective(folder, source).tables
    tolerance = STRICT if source == "theirs" else {"rtol": 2e-4, "atol": 1e-4}

    def at(table: Tensor) -> Tensor:
        return at_times(table, a["t"], like=a["x_start"])

    mean = at(tables.posterior_mean_coef1) * a["x_start"] + at(tables.posterior_mean_coef2) * a["q_sample"]
    torch.testing.assert_close(mean, a["q_posterior.mean"], **tolerance)
    for name in ("variance", "log_variance_clipped"):
        values = at(getattr(tables, f"posterior_{name}")).expand_as(mean)
        torch.testing.assert_close(values, a[f"q_posterior.{name}"], **tolerance)


CASES = ["loss", "loss_rescaled", "loss_masked", "loss_minsnr5"]


def terms(folder: Path, source: str, case: str, **change: float) -> dict[str, Tensor]:
    """Ours, of a case of the folder: which elements count, and how they are weighted."""
    a, t = arrays(folder), arrays(folder)["t"]
    ours = objective(folder, source, min_snr=5.0 if "snr" in case else None, **change)
    noisy = ours.noised(a["x_start"], noise=a["noise"], t_B=t)
    keep = a["frame_mask"][:, None, :, None, None] if case == "loss_masked" else None
    if keep is not None:  # the reference's clean frames are those of t = 0
        at_zero = ours.noised(a["x_start"], noise=a["noise"], t_B=torch.zeros_like(t))
        noisy = torch.where(keep, noisy, at_zero)
    output = fake_model(noisy, t.float())
    return ours.loss_terms(output, clean=a["x_start"], noise=a["noise"], noisy=noisy, t_B=t, keep=keep)


@each_folder
@pytest.mark.parametrize("case", CASES)
def test_losses_with_their_tables(folder: Path, case: str) -> None:
    a, found = arrays(folder), terms(folder, "theirs", case)
    for name in ("mse", "vb"):
        torch.testing.assert_close(found[name], a[f"{case}.{name}"], **STRICT)
    torch.testing.assert_close(found["mse"] + found["vb"], a[f"{case}.loss"], **STRICT)


@each_folder
@pytest.mark.parametrize("case", CASES)
def test_losses_with_our_tables(folder: Path, case: str) -> None:
    a, found = arrays(folder), terms(folder, "ours", case)
    weight = 2e-4 if case == "loss_minsnr5" else 1e-5  # of t = 0 by float32: 1 / SNR = 1e-4, a difference from 1
    torch.testing.assert_close(found["mse"], a[f"{case}.mse"], rtol=weight, atol=1e-6)
    is_first = a["t"] == 0
    torch.testing.assert_close(found["vb"][~is_first], a[f"{case}.vb"][~is_first], rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(found["vb"][is_first], a[f"{case}.vb"][is_first], rtol=1e-2, atol=1e-4)


@each_folder
def test_the_bound_alone_and_its_weight(folder: Path) -> None:
    a = arrays(folder)
    torch.testing.assert_close(terms(folder, "theirs", "loss")["vb"], a["vb_terms.output"], **STRICT)
    weighted = terms(folder, "theirs", "loss", vb_weight=said(folder, "diffusion_steps"))["vb"]
    torch.testing.assert_close(weighted, a["loss_rescaled_kl.loss"], rtol=1e-6, atol=1e-3)


@each_folder
@with_tables
def test_what_the_bound_reads_as_clean(folder: Path, source: str) -> None:
    a, ours, t = arrays(folder), objective(folder, source), arrays(folder)["t"]
    noise_of = fake_model(a["q_sample"], t.float()).chunk(2, dim=1)[0]
    for item, time in enumerate(t.tolist()):
        kept = ours.tables.alphas_cumprod[time]
        signal, noise = float(kept.sqrt()), float((1 - kept).sqrt())
        z = a["q_sample"][item]
        found = ours.predict(torch.cat([noise_of[[item]]] * 2, dim=1), z[None], Level(signal, noise, float(time)))
        expected = a["vb_terms.pred_xstart"][item]
        torch.testing.assert_close(found.clean[0], expected, rtol=1e-5, atol=2e-6 * (1 + 1 / signal))


@each_folder
def test_min_snr_weights(folder: Path) -> None:
    expected = arrays(folder)["min_snr5_weights"]
    for source, near in (("theirs", STRICT), ("ours", {"rtol": 2e-4, "atol": 0})):
        found = min_snr_weight(objective(folder, source).tables, torch.arange(len(expected)), limit=5.0)
        torch.testing.assert_close(found, expected, **near)


@each_folder
@with_tables
def test_ancestral_trajectory(folder: Path, source: str) -> None:
    a, ours = arrays(folder), objective(folder, source)
    count = len(a["step_noise"])  # each step from theirs, so that rounding does not add up
    befores = [a["z_T"], *(a[f"traj.{n}.sample"] for n in range(count - 1))]
    for n, (before, step) in enumerate(zip(befores, steps(folder, source, count), strict=True)):
        walk = walk_of(ours, a["step_noise"][n])
        word = walk.evaluate({VIDEO: before}, step.at)[VIDEO]
        gain = 1 / step.at.signal  # z_0 is a difference of numbers that are so many times as large
        torch.testing.assert_close(word.clean, a[f"traj.{n}.pred_xstart"], rtol=0, atol=2e-6 * (1 + gain))
        log_variance = 2e-6 if source == "theirs" else 2e-4
        found = ours.log_variance(word, step)
        torch.testing.assert_close(found, a[f"traj.{n}.log_variance"], rtol=0, atol=log_variance)
        rounding = 2e-6 * (1 + step.clean_weight * gain) + (0 if source == "theirs" else 2e-5)
        weight = 2e-4 if source == "ours" and step.is_last else 0.0
        mean = step.clean_weight * word.clean + step.noisy_weight * before
        torch.testing.assert_close(mean, a[f"traj.{n}.mean"], rtol=weight, atol=rounding)
        after = AncestralConfig().advance({VIDEO: before}, step, walk=walk)[VIDEO]
        torch.testing.assert_close(after, a[f"traj.{n}.sample"], rtol=weight, atol=rounding)


# Whole paths: the first step enlarges rounding by 1/signal = 158, and guidance by 5, before later steps shrink it.
PATH = {"theirs": {"rtol": 0, "atol": 5e-5}, "ours": {"rtol": 2e-4, "atol": 2e-4}}


@each_folder
@with_tables
def test_text_guidance(folder: Path, source: str) -> None:
    a, scale = arrays(folder), said(folder, "cfg_scale")
    guided = Guided(a["y"], a["y_null"], scale)
    noises = a["step_noise_cfg"][:, : len(a["z_T"])]  # the other half is of states that mean nothing
    final = run(AncestralConfig(), folder, source, noises=noises, guided=guided)
    torch.testing.assert_close(final, a[f"cfg{scale:g}.samples"], **PATH[source])
    torch.testing.assert_close(final, a[f"cfg{scale:g}.samples_full"][: len(final)], **PATH[source])


@each_folder
@with_tables
def test_ddim(folder: Path, source: str) -> None:
    a = arrays(folder)
    for count in numbers(folder, r"ddim(\d+)\.sample"):
        final = run(DdimConfig(), folder, source, noises=torch.zeros(count, *a["z_T"].shape))
        torch.testing.assert_close(final, a[f"ddim{count}.sample"], **PATH["theirs"])


def test_masked_mean_leaves_out_what_is_not_kept() -> None:
    values = torch.tensor([[1.0, 2.0, 100.0], [4.0, 6.0, 100.0]])
    assert masked_mean(values, torch.tensor([True, True, False])).tolist() == [1.5, 5.0]
