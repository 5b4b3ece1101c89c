"""Clips of other systems beside a table: which folder has a column's, and what compares with ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from uniform_core.errors import ConfigError
from uniform_core.paper_tables import (
    TABLES,
    Condition,
    External,
    ExternalNumber,
    ExternalNumbers,
    Measured,
    columns_of,
    compared_with_ours,
)
from uniform_core.types import Task

V2A, A2V = (Task.V2A, "vggsound"), (Task.A2V, "landscape")
TEST, TRAIN = "vggsound:test", "vggsound:train"


def number(name: str = "fad.vggish16k.av_benchmark", **more: Any) -> Measured:
    row = {"protocol_hash": "0" * 32, "value": 1.0, "low": 0.9, "high": 1.1, "n_generated": 9, "n_reference": 9}
    return Measured(Condition(*V2A, with_text=True), "fad", name, **{**row, "reason": None, **more})


@pytest.mark.parametrize("word", ["", "MMAudio", "=there", "MMAudio="])
def test_a_word_has_a_name_and_a_folder(word: str) -> None:
    with pytest.raises(ConfigError, match="--external: expected NAME=DIR"):
        External.of_word(word)


def test_a_folder_may_have_a_sign_of_equality(tmp_path: Path) -> None:
    assert External.of_word(f"Theirs={tmp_path}/a=b") == External("Theirs", tmp_path / "a=b")


def test_one_column_alone_has_the_folder_itself_and_one_below_goes_before_it(tmp_path: Path) -> None:
    theirs = External("Theirs", tmp_path)
    assert theirs.clips_of(V2A, beside=[V2A]) == tmp_path
    for below in ("v2a", "vggsound", "vggsound/v2a"):
        (tmp_path / below).mkdir()
        assert theirs.clips_of(V2A, beside=[V2A]) == tmp_path / below


def test_clips_that_are_sorted_by_task_are_not_taken_for_another_one(tmp_path: Path) -> None:
    (tmp_path / "v2a").mkdir()
    found = External("Theirs", tmp_path).clips_of(A2V, beside=[A2V])
    assert found == f"no folder landscape/a2v or a2v/landscape or landscape or a2v in {tmp_path}"


def test_columns_are_told_apart_by_folders_of_what_differs(tmp_path: Path) -> None:
    theirs = External("Theirs", tmp_path)
    (tmp_path / "v2a").mkdir()
    assert theirs.clips_of(V2A, beside=[V2A, (Task.A2V, "vggsound")]) == tmp_path / "v2a"
    missing = f"no folder landscape/a2v or a2v/landscape in {tmp_path}"
    assert theirs.clips_of(A2V, beside=[V2A, A2V]) == missing, "no folder of a task says of which dataset it is"
    (tmp_path / "landscape" / "a2v").mkdir(parents=True)
    assert theirs.clips_of(A2V, beside=[V2A, A2V]) == tmp_path / "landscape" / "a2v"
    (tmp_path / "aist++").mkdir()
    dances = (Task.T2AV, "aist++")
    assert theirs.clips_of(dances, beside=[dances, (Task.T2AV, "landscape")]) == tmp_path / "aist++"


def test_a_sweep_of_our_own_sampler_has_no_column_for_others() -> None:
    assert columns_of(TABLES["s6"]) == ()
    assert columns_of(TABLES["3"]) == ((Task.T2AV, "landscape"), (Task.T2AV, "aist++"))


def test_what_keeps_an_external_number_from_ours_is_told() -> None:
    one = ExternalNumber(number(), compares_sets=True)
    same = compared_with_ours(one, [number()], real=TEST, our_real=TEST)
    assert (same.is_comparable, same.beside) == (True, "fad.vggish16k.av_benchmark")
    [why] = compared_with_ours(one, [number("fad.tinymel.uniform_tiny")], real=TEST, our_real=TEST).reasons
    assert why == "not with ours: other protocol, fad.tinymel.uniform_tiny there"
    [why] = compared_with_ours(one, [number(protocol_hash="1" * 32)], real=TEST, our_real=TEST).reasons
    assert "other protocol" in why
    [why] = compared_with_ours(one, [number()], real=TEST, our_real=TRAIN).reasons
    assert why == "not with ours: to the real clips of vggsound:test, ours to those of vggsound:train"
    [why] = compared_with_ours(one, [number(n_generated=4)], real=TEST, our_real=TEST).reasons
    assert why == "not with ours: 9 clips, 4 of ours"
    none = ExternalNumber(number(value=None, reason="one clip only"), compares_sets=True)
    assert compared_with_ours(none, [number()], real=TEST, our_real=TEST).reasons == ("no number here: one clip only",)


def test_pairs_and_what_looks_at_no_real_clip_compare_whatever_the_reference() -> None:
    one = ExternalNumber(number(), compares_sets=False)
    assert compared_with_ours(one, [number()], real=TEST, our_real=TRAIN).is_comparable


def test_why_a_metric_has_no_number() -> None:
    theirs = ExternalNumbers("Theirs", V2A, TEST, missing=(("fad", "no weights"), ("kl", "no pairs")))
    assert theirs.why_not("fad") == "no weights"
    assert theirs.why_not("fd") == "no protocol of the column has it"
    assert ExternalNumbers("Theirs", V2A, TEST, missing=(("", "no folder"),)).why_not("fd") == "no folder"
