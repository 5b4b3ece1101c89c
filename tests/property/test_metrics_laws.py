"""Laws of the arithmetic under the metrics, on sets that hypothesis draws."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from uniform_core.metrics.alignment import RULES, TEMPOTOKENS_2025, alignment
from uniform_core.metrics.divergence import inception_scores, kl_divergences
from uniform_core.metrics.gaussian import frechet_from_features, frechet_from_moments
from uniform_core.metrics.intervals import wilson_interval
from uniform_core.metrics.moments import Moments, merge_all, of_all_but_each
from uniform_core.metrics.pair_wins import pair_wins
from uniform_core.metrics.polynomial import kernel_sums, polynomial_mmd

SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=40, deadline=None)


def rows(seed: int, n: int, d: int, *, rank: int | None = None) -> np.ndarray:
    """Correlated rows with a mean far from zero, as ReLU features have."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, rank or d)) @ rng.normal(size=(rank or d, d)) + rng.normal(size=d) * 10


def by_sqrtm(first: np.ndarray, second: np.ndarray, ddof: int) -> float:
    """The textbook form: a general matrix square root."""
    a, b = (np.atleast_2d(np.cov(x, rowvar=False, ddof=ddof)) for x in (first, second))
    root = scipy.linalg.sqrtm(a @ b)
    return float(((first.mean(0) - second.mean(0)) ** 2).sum() + np.trace(a + b - 2 * np.real(root)))


@FEW
@given(SEEDS, st.integers(1, 6), st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_moments_of_parts_merge_to_those_of_the_whole(seed, d, sizes):
    whole = rows(seed, sum(sizes) + 2, d)
    parts = np.split(whole, np.cumsum(sizes))
    merged = merge_all((Moments.of(part) for part in parts), width=d)
    streamed = Moments.empty(d)
    for part in parts:
        streamed = streamed.update(part)
    others = []
    of_all_but_each([Moments.of(part) for part in parts], lambda rest: others.append(rest) or 0.0, width=d)
    for left_out, rest in enumerate(reversed(others)):  # the last part is left out first
        expected = merge_all((Moments.of(part) for i, part in enumerate(parts) if i != left_out), width=d)
        assert rest.n == expected.n
        assert rest.mean_D == pytest.approx(expected.mean_D, rel=1e-9)
        assert rest.scatter_DD == pytest.approx(expected.scatter_DD, rel=1e-9, abs=1e-9)
    for moments in (merged, streamed):
        assert moments.n == len(whole)
        assert moments.mean_D == pytest.approx(whole.mean(axis=0), rel=1e-12)
        for ddof in (0, 1):
            expected = np.atleast_2d(np.cov(whole, rowvar=False, ddof=ddof))
            assert moments.covariance_DD(ddof=ddof) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_covariance_needs_more_items_than_it_corrects_for():
    with pytest.raises(ValueError, match="more than 1"):
        Moments.of(np.ones((1, 3))).covariance_DD(ddof=1)


@FEW
@given(SEEDS, st.integers(2, 8), st.integers(20, 60), st.integers(20, 60), st.sampled_from([0, 1]))
def test_frechet_equals_the_textbook_form(seed, d, n, m, ddof):
    first, second = rows(seed, n, d), rows(seed + 1, m, d)
    assert frechet_from_features(first, second, ddof=ddof) == pytest.approx(by_sqrtm(first, second, ddof), rel=1e-6)


@FEW
@given(SEEDS, st.integers(2, 9), st.integers(2, 30))
def test_nuclear_norm_form_equals_the_moments_form(seed, n, m):
    """n below d = 10: covariances are singular, both forms must agree."""
    first, second = rows(seed, n, 10), rows(seed + 1, m, 10)
    by_moments = frechet_from_moments(Moments.of(first), Moments.of(second))
    assert frechet_from_features(first, second) == pytest.approx(by_moments, rel=1e-5, abs=1e-4)


@FEW
@given(SEEDS, st.integers(1, 5), st.integers(6, 40))
def test_frechet_is_a_distance(seed, rank, n):
    """Symmetric, zero for a set with itself, not negative; also where features depend on each other."""
    first, second = rows(seed, n, 5, rank=rank), rows(seed + 1, n + 3, 5, rank=rank)
    scale = float(np.trace(np.cov(first, rowvar=False)) + np.trace(np.cov(second, rowvar=False)))
    assert frechet_from_features(first, first) == pytest.approx(0.0, abs=1e-6 * scale)
    there, back = frechet_from_features(first, second), frechet_from_features(second, first)
    assert there == pytest.approx(back, rel=1e-6, abs=1e-6 * scale)
    assert there >= 0.0


@FEW
@given(SEEDS, st.integers(3, 12), st.integers(3, 12), st.integers(1, 5))
def test_kernel_jackknife_equals_leaving_items_out(seed, n, m, d):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(n, d)), rng.normal(size=(m, d))
    sums = kernel_sums(first, second)
    assert sums.estimate() == pytest.approx(polynomial_mmd(first, second), rel=1e-12)
    without_first = [polynomial_mmd(np.delete(first, i, axis=0), second) for i in range(n)]
    without_second = [polynomial_mmd(first, np.delete(second, i, axis=0)) for i in range(m)]
    assert sums.without_first() == pytest.approx(np.array(without_first), rel=1e-9, abs=1e-9)
    assert sums.without_second() == pytest.approx(np.array(without_second), rel=1e-9, abs=1e-9)


@FEW
@given(SEEDS, st.lists(st.integers(3, 6), min_size=1, max_size=3), st.integers(1, 4))
def test_kernel_by_class_is_the_mean_of_pairs_of_classes_with_their_shares(seed, sizes, d):
    """Against the double sum over classes, and its jackknife against leaving items out while the shares stay."""
    rng = np.random.default_rng(seed)
    strata = np.repeat(np.arange(len(sizes)), sizes)
    first, second = rng.normal(size=(len(strata), d)), rng.normal(size=(8, d))
    others = np.arange(8) % 2
    shares = np.array(sizes) / sum(sizes)

    def kernel(a, b):
        return (a @ b.T / d + 1.0) ** 3

    def within(rows, stratum, share):
        total = 0.0
        for c, of_c in enumerate(share):
            for e, of_e in enumerate(share):
                block = kernel(rows[stratum == c], rows[stratum == e])
                pairs = block[~np.eye(len(block), dtype=bool)] if c == e else block
                total += of_c * of_e * pairs.mean()
        return total

    def estimate(rows, stratum):
        across = sum(share * kernel(rows[stratum == c], second).mean() for c, share in enumerate(shares))
        return within(rows, stratum, shares) + within(second, others, np.array([0.5, 0.5])) - 2 * across

    sums = kernel_sums(first, second, first_strata_N=strata, second_strata_M=others)
    assert sums.estimate() == pytest.approx(estimate(first, strata), rel=1e-9, abs=1e-9)
    kept = [np.delete(np.arange(len(first)), i) for i in range(len(first))]
    without = [estimate(first[rest], strata[rest]) for rest in kept]
    assert sums.without_first() == pytest.approx(np.array(without), rel=1e-8, abs=1e-8)


@FEW
@given(SEEDS, st.integers(2, 40), st.integers(2, 7))
def test_inception_score_and_kl_keep_their_bounds(seed, n, k):
    rng = np.random.default_rng(seed)
    generated, reference = rng.normal(size=(n, k)) * 30, rng.normal(size=(n, k)) * 30
    score = inception_scores(generated, splits=1, seed=None)[0]
    assert 1.0 - 1e-9 <= score <= k + 1e-9
    assert inception_scores(generated[::-1], splits=1, seed=None)[0] == pytest.approx(score)
    assert (kl_divergences(generated, reference) >= -1e-9).all()
    assert kl_divergences(generated, generated) == pytest.approx(np.zeros(n), abs=1e-9)
    # A constant added to all logits of an item changes no probability.
    assert kl_divergences(generated + 7.0, reference) == pytest.approx(kl_divergences(generated, reference), rel=1e-9)


TIMES = st.lists(st.floats(0, 4, allow_nan=False), max_size=12).map(sorted)


@FEW
@given(TIMES, TIMES, st.sampled_from([10.0, 16.0, 17.0, 25.0]))
def test_one_to_one_alignment_lies_between_zero_and_one(onsets, peaks, rate_hz):
    score = alignment(onsets, peaks, rate_hz=rate_hz, rule=TEMPOTOKENS_2025)
    if not onsets and not peaks:
        assert score is None
        return
    assert 0.0 <= score <= 1.0
    assert alignment(peaks, peaks, rate_hz=rate_hz, rule=TEMPOTOKENS_2025) in {1.0, None}
    for rule in RULES.values():
        assert alignment(onsets, peaks, rate_hz=rate_hz, rule=rule) is not None


@FEW
@given(SEEDS, st.integers(2, 30), st.integers(1, 4))
def test_pair_wins_are_shares_that_any_growing_function_keeps(seed, n, classes):
    rng = np.random.default_rng(seed)
    similarity, labels = rng.normal(size=(n, n)), [str(i % classes) for i in range(n)]
    wins = pair_wins(similarity, labels)
    if wins is None:
        assert n < 2 * classes
        return
    assert 0.0 <= wins.low <= wins.mean <= wins.high <= 1.0
    assert pair_wins(np.exp(similarity), labels).mean == wins.mean
    turned = pair_wins(similarity.T, labels)
    assert turned.mean == pytest.approx(wins.mean)
    order = rng.permutation(n)
    moved = pair_wins(similarity[np.ix_(order, order)], [labels[i] for i in order])
    assert moved.clips_N == pytest.approx(wins.clips_N[order], nan_ok=True)


def test_pair_win_interval_covers_chance():
    """Unrelated pictures and sounds: the truth is 0.5, and a 95 % interval misses it about one time in twenty."""
    rng = np.random.default_rng(0)
    labels = [str(i % 3) for i in range(48)]
    embeddings = (rng.normal(size=(2, 48, 8)) for _ in range(300))
    found = [pair_wins(video @ audio.T, labels) for video, audio in embeddings]
    misses = sum(not wins.low <= 0.5 <= wins.high for wins in found)
    assert 4 <= misses <= 30


@FEW
@given(st.floats(0, 1), st.floats(1, 1000))
def test_wilson_interval_holds_its_share_and_is_never_empty(share, n):
    low, high = wilson_interval(share, n_effective=n)
    assert 0.0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1.0
    assert high - low > 0.0
