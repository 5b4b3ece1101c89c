"""The metrics that the gate reads, against values by hand or by another formula."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
import scipy.stats
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from uniform_core.metrics import (
    AttributeConfig,
    CoverageConfig,
    DiversityConfig,
    LossGapConfig,
    MemorisationConfig,
    OnsetHitsConfig,
)
from uniform_core.metrics.base import CLIPS, LABELS_OF, MetricConfig, Need, Score, Side
from uniform_core.metrics.coverage import coverage
from uniform_core.metrics.features import FeatureSet
from uniform_core.metrics.memorisation import rank_z
from uniform_core.metrics.onset_hits import onset_f1, own_gains
from uniform_core.metrics.permutation import DRAWS, within_class_p


def named(values: Sequence[object]) -> FeatureSet:
    return FeatureSet.of([f"{n:03d}" for n in range(len(values))], [np.array(value) for value in values])


def scored(metric: MetricConfig, **sets: Sequence[object]) -> Score:
    """The score of sets that are named by their side and layer."""
    given = {f"{need.side.value}_{need.layer}": need for need in metric.needs}
    assert set(sets) == set(given)
    return metric.score({given[name]: named(values) for name, values in sets.items()})


def test_coverage_is_the_share_of_neighbourhoods_that_hold_a_generated_clip() -> None:
    real = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    assert coverage(np.array([[0.9], [1.2]]), real, k=2) == 0.5  # of the three on the left
    assert coverage(real, real, k=2) == 1.0
    assert coverage(np.array([[100.0]]), real, k=2) == 0.0


def test_coverage_equals_its_definition_clip_by_clip() -> None:
    rng = np.random.default_rng(0)
    generated, real = rng.normal(0.5, 1.0, (30, 4)), rng.normal(size=(40, 4))
    hits = []
    for place, clip in enumerate(real):
        others = np.sort(np.linalg.norm(np.delete(real, place, axis=0) - clip, axis=1))
        hits.append(np.linalg.norm(generated - clip, axis=1).min() <= others[5 - 1])
    assert coverage(generated, real, k=5) == pytest.approx(np.mean(hits))


def test_coverage_needs_neighbours() -> None:
    score = scored(CoverageConfig.example(), generated_features=np.eye(3), reference_features=np.eye(3))
    assert score.value is None
    assert "neighbours" in (score.reason or "")


@pytest.mark.parametrize(("of", "expected"), [("least", 0.5), ("most", 3.0)])
def test_diversity_is_that_of_the_least_or_most_varied_class(of: str, expected: float) -> None:
    metric = DiversityConfig.example().model_copy(update={"of": of})
    score = scored(
        metric,
        generated_features=[[0.0], [1.0], [0.0], [6.0]],
        reference_features=[[0.0], [2.0], [5.0], [7.0]],
        generated_label=["a", "a", "b", "b"],
        reference_label=["a", "a", "b", "b"],
    )
    assert score.value == pytest.approx(expected)


def test_diversity_of_a_class_that_is_one_picture_is_none() -> None:
    same = {"generated_features": [[1.0], [1.0]], "reference_features": [[0.0], [2.0]]}
    labels = {"generated_label": ["a", "a"], "reference_label": ["a", "a"]}
    assert scored(DiversityConfig.example(), **same, **labels).value == 0.0
    still = {"generated_features": [[0.0], [2.0]], "reference_features": [[1.0], [1.0]]}
    assert scored(DiversityConfig.example(), **still, **labels).reason


@pytest.mark.parametrize("seed", range(3))
def test_rank_z_is_the_normal_score_of_mann_and_whitney(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 9, 20).astype(float), rng.integers(1, 10, 30).astype(float)
    test = scipy.stats.mannwhitneyu(first, second, use_continuity=False, method="asymptotic")
    assert 2 * scipy.stats.norm.sf(abs(rank_z(first, second))) == pytest.approx(test.pvalue)
    assert rank_z(first, first) == 0.0
    assert rank_z(first - 100, second) < 0 < rank_z(first + 100, second)
    assert rank_z(np.ones(3), np.ones(4)) == 0.0


def test_a_copied_class_shows_beside_others_that_are_not() -> None:
    rng = np.random.default_rng(0)
    distances, copies = rng.uniform(5, 6, 80), np.zeros(20)
    labels = ["a"] * 60 + ["b"] * 20
    sets = {"held_out_video": rng.uniform(5, 6, 80), "generated_label": labels, "held_out_label": labels}
    z = MemorisationConfig.example()
    share = z.model_copy(update={"word": "copied_share"})
    honest, copied = distances, np.concatenate([distances[:60], copies])
    assert (scored(z, generated_video=honest, **sets).value or 0) > -3
    assert (scored(z, generated_video=copied, **sets).value or 0) < -5
    assert (scored(share, generated_video=honest, **sets).value or 0) <= 0.03
    assert scored(share, generated_video=copied, **sets).value == pytest.approx(0.25, abs=0.03)


def test_the_share_of_near_copies_of_other_clips_is_the_percentile() -> None:
    """Of fresh draws of the same distances, 1 in 100 lies below the 1st percentile of 199."""
    rng = np.random.default_rng(0)
    share = MemorisationConfig.example().model_copy(update={"word": "copied_share"})
    labels = ["a"] * 199
    shares = [
        scored(
            share,
            generated_video=rng.normal(size=199),
            held_out_video=rng.normal(size=199),
            generated_label=labels,
            held_out_label=labels,
        ).value
        for _ in range(500)
    ]
    assert np.mean([float(value or 0.0) for value in shares]) == pytest.approx(0.01, abs=0.0015)


def test_copies_that_no_class_has_enough_of_show_in_all_classes_together() -> None:
    """Three clips against three at most come to z = −√(27 / 7) = −1.96; 24 against 24 to −√(1728 / 49) = −5.94."""
    labels = sorted("abcdefgh" * 3)
    held_out = {"held_out_video": np.arange(24) + 100.0, "held_out_label": labels}
    score = scored(MemorisationConfig.example(), generated_video=np.arange(24.0), generated_label=labels, **held_out)
    assert score.value == pytest.approx(-np.sqrt(1728 / 49))


def test_a_gap_is_that_of_the_modality_where_it_is_larger() -> None:
    metric = LossGapConfig.example()
    trained, held_out = metric.needs
    sets = {
        trained: FeatureSet.of(["audio", "video"], [np.array(0.5), np.array(0.4)]),
        held_out: FeatureSet.of(["audio", "video"], [np.array(0.6), np.array(0.4)]),
    }
    assert metric.score(sets).value == pytest.approx(1.2)
    assert "kept no losses" in (metric.score({**sets, held_out: FeatureSet.of([], [])}).reason or "")


@pytest.mark.parametrize(
    ("onsets", "events", "f1"),
    [
        ([0.5], [0.5], 1.0),
        ([0.5], [0.5625], 1.0),  # one frame away
        ([0.5], [0.563], 0.0),
        ([0.5, 0.52], [0.51], 2 / 3),  # an event is hit once
        ([0.5], [0.48, 0.52], 2 / 3),  # an onset hits once
        ([0.1, 0.2, 0.9], [0.15, 0.95], 0.8),
        ([], [0.5], 0.0),
        ([0.5], [], 0.0),
        ([], [], 0.0),
    ],
)
def test_onsets_hit_events_within_a_frame(onsets: list[float], events: list[float], f1: float) -> None:
    assert onset_f1(onsets, events, within_s=1 / 16) == pytest.approx(f1)


@pytest.mark.parametrize("seed", range(20))
def test_hits_are_the_largest_matching_of_onsets_and_events(seed: int) -> None:
    rng = np.random.default_rng(seed)
    onsets, events = rng.uniform(0, 1, 9), rng.uniform(0, 1, 7)
    near = np.abs(onsets[:, None] - events[None]) <= 1 / 16
    hits = int((maximum_bipartite_matching(csr_array(near)) >= 0).sum())
    assert hits
    assert onset_f1(onsets, events, within_s=1 / 16) == pytest.approx(2 * hits / (9 + 7))


def test_a_gain_is_over_the_others_of_the_class_alone() -> None:
    f1_NN = np.array([[1.0, 0.5, 0.1, 9.0], [0.2, 0.4, 0.0, 9.0], [0.3, 0.3, 0.3, 9.0], [9.0, 9.0, 9.0, 1.0]])
    assert own_gains(f1_NN, ["a", "a", "a", "b"]) == pytest.approx([1.0 - 0.3, 0.4 - 0.1, 0.0, np.nan], nan_ok=True)
    assert np.isnan(own_gains(np.eye(2), ["a", "b"])).all()


def test_onsets_everywhere_gain_nothing() -> None:
    rng = np.random.default_rng(0)
    events = [np.sort(rng.uniform(0, 2, 4)) for _ in range(20)]
    labels = ["a"] * 10 + ["b"] * 10
    metric = OnsetHitsConfig.example()
    own = scored(metric, generated_onsets_22050=events, generated_event_times_s=events, generated_label=labels)
    every = [np.arange(0, 2, 0.05)] * 20
    blind = scored(metric, generated_onsets_22050=every, generated_event_times_s=events, generated_label=labels)
    assert (own.value or 0) > 0.5
    assert own.p == pytest.approx(1 / (DRAWS + 1))
    assert blind.value == pytest.approx(0.0, abs=1e-9)
    assert blind.p == pytest.approx(1.0)
    none = scored(metric, generated_onsets_22050=every, generated_event_times_s=[[]] * 20, generated_label=labels)
    assert none.reason == "no clip has known events"


def test_p_is_even_where_partners_are_like_own_ones_and_least_where_own_ones_are_best() -> None:
    labels = ["a"] * 6 + ["b"] * 6
    ps = [within_class_p(np.random.default_rng(seed).normal(size=(12, 12)), labels) or 0.0 for seed in range(60)]
    assert scipy.stats.kstest(ps, "uniform").pvalue > 0.01
    assert within_class_p(np.ones((12, 12)), labels) == 1.0
    assert within_class_p(np.eye(2), ["a", "b"]) is None


def test_p_of_a_few_clips_is_the_share_of_orders_that_are_as_good() -> None:
    """Of the 3! · 2! orders of two classes one is the clips' own."""
    assert within_class_p(np.eye(5), ["a", "b", "a", "b", "a"]) == pytest.approx(1 / 12, abs=0.01)
    assert within_class_p(-np.eye(5), ["a", "b", "a", "b", "a"]) == 1.0
    assert within_class_p(np.eye(16), ["a"] * 8 + ["b"] * 8) == 1 / (DRAWS + 1)


def test_partners_of_other_classes_do_not_count() -> None:
    labels = ["a"] * 8 + ["b"] * 8
    gain = np.where(np.array(labels)[:, None] == np.array(labels)[None], 1.0, -1e9)
    assert within_class_p(gain, labels) == 1.0


ATTRIBUTES = [json.dumps({"colour": "red"}), json.dumps({"colour": "blue"})]


def attribute_sets(shown: Sequence[float]) -> dict[str, Sequence[object]]:
    """Real reds of class a measure about 0 and blues 1; of class b 5 and 9. Clips ask for red and blue in turn."""
    return {
        "generated_features": [[value] for value in shown],
        "reference_features": [[0.1], [-0.1], [1.1], [0.9], [5.0], [9.0]],
        "generated_attributes": ATTRIBUTES * (len(shown) // 2),
        "reference_attributes": [*[ATTRIBUTES[0]] * 2, *[ATTRIBUTES[1]] * 2, *ATTRIBUTES],
        "generated_label": ["a"] * (len(shown) // 2) + ["b"] * (len(shown) // 2),
        "reference_label": ["a"] * 4 + ["b"] * 2,
    }


def test_an_attribute_is_that_of_the_real_clips_of_its_class_that_measure_most_alike() -> None:
    metric = AttributeConfig.example()
    right = scored(metric, **attribute_sets([0.2, 0.8, 0.0, 1.0, 4.0, 8.0, 6.0, 9.9]))
    assert right.value == 1.0
    wrong = scored(metric, **attribute_sets([0.8, 0.2, 1.0, 0.0, 8.0, 4.0, 9.9, 6.0]))
    assert wrong.value == 0.0
    assert (right.p or 1) < 0.1 < (wrong.p or 0)


def test_an_attribute_that_nobody_names_is_a_reason() -> None:
    sets = attribute_sets([0.2, 0.8, 0.0, 1.0])
    metric = AttributeConfig.example().model_copy(update={"attribute": "size"})
    assert "no clip has a known size" in (scored(metric, **sets).reason or "")


def test_an_attribute_of_which_a_class_shows_one_value_cannot_be_wrong_and_is_left_out() -> None:
    sets = attribute_sets([0.2, 0.8, 0.0, 1.0, 4.0, 8.0, 6.0, 9.9])
    one = [*sets["reference_attributes"][:4], *[ATTRIBUTES[0]] * 2]  # of class b there are only reds
    score = scored(AttributeConfig.example(), **{**sets, "reference_attributes": one})
    assert (score.value, score.n_generated) == (1.0, 4)
    assert score.warnings == ("4 clips without a known colour were left out",)


def test_only_combinations_that_training_never_had_are_unseen() -> None:
    metric = AttributeConfig.example().model_copy(update={"unseen_only": True})
    trained = {"trained_attributes": ATTRIBUTES * 2, "trained_label": ["a", "a", "b", "b"]}
    sets = {**attribute_sets([0.2, 0.8, 0.0, 1.0]), **trained}
    assert "in a combination that training never had" in (scored(metric, **sets).reason or "")
    unseen = json.dumps({"colour": "blue", "size": "large"})
    asked = {"generated_attributes": [ATTRIBUTES[0], unseen, *ATTRIBUTES]}
    score = scored(metric, **{**sets, **asked})
    assert (score.value, score.n_generated, score.p) == (1.0, 1, None)
    assert score.warnings == ("3 clips that training had were left out",)
    # What a sample of real clips happens to lack, training may well have had.
    had = {"trained_attributes": [*ATTRIBUTES * 2, unseen], "trained_label": ["a", "a", "b", "b", "a"]}
    assert scored(metric, **{**sets, **asked, **had}).value is None
    of_another_class = {**had, "trained_label": ["a", "a", "b", "b", "b"]}
    assert scored(metric, **{**sets, **asked, **of_another_class}).n_generated == 1


def test_labels_and_facts_are_known_and_not_looked_at() -> None:
    metric = AttributeConfig.example()
    assert Need(Side.GENERATED, CLIPS, "attributes") in metric.needs
    assert all(need.extractor != CLIPS for need in metric.features)
    assert LABELS_OF[Side.GENERATED] in metric.needs


def test_few_clips_cannot_show_that_they_are_copies() -> None:
    labels = ["a"] * 4
    sets = {"held_out_video": [5.0, 6.0, 7.0, 8.0], "generated_label": labels, "held_out_label": labels}
    score = scored(MemorisationConfig.example(), generated_video=[0.0] * 4, **sets)
    assert score.value is None
    assert "too near to chance" in (score.reason or "")
