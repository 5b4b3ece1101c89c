"""Every member of the metrics family, as soon as it is imported: laws that none may break."""

import json
import re
from collections.abc import Callable

import numpy as np
import pytest

from uniform_core.errors import ConfigError
from uniform_core.metrics import METRICS
from uniform_core.metrics.base import CLIPS, KNOWN, LABELS_OF, MetricConfig, Need, Score, Side
from uniform_core.metrics.features import FeatureSet

N = 24
CLASSES = ("a", "b", "c")
# Of the least or the most of several classes: its spread is not that of a mean.
WITHOUT_INTERVAL = {"diversity", "memorisation", "loss_gap"}
EVERY = pytest.mark.parametrize("metric", [m.example() for m in METRICS], ids=lambda m: m.kind)


def values_for(need: Need, *, seed: int, n: int) -> list[np.ndarray]:
    """Plausible features of one need: wide vectors for features, ragged times for onsets, texts for labels."""
    rng = np.random.default_rng([seed, len(need.layer), list(Side).index(need.side)])
    if need in LABELS_OF.values():
        return [np.array(CLASSES[index % 3]) for index in range(n)]
    if need.extractor == CLIPS and need.layer == "attributes":
        return [np.array(json.dumps({"colour": "red" if index % 2 else "blue"})) for index in range(n)]
    if need.layer == "event_times_s":
        return [np.sort(rng.uniform(0, 2, 4)) for _ in range(n)]
    if need.extractor in KNOWN:  # distances, losses
        return [np.array(value) for value in rng.gamma(2.0, 1.0, n)]
    if need.layer == "rate_hz":
        return [np.array(16.0)] * n
    if need.layer.startswith("onsets"):
        return [np.sort(rng.uniform(0, 2, int(rng.integers(3, 7)))) for _ in range(n)]
    if need.layer == "flow":
        return [rng.gamma(1.0, 1.0, 32).astype(np.float32) for _ in range(n)]
    width = 3 if need.layer == "logits" else 6
    return list(rng.normal(size=(n, width)).astype(np.float32))


def inputs_for(metric: MetricConfig, *, seed: int = 0, n: int = N) -> dict[Need, FeatureSet]:
    keys = [f"clip{index:03d}" for index in range(n)]
    return {need: FeatureSet.of(keys, values_for(need, seed=seed, n=n)) for need in metric.needs}


@EVERY
def test_a_score_is_complete(metric: MetricConfig):
    score = metric.score(inputs_for(metric))
    assert score.value is not None
    assert np.isfinite(score.value)
    assert score.reason is None
    assert score.n_generated == (0 if metric.of_model else N)
    assert score.n_reference in {0, N}
    assert (score.n_reference > 0) == any(need.side in (Side.REFERENCE, Side.HELD_OUT) for need in metric.features)
    assert (score.low is None) == (score.high is None) == (metric.kind in WITHOUT_INTERVAL)
    if score.low is not None and score.high is not None:
        assert score.low <= score.value <= score.high
    assert score.p is None or 0 < score.p <= 1
    assert set(score.as_row()) == {
        *("name", "value", "low", "high", "p", "n_generated", "n_reference", "protocol", "protocol_hash", "reason")
    }


@EVERY
def test_its_name_says_what_it_stands_on(metric: MetricConfig):
    words = metric.name.split(".")
    assert len(words) == 3
    assert "@" not in metric.name
    assert words[1:] == [metric.protocol.extractor, metric.protocol.name]
    assert metric.score(inputs_for(metric)).name == metric.name


@EVERY
def test_order_does_not_matter_to_the_last_digit(metric: MetricConfig):
    inputs = inputs_for(metric)
    order = np.random.default_rng(1).permutation(N)
    shuffled = {
        need: FeatureSet.of([found.keys[i] for i in order], [found.values[i] for i in order])
        for need, found in inputs.items()
    }
    assert metric.score(shuffled) == metric.score(inputs)


@EVERY
def test_other_features_give_another_number(metric: MetricConfig):
    scores = [metric.score(inputs_for(metric, seed=seed)) for seed in range(4)]
    assert len({score.value for score in scores}) > 1
    assert len({score.protocol_hash for score in scores}) == 1


@EVERY
def test_nothing_to_score_is_a_reason_not_a_number(metric: MetricConfig):
    score = metric.score(inputs_for(metric, n=0))
    assert score.value is None
    assert score.low is None
    assert score.reason
    assert score.n_generated == 0


@EVERY
@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_few_items_give_a_number_or_a_reason(metric: MetricConfig, n: int):
    assert_a_number_or_a_reason(metric.score(inputs_for(metric, n=n)))


@EVERY
def test_items_that_are_all_alike_give_a_number_or_a_reason(metric: MetricConfig):
    inputs = inputs_for(metric)
    alike = {need: FeatureSet.of(found.keys, [found.values[0]] * N) for need, found in inputs.items()}
    assert_a_number_or_a_reason(metric.score(alike))


def assert_a_number_or_a_reason(score: Score) -> None:
    """Never an exception, and never a number that is none."""
    numbers = [number for number in (score.value, score.low, score.high, score.p) if number is not None]
    assert np.isfinite(numbers).all(), score
    assert bool(numbers) != bool(score.reason)
    if score.value is not None and score.low is not None and score.high is not None:
        assert score.low <= score.value <= score.high


@EVERY
def test_a_feature_that_is_not_finite_is_a_reason(metric: MetricConfig):
    inputs = inputs_for(metric)
    need = next(n for n in metric.needs if inputs[n].values[0].dtype.kind == "f")
    found = inputs[need]
    spoilt = found.values[3].copy()
    spoilt[-1 if spoilt.ndim else ()] = np.nan
    values = [*found.values[:3], spoilt, *found.values[4:]]
    score = metric.score({**inputs, need: FeatureSet.of(found.keys, values)})
    assert score.value is None
    assert "clip003" in (score.reason or "")


@EVERY
@pytest.mark.parametrize("change", [lambda value: value[:-1], lambda value: value[:0]], ids=["shorter", "empty"])
def test_features_of_several_widths_are_a_reason(metric: MetricConfig, change: Callable[[np.ndarray], np.ndarray]):
    """One item alone, then the whole set beside the others: never an exception of numpy's."""
    for need in metric.needs:
        if (
            need.extractor in KNOWN
            or need.layer == "rate_hz"
            or need.layer.startswith("onsets")
            or need.layer == "flow"
        ):
            continue
        inputs = inputs_for(metric)
        first, *others = inputs[need].values
        odd = [change(first), *others]
        sets = [odd] if len(metric.needs) == 1 else [odd, [change(value) for value in (first, *others)]]
        for values in sets:
            score = metric.score({**inputs, need: FeatureSet.of(inputs[need].keys, values)})
            assert score.value is None, need
            assert re.search(r"\d (values|logits)", score.reason or ""), score.reason


@EVERY
def test_a_set_that_was_not_handed_in_is_an_error_of_the_call(metric: MetricConfig):
    inputs = inputs_for(metric)
    del inputs[metric.needs[0]]
    with pytest.raises(ConfigError, match=metric.needs[0].layer):
        metric.score(inputs)


@EVERY
def test_sets_of_one_side_hold_the_same_items(metric: MetricConfig):
    inputs = inputs_for(metric)
    several = [need for need in metric.needs if need.side is Side.GENERATED]
    if len(several) <= 1:
        assert not metric.score(inputs).reason
        return
    last = inputs[several[-1]]
    score = metric.score({**inputs, several[-1]: last.only(last.keys[:-1])})
    assert score.value is None
    assert last.keys[-1] in (score.reason or "")


@EVERY
def test_values_of_clips_average_to_the_score(metric: MetricConfig):
    inputs = inputs_for(metric)
    clips = metric.clip_values(inputs)
    assert set(clips) <= set(inputs[metric.needs[0]].keys)
    if clips:  # else the metric is one number for the whole set
        assert np.mean(list(clips.values())) == pytest.approx(metric.score(inputs).value)


@EVERY
def test_single_clips_have_names_of_their_own_and_finite_values(metric: MetricConfig):
    inputs = inputs_for(metric)
    measures = metric.clip_measures(inputs)
    assert bool(measures) is metric.by_clip
    assert len({measured.name for measured in measures}) == len(measures)
    for measured in measures:
        assert measured.name.endswith(f".{metric.protocol.name}")
        assert set(measured.values) <= set(inputs[metric.needs[0]].keys)
        assert np.isfinite(list(measured.values.values())).all()
        assert measured.values


@EVERY
def test_it_survives_json(metric: MetricConfig):
    again = type(metric).model_validate_json(metric.model_dump_json())
    assert again == metric
    assert again.protocol_hash == metric.protocol_hash
    other = metric.model_copy(update={"protocol": metric.protocol.model_copy(update={"name": "other"})})
    assert other.protocol_hash != metric.protocol_hash
