"""Systems that are put together from what is there: each does what its name says, and nothing more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from uniform_core.corpus.controls import PROTOTYPES, Clip, Stock, can_be, compose
from uniform_core.metrics.gate import CONTROLS
from uniform_core.types import Modality, Task

EVERY = [(name, task) for name in ("retrieval", *CONTROLS) for task in Task if can_be(name, task)]
LABELS = {"a": 4, "b": 3, "c": 1}  # conditions of each class
CAPTIONS = {"a": "an a", "b": "a b", "c": "a c"}


def rows(kind: str, counts: dict[str, int]) -> list[dict[str, str]]:
    return [
        {
            "clip_id": f"{kind}-{label}{n}",
            "clip_sha256": f"{kind}-{label}{n}",
            "label": label,
            "caption": CAPTIONS[label],
        }
        for label, count in counts.items()
        for n in range(count)
    ]


def stock(*, trained: dict[str, int] | None = None) -> Stock:
    """Conditions `given-…`, training clips `known-…`, the model's answers `made-…`; likeness is by place."""
    conditions = rows("given", LABELS)
    known = rows("known", {"a": 5, "b": 5} if trained is None else trained)
    return Stock(
        conditions=conditions,
        trained=known,
        made={row["clip_id"]: Clip.of_file(row["clip_id"].replace("given", "made")) for row in conditions},
        class_means={"a": Clip.of_file("mean-a"), "b": Clip.of_file("mean-b")},
        likeness=lambda _: np.eye(len(conditions), len(known))[:, ::-1],
    )


def label_of(content: str) -> str:
    return content.split("-")[1][0]


@pytest.mark.parametrize(("name", "task"), EVERY)
def test_a_given_stream_stays_with_its_condition(name: str, task: Task) -> None:
    for clip_id, clip in compose(name, task, stock()).items():
        for modality in Modality:
            if modality is task.given:
                assert clip.of(modality) in (clip_id, clip_id.replace("given", "made"))


@pytest.mark.parametrize("task", list(Task))
@pytest.mark.parametrize("name", ["copier", "prototypes"])
def test_lookup_tables_show_training_clips_of_the_class(name: str, task: Task) -> None:
    made = compose(name, task, stock())
    shown = {clip_id: {clip.of(modality) for modality in task.made} for clip_id, clip in made.items()}
    assert {label_of(clip_id) for clip_id in shown} == {"a", "b"}, "of class c nothing is known"
    for clip_id, contents in shown.items():
        assert all(content.startswith(f"known-{label_of(clip_id)}") for content in contents)
    of_a = [contents for clip_id, contents in shown.items() if label_of(clip_id) == "a"]
    assert len(set.union(*of_a)) == (PROTOTYPES if name == "prototypes" else len(of_a))


def test_retrieval_takes_the_most_alike_or_the_caption() -> None:
    by_sight = compose("retrieval", Task.V2A, stock())
    assert by_sight["given-a0"] == Clip("given-a0", "known-b4")  # likeness is turned round
    by_text = compose("retrieval", Task.T2AV, stock())
    assert {label_of(clip.video) for clip_id, clip in by_text.items() if label_of(clip_id) == "b"} == {"b"}
    assert all(clip.video == clip.audio for clip in by_text.values())


def test_retrieval_by_text_takes_turns_among_clips_of_the_caption() -> None:
    """Else of the class; never of another one."""
    plain = stock()
    said = {"known-a1": "a red a", "known-a3": "a red a", "given-a0": "a red a", "given-a1": "a blue a"}
    given, known = (
        [{**row, "caption": said.get(row["clip_id"], row["caption"])} for row in rows]
        for rows in (plain.conditions, plain.trained)
    )
    made = compose("retrieval", Task.T2AV, replace(plain, conditions=given, trained=known))
    assert made["given-a0"].video in ("known-a1", "known-a3")
    assert label_of(made["given-a1"].video) == "a", "nobody says blue"
    assert {made[f"given-a{n}"].video for n in (2, 3)} <= {"known-a0", "known-a2", "known-a4"}
    assert "given-c0" not in made, "of class c nothing is known"


@pytest.mark.parametrize(("name", "task"), [p for p in EVERY if p[0] in ("shuffled", "text_blind", "given_blind")])
def test_a_condition_that_the_model_did_not_answer_is_left_out(name: str, task: Task) -> None:
    plain = stock()
    answered = {clip_id: clip for clip_id, clip in plain.made.items() if clip_id != "given-a1"}
    made = compose(name, task, replace(plain, made=answered))
    assert "given-a1" not in made
    assert "made-a1" not in {clip.of(modality) for clip in made.values() for modality in Modality}
    assert len(made) == (6 if name == "shuffled" else 7)


def test_the_mean_of_a_class_is_all_that_its_conditions_get() -> None:
    made = compose("class_mean", Task.A2V, stock())
    assert made["given-a0"] == Clip("mean-a", "given-a0")
    assert {clip.video for clip in made.values()} == {"mean-a", "mean-b"}


@pytest.mark.parametrize("task", list(Task))
def test_shuffled_answers_are_of_the_class_and_never_ones_own(task: Task) -> None:
    made = compose("shuffled", task, stock())
    assert {label_of(clip_id) for clip_id in made} == {"a", "b"}, "class c has no other"
    for clip_id, clip in made.items():
        assert clip.video != clip.audio
        assert label_of(clip.video) == label_of(clip.audio) == label_of(clip_id)


@pytest.mark.parametrize(("name", "task"), [pair for pair in EVERY if pair[0].endswith("blind")])
def test_a_blind_model_answers_some_other_condition(name: str, task: Task) -> None:
    made = compose(name, task, stock())
    assert len(made) == sum(LABELS.values())
    for clip_id, clip in made.items():
        own = clip_id.replace("given", "made")
        assert all(clip.of(modality) != own for modality in task.made)
    answers = [clip.of(task.made[0]) for clip in made.values()]
    assert len(set(answers)) == len(answers), "each answer is given once"


@pytest.mark.parametrize(("name", "task"), EVERY)
def test_without_training_clips_there_is_nothing_to_look_up(name: str, task: Task) -> None:
    made = compose(name, task, stock(trained={}))
    assert bool(made) == (name in ("class_mean", "shuffled", "text_blind", "given_blind"))


@pytest.mark.parametrize(("name", "task"), EVERY)
def test_the_same_stock_gives_the_same_clips(name: str, task: Task) -> None:
    assert compose(name, task, stock()) == compose(name, task, stock())
