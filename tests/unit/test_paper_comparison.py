"""What compares with what: everything that keeps two numbers apart is told, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from uniform_core.paper_tables import (
    TABLES,
    Compared,
    Measured,
    PaperValue,
    Setting,
    compared,
    condition_of,
)

PAPER = Setting("vggsound:test", is_paper_data=True, clip_s=4.0, clips=15446, split_clips=15446)
TINY = Setting("procedural", is_paper_data=False, clip_s=1.5, clips=4, split_clips=6)


def value_of(table: str, method: str, metric: str, **more: Any) -> PaperValue:
    return next(
        value
        for value in TABLES[table].values
        if (value.method, value.metric) == (method, metric) and all(getattr(value, k) == v for k, v in more.items())
    )


def ours(of: PaperValue, name: str | None = None, **more: Any) -> Measured:
    """A number of ours in the column of a value, of the same protocol unless another name is given."""
    row = {"protocol_hash": "0" * 32, "value": 1.0, "low": 0.9, "high": 1.1, "n_generated": 9, "n_reference": 9}
    return Measured(condition_of(of), of.metric, name or str(of.protocol), **{**row, "reason": None, **more})


def test_the_papers_own_row_compares_under_its_protocol_on_its_whole_split_and_the_doubt_is_told() -> None:
    value = value_of("1", "UniForm", "fad")
    found = compared(value, [ours(value, "fad.tinymel.uniform_tiny"), ours(value)], PAPER)
    assert (found.is_comparable, found.beside) == (True, "fad.vggish16k.av_benchmark")
    assert found.doubt == "its protocol is inferred: the same four columns as the rows that av-benchmark made"


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ({"is_paper_data": False, "data": "procedural"}, "other data: vggsound there, procedural here"),
        ({"clip_s": 8.0}, "clips of 4 s there, 8 s here"),
        ({"clips": 192}, "unknown number of clips there, 192 of the split's 15446 here"),
    ],
)
def test_one_difference_is_enough_and_is_the_one_told(setting: dict[str, Any], reason: str) -> None:
    value = value_of("1", "UniForm", "fad")
    assert compared(value, [ours(value)], Setting(**{**vars(PAPER), **setting})) == Compared((reason,))


def test_a_row_of_eight_seconds_does_not_compare_with_one_of_four() -> None:
    value = value_of("1", "Frieren", "fd")
    assert compared(value, [ours(value)], PAPER).reasons == ("clips of 8 s there, 4 s here",)


def test_a_row_whose_length_nobody_knows_says_so() -> None:
    value = value_of("1", "SpecVQGAN", "fd")
    assert compared(value, [ours(value)], PAPER).reasons == ("clips of unknown length there, 4 s here",)


def test_a_stated_number_of_clips_must_be_the_same() -> None:
    value = value_of("3", "MM-Diffusion", "fvd", dataset="landscape")
    setting = Setting("landscape:test", is_paper_data=True, clip_s=1.6, clips=1000, split_clips=1000)
    assert compared(value, [ours(value)], setting).reasons == ("2048 clips there, 1000 here",)


def test_another_protocol_is_named_on_both_sides() -> None:
    value = value_of("1", "UniForm", "kl")
    [reason] = compared(value, [ours(value, "kl.tinymel.uniform_tiny")], PAPER).reasons
    assert reason == "other protocol: kl.cnn14_16k.av_benchmark there (inferred), kl.tinymel.uniform_tiny here"
    [reason] = compared(value, [], PAPER).reasons
    assert reason.endswith("no such metric here")


def test_chance_is_no_number_to_compare_with() -> None:
    value = value_of("1", "UniForm", "av_align")
    [reason] = compared(value, [ours(value, is_chance=True)], PAPER).reasons
    assert reason.startswith("other protocol: av_align.farneback.seeing_and_hearing there")


def test_marks_are_reasons_whatever_else_fits() -> None:
    for value, words in (
        (value_of("s3", "UniForm", "kl", text=True), "garbled text"),
        (value_of("3", "AV-DiT", "fad"), "AudioCLIP ×10⁴"),
    ):
        setting = Setting("x", is_paper_data=True, clip_s=value.clip_s or 4.0, clips=9, split_clips=9)
        assert words in compared(value, [ours(value)], setting).reasons[0]


def test_an_unknown_protocol_is_a_reason() -> None:
    value = value_of("2", "UniForm", "is_video")
    [reason] = compared(value, [ours(value, "is.c3d_ucf101.styleganv")], PAPER).reasons
    assert reason.startswith("its protocol is not known: the paper does not say which classifier")


def test_a_number_that_could_not_be_computed_and_one_that_was_not_made_say_why() -> None:
    value = value_of("1", "UniForm", "fad")
    [reason] = compared(value, [ours(value, value=None, reason="3 items where at least 20 are needed")], PAPER).reasons
    assert reason == "no number here: 3 items where at least 20 are needed"
    assert compared(value, [], "the run's data have no vggsound").reasons == (
        "no number here: the run's data have no vggsound",
    )


def test_on_tiny_data_nothing_compares_and_all_reasons_are_told() -> None:
    for table in TABLES.values():
        for value in table.values:
            found = compared(value, [ours(value, "x.tiny.uniform_tiny")], TINY)
            assert not found.is_comparable
            assert any(reason.startswith("other data: ") for reason in found.reasons)
