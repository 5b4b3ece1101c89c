"""Clips that are silent, still, of other rates, or that gave nothing: a reason or a warning, never a number alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from uniform_core.errors import ConfigError
from uniform_core.metrics.base import MetricConfig, Score, Side
from uniform_core.metrics.extrapolation import Extrapolation
from uniform_core.metrics.features import FeatureSet
from uniform_core.metrics.frechet import FrechetConfig
from uniform_core.metrics.gaussian import frechet_float32_svd, frechet_from_features
from uniform_core.metrics.kernel import KernelConfig
from uniform_core.metrics.protocol import Protocol
from uniform_core.metrics.protocols import PROTOCOLS

FAD = PROTOCOLS["uniform"].metric("fad.vggish16k.uniform")
FVD = PROTOCOLS["styleganv"].metric("fvd.i3d400.styleganv")
KL = PROTOCOLS["uniform"].metric("kl.cnn14_16k.uniform")
IS = PROTOCOLS["uniform"].metric("is.cnn14_16k.uniform")
ALIGN = PROTOCOLS["uniform"].metric("av_align.farneback.uniform")
CHANCE = PROTOCOLS["uniform"].metric("av_align_chance.farneback.uniform")
FINE = {"peak": 0.5, "movement": 50.0, "rate_hz": 25.0}


def keys(n: int) -> list[str]:
    return [f"clip{index:03d}" for index in range(n)]


def values(layer: str, n: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng([n, seed])
    if layer in FINE:
        return [np.array(FINE[layer])] * n
    if layer == "flow":
        return [rng.gamma(1.0, 1.0, 50).astype(np.float32) for _ in range(n)]
    if layer.startswith("onsets"):
        return [np.sort(rng.uniform(0, 2, 5)) for _ in range(n)]
    return [rng.normal(size=(4, 8)) if layer == "features" else rng.normal(size=8) for _ in range(n)]


def inputs_of(metric: MetricConfig, n: int = 12, **layers: dict[Side, list[float]]) -> dict[Any, FeatureSet]:
    """Plausible inputs; `layers` gives the values of a check, by side."""
    found = {}
    for need in (*metric.needs, *metric.checked):
        own = layers.get(need.layer, {}).get(need.side)
        rows = [np.array(value) for value in own] if own else values(need.layer, n, need.side is Side.REFERENCE)
        found[need] = FeatureSet.of(keys(len(rows)), rows)
    return found


def scored(metric: MetricConfig, n: int = 12, **layers: dict[Side, list[float]]) -> Score:
    return metric.score(inputs_of(metric, n, **layers))


def test_clips_in_order_give_a_number_without_a_word_on_them() -> None:
    for metric in (FAD, FVD, KL, IS, ALIGN, CHANCE):
        score = scored(metric)
        assert score.value is not None, (metric.name, score.reason)
        assert not [word for word in score.warnings if "silent" in word or "still" in word]


@pytest.mark.parametrize("metric", [FAD, KL, IS, ALIGN])
def test_silence_is_counted_and_all_silence_is_no_number(metric: MetricConfig) -> None:
    some = scored(metric, peak={Side.GENERATED: [0.0] * 5 + [0.3] * 7})
    assert some.value is not None
    assert "5 generated clips are silent" in some.warnings
    every = scored(metric, peak={Side.GENERATED: [0.0] * 12})
    assert (every.value, every.reason) == (None, "every generated clip is silent (12 of 12)")


def test_a_silent_reference_is_no_number_either() -> None:
    assert scored(FAD, peak={Side.REFERENCE: [5e-5] * 12}).reason == "every reference clip is silent (12 of 12)"


def test_still_clips_are_counted() -> None:
    score = scored(FVD, movement={Side.GENERATED: [0.0, 6.0] + [6.1] * 10, Side.REFERENCE: [50.0] * 12})
    assert score.value is not None
    assert "2 generated clips are still" in score.warnings
    assert not [word for word in score.warnings if "reference clips are still" in word]


def test_rates_that_differ_are_no_number_where_frames_are_compared() -> None:
    score = scored(FVD, rate_hz={Side.GENERATED: [17.0] * 12, Side.REFERENCE: [25.0] * 11 + [30.0]})
    assert score.value is None
    assert "frame rates differ (generated 17 Hz, reference 25 to 30 Hz)" in (score.reason or "")
    ntsc = scored(FVD, rate_hz={Side.GENERATED: [30_000 / 1001] * 12, Side.REFERENCE: [29.97] * 12})
    assert ntsc.value is not None


def test_rates_that_differ_are_a_warning_where_each_clip_has_its_own() -> None:
    score = scored(ALIGN, rate_hz={Side.GENERATED: [17.0] * 6 + [25.0] * 6})
    assert score.value is not None
    assert "frame rates differ, and with them what counts as a match by chance" in score.warnings


def test_clips_that_gave_nothing_are_named_with_their_reason() -> None:
    lacking = {(Side.GENERATED, "i3d400"): {"b": "16 frames expected, 9 found", "a": "no frame rate"}}
    score = FVD.score(inputs_of(FVD), lacking)
    assert score.value is None
    assert score.reason == "2 of 14 generated clips give i3d400 nothing: a: no frame rate"
    assert FAD.score(inputs_of(FAD), lacking).value is not None, "of another extractor"


def test_a_check_that_was_not_handed_in_is_a_wrong_call() -> None:
    inputs = inputs_of(FAD)
    del inputs[FAD.checked[0]]
    with pytest.raises(ConfigError, match="vggish16k/peak"):
        FAD.score(inputs)


@pytest.mark.parametrize("metric", [FAD, FVD, KL, IS, ALIGN, CHANCE])
def test_one_clip_and_no_clip(metric: MetricConfig) -> None:
    assert scored(metric, 0).value is None
    one = scored(metric, 1)
    assert one.low is None
    assert one.value is None or "1 generated clip: a number without an interval" in one.warnings
    if metric in (FAD, FVD, IS, CHANCE):
        assert one.value is None
        assert one.reason


def test_nan_features_are_a_reason() -> None:
    inputs = inputs_of(FAD)
    need = FAD.needs[0]
    spoilt = [np.where(np.arange(8) == 3, np.nan, value) for value in inputs[need].values[:1]]
    inputs[need] = FeatureSet.of(keys(12), [*spoilt, *inputs[need].values[1:]])
    assert "1 of 12 items are not finite, the first is clip000" in (FAD.score(inputs).reason or "")


def test_few_clips_are_told() -> None:
    score = scored(FAD)
    assert "12 generated items where the protocol asks for 2048" in score.warnings


# --- pooled rows


def test_pooled_rows_are_the_items_and_clips_stay_whole() -> None:
    inputs = inputs_of(FAD, 30)
    score = FAD.score(inputs)
    rows = [np.concatenate(inputs[need].values) for need in FAD.needs]
    assert score.value == pytest.approx(frechet_from_features(*rows), rel=1e-12)
    assert (score.n_generated, score.n_reference) == (30, 30)
    repeated = {
        need: FeatureSet.of(found.keys, [np.repeat(value[:1], 4, axis=0) for value in found.values])
        if need in FAD.needs
        else found
        for need, found in inputs.items()
    }
    single = {
        need: FeatureSet.of(found.keys, [value[:1] for value in found.values]) if need in FAD.needs else found
        for need, found in inputs.items()
    }
    many, once = FAD.score(repeated), FAD.score(single)
    assert many.low is not None
    assert many.high is not None
    assert once.high is not None
    assert once.low is not None
    # Rows that are copies of each other are no new evidence: the interval does not shrink by them.
    assert many.high - many.low > 0.7 * (once.high - once.low)


@pytest.mark.parametrize("odd", [np.zeros((0, 8)), np.zeros(8)])
def test_a_clip_without_rows_is_a_reason(odd: np.ndarray) -> None:
    inputs = inputs_of(FAD)
    need = FAD.needs[0]
    inputs[need] = FeatureSet.of(keys(12), [odd, *inputs[need].values[1:]])
    assert "clip000 has features of shape" in (FAD.score(inputs).reason or "")


def test_rows_of_several_widths_are_a_reason() -> None:
    inputs = inputs_of(FAD)
    need = FAD.needs[0]
    inputs[need] = FeatureSet.of(keys(12), [np.zeros((4, 7)), *inputs[need].values[1:]])
    assert "7 or 8" in (FAD.score(inputs).reason or "")


# --- precision


def test_float32_is_near_and_only_of_the_frechet_distance() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(200, 16)), rng.normal(size=(180, 16)) + 0.3
    exact = frechet_from_features(first, second)
    rounded = frechet_float32_svd(first, second)
    assert rounded == pytest.approx(exact, rel=2e-3)
    assert rounded != exact
    assert frechet_float32_svd(first, second, ddof=0) < rounded
    with pytest.raises(ValueError, match="more than 1"):
        frechet_float32_svd(first[:1], second)
    with pytest.raises(ValidationError, match=r"protocol.precision of kernel must be float64"):
        KernelConfig(protocol=Protocol(name="p", extractor="e", precision="float32_svd"))


# --- infinitely many items


def gaussian_inputs(n: int, d: int = 6, shift: float = 0.0) -> tuple[FrechetConfig, dict[Any, FeatureSet]]:
    rng = np.random.default_rng([n, d])
    plain = FrechetConfig(protocol=Protocol(name="p", extractor="e"), word="fad", groups=8)
    sides = (rng.normal(size=(n, d)), rng.normal(size=(n, d)) + shift)
    sets = {need: FeatureSet.of(keys(n), list(rows)) for need, rows in zip(plain.needs, sides, strict=True)}
    return plain, sets


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_extrapolation_takes_the_bias_of_few_items_away(shift: float) -> None:
    plain, sets = gaussian_inputs(160, shift=shift)
    infinite = plain.model_copy(update={"infinite": Extrapolation()})
    true = 6 * shift**2
    biased, estimate = plain.score(sets), infinite.score(sets)
    assert estimate.name == "fad_infinite.e.p"
    assert biased.value is not None
    assert estimate.value is not None
    assert estimate.value < biased.value, "few items make the distance larger on average"
    assert shift or abs(estimate.value) < biased.value / 2
    assert estimate.low is not None
    assert estimate.high is not None
    assert estimate.low < true < estimate.high
    assert infinite.score(sets) == estimate, "the same shares are drawn again"
    assert infinite.protocol_hash != plain.protocol_hash


def test_a_line_needs_more_rows_than_features() -> None:
    plain, sets = gaussian_inputs(12)
    score = plain.model_copy(update={"infinite": Extrapolation()}).score(sets)
    assert score.value is None
    assert "6 rows in the smallest share, where a line over 1 / n needs more than the 6 features" in score.reason  # type: ignore[operator]


def test_hashes_of_metrics_without_the_new_fields_are_as_they_were() -> None:
    dump = FrechetConfig.example().model_dump()
    assert set(dump) == {"kind", "protocol", "word", "ddof", "groups"}
    assert "checks" not in dump["protocol"]
