"""Our reductions beside torch-fidelity's, on features that neither has seen before."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, KEY_METRIC_ISC_STD, isc_features_to_metric
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

from uniform_core.metrics.divergence import inception_scores
from uniform_core.metrics.gaussian import frechet_from_features
from uniform_core.metrics.polynomial import subset_mmds


def clouds(seed: int, *, n: int, m: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(d, d)) / np.sqrt(d)
    first = np.maximum(rng.normal(size=(n, d)) @ mix, 0)
    return first, np.maximum(rng.normal(size=(m, d)) @ mix + 0.2, 0)


@pytest.mark.parametrize(("n", "m"), [(300, 260), (40, 50)], ids=["more items than features", "fewer"])
def test_frechet(n: int, m: int) -> None:
    first, second = clouds(1, n=n, m=m, d=64)
    statistics = [fid_features_to_statistics(torch.from_numpy(rows)) for rows in (first, second)]
    told = fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID]
    # A root of an eigenvalue that is zero but for rounding is 1e-8: hence fewer digits where there are many.
    assert frechet_from_features(first, second) == pytest.approx(told, rel=1e-8 if n > 64 else 1e-5)


def test_kid_with_subsets() -> None:
    first, second = clouds(2, n=180, m=150, d=32)
    told = kid_features_to_metric(
        torch.from_numpy(first),
        torch.from_numpy(second),
        kid_subsets=20,
        kid_subset_size=60,
        kid_kernel="poly",
        rng_seed=5,
        verbose=False,
    )
    ours = subset_mmds(first, second, subsets=20, size=60, seed=5)
    assert ours.mean() == pytest.approx(told[KEY_METRIC_KID_MEAN], rel=1e-9)
    assert ours.std() == pytest.approx(told[KEY_METRIC_KID_STD], rel=1e-9)


@pytest.mark.parametrize("splits", [1, 7])
def test_inception_score(splits: int) -> None:
    logits = np.random.default_rng(3).normal(size=(103, 40)) * 2
    told = isc_features_to_metric(torch.from_numpy(logits), splits=splits, shuffle=True, rng_seed=11)
    ours = inception_scores(logits, splits=splits, seed=11)
    assert ours.mean() == pytest.approx(told[KEY_METRIC_ISC_MEAN], rel=1e-9)
    assert ours.std() == pytest.approx(told[KEY_METRIC_ISC_STD], rel=1e-9, abs=1e-12)
