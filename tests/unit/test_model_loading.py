"""Initialisation from other weights: what is loaded, skipped and new; and that what does not fit is refused whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_files import (
    make_model,
    make_pixart,
    pth_state,
    random_state,
    save_pth,
    save_safetensors,
    stdit3_names,
    stdit3_state,
)
from pydantic import ValidationError
from torch import Tensor

from uniform_core.errors import ConfigError
from uniform_core.model import InitConfig, InitReport, UniForm, initialise_from
from uniform_core.model.initialise import start_of

SMALL = {"depth": 1, "text_width": 12, "max_text_tokens": 30}


def init_from(model: UniForm, source: str, weights: Path) -> InitReport:
    return initialise_from(model, InitConfig.model_validate({"source": source, "weights": str(weights)}))


@pytest.fixture(scope="module")
def pixart() -> Any:
    return make_pixart()


@pytest.fixture(scope="module")
def small() -> Any:
    return make_pixart(depth=1, captions=12)


def test_the_pth_gives_436_names_and_every_one_has_its_value(pixart: Any, tmp_path: Path) -> None:
    state = pth_state(pixart)
    model = make_model(qk_norm=True)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    report = init_from(model, "pixart", save_pth(tmp_path / "a.pth", state))
    assert (len(report.loaded), len(report.new), len(report.skipped)) == (436, 537 + 1, 1)
    assert set(report.loaded) <= stdit3_names()
    assert report.skipped == {"pos_embed": "STDiT3 computes positions"}
    after = model.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in report.new)
    for name in report.loaded:
        theirs = state[name.replace("spatial_blocks.", "blocks.")]
        if name == "x_embedder.proj.weight":
            theirs = theirs[:, :, None]
        if name == "y_embedder.y_embedding":  # 120 rows of the file, then copies of the last
            assert torch.equal(after[name][119:], theirs[-1:].expand(181, -1))
            theirs = torch.cat([theirs, theirs[-1:].expand(180, -1)])
        assert torch.equal(after[name], theirs), name


def test_what_pixart_lacks_is_new_and_listed(pixart: Any, tmp_path: Path) -> None:
    report = init_from(make_model(device="meta"), "pixart", save_pth(tmp_path / "a.pth", pth_state(pixart)))
    kinds = {
        "rope": [name for name in report.new if name == "rope.freqs"],
        "frame rate": [name for name in report.new if name.startswith("fps_embedder.")],
        "norms": [name for name in report.new if name.startswith("spatial_blocks.")],
        "temporal": [name for name in report.new if name.startswith("temporal_blocks.")],
        "ours": [name for name in report.new if name not in stdit3_names()],
    }
    assert {kind: len(names) for kind, names in kinds.items()} == {
        "rope": 1, "frame rate": 4, "norms": 56, "temporal": 476, "ours": 1,
    }  # fmt: skip
    assert all(name.endswith(("attn.q_norm.weight", "attn.k_norm.weight")) for name in kinds["norms"])
    silent = [name for name in kinds["temporal"] if report.new[name] == "zeros" and name.endswith("weight")]
    assert {name.split(".", 2)[2] for name in silent} == {
        "attn.proj.weight",
        "cross_attn.proj.weight",
        "mlp.fc2.weight",
    }
    assert len(silent) == 3 * 28
    text = report.text()
    assert text.splitlines()[0].endswith("436 weights loaded, 1 skipped, 538 new")
    assert "  new spatial_blocks.N.attn.q_norm.weight x 28: ones" in text
    assert "  skipped pos_embed: STDiT3 computes positions" in text
    assert (report.as_json()["loaded"], report.as_json()["skipped"]) == (436, ["pos_embed: STDiT3 computes positions"])


def test_without_qk_norm_the_56_gains_of_spatial_blocks_are_not_there(pixart: Any, tmp_path: Path) -> None:
    """A start at which attention is as PixArt trained it."""
    normed, plain = (make_model(device="meta", qk_norm=norm) for norm in (True, False))
    absent = normed.state_dict().keys() - plain.state_dict().keys()
    assert len(absent) == 2 * 56
    assert len({name for name in absent if name.startswith("spatial_blocks.")}) == 56
    report = init_from(plain, "pixart", save_pth(tmp_path / "a.pth", pth_state(pixart)))
    assert (len(report.loaded), len(report.new)) == (436, 538 - 112)


def test_diffusers_form_gives_435_names_with_queries_keys_and_values_stacked(pixart: Any, tmp_path: Path) -> None:
    pixart.save_pretrained(tmp_path)
    model = make_model(seed=5)
    report = init_from(model, "pixart", tmp_path)
    assert (len(report.loaded), dict(report.skipped)) == (435, {})
    assert report.new["y_embedder.y_embedding"] == "random"
    theirs, mine = pixart.state_dict(), model.state_dict()
    parts = [theirs[f"transformer_blocks.9.attn2.to_{part}.bias"] for part in "kv"]
    assert torch.equal(mine["spatial_blocks.9.cross_attn.kv_linear.bias"], torch.cat(parts))
    assert report.digest == init_from(make_model(device="meta"), "pixart", tmp_path).digest


@pytest.mark.parametrize("form", ["pth", "diffusers"])
def test_at_another_caption_width_434_names_load(pixart: Any, form: str, tmp_path: Path) -> None:
    if form == "pth":
        save_pth(tmp_path / "a.pth", pth_state(pixart))
    else:
        pixart.save_pretrained(tmp_path)
    report = init_from(make_model(text_width=1024, device="meta"), "pixart", tmp_path)
    assert len(report.loaded) == 434
    left = {"y_embedder.y_proj.fc1.weight", "y_embedder.y_embedding"}
    assert left <= report.new.keys()
    assert set(report.skipped) - {"pos_embed"} == (left if form == "pth" else {"caption_projection.linear_1.weight"})
    assert "reads texts of width 4096; the model's have 1024" in report.text()


def test_embeddings_of_size_and_aspect_and_compressed_keys_are_skipped(tmp_path: Path) -> None:
    net = make_pixart(depth=1, captions=12, size=128)
    net.save_pretrained(tmp_path / "diffusers")
    report = init_from(make_model(**SMALL, device="meta"), "pixart", tmp_path / "diffusers")
    assert len(report.skipped) == 8
    assert {name.split(".")[2] for name in report.skipped} == {"resolution_embedder", "aspect_ratio_embedder"}
    extra = random_state({"csize_embedder.mlp.0.weight": (4, 4), "ar_embedder.mlp.2.bias": (4,),
                          "blocks.0.attn.sr.weight": (4, 1, 2, 2), "blocks.0.attn.norm.bias": (4,)})  # fmt: skip
    report = init_from(
        make_model(**SMALL, device="meta"), "pixart", save_pth(tmp_path / "a.pth", pth_state(net) | extra)
    )
    assert set(report.skipped) == {*extra, "pos_embed"}


def test_a_null_text_of_more_rows_is_cut(small: Any, tmp_path: Path) -> None:
    state, model = pth_state(small, null_rows=40), make_model(**SMALL)
    init_from(model, "pixart", save_pth(tmp_path / "a.pth", state))
    assert torch.equal(model.y_embedder.y_embedding, state["y_embedder.y_embedding"][:30])


@pytest.mark.parametrize("wrapped", [True, False])
def test_content_says_what_a_file_is_and_its_name_nothing(small: Any, wrapped: bool, tmp_path: Path) -> None:
    """The reference looks at names, and starts at random from a renamed file (facts/model.md §4.7, 4.8)."""
    state = pth_state(small)
    torch.save({"state_dict": state} if wrapped else state, tmp_path / "STDiT3.pt")
    model = make_model(**SMALL)
    assert len(init_from(model, "pixart", tmp_path / "STDiT3.pt").loaded) == 16 + 15
    assert torch.equal(model.state_dict()["spatial_blocks.0.attn.qkv.weight"], state["blocks.0.attn.qkv.weight"])


def test_shards_are_one_file(tmp_path: Path) -> None:
    net = make_pixart(depth=1, captions=12)
    net.save_pretrained(tmp_path, max_shard_size="15KB")
    assert len(list(tmp_path.glob("*-of-*.safetensors"))) > 1
    assert len(init_from(make_model(**SMALL, device="meta"), "pixart", tmp_path).loaded) == 30
    next(iter(sorted(tmp_path.glob("*-of-*.safetensors")))).unlink()
    with pytest.raises(ConfigError, match="one file of weights, or all shards of one"):
        init_from(make_model(**SMALL, device="meta"), "pixart", tmp_path)


def test_opensora_gives_all_973_names(tmp_path: Path) -> None:
    model = make_model(modality_embedding=True, text_qk_norm=True)
    state = stdit3_state(model)
    assert state.keys() == stdit3_names()
    report = init_from(model, "opensora_v1_2", save_safetensors(tmp_path / "model.safetensors", state))
    assert (len(report.loaded), report.skipped) == (973, {})
    assert {name.split(".")[0] for name in report.new} == {
        "task_embedder", "modality_embedder", "spatial_blocks", "temporal_blocks",
    }  # fmt: skip
    assert len(report.new) == 2 + 4 * 28
    mine = model.state_dict()
    assert all(torch.equal(mine[name], value) for name, value in state.items())


def test_a_random_start_is_all_new_and_its_last_layer_is_zero() -> None:
    model = make_model(**SMALL)
    report = initialise_from(model, InitConfig())
    assert (report.loaded, len(report.new)) == ((), len(model.state_dict()))
    assert report.new["final_layer.linear.weight"] == "zeros"
    assert not model.final_layer.linear.weight.any()


def test_what_the_account_says_of_new_weights_is_what_they_are() -> None:
    model = make_model(**SMALL, modality_embedding=True, text_qk_norm=True)
    tests: dict[str, Callable[[Tensor], bool]] = {
        "zeros": lambda value: not value.any(),
        "ones": lambda value: bool((value == 1).all()),
        "random": lambda value: float(value.std()) > 0,
        "computed": lambda value: torch.equal(value, model.rope.computed()),
    }
    wrong = [name for name, value in model.state_dict().items() if not tests[start_of(name)](value)]
    assert wrong == []


class Trap:
    """Code in a pickle: it makes a folder where it is run."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.place),))


def spoiled(state: dict[str, Tensor], name: str, change: Callable[[Tensor], Tensor | None]) -> dict[str, Tensor]:
    changed = change(state[name])
    rest = {other: value for other, value in state.items() if other != name}
    return rest if changed is None else {**rest, name: changed}


QKV = "blocks.0.attn.qkv.weight"
BAD_PIXART: dict[str, tuple[Callable[[dict[str, Tensor]], dict[str, Tensor]], str]] = {
    "NaN": (lambda state: spoiled(state, QKV, lambda w: w.clone().fill_(float("nan"))), "NaN or infinity in 1 of"),
    "infinity": (lambda state: spoiled(state, QKV, lambda w: w / 0), "NaN or infinity in 1 of"),
    "a shape": (lambda state: spoiled(state, QKV, lambda w: w[:-1]), r"1 of another shape \(blocks.0.attn.qkv.weight"),
    "one is missing": (lambda state: spoiled(state, QKV, lambda _: None), r"1 missing \(blocks.0.attn.qkv.weight"),
    "no null text": (
        lambda state: spoiled(state, "y_embedder.y_embedding", lambda _: None),
        r"1 missing \(y_embedder.y_embedding",
    ),
    "one too many": (lambda state: state | {"stranger.weight": state[QKV]}, r"1 unexpected \(stranger.weight"),
    "more blocks": (lambda state: state | {"blocks.1.attn.qkv.weight": state[QKV]}, "1 unexpected"),
    "another model": (
        lambda state: {f"conv_in.{n}": value for n, value in enumerate(state.values())},
        "a checkpoint of another model",
    ),
    "STDiT3": (lambda state: {"temporal_blocks.0.mlp.fc1.bias": state[QKV]}, "source opensora_v1_2"),
}


@pytest.mark.parametrize("case", BAD_PIXART)
def test_weights_that_do_not_fit_are_one_error_and_change_nothing(small: Any, case: str, tmp_path: Path) -> None:
    spoil, words = BAD_PIXART[case]
    path = save_pth(tmp_path / "a.pth", spoil(pth_state(small)))
    assert_refused(path, words, make_model(**SMALL), source="pixart")


def assert_refused(path: Path, words: str, model: UniForm, *, source: str) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ConfigError, match=words):
        init_from(model, source, path)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    model = make_model(**SMALL)
    whole = save_safetensors(tmp_path / "model.safetensors", stdit3_state(model)).read_bytes()
    for size in (len(whole) - 1, len(whole) // 2, 6):
        (tmp_path / "model.safetensors").write_bytes(whole[:size])
        assert_refused(tmp_path / "model.safetensors", "cut short or damaged", model, source="opensora_v1_2")


def test_code_in_a_pickle_is_refused_and_not_run(small: Any, tmp_path: Path) -> None:
    torch.save({"state_dict": pth_state(small) | {"x": Trap(tmp_path / "ran")}}, tmp_path / "a.pth")  # type: ignore[dict-item]
    assert_refused(tmp_path / "a.pth", "code: it asks for", make_model(**SMALL), source="pixart")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"qk_norm": False}, "4 unexpected"),
        ({"text_width": 8}, "2 of another shape"),
        ({"max_text_tokens": 20}, r"1 of another shape \(y_embedder.y_embedding"),
        ({"hidden": 24}, "of another shape"),
        ({"depth": 2}, "missing"),
    ],
)
def test_opensora_is_taken_whole_or_not_at_all(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = save_safetensors(tmp_path / "model.safetensors", stdit3_state(make_model(**SMALL)))
    assert_refused(path, words, make_model(**SMALL | change), source="opensora_v1_2")


def test_a_folder_with_two_models_is_not_guessed_at(small: Any, tmp_path: Path) -> None:
    for name in ("a.pth", "b.pth"):
        save_pth(tmp_path / name, pth_state(small))
    assert_refused(tmp_path, "one file of weights", make_model(**SMALL), source="pixart")
    assert_refused(tmp_path / "none.pth", "a file or a folder; found neither", make_model(**SMALL), source="pixart")


def test_a_source_and_its_weights_are_named_together() -> None:
    with pytest.raises(ValidationError, match="source pixart needs weights"):
        InitConfig(source="pixart")
    with pytest.raises(ValidationError, match="are not read by source random"):
        InitConfig(weights="./a.pth")
