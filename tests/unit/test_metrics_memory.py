"""What a Fréchet distance holds of many features: blocks of them in float64, and the digits of the whole."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from uniform_core.metrics import FrechetConfig
from uniform_core.metrics.base import Inputs
from uniform_core.metrics.clouds import Cloud
from uniform_core.metrics.features import FeatureSet
from uniform_core.metrics.gaussian import frechet_from_features
from uniform_core.metrics.moments import BLOCK_ROWS, Moments, merge_all, of_all_but_each

N, D = 5 * BLOCK_ROWS, 256
FRECHET = FrechetConfig.example()


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    """Two sides of float32 rows, as a net gives them."""
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(N, D)).astype(np.float32) + side for side in range(2)]
    keys = [f"clip-{number:06d}" for number in rng.permutation(N)]
    return {need: FeatureSet.of(keys, list(side)) for need, side in zip(FRECHET.needs, rows, strict=True)}


def test_many_features_are_never_held_in_float64(inputs: Inputs) -> None:
    tracemalloc.start()
    try:
        score = FRECHET.model_copy(update={"groups": 5}).score(inputs)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert score.low is not None
    one_side = N * D * 8
    assert peak < one_side, f"{peak / 1e6:.0f} MB, where one side in float64 has {one_side / 1e6:.0f} MB"


def test_the_digits_are_those_of_whole_matrices(inputs: Inputs) -> None:
    generated_ND, reference_MD = (inputs[need].matrix_ND() for need in FRECHET.needs)
    plain = FRECHET.model_copy(update={"groups": 0})
    assert plain.score(inputs).value == frechet_from_features(generated_ND, reference_MD)
    moments, whole = Cloud.of_items(inputs[FRECHET.needs[0]]).moments(), Moments.of(generated_ND)
    assert (moments.n, moments.mean_D.tolist()) == (N, whole.mean_D.tolist())
    assert np.array_equal(moments.scatter_DD, whole.scatter_DD)


def test_rows_of_clips_are_pooled_in_the_order_of_their_keys_and_left_out_together() -> None:
    rng = np.random.default_rng(1)
    clips = {key: rng.normal(size=(rows, 3)).astype(np.float32) for key, rows in (("b", 2), ("a", 1), ("c", 3))}
    cloud = Cloud.pooled(FeatureSet.of(list(clips), list(clips.values())))
    assert np.array_equal(cloud.matrix_RD(), np.concatenate([clips[key] for key in "abc"]).astype(np.float64))
    rest = cloud.only(cloud.clip_R != 1)
    assert (len(rest), rest.clips, rest.clip_R.tolist()) == (4, 2, [0, 1, 1, 1])
    assert np.array_equal(rest.matrix_RD()[1:], clips["c"].astype(np.float64))


def test_a_statistic_of_all_parts_but_each_is_that_of_the_others() -> None:
    rng = np.random.default_rng(2)
    parts = [Moments.of(rng.normal(size=(size, 2))) for size in (3, 5, 4)]
    found_G = of_all_but_each(parts, lambda rest: rest.n + float(rest.scatter_DD.sum()), width=2)
    for left, found in enumerate(found_G):
        others = merge_all([part for place, part in enumerate(parts) if place != left], width=2)
        assert found == pytest.approx(others.n + others.scatter_DD.sum(), rel=1e-12)
