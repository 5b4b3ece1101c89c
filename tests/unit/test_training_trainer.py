"""The trainer: exact resume, ranks and micro-batches that agree, losses by task, clear ends when numbers go wrong."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_toy import LAYOUT, MODEL, make_config, make_source, make_trainer

from uniform_core.diffusion import IddpmConfig
from uniform_core.errors import ConfigError, WorkFailedError
from uniform_core.model import JointLatent
from uniform_core.training.checkpoint import Checkpoint, CheckpointStore
from uniform_core.training.distributed import Place
from uniform_core.training.draws import draw_training
from uniform_core.training.fit import ValidationReport, fit
from uniform_core.training.schedule import task_of_step
from uniform_core.training.trainer import StepReport, Trainer
from uniform_core.types import Modality, Task


def state_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    saved = trainer.checkpoint(extra={})
    parts = {"model": saved.model, "ema": saved.ema, "optimizer": saved.optimizer}
    return {f"{part}/{name}": value.clone() for part, values in parts.items() for name, value in values.items()}


def assert_same_bits(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> None:
    assert left.keys() == right.keys()
    assert [name for name in left if not torch.equal(left[name], right[name])] == []


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("killed_after", [2, 3, 5])
def test_resume_is_exact_to_the_bit(tmp_path: Path, killed_after: int, precision: str) -> None:
    config = make_config(precision=precision)
    straight = make_trainer(config)
    fit(straight, make_source(config))

    store = CheckpointStore(tmp_path, keep=2)
    killed = make_trainer(config)
    steps: list[int] = []

    class Killed(Exception):  # noqa: N818
        pass

    def kill(report: StepReport) -> None:
        steps.append(report.step)
        if report.step + 1 == killed_after:
            raise Killed

    with pytest.raises(Killed):
        fit(killed, make_source(config), checkpoints=store, on_step=kill)
    resumed = make_trainer(config)
    summary = fit(resumed, make_source(config), checkpoints=store)
    assert summary.first_step == (killed_after - 1) // 2 * 2
    assert summary.steps == config.steps
    assert_same_bits(state_of(straight), state_of(resumed))
    again = make_trainer(config)
    assert fit(again, make_source(config), checkpoints=store).first_step == config.steps
    assert_same_bits(state_of(straight), state_of(again))


def test_training_changes_every_weight_and_lowers_the_loss() -> None:
    config = make_config(steps=150, warmup_steps=5, text_drop=0.1, lr=5e-3)
    trainer = make_trainer(config)
    before = {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}
    validations: list[ValidationReport] = []
    fit(trainer, make_source(config, clips=4), on_validation=validations.append)
    unchanged = [name for name, weight in trainer.model.named_parameters() if torch.equal(before[name], weight)]
    assert unchanged == []
    first, last = validations[0].numbers(), validations[-1].numbers()
    assert set(first) == {
        "train.t2av.video", "train.t2av.audio", "train.a2v.video", "train.v2a.audio"
    }  # fmt: skip
    assert all(last[name] < first[name] for name in first)
    assert last["train.t2av.video"] < 0.87 * first["train.t2av.video"]


def test_micro_batches_agree_with_one_pass() -> None:
    whole, parts = make_trainer(make_config()), make_trainer(make_config(micro_batch=3))
    for _ in range(3):
        report = whole.train_step(make_source(whole.config).batch_at(whole.step))
        other = parts.train_step(make_source(parts.config).batch_at(parts.step))
        assert other.loss == pytest.approx(report.loss, rel=1e-5)
        assert other.grad_norm == pytest.approx(report.grad_norm, rel=1e-4)
        assert other.terms == pytest.approx(report.terms, rel=1e-5)
    for left, right in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("world", [2, 3])
def test_shares_of_ranks_add_up_to_the_gradient_of_one(world: int) -> None:
    config = make_config()
    alone = make_trainer(config)
    alone._accumulate(make_source(config).batch_at(0))
    expected = [w.grad for w in alone.model.parameters()]
    sums = [torch.zeros_like(w) for w in alone.model.parameters()]
    for rank in range(world):
        ranked = make_trainer(config)
        ranked._accumulate(make_source(config).batch_at(0, Place(rank, world)))
        for total, weight in zip(sums, ranked.model.parameters(), strict=True):
            total += 0 if weight.grad is None else weight.grad
    for total, gradient in zip(sums, expected, strict=True):
        torch.testing.assert_close(total, torch.zeros_like(total) if gradient is None else gradient)


@pytest.mark.parametrize("objective", [None, IddpmConfig()])
def test_a_report_speaks_of_what_was_made(objective: IddpmConfig | None) -> None:
    config = make_config(steps=20)
    trainer, source = make_trainer(config, objective=objective), make_source(config)
    seen = set()
    for _ in range(12):
        report = trainer.train_step(source.batch_at(trainer.step))
        assert set(report.losses) == set(report.task.made)
        assert report.loss == pytest.approx(sum(report.losses.values()), rel=1e-5)
        assert report.loss == pytest.approx(sum(report.terms.values()), rel=1e-5)
        assert report.clips == 4
        seen.add(report.task)
    assert seen == set(Task)


def test_validation_is_fixed_and_leaves_the_state_alone() -> None:
    config = make_config()
    trainer, source = make_trainer(config), make_source(config)
    before = state_of(trainer)
    losses = [trainer.validation_loss(source.fixed_batches(Task.T2AV, clips=5)) for _ in range(2)]
    assert losses[0] == losses[1]
    assert_same_bits(before, state_of(trainer))
    shares = [
        trainer.validation_loss(source.fixed_batches(Task.T2AV, clips=5, place=Place(rank, 2))) for rank in range(2)
    ]
    mean = (3 * shares[0][Modality.VIDEO] + 2 * shares[1][Modality.VIDEO]) / 5
    assert losses[0][Modality.VIDEO] == pytest.approx(mean, rel=1e-5)
    assert set(trainer.validation_loss(source.fixed_batches(Task.V2A, clips=5))) == {Modality.AUDIO}
    with torch.no_grad():
        for weight in trainer.model.parameters():
            weight.fill_(torch.nan)
    broken = trainer.validation_loss(source.fixed_batches(Task.V2A, clips=5), averaged=False)
    assert [str(value) for value in broken.values()] == ["nan"], "a number that is none is said, not left out"


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5])
def test_text_is_dropped_for_the_share_of_clips_that_was_asked_for(share: float) -> None:
    like = JointLatent(torch.zeros(1, 1, 1, 1, 1), torch.zeros(1, 1, 1, 1))
    draws = draw_training(range(4000), step=0, seed=0, batch=4000, like=like, text_drop=share)
    assert 1 - float(draws.keep_text_B.float().mean()) == pytest.approx(
        share, abs=4 * (share * (1 - share) / 4000) ** 0.5
    )
    halves = draws.keep_text_B.view(2, -1).float().mean(1)
    assert float(halves[0]) == pytest.approx(float(halves[1]), abs=0.06), "one clip after another, not a run of them"


def test_text_is_dropped_clip_by_clip_and_as_often_in_validation() -> None:
    def losses(**change: float) -> tuple[float, list[float]]:
        config = make_config(**change)
        trainer = make_trainer(config)
        with torch.no_grad():  # so that text matters before the first step
            trainer.model.final_layer.linear.weight.fill_(0.1)
        source = make_source(config)
        fixed = [
            trainer.validation_loss(source.fixed_batches(task, clips=5), averaged=False)[task.made[0]]
            for task in (Task.T2AV, Task.A2V)
        ]
        return trainer.train_step(source.batch_at(0)).loss, fixed

    kept, dropped = losses(text_drop=0.0), losses(text_drop=1.0)
    only_given = losses(text_drop=0.0, text_drop_given=1.0)
    assert kept[0] != dropped[0]
    assert kept[1][0] != dropped[1][0]
    assert only_given[1] == [kept[1][0], dropped[1][1]], "each task as it is trained"


def test_tasks_that_are_given_something_may_drop_text_more_often() -> None:
    config = make_config(text_drop=0.0, text_drop_given=1.0)
    assert [config.text_drop_of(task) for task in Task] == [0.0, 1.0, 1.0]
    assert [make_config(text_drop=0.3).text_drop_of(task) for task in Task] == [0.3, 0.3, 0.3]
    trainers = make_trainer(config), make_trainer(make_config(text_drop=0.0))
    given = next(step for step in range(50) if task_of_step(config, step) is not Task.T2AV)
    for step in range(given + 1):
        losses = [trainer.train_step(make_source(trainer.config).batch_at(step)).loss for trainer in trainers]
        assert (losses[0] == losses[1]) == (step < given or step == 0)  # at step 0 the output is zero yet


def test_a_loss_that_is_not_finite_stops_before_the_weights_change() -> None:
    config = make_config()
    trainer, source = make_trainer(config), make_source(config)
    batch = source.batch_at(0)
    batch.raw.video_BCTHW[1, 0] = math.nan
    batch.raw.audio_BCTF[1, 0] = math.nan
    before = state_of(trainer)
    with pytest.raises(WorkFailedError, match="a finite loss"):
        trainer.train_step(batch)
    assert_same_bits(before, state_of(trainer))


def test_a_batch_of_another_step_and_a_foreign_checkpoint_are_refused(tmp_path: Path) -> None:
    config = make_config()
    trainer, source = make_trainer(config), make_source(config)
    with pytest.raises(ConfigError, match="that of step 0"):
        trainer.train_step(source.batch_at(1))
    store = CheckpointStore(tmp_path, keep=1)
    fit(trainer, source, checkpoints=store)
    with pytest.raises(ConfigError, match="fingerprint of this run"):
        fit(make_trainer(config, fingerprint="other"), source, checkpoints=store)


def _replaced(part: str, name: str, value: torch.Tensor | None) -> Callable[[Checkpoint], Checkpoint]:
    """What puts another tensor, or none, in the place of one."""

    def change(saved: Checkpoint) -> Checkpoint:
        tensors = {**getattr(saved, part), name: value}
        return replace(saved, **{part: {key: tensor for key, tensor in tensors.items() if tensor is not None}})

    return change


LAST = "final_layer.linear.weight"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (_replaced("model", LAST, torch.zeros(3)), rf"1 that differ: model/{LAST}: \[3\] float32, not \[\d+, 16\]"),
        (_replaced("model", LAST, None), rf"1 that differ: model/{LAST}: none, not"),
        (_replaced("model", "extra", torch.zeros(2)), r"1 that differ: model/extra: \[2\] float32, not none"),
        (_replaced("ema", LAST, torch.zeros(3)), rf"ema/{LAST}"),
        (_replaced("ema", "updates", torch.tensor(2.0)), r"ema/updates: \[\] float32, not \[\] int64"),
        (_replaced("optimizer", f"{LAST}.exp_avg", torch.zeros(3)), rf"optimizer/{LAST}.exp_avg"),
        (_replaced("optimizer", f"{LAST}.step", torch.tensor(2)), r"\[\] int64, not \[\] float32"),
        (lambda saved: replace(saved, optimizer={}), r"optimizer/\S+: none, not .*; \d+ more"),
        (lambda saved: replace(saved, step=0), r"checkpoint of step 0: .*float32, not none; \d+ more"),
        (
            lambda saved: replace(saved, ema={name: value.double() for name, value in saved.ema.items()}),
            r"ema/\S+: \[.*\] float64, not \[.*\] float32; .*; \d+ more",
        ),
    ],
)  # fmt: skip
def test_a_checkpoint_that_does_not_fit_is_refused_whole_and_changes_nothing(
    change: Callable[[Checkpoint], Checkpoint], found: str
) -> None:
    config = make_config()
    giver, trainer = make_trainer(config), make_trainer(config)
    for _ in range(2):
        giver.train_step(make_source(config).batch_at(giver.step))
    trainer.train_step(make_source(config).batch_at(0))
    before = state_of(trainer)
    with pytest.raises(ConfigError, match=found):
        trainer.restore(change(giver.checkpoint(extra={})))
    assert_same_bits(before, state_of(trainer))
    assert trainer.step == 1
    trainer.restore(giver.checkpoint(extra={}))
    assert_same_bits(state_of(giver), state_of(trainer))
    assert trainer.step == 2


def test_a_trainer_goes_back_to_a_checkpoint_of_no_steps() -> None:
    config = make_config()
    trainer = make_trainer(config)
    saved = trainer.checkpoint(extra={})
    start = replace(
        saved, **{part: {n: v.clone() for n, v in getattr(saved, part).items()} for part in ("model", "ema")}
    )
    before = state_of(trainer)
    fit(trainer, make_source(config))
    ended = state_of(trainer)
    trainer.restore(start)
    assert_same_bits(before, state_of(trainer))
    fit(trainer, make_source(config))
    assert_same_bits(ended, state_of(trainer))


def test_the_averaged_weights_fill_a_model() -> None:
    config = make_config()
    trainer = make_trainer(config)
    fit(trainer, make_source(config))
    weights = trainer.averaged_weights()
    assert weights.keys() == trainer.model.state_dict().keys()
    assert not torch.equal(weights["final_layer.linear.weight"], trainer.model.final_layer.linear.weight)
    assert LAYOUT.patch_THW == MODEL.patch_THW
