"""What `uniform plan` says of a run's model: the facts' numbers at the paper's size, and the run's own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import said

from flows.cli.main import main
from flows.cli.model_words import flops, model_words
from uniform_core.build import build_run
from uniform_core.codecs import DctMelConfig, DctVideoConfig
from uniform_core.config import RunConfig
from uniform_core.corpus.model_plan import h100_hours, plan_model
from uniform_core.model import ModelConfig
from uniform_core.text import HashingTextConfig

ROOT = Path(__file__).parent.parent.parent
TINY = build_run("tiny")


def at_the_papers_size(monkeypatch: pytest.MonkeyPatch, **train: object) -> RunConfig:
    """The tiny run with the paper's shapes and recipe; its codecs say the shapes of the paper's."""
    monkeypatch.setattr(DctVideoConfig, "latent_shape_CTHW", lambda _self, _spec: (4, 20, 32, 32))
    monkeypatch.setattr(DctMelConfig, "latent_shape_CTF", lambda _self, _spec: (8, 100, 16))
    text = HashingTextConfig(dimensions=4096, token_limit=300)
    recipe = {"steps": 2_084_000, "batch": 32, "precision": "bfloat16", "micro_batch": 2} | train
    return TINY.model_copy(
        update={
            "text": text,
            "model": ModelConfig(hidden=1152, depth=28, heads=16, text_width=4096, max_text_tokens=300),
            "task_columns": 1,
            "train": type(TINY.train).model_validate(TINY.train.model_dump() | recipe),
        }
    )


def test_the_paper_costs_what_the_facts_say(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_model(at_the_papers_size(monkeypatch))
    assert (plan.parameters, plan.tokens) == (1_207_643_936 + 384, 6080)
    assert plan.forward_flops["total"] / 1e12 == pytest.approx(13.47, abs=0.005)
    assert plan.train_flops == plan.machine_train_flops == 3 * plan.forward_flops["total"]
    assert plan.generation_flops / 1e12 == pytest.approx(808, rel=0.01), "two passes: tiny's guide beside the model"
    assert plan.latent_bytes == {"bfloat16": 189_440, "float32": 378_880}
    assert plan.text_bytes["bfloat16"] == 2_457_600
    assert plan.clip_passes == pytest.approx(230 * 290_000, rel=0.001)
    assert plan.h100_hours == pytest.approx(1853, rel=0.02)
    assert h100_hours(plan.training_flops, share=1.0) == pytest.approx(926, rel=0.02)


def test_ways_of_training_change_memory_and_work(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, again, compiled = (
        plan_model(at_the_papers_size(monkeypatch, **way))
        for way in ({}, {"activation_checkpointing": "all"}, {"compile": True})
    )
    assert again.memory["activations"] < 0.1 * plain.memory["activations"]
    assert again.machine_train_flops / plain.machine_train_flops == pytest.approx(4 / 3, rel=0.01)
    assert again.train_flops == plain.train_flops
    assert compiled.memory["activations"] == pytest.approx(0.72 * plain.memory["activations"])
    assert compiled.machine_train_flops == plain.machine_train_flops
    assert "with what is recomputed" in model_words(again)["a clip in training"]
    assert "1,207,644,320" in model_words(plain)["parameters"]
    assert "50% of 798 TFLOP/s, which is assumed" in model_words(plain)["the whole training"]


def test_plan_prints_the_model_where_it_prints_its_training(home, capsys) -> None:
    code, text = said(["plan", "--preset", "nano"], capsys)
    plan = plan_model(build_run("nano"))
    assert code == 0
    for name, words in model_words(plan).items():
        assert f"{name} {words}" in text
    assert "parameters" not in said(["plan", "ingest", "--preset", "nano"], capsys)[1]
    assert main(["plan", "--preset", "nano", "--json"]) == 0
    rows = {row["stage"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["train"]["model"] == plan.as_dict()
    assert [stage for stage in rows if "model" in rows[stage]] == ["train"]


def test_the_runs_own_numbers_are_planned() -> None:
    plan = plan_model(build_run("tiny"))
    wider = plan_model(build_run("tiny", overrides=["model.hidden=384", "train.steps=6600"]))
    assert wider.parameters > 3 * plan.parameters
    assert wider.clip_passes == 2 * plan.clip_passes
    unguided = ["sample.guidance.guide_scale.video=1", "sample.guidance.guide_scale.audio=1"]
    once = plan_model(build_run("tiny", overrides=unguided))
    assert plan.generation_flops == 2 * once.generation_flops


@pytest.mark.parametrize(
    ("count", "words"), [(13.132e12, "13.13 TFLOP"), (2.63e21, "2,630 EFLOP"), (999, "999 FLOP"), (1e15, "1 PFLOP")]
)
def test_flops_in_words(count: float, words: str) -> None:
    assert flops(count) == words


def test_planning_a_model_needs_no_torch() -> None:
    words = (
        "import sys; from uniform_core.build import build_run; from uniform_core.corpus.model_plan import plan_model; "
        "from flows.cli.model_words import model_words; model_words(plan_model(build_run('tiny'))); "
        "print([name for name in ('torch', 'ray', 'prefect') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
