"""Weights that are not those of the config, found out before any stage begins; and licences, said at the start."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
import torch
from audioldm_parts import VAE, VOCODER, edit_json
from command_line import said
from safetensors.torch import load_file, save_file
from tiny_audioldm_vae import SCALING_FACTOR, tiny_audioldm_vae
from tiny_flan_t5 import tiny_flan_t5
from tiny_hifigan import tiny_hifigan
from tiny_opensora_vae import tiny_opensora_vae
from weights_entries import made_up

from flows.cli import work
from flows.cli.generate import Order, _made
from flows.cli.licences import say_licences
from flows.pipeline import pipeline
from tasks import train_worker
from tasks.preflight import require_parts
from uniform_core.build import build_run, require_weights
from uniform_core.captioners import CaptionerConfig, PllavaConfig, TransformersVlmConfig
from uniform_core.config import RunConfig
from uniform_core.corpus.parts import weight_facts
from uniform_core.errors import ConfigError
from uniform_core.model import UniForm
from uniform_core.settings import Settings
from uniform_core.types import Task
from uniform_core.weights import MANIFEST, WeightsFile


@pytest.fixture
def frozen(tmp_path: Path) -> RunConfig:
    """Nano with miniatures of the paper's frozen parts in place of its own: for looking at weights alone."""
    folder = tmp_path / "audioldm"
    parts = {
        "video_codec": tiny_opensora_vae(tmp_path / "opensora"),
        "audio_codec": tiny_audioldm_vae(folder),
        "vocoder": tiny_hifigan(folder),
        "text": tiny_flan_t5(tmp_path / "flan_t5"),
    }
    return build_run("nano").model_copy(update=parts)


def narrow(file: Path) -> None:
    """One weight of a file, cut; the last by name, since T5's decoder is not looked at."""
    tensors = load_file(file)
    name = next(name for name in sorted(tensors, reverse=True) if tensors[name].ndim > 1 and len(tensors[name]) > 1)
    save_file(tensors | {name: tensors[name][:-1].contiguous()}, file, metadata={"format": "pt"})


WRONG = {
    "video_codec": ("opensora/model.safetensors", "encode"),
    "audio_codec": (f"audioldm/{VAE}", "encode"),
    "vocoder": (f"audioldm/{VOCODER}", "sample"),
    "text": ("flan_t5/model.safetensors", "text"),
}


@pytest.mark.parametrize("part", WRONG)
def test_a_part_of_another_size_is_found_out_without_its_numbers(part: str, frozen: RunConfig, tmp_path: Path) -> None:
    file, stage = WRONG[part]
    require_weights(frozen)
    narrow(tmp_path / file)
    with pytest.raises(ConfigError, match="1 of another shape"):
        require_weights(frozen, stages=[stage])
    require_weights(frozen, stages=["train", "evaluate"])


def test_all_that_is_wrong_is_told_at_once(frozen: RunConfig, tmp_path: Path) -> None:
    for file, _ in WRONG.values():
        narrow(tmp_path / file)
    with pytest.raises(ConfigError, match="found 4 mistakes"):
        require_weights(frozen)


def test_another_file_under_a_published_name_is_told_before_a_run(
    frozen: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another training of the same network: its names and shapes are right."""
    files = (WeightsFile(path="model.safetensors", sha256="0" * 64), WeightsFile(path="config.json"))
    monkeypatch.setitem(MANIFEST, "made-up", made_up(*files))
    monkeypatch.setenv("UNIFORM_WEIGHTS_DIR", str(tmp_path))
    (tmp_path / "opensora").rename(tmp_path / "made-up")
    video = frozen.video_codec.model_copy(update={"weights": "made-up"})
    assert video.weight_facts() == {}
    with pytest.raises(ConfigError, match=f"expected sha256 {'0' * 64}, as published"):
        require_weights(frozen.model_copy(update={"video_codec": video}), stages=["encode"])


def in_original_form(folder: Path, at: Path) -> Path:
    """Both parts as AudioLDM's own checkpoint has them, the vocoder's layers under weight norm."""
    vae = {f"first_stage_model.{name}": tensor for name, tensor in load_file(folder / VAE).items()}
    vocoder = load_file(folder / VOCODER)
    for layer in [name.removesuffix(".weight") for name in vocoder if name.endswith(".weight")]:
        v = vocoder.pop(f"{layer}.weight")
        vocoder |= {f"{layer}.weight_v": v, f"{layer}.weight_g": v.flatten(1).norm(dim=1).reshape(-1, 1, 1)}
    vae |= {f"first_stage_model.vocoder.{name}": tensor for name, tensor in vocoder.items()}
    torch.save({"state_dict": vae | {"scale_factor": torch.tensor(0.25)}}, at)
    return at


def test_checkpoints_of_the_authors_are_looked_at_as_well(frozen: RunConfig, tmp_path: Path) -> None:
    at = in_original_form(tmp_path / "audioldm", tmp_path / "original.ckpt")
    audio = frozen.audio_codec.model_copy(update={"weights": str(at)})
    vocoder = frozen.vocoder.model_copy(update={"weights": str(at), "part": "state_dict"})
    config = frozen.model_copy(update={"audio_codec": audio, "vocoder": vocoder})
    require_weights(config)
    assert weight_facts(config, ["encode"]) == {"audio_codec.scaling_factor": 0.25}


def test_the_scaling_factor_is_told_and_nothing_of_weights_that_are_elsewhere(
    frozen: RunConfig, tmp_path: Path
) -> None:
    assert weight_facts(frozen, ["encode"]) == {"audio_codec.scaling_factor": SCALING_FACTOR}
    edit_json(tmp_path / "audioldm" / "vae" / "config.json", scaling_factor=0.5)
    assert weight_facts(frozen, ["encode"]) == {"audio_codec.scaling_factor": 0.5}
    (tmp_path / "audioldm" / VAE).unlink()
    assert weight_facts(frozen, ["encode"]) == {}


@pytest.fixture
def wrong_start(tmp_path: Path) -> list[str]:
    """Words of a run whose training would start from a folder that is no model."""
    (tmp_path / "no_model").mkdir()
    return ["train.init.source=export", f"train.init.weights={tmp_path / 'no_model'}"]


def nothing_more(*_given: Any, **_named: Any) -> NoReturn:
    raise AssertionError("a service would have been started")


@pytest.mark.parametrize("command", [["run"], ["train"], ["run", "--only", "ingest", "train"]], ids=" ".join)
def test_a_wrong_start_is_told_before_any_service_starts(
    command: list[str], wrong_start: list[str], home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(work, "_as_flows", nothing_more)
    sets = [f"--set={word}" for word in wrong_start]
    code, text = said([*command, "--preset", "nano", *sets], capsys)
    assert (code, "found no model.json" in text) == (2, True)
    with pytest.raises(AssertionError, match="service"):
        said(["run", "--only", "ingest", "--preset", "nano", *sets], capsys)


def test_the_flow_of_the_pipeline_looks_as_well(
    wrong_start: list[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.pipeline.STAGE_FLOWS", {"ingest": nothing_more})
    with pytest.raises(ConfigError, match=r"found no model\.json"):
        pipeline.fn("nano", wrong_start)


def test_a_start_is_read_once_a_run_and_again_where_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = build_run("nano", overrides=["train.init.source=opensora_v1_2", "model.position_scale=0.0625",
                                          f"train.init.weights={tmp_path / 'w.safetensors'}"])  # fmt: skip
    state = UniForm(config.model, config.layout, seed=3).state_dict()
    state = {name: value for name, value in state.items() if not name.startswith("task_embedder.")}
    save_file(state, tmp_path / "w.safetensors")
    reads = []
    whole = train_worker.initialise_from
    monkeypatch.setattr(train_worker, "initialise_from", lambda *given: reads.append(given) or whole(*given))
    for _ in range(2):
        require_parts(config)
        require_parts(config, stages=["train"])
    assert len(reads) == 1
    require_parts(config, stages=["encode"])
    save_file({name: 2 * value for name, value in state.items()}, tmp_path / "w.safetensors")
    require_parts(config)
    assert len(reads) == 2


DEAD = {"kind": "openai_http", "url": "http://127.0.0.1:9/v1", "tries": 1}
LOST = {"kind": "sidecar", "table": "/no/such/table.csv"}


@pytest.mark.parametrize(
    ("command", "captioners", "code", "words"),
    [
        (["captions", "build"], [LOST, DEAD], 2, ["2 mistakes", "a table of captions", "a server that answers"]),
        (["run"], [LOST], 2, ["a table of captions; found no such file"]),
        (["run", "--only", "captions"], [DEAD], 1, ["a server that answers", "vllm serve"]),
        (["captions", "build"], [{"kind": "transformers_vlm", "weights": "./none"}], 2, ["a file or a folder"]),
        (["captions", "build"], [{"kind": "pllava", "prompt_name": "poem"}], 2, ["one of describe", "'poem'"]),
    ],
    ids=["all at once", "table", "server", "weights", "prompt"],
)
def test_a_captioner_that_cannot_work_is_told_before_any_service_starts(
    command: list[str],
    captioners: list[dict[str, Any]],
    code: int,
    words: list[str],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    monkeypatch.setattr(work, "_as_flows", nothing_more)
    sets = ["--preset", "nano", "--set", f"captioners={json.dumps(captioners)}"]
    found, text = said([*command, *sets], capsys)
    assert found == code
    for part in words:
        assert part in " ".join(text.split())


def test_stages_without_captions_ask_no_captioner(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(work, "_as_flows", nothing_more)
    sets = ["--preset", "nano", "--set", f"captioners={json.dumps([DEAD])}"]
    with pytest.raises(AssertionError, match="service"):
        said(["run", "--only", "ingest", *sets], capsys)


def test_licences_that_forbid_commercial_use_are_said_once_each(capsys: pytest.CaptureFixture[str]) -> None:
    paper = build_run("paper")
    say_licences(paper)
    assert capsys.readouterr().err == "audioldm-s-full-v2: its licence is CC-BY-NC-SA-4.0: NO COMMERCIAL USE\n"
    for config, stages in ((paper, ["text", "train"]), (build_run("tiny"), None)):
        say_licences(config, stages)
    assert capsys.readouterr().err == ""


def test_a_run_says_them_before_it_starts(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(work, "require_parts", lambda *_given, **_named: None)
    monkeypatch.setattr(work, "_as_flows", nothing_more)
    for stage, is_said in (("encode", True), ("text", False)):
        with pytest.raises(AssertionError, match="service"):
            work.stage(arguments(stage))
        assert ("NO COMMERCIAL USE" in capsys.readouterr().err) is is_said


def arguments(stage: str) -> Any:
    rendered = ["data.short_s=4.2", "data.long_s=32"]  # data without a list, which nobody has to fetch
    words = {"preset": "paper", "overrides": rendered, "data": "procedural"}
    return SimpleNamespace(command=stage, dry_run=False, kind=None, json=False, **words)


def test_generate_says_them_before_it_loads_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    card = SimpleNamespace(made_with=build_run("paper").model_dump(mode="json"))
    monkeypatch.setattr("uniform_core.training.export.read_card", lambda _folder: card)
    monkeypatch.setattr("tasks.sample.media_codecs", nothing_more)
    order = Order(Task.T2AV, "a ball", None, tmp_path / "o.mp4", 0)
    with pytest.raises(AssertionError, match="service"):
        _made(order, Settings(home=tmp_path), {"path": "m"})
    assert capsys.readouterr().err.count("NO COMMERCIAL USE") == 1


@pytest.mark.parametrize("captioner", [TransformersVlmConfig(device="cuda"), PllavaConfig(device="cuda")])
def test_a_captioner_that_needs_a_gpu_is_told_that_there_is_none_before_any_work(
    captioner: CaptionerConfig, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    config = build_run("nano").model_copy(update={"captioners": (captioner,)})
    ready: list[str] = []
    monkeypatch.setattr(type(captioner), "require_ready", lambda self: ready.append(self.kind))
    with pytest.raises(ConfigError, match=rf"captioner {captioner.kind}, device: expected a GPU that torch can use"):
        require_parts(config, stages=["captions"])
    require_parts(config, stages=["text"])
    monkeypatch.setattr("tasks.preflight.require_weights", lambda *_given, **_words: None)
    with pytest.raises(ConfigError, match="expected a GPU"):
        require_parts(config)
    assert ready == []
    monkeypatch.setenv("UNIFORM_GPU_SHARE", "0.5")  # then it is wherever Ray has one
    require_parts(config, stages=["captions"])
    assert ready == [captioner.kind]
