"""T5 checkpoints that are not what they should be: one clear error each, and never a weight that was drawn."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_flan_t5 import save_flan_t5
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from uniform_core.errors import ConfigError
from uniform_core.text import FlanT5Config

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
Q = "encoder.block.1.layer.0.SelfAttention.q.weight"


def edited(name: str, **values: Any) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return edit


def with_tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        tensors = load_file(folder / WHOLE)
        change(tensors)
        save_file(tensors, folder / WHOLE)

    return edit


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / WHOLE), folder / "pytorch_model.bin")
    (folder / WHOLE).unlink()


def of_another_tokenizer(folder: Path) -> None:
    Tokenizer(WordLevel({"<unk>": 0, "dog": 1}, unk_token="<unk>")).save(str(folder / "tokenizer.json"))


def cut(name: str, share: float = 0.5) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * share)])

    return edit


PLAIN = {"feed_forward_proj": "relu", "is_gated_act": False, "dense_act_fn": "relu"}
BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "another kind of model": (edited("config.json", model_type="bert"), "expected a model of type t5; found 'bert'"),
    "another width": (edited("config.json", d_model=64), "expected d_model 32, as the config says; found 64"),
    "another depth": (edited("config.json", num_layers=3), r"9 missing \(encoder\.block\.2\.layer\.0"),
    "another feed-forward": (edited("config.json", **PLAIN), "missing .*unexpected"),
    "no T5 config": (edited("config.json", num_heads="many"), r"config\.json: expected the config of a T5"),
    "a config cut short": (cut("config.json"), r"config\.json: expected JSON"),
    "a config that is a list": (lambda folder: (folder / "config.json").write_text("[]"), "a JSON object; found list"),
    "no config": (lambda folder: (folder / "config.json").unlink(), r"expected a file config\.json"),
    "a missing tensor": (with_tensors(lambda t: t.pop(Q)), rf"1 missing \({Q}"),
    "a tensor too many": (with_tensors(lambda t: t.update(extra=torch.ones(1))), r"1 unexpected \(extra"),
    "another shape": (with_tensors(lambda t: t.update({Q: torch.ones(3, 3)})), r"of another shape \(.*\[3, 3\]"),
    "NaN": (with_tensors(lambda t: t[Q].fill_(float("nan"))), r"NaN or infinity in 1 of \d+ tensors"),
    "another kind of number": (with_tensors(lambda t: t.update({Q: t[Q].to(torch.uint64)})), rf"kind: {Q} \(U64\)"),
    "layers without end": (edited("config.json", num_layers=10**9), r"at most \d+ layers, .* found 1000000000"),
    "weights cut short": (cut(WHOLE), "cut short or damaged"),
    "a head cut short": (cut(WHOLE, 0.001), "cut short or damaged"),
    "a pickle": (pickled, r"expected model\.safetensors, or .* found .*pytorch_model\.bin.* safetensors form"),
    "another tokenizer": (of_another_tokenizer, "expected a T5 tokenizer: .* found 2 pieces"),
    "a tokenizer of more pieces": (edited("config.json", vocab_size=100), "shape|T5 tokenizer"),
    "a tokenizer cut short": (cut("tokenizer.json"), r"tokenizer\.json: expected a tokenizer"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), r"expected a file tokenizer\.json"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_one_error_says_what_is_wrong(name: str, tmp_path: Path) -> None:
    save_flan_t5(tmp_path)
    change, said = BROKEN[name]
    FlanT5Config(weights=str(tmp_path), dimensions=32).build()
    change(tmp_path)
    with pytest.raises(ConfigError, match=said):
        FlanT5Config(weights=str(tmp_path), dimensions=32).build()


def test_a_shard_is_a_file_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    folder = tmp_path / "weights"
    save_flan_t5(folder, shard_size="20KB")
    config = FlanT5Config(weights=str(folder), dimensions=32)
    config.build()
    listed = json.loads((folder / INDEX).read_text())["weight_map"]
    shard = folder / listed[Q]
    shard.rename(tmp_path / "outside" / shard.name)
    with pytest.raises(ConfigError, match=rf"expected a file {shard.name}"):
        config.build()
    moved = {name: f"../outside/{shard.name}" if file == shard.name else file for name, file in listed.items()}
    (folder / INDEX).write_text(json.dumps({"weight_map": moved}))
    with pytest.raises(ConfigError, match=r"expected a file \.\./outside"):
        config.build()
    (folder / INDEX).write_text("{}")
    with pytest.raises(ConfigError, match="expected a weight_map; found none"):
        config.build()


def test_an_index_that_names_a_tensor_where_it_is_not(tmp_path: Path) -> None:
    save_flan_t5(tmp_path, shard_size="20KB")
    listed = json.loads((tmp_path / INDEX).read_text())["weight_map"]
    other = next(file for file in listed.values() if file != listed[Q])
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {**listed, Q: other}}))
    with pytest.raises(ConfigError, match=rf"1 missing \({Q}"):
        FlanT5Config(weights=str(tmp_path), dimensions=32).build()


def test_a_broken_decoder_is_nobodys_concern(tmp_path: Path) -> None:
    """It is not read: not its numbers, and not whether it is there."""
    save_flan_t5(tmp_path)
    config = FlanT5Config(weights=str(tmp_path), dimensions=32)
    [before] = config.build().encode(["dog"])
    with_tensors(lambda t: [t[name].fill_(float("nan")) for name in t if name.startswith("decoder.")])(tmp_path)
    with_tensors(lambda t: t.update({"lm_head.weight": torch.full((256, 32), float("nan"))}))(tmp_path)
    [after] = config.build().encode(["dog"])
    with_tensors(lambda t: [t.pop(name) for name in list(t) if name.startswith(("decoder.", "lm_head."))])(tmp_path)
    [alone] = config.build().encode(["dog"])
    assert torch.equal(before.features_LD, after.features_LD)
    assert torch.equal(before.features_LD, alone.features_LD)
