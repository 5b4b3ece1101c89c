"""Two runs beside each other: what may be compared, by which interval, and which clips changed."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from catalog_rows import START, open_catalog, sha
from scored_clips import FVD, KL, SYNC, A, B, evaluation_rows

from uniform_core.catalog import Catalog
from uniform_core.corpus.comparison import Comparison, compare
from uniform_core.corpus.evaluations import Contender, evaluations, find_evaluation, split_system, unknown_run
from uniform_core.errors import ConfigError
from uniform_core.fingerprint import digest
from uniform_core.metrics.direction import HIGHER, LOWER, better, gain
from uniform_core.metrics.gate import words_needed
from uniform_core.metrics.intervals import mean_interval
from uniform_core.metrics.paired import holm, paired_difference, sign_flip_p, unpaired_interval


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return open_catalog(tmp_path)


def add(catalog: Catalog, evaluation: str, name: str, values: Any, *, clips: bool = True, **columns: Any) -> None:
    score, rows = evaluation_rows(evaluation, name=name, values=values, **columns)
    catalog.insert("scores", [score])
    catalog.insert("clip_scores", rows if clips else [])


def compared(catalog: Catalog, a: str = A, b: str = B, system: str = "uniform") -> Comparison:
    known = evaluations(catalog)
    base, other = (find_evaluation(name, known) for name in (a, b))
    assert base is not None
    assert other is not None
    return compare(catalog, Contender("base", base, "uniform"), Contender("other", other, system))


def test_the_difference_of_pairs_has_the_interval_of_a_mean_and_an_exact_p_of_few() -> None:
    base_N, other_N = np.array([0.1, 0.5, 0.4, 0.3]), np.array([0.3, 0.6, 0.9, 0.3])
    found = paired_difference(base_N, other_N)
    assert (found.mean, found.n) == (pytest.approx(0.2), 4)
    assert (found.low, found.high) == mean_interval(other_N - base_N)
    signs = [abs(np.dot(one, other_N - base_N)) for one in product((-1, 1), repeat=4)]
    assert found.p == np.mean(np.array(signs) >= abs((other_N - base_N).sum()) - 1e-9) == 0.25


def test_p_of_many_pairs_is_uniform_without_a_difference_and_small_with_one() -> None:
    rng = np.random.default_rng(0)
    null = [sign_flip_p(rng.normal(size=40)) for _ in range(60)]
    assert 0.3 < float(np.mean(null)) < 0.7
    assert sign_flip_p(rng.normal(loc=2.0, size=40)) == 1e-4
    assert sign_flip_p(np.zeros(40)) == 1.0
    assert sign_flip_p(np.array([0.5])) == 1.0, "one pair says nothing"


def test_p_values_are_corrected_for_their_number_in_steps() -> None:
    assert holm([]) == []
    assert holm([0.3]) == [0.3]
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06]), "never below that of a smaller p"
    assert holm([0.6, 0.7]) == [1.0, 1.0]


def test_the_chance_of_any_false_find_among_many_is_kept() -> None:
    p_KM = np.random.default_rng(0).random((2000, 16))
    finds = np.mean([min(holm(list(p_M))) <= 0.05 for p_M in p_KM])
    assert finds == pytest.approx(0.05, abs=0.015)


def test_scores_of_one_comparison_are_corrected_together_and_those_without_p_do_not_count(catalog: Catalog) -> None:
    for name, rise in ((SYNC, [0.3, 0.4, 0.5, 0.2]), (KL, [0.0, 0.1, -0.1, 0.2])):
        add(catalog, A, name, [0.0, 0.0, 0.0, 0.0])
        add(catalog, B, name, rise)
    for evaluation, value in ((A, 9.0), (B, 4.0)):
        add(catalog, evaluation, FVD, [value], half=1.0, clips=False)
    by_name = {score.name: score for score in compared(catalog).scores}
    assert (by_name[SYNC].p, by_name[SYNC].p_holm) == (0.125, 0.25)
    assert by_name[KL].p_holm == by_name[KL].p == 0.75
    assert by_name[FVD].p_holm is None


def test_the_interval_of_two_intervals_holds_their_uneven_sides() -> None:
    assert unpaired_interval((1.0, 0.0, 1.0), (3.0, 3.0, 5.0)) == pytest.approx((2.0, 2.0 + np.hypot(2.0, 1.0)))
    low, high = unpaired_interval((0.5, 0.4, 0.6), (0.5, 0.4, 0.6))
    assert (low, high) == pytest.approx((-(0.02**0.5), 0.02**0.5))


def test_which_way_is_better_is_known_of_every_metric_of_the_gate() -> None:
    undirected = {"diversity_least", "diversity_most"}  # wanted in between
    assert {word for word in words_needed() if not better(word)} <= undirected
    assert not LOWER & HIGHER
    assert gain(FVD, -2.0) == gain(SYNC, 2.0) == 2.0
    assert gain("onset_count.librosa.x", 5.0) == 0.0


def test_a_mean_over_clips_is_compared_over_the_clips_that_both_made(catalog: Catalog) -> None:
    add(catalog, A, SYNC, [0.1, 0.5, 0.4, 0.3])
    add(catalog, B, SYNC, {0: 0.4, 1: 0.9, 2: 0.8, 9: 0.0}, clips_digest=sha("other clips"))
    found = compared(catalog)
    [score] = found.scores
    assert (score.pairs, score.difference) == (3, pytest.approx((0.3 + 0.4 + 0.4) / 3))
    assert score.verdict == "better"
    assert score.p == 0.25
    [measure] = found.measures
    assert (measure.better, measure.worse, measure.same) == (3, 0, 0)
    assert found.incomparable == ()


def test_a_distance_between_sets_is_compared_by_its_intervals_on_the_same_real_clips_only(catalog: Catalog) -> None:
    for evaluation, value in ((A, 9.0), (B, 4.0)):
        add(catalog, evaluation, FVD, [value], half=1.0, clips=False)
    [score] = compared(catalog).scores
    assert (score.difference, score.pairs, score.p, score.verdict) == (-5.0, None, None, "better")
    assert (score.low, score.high) == pytest.approx((-5 - 2**0.5, -5 + 2**0.5))
    add(catalog, "c" * 32, FVD, [4.0], half=1.0, clips=False, clips_digest=sha("other clips"))
    [odd] = compared(catalog, b="c" * 32).incomparable
    assert "different real clips" in odd.reason
    add(catalog, "d" * 32, FVD, [4.0], half=1.0, clips=False, clips_digest=None)
    [old] = compared(catalog, b="d" * 32).scores
    assert "not known whether" in old.remark


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"protocol_hash": digest("another")}, "protocols differ"),
        ({"value": None, "low": None, "high": None, "reason": "NaN features"}, "not computed for other: NaN features"),
        ({"extractors": '{"tinysync": "2"}'}, "measured by different nets: tinysync"),
        ({"name": KL}, "only other has it"),
    ],
)
def test_what_cannot_be_compared_says_why(columns: dict[str, Any], reason: str, catalog: Catalog) -> None:
    add(catalog, A, SYNC, [0.1, 0.2, 0.3], extractors='{"tinysync": "1"}')
    name = columns.pop("name", SYNC)
    add(catalog, B, name, [0.1, 0.2, 0.3], **({"extractors": '{"tinysync": "1"}'} | columns))
    found = compared(catalog)
    assert found.scores == ()
    assert reason in {one.name: one.reason for one in found.incomparable}[name]
    assert found.clips == ()


def test_of_several_protocols_of_one_evaluation_the_one_that_both_have_is_compared(catalog: Catalog) -> None:
    add(catalog, A, SYNC, [0.1, 0.2])
    score, clips = evaluation_rows(
        A, name=SYNC, values=[0.8, 0.8], protocol_hash=digest("newer"), created_at=START.replace(year=2027)
    )
    fresh = {"work_key": digest("newer score")}
    catalog.insert("scores", [score | fresh])
    catalog.insert(
        "clip_scores",
        [row | {"work_key": digest([row["work_key"], "newer"]), "score_key": fresh["work_key"]} for row in clips],
    )
    add(catalog, B, SYNC, [0.2, 0.3])
    found = compared(catalog)
    assert [one.difference for one in found.scores] == [pytest.approx(0.1)]
    assert found.incomparable == ()


def test_an_interval_that_holds_nothing_is_open(catalog: Catalog) -> None:
    add(catalog, A, KL, [1.0, 2.0, 3.0])
    add(catalog, B, KL, [2.0, 1.0, 3.0])
    [score] = compared(catalog).scores
    assert (score.difference, score.verdict) == (0.0, "")


def test_clips_are_ordered_by_what_they_gained_over_all_their_measures(catalog: Catalog) -> None:
    add(catalog, A, SYNC, [0.5, 0.5, 0.5])
    add(catalog, A, KL, [1.0, 1.0, 1.0])
    add(catalog, A, "onset_count.librosa.uniform_tiny", [1.0, 1.0, 1.0])
    add(catalog, B, SYNC, [0.9, 0.5, 0.1])
    add(catalog, B, KL, [0.5, 1.0, 1.5])
    add(catalog, B, "onset_count.librosa.uniform_tiny", [99.0, 1.0, 50.0])
    clips = compared(catalog).clips
    assert [round(clip.gain, 6) for clip in clips] == [1.0, 0.0, -1.0], "a count is neither better nor worse"
    assert {measure.name for measure in clips[0].measures} >= {SYNC, KL}


def test_a_baseline_is_compared_with_the_model_of_its_evaluation(catalog: Catalog) -> None:
    add(catalog, A, SYNC, [0.1, 0.5, 0.4])
    add(catalog, A, SYNC, [0.5, 0.5, 0.5], system="retrieval")
    known = evaluations(catalog)
    assert split_system(f"{A}/retrieval", known) == (A, "retrieval")
    assert split_system("folder/retrieved", known) == ("folder/retrieved", None)
    [score] = compared(catalog, b=A, system="retrieval").scores
    assert score.difference == pytest.approx(0.5 - 1 / 3)
    assert known[0].main_system == "uniform"
    add(catalog, B, SYNC, [0.5], system="theirs", model_id=None)
    assert {one.main_system for one in evaluations(catalog)} == {"uniform", "theirs"}, "there is no other"


def test_a_run_is_found_by_any_of_its_ids_or_their_beginnings(catalog: Catalog) -> None:
    add(catalog, A, SYNC, [0.5], model_id="1234" * 8, run_id="11aa-flow", created_at=START.replace(year=2020))
    add(catalog, B, SYNC, [0.5], model_id="1234" * 8, run_id="22bb-flow")
    add(catalog, "ab" * 16, SYNC, [0.5], model_id="5678" * 8)
    known = evaluations(catalog)

    def found(word: str) -> str | None:
        one = find_evaluation(word, known)
        return None if one is None else one.evaluation

    assert found("aaaa") == A
    assert found("1234") == B, "the newest evaluation of the model"
    assert found("11aa") == A
    assert found("tiny-procedural-12341234") == B
    assert found(f"tiny-procedural-12341234-evaluation-{A[:8]}") == A
    assert found("zzzz") is None
    assert found("a") is None, "too short to mean one"
    add(catalog, "aaaa" + "b" * 28, SYNC, [0.5])
    more = evaluations(catalog)
    with pytest.raises(ConfigError, match="expected one evaluation; found 2"):
        find_evaluation("aaaa", more)
    assert "Did you mean" in str(unknown_run("22bb-flaw", known))
    assert B[:12] in str(unknown_run("nothing like it", known))
    assert "no evaluation at all" in str(unknown_run("x", []))
