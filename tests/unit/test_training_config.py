"""Training's configuration: what it refuses, what enters the fingerprint, and the schedule made from it."""

import pytest
from pydantic import ValidationError

from uniform_core.model.config import BlockForm
from uniform_core.training.config import BOOKKEEPING, SPEED, TaskWeights, TrainConfig
from uniform_core.training.schedule import learning_rate, task_of_step
from uniform_core.types import Task


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 0},
        {"batch": 2.5},
        {"lr": 0.0},
        {"ema_decay": 1.0},
        {"text_drop": 1.5},
        {"lr_final": 0.1},
        {"lr_decay": "cosine", "warmup_steps": 10},
        {"task_weights": {"t2av": 0.0, "a2v": 0.0, "v2a": 0.0}},
        {"scaling": {"video": {"over": "identity", "power": 0.5}}},
        {"learning_rate": 1.0},
        {"activation_checkpointing": "every_k"},
        {"activation_checkpointing": "all", "activation_checkpointing_k": 2},
        {"activation_checkpointing": "some"},
    ],
)
def test_nonsense_is_refused(change: dict) -> None:
    with pytest.raises(ValidationError):
        TrainConfig.model_validate({"steps": 10, "warmup_steps": 2} | change)


def test_defaults_are_the_papers() -> None:
    config = TrainConfig(steps=10)
    assert (config.batch, config.lr, config.text_drop) == (32, 1e-4, 0.5)
    assert config.task_weights.probabilities() == dict.fromkeys([Task.T2AV, Task.A2V, Task.V2A], 1 / 3)


def test_bookkeeping_leaves_the_fingerprint_alone_and_all_else_changes_it() -> None:
    config = TrainConfig(steps=10)
    params = config.fingerprint_params()
    unused = {"guide_at", "init", "only"}
    assert set(params) == set(TrainConfig.model_fields) - BOOKKEEPING - SPEED - unused, "left out where unused"
    assert config.model_copy(update={"log_every": 3}).fingerprint_params() == params
    assert config.model_copy(update={"lr": 3e-4}).fingerprint_params() != params
    fast = {
        "activation_checkpointing": "every_k",
        "activation_checkpointing_k": 2,
        "compile": True,
        "micro_batch": 3,
        "device": "cpu",
    }
    assert set(fast) == SPEED
    assert TrainConfig.model_validate({"steps": 10} | fast).fingerprint_params() == params, "the same weights, faster"


@pytest.mark.parametrize(
    ("asked", "every"),
    [
        ({}, 0),
        ({"activation_checkpointing": "all"}, 1),
        ({"activation_checkpointing": "every_k", "activation_checkpointing_k": 3}, 3),
    ],
)
def test_blocks_are_run_as_asked(asked: dict, every: int) -> None:
    assert TrainConfig.model_validate({"steps": 10} | asked).block_form == BlockForm(recompute_every=every)
    assert TrainConfig.model_validate({"steps": 10, "compile": True} | asked).block_form.is_compiled


def test_warm_up_is_open_soras_and_decay_ends_where_it_says() -> None:
    config = TrainConfig(steps=100, warmup_steps=9, lr=1.0, lr_decay="cosine", lr_final=0.1)
    assert [learning_rate(config, k) for k in range(9)] == pytest.approx([(k + 1) / 10 for k in range(9)])
    assert learning_rate(config, 9) == 1.0
    rates = [learning_rate(config, k) for k in range(9, 101)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0.1)


def test_tasks_are_drawn_by_their_weights_and_by_the_step_alone() -> None:
    config = TrainConfig(steps=10, task_weights=TaskWeights(t2av=2.0, a2v=1.0, v2a=0.0))
    drawn = [task_of_step(config, step) for step in range(900)]
    assert drawn == [task_of_step(config, step) for step in range(900)]
    assert drawn.count(Task.V2A) == 0
    assert drawn.count(Task.T2AV) == pytest.approx(600, abs=60)
    assert drawn != [task_of_step(config.model_copy(update={"seed": 1}), step) for step in range(900)]
