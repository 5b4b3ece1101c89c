"""What `uniform plan` says of time and disk where no run has left them: the paper's size, and how far tiny's reach."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import said
from training_toy import LAYOUT, make_config, make_source, make_trainer

from uniform_core.build import build_run
from uniform_core.corpus.model_plan import plan_model
from uniform_core.corpus.rates import CLIP_FLOPS, CLIP_SAMPLES, CLIP_VALUES, DEFAULT_RATES, STEP_FLOPS, default_rates
from uniform_core.model import ModelConfig, cost
from uniform_core.training.checkpoint import CheckpointStore
from uniform_core.training.export import ModelCard, export_model


def test_the_plan_of_the_paper_prints_the_papers_numbers(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(["plan", "--preset", "paper"], capsys)
    assert code == 0
    for words in (
        "parameters 1,207,644,320",
        "tokens a clip 6,080",
        "a forward pass 13.47 TFLOP",
        "a clip in training 40.41 TFLOP",
        "a clip made 802.8 TFLOP",
        "its latents 185.0 KiB as bfloat16",
        "memory of a rank about 66.4 GiB for 2 clips at once",
        "its checkpoints 3 of 18.0 GiB are kept, and one more while it is written; the model takes 4.5 GiB",
        "1876 h 9 min of one H100",
    ):
        assert words in text
    assert "train 2084000 0 0 2084000 steps 58.5 GiB ? 3 checkpoints and the model" in text
    assert "Nobody knows the time of ingest, encode, text, train, sample, evaluate until a paper run" in text
    assert "Times of fetch, captions are of two cores of a 2026 laptop" in text
    assert "What the model costs stands below." in text


def test_tinys_times_are_those_of_what_was_measured() -> None:
    tiny = build_run("tiny")
    plan = plan_model(tiny)
    assert plan.machine_train_flops * tiny.train.batch == pytest.approx(STEP_FLOPS, rel=0.01)
    assert plan.generation_flops == pytest.approx(CLIP_FLOPS, rel=0.01)
    assert (tiny.spec.pixel_shape_CTHW, tiny.spec.samples) == (CLIP_VALUES, CLIP_SAMPLES)
    assert default_rates(tiny) == pytest.approx(DEFAULT_RATES, rel=0.01)
    assert default_rates(build_run("nano")) == DEFAULT_RATES


def test_a_larger_model_takes_as_much_longer_as_it_has_flops() -> None:
    tiny = build_run("tiny")
    larger = build_run("tiny", overrides=["model.hidden=768", "train.batch=32", "sample.sampler.steps=60"])
    rates, ratio = default_rates(larger), plan_model(larger).train_flops / plan_model(tiny).train_flops
    assert ratio > 10
    assert rates["train"] == pytest.approx(2 * ratio * DEFAULT_RATES["train"], rel=0.01)
    assert rates["sample"] > 1.9 * ratio * DEFAULT_RATES["sample"]
    assert {**rates, "train": 0.3, "sample": 0.2} == DEFAULT_RATES


@pytest.mark.parametrize(
    ("words", "unknown"),
    [
        (["train.device=auto"], {"train"}),
        (["sample.device=cuda"], {"sample"}),
        (["text.kind=flan_t5", "model.text_width=4096", "model.max_text_tokens=300"], {"text", "sample"}),
        (["spec.duration_s=3.0"], {"ingest", "encode", "sample", "evaluate"}),
    ],
    ids=lambda value: str(value)[:24],
)
def test_of_what_tiny_never_did_nothing_is_said(words: list[str], unknown: set[str]) -> None:
    assert set(DEFAULT_RATES) - set(default_rates(build_run("tiny", overrides=words))) == unknown


@pytest.mark.parametrize("has_guide", [False, True])
def test_checkpoints_and_the_model_take_the_bytes_that_are_planned(has_guide: bool, tmp_path: Path) -> None:
    model = ModelConfig(hidden=192, depth=1, heads=4, text_width=4, max_text_tokens=5)
    trainer = make_trainer(make_config(guide_at=0.5 if has_guide else None), model=model)
    source = make_source(trainer.config)
    for step in range(trainer.config.guide_step or 1):
        trainer.train_step(source.batch_at(step))
    folder = CheckpointStore(tmp_path / "steps", keep=1).save(trainer.checkpoint(extra={}))
    card = ModelCard(model, LAYOUT, trainer.objective_config, trainer.scale, 8.0, "f", 1, {})
    export_model(tmp_path / "model", trainer.averaged_weights(), card=card, guide=trainer.guide)
    planned = cost.train_disk(model, LAYOUT, has_guide=has_guide)
    for place, expected in ((folder, planned.checkpoint), (tmp_path / "model", planned.export)):
        found = sum(file.stat().st_size for file in place.iterdir())
        assert found == pytest.approx(expected, rel=0.01)


def test_only_as_many_checkpoints_are_planned_as_are_kept_or_made() -> None:
    for words, kept in ((["train.steps=400", "train.checkpoint_every=500"], 1), (["train.keep_checkpoints=5"], 5)):
        plan = plan_model(build_run("tiny", overrides=["train.warmup_steps=10", *words]))
        assert plan.checkpoints == kept
        assert plan.disk_bytes == kept * plan.checkpoint_bytes + plan.export_bytes
