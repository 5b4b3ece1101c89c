"""The parts of the report that compute: axes, losses, scores, remembered stages, the command to repeat."""

from __future__ import annotations

import json
import shlex

import pytest

from flows.report.axes import linear_axis, log_axis, number
from flows.report.data import Headline
from flows.report.glance import headlines
from flows.report.losses import loss_charts, read_history, smoothed, thinned
from flows.report.repeat import command_of
from flows.report.samples import MAX_CLIPS, choose
from flows.report.sampling import sampling_facts
from flows.report.scores import score_plots, score_table
from flows.report.stages import remembered
from uniform_core.build import build_run
from uniform_core.errors import IntegrityError
from uniform_core.metrics.gate import GateConfig
from uniform_core.metrics.proof import prove


def step(n: int, task: str, **losses: float) -> dict:
    return {"step": n, "task": task, "loss": sum(losses.values()), "losses": losses}


def score(name: str, system: str, task: str, value: float | None, *, low=None, high=None, reason=None) -> dict:
    return {
        "name": name,
        "system": system,
        "task": task,
        "value": value,
        "low": low,
        "high": high,
        "p": None,
        "reason": reason,
        "n_generated": 96,
        "n_reference": 0,
    }


FRECHET = "fvd.tinyvideo.uniform_tiny"
SYNC = "synchrony.tinysync.uniform_tiny"


@pytest.mark.parametrize("values", [[0.0, 1.0], [3.2, 3.9, 2.7], [5.0], [], [-2.0, 40_000.0]])
def test_a_linear_axis_holds_its_values_and_begins_and_ends_at_ticks(values):
    axis, ticks = linear_axis(values, start=10, end=110)
    assert (axis.low, axis.high) == (ticks[0], ticks[-1])
    assert all(axis.low <= value <= axis.high for value in values)
    assert axis.place(axis.low) == 10
    assert axis.place(axis.high) == 110
    assert 2 <= len(ticks) <= 8


def test_a_logarithmic_axis_has_few_ticks_and_keeps_what_is_not_positive_at_its_end():
    for values in ([1.0, 2.0], [0.01, 1e5], [30.0]):
        axis, ticks = log_axis(values, start=0, end=100)
        assert 1 <= len(ticks) <= 6
        assert all(axis.low <= tick <= axis.high for tick in ticks)
    axis, _ = log_axis([1.0, 100.0], start=0, end=100)
    assert axis.place(10.0) == pytest.approx(50.0, abs=0.1)
    assert axis.place(-1.0) == 0.0


def test_numbers_have_about_three_digits():
    assert [number(v) for v in (0, 12345.6, 15.83, -1.5, 0.5, 0.0024, 2.423e-4)] == [
        *("0", "12,346", "15.8", "−1.50", "0.500", "0.0024", "2.4×10⁻⁴")
    ]


def test_of_two_records_of_one_step_the_later_counts_and_half_a_line_is_left_out(tmp_path):
    lines = [step(0, "v2a", audio=1.0), step(1, "v2a", audio=2.0), step(1, "v2a", audio=3.0)]
    lines.append({"step": 1, "validation": {"held_out.v2a.audio": 4.0, "train.v2a.audio": 9.0}})
    path = tmp_path / "history.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 2, "lo')
    history = read_history(path)
    assert [(r["step"], r.get("losses")) for r in history] == [(0, {"audio": 1.0}), (1, {"audio": 3.0}), (1, None)]
    (chart,) = loss_charts(history)
    assert (chart.modality, chart.curves[0].task) == ("audio", "v2a")
    assert chart.curves[0].last == 3.0
    curve = chart.curves[0]
    assert (curve.last_held_out, curve.last_fixed_train) == (4.0, 9.0)
    assert (len(curve.held_out), len(curve.fixed_train)) == (1, 1)
    assert curve.held_out[0][1] > curve.fixed_train[0][1], "a lower loss lies lower, where y is greater"


def test_no_history_is_no_chart(tmp_path):
    assert loss_charts(read_history(tmp_path / "none.jsonl")) == ()


def test_curves_are_of_the_modalities_that_a_task_makes():
    history = [step(n, "t2av", video=1.0, audio=2.0) for n in range(5)] + [step(9, "a2v", video=1.5)]
    video, audio = loss_charts(history)
    assert [c.task for c in video.curves] == ["t2av", "a2v"]
    assert [c.task for c in audio.curves] == ["t2av"]


def test_smoothing_keeps_a_line_straight_and_thinning_keeps_the_last_point():
    line = [(n, 2.0 * n) for n in range(1000)]
    assert [y for _, y in smoothed(line)] == pytest.approx([y for _, y in line])
    assert len(thinned(line)) <= 301
    assert thinned(line)[-1] == line[-1]
    assert thinned([]) == []


def test_the_table_has_the_model_first_and_a_null_keeps_its_reason():
    rows = [
        score(FRECHET, "real", "all", 1.0),
        score(FRECHET, "uniform", "a2v", None, reason="4 items where at least 5 are needed"),
        score(FRECHET, "uniform", "t2av", 3.0, low=2.0, high=4.0),
    ]
    columns, (row,) = score_table(rows)
    assert [(c.system, c.task) for c in columns] == [("uniform", "t2av"), ("uniform", "a2v"), ("real", "all")]
    assert [cell.value for cell in row.cells] == [3.0, None, 1.0]
    assert row.cells[1].reason.startswith("4 items")


def glance(rows: list[dict], gate: GateConfig | None = None) -> tuple[Headline, ...]:
    return headlines(prove(rows, gate or GateConfig()).checks, rows)


def test_the_headline_is_the_task_where_the_claim_is_weakest_and_has_the_gates_verdict():
    rows = [
        score(FRECHET, "uniform", "t2av", 2.0),
        score(FRECHET, "untrained", "t2av", 40.0),
        score(FRECHET, "uniform", "a2v", 4.0),
        score(FRECHET, "untrained", "a2v", 36.0),
        score(FRECHET, "codec_round_trip", "all", 1.0),
    ]
    (line,) = glance(rows)
    assert (line.title, line.number) == ("Video Fréchet distance", "4.00×")
    assert "A2V" in line.words
    assert "9.00 times below the untrained model's" in line.words
    assert "Wanted: ≤ 3." in line.words
    assert line.is_good is False
    assert glance(rows, GateConfig(video_over_codec=4.0))[0].is_good is True
    del rows[-1]
    (line,) = glance(rows)
    assert (line.number, line.is_good) == ("–", None)
    assert "there is no value of codec_round_trip beside it" in line.words


@pytest.mark.parametrize(("low", "is_good"), [(0.59, False), (0.60, False), (0.61, True)])
def test_synchrony_is_judged_by_the_lower_end_of_its_interval_as_the_gate_does(low, is_good):
    (line,) = glance([score(SYNC, "uniform", "v2a", 0.65, low=low, high=0.7)])
    assert line.is_good is is_good
    assert number(low) in line.words
    assert "Wanted of its lower end: > 0.6 (goal 0.75)" in line.words


def test_what_was_not_computed_is_no_verdict_and_no_mark():
    rows = [
        score(SYNC, "uniform", "v2a", None, reason="no partner"),
        score(FRECHET, "uniform", "t2av", None, reason="4 items"),
    ]
    of_picture, of_both = glance(rows)
    assert (of_picture.is_good, of_both.is_good) == (None, None)
    assert "4 items" in of_picture.words
    assert "no partner" in of_both.words
    assert score_plots(rows) == ()
    (line,) = glance([score(SYNC, "uniform", "v2a", 0.7)])
    assert (line.number, line.is_good) == ("0.700", None)
    assert glance([]) == ()


def test_a_plot_has_each_task_beside_its_baselines():
    rows = [score(FRECHET, "uniform", "t2av", 2.0), score(FRECHET, "untrained", "t2av", 40.0)]
    rows += [score(FRECHET, "real", "all", 0.0)]  # nothing to show on a logarithmic axis
    (plot,) = score_plots(rows)
    assert [mark.kind for mark in plot.rows[0].marks] == ["untrained", "uniform"]
    assert "20.0× below untrained" in plot.rows[0].words


def test_a_baseline_that_is_all_but_real_does_not_press_the_others_together():
    rows = [score(FRECHET, "uniform", "a2v", 2.0), score(FRECHET, "untrained", "a2v", 40.0)]
    (plot,) = score_plots([*rows, score(FRECHET, "retrieval", "a2v", 1e-16)])
    places = {mark.kind: mark.at for mark in plot.rows[0].marks}
    assert places["retrieval"] < places["uniform"] < places["untrained"] - 100


def summary(stage: str, *, done: int, wall_s: float = 1.0) -> dict:
    return {"stage": stage, "done": done, "failed": 0, "wall_s": wall_s}


def test_a_run_with_nothing_to_do_does_not_wipe_out_the_times_of_the_one_before(tmp_path):
    path = tmp_path / "reports" / "stages.json"
    first = remembered(path, [summary("ingest", done=3, wall_s=9.0), summary("train", done=5)])
    again = remembered(path, [summary("ingest", done=0), summary("train", done=2, wall_s=4.0), summary("text", done=0)])
    assert [row["wall_s"] for row in first] == [9.0, 1.0]
    assert [(row["stage"], row["wall_s"]) for row in again] == [("ingest", 9.0), ("train", 4.0), ("text", 1.0)]
    assert remembered(path, []) == again


def test_damaged_summaries_are_said(tmp_path):
    (tmp_path / "stages.json").write_text("[{")
    with pytest.raises(IntegrityError, match="Delete the file"):
        remembered(tmp_path / "stages.json", [])


@pytest.mark.parametrize(
    ("data", "overrides"),
    [
        (None, ["train.steps=12", 'data.labels=["siren"]', "sample.guidance.text_scale=3.5"]),
        ("folder:/my films", ["train.lr=0.001"]),
    ],
)
def test_the_command_gives_the_same_config_again(data, overrides):
    config = build_run("nano", overrides=overrides, data=data)
    words = shlex.split(command_of(config))
    sets = [words[n + 1] for n, word in enumerate(words) if word == "--set"]
    given = words[words.index("--data") + 1] if "--data" in words else None
    assert words[:2] == ["uniform", "run"]
    assert build_run(words[words.index("--preset") + 1], overrides=sets, data=given) == config


def test_the_classes_take_turns_and_the_number_is_bounded():
    clips = [{"clip_id": f"{label}{n}", "label": label} for label in ("a", "b") for n in range(9)]
    made = {clip["clip_id"]: {"t2av": {}} for clip in clips} | {"a5": {"t2av": {}, "v2a": {}}}
    chosen = [clip["clip_id"] for clip in choose(clips, made)]
    assert len(chosen) == MAX_CLIPS
    assert chosen[:4] == ["a5", "b0", "a0", "b1"]


def test_each_task_is_said_to_be_sampled_as_it_was() -> None:
    changes = (
        "text_scale=2",
        "modality_scale=1.5",
        "guide_scale.video=1",
        "guide_scale.audio=1",
        "guide_scale_given=null",
    )
    facts = sampling_facts(build_run("tiny", overrides=[f"sample.guidance.{change}" for change in changes]))
    assert [(fact.name, fact.value, fact.remark) for fact in facts] == [
        ("Sampling T2AV", "30 steps", "ddim, eta 0.8; caption given, guidance 2"),
        ("Sampling A2V, V2A", "10 steps", "ddim, eta 1.0; no caption, guidance by the given 1.5"),
    ]


def test_guidance_by_an_early_average_is_said_where_it_acts() -> None:
    changes = ("guide_scale.video=1", "guide_scale.audio=1.5", "guide_scale_given=null", "interval=[0,0.5]")
    facts = sampling_facts(build_run("tiny", overrides=[f"sample.guidance.{change}" for change in changes]))
    act = "guidance by its early average audio 1.5 from 0 to 0.5 of the way to noise"
    assert {fact.name: act in fact.remark for fact in facts} == {
        "Sampling T2AV": True,
        "Sampling A2V": False,
        "Sampling V2A": True,
    }
