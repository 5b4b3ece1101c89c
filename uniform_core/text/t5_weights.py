"""The encoder of a T5 checkpoint in the hub's form: `config.json`, `tokenizer.json` and safetensors, whole or sharded.

The decoder is not read. What the library would repair with random weights and a warning is an error here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import T5Config, T5EncoderModel

from uniform_core.errors import ConfigError
from uniform_core.weights import FoundWeights
from uniform_core.weights.hub_form import opened, read_json, tensor_files, tensor_forms, wrong_file
from uniform_core.weights.reading import check_finite, require_kinds, require_names

TIED: Final = "encoder.embed_tokens.weight"  # the same tensor as shared.weight, stored or not
DECODER: Final = ("decoder.", "lm_head.")


def load_t5(found: FoundWeights, *, width: int, dtype: torch.dtype) -> T5EncoderModel:
    """The encoder on the CPU, ready to be asked. Raises ConfigError for whatever is no encoder of this width.

    Names and shapes are compared before the first tensor is read.
    """
    model = require_t5(found, width=width)
    files, shapes = tensor_files(found), _shapes_of(model)
    state = {name: tensor.to(dtype) for name, tensor in _tensors(files, shapes)}
    check_finite(state, item=f"weights {found.word}")
    model.load_state_dict({**state, TIED: state["shared.weight"]}, strict=True, assign=True)
    model.tie_weights()
    return model.eval().requires_grad_(False)


def require_t5(found: FoundWeights, *, width: int) -> T5EncoderModel:
    """The encoder without weights, which the checkpoint's fit. Raises ConfigError; reads no numbers."""
    config, files = _config_of(found, width=width), tensor_files(found)
    if config.num_layers > len(files):  # else a word of a stranger's file could have layers built for days
        raise wrong_file(
            found.file("config.json"), f"at most {len(files)} layers, each has tensors", f"{config.num_layers}"
        )
    with torch.device("meta"):
        model = T5EncoderModel(config)
    _require_encoder(files, _shapes_of(model), item=f"weights {found.word}")
    return model


def _shapes_of(model: T5EncoderModel) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in model.state_dict().items() if name != TIED}


def load_tokenizer(found: FoundWeights, config: T5Config) -> Tokenizer:
    """The tokenizer of `tokenizer.json` as it stands there, without a limit of its own.

    Raises ConfigError where it is not the tokenizer of a T5 of this config. The file is read by the library that wrote
    it: classes of transformers would build another from parts of it.
    """
    path = found.file("tokenizer.json")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library has no narrower class
        raise wrong_file(path, "a tokenizer", str(error)[:160]) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    null, pieces = tokenizer.encode("").ids, tokenizer.get_vocab_size()
    if null != [config.eos_token_id] or pieces > config.vocab_size:
        raise wrong_file(
            path,
            f"a T5 tokenizer: at most {config.vocab_size} pieces, token {config.eos_token_id} at the end of every text",
            f"{pieces} pieces, and {null} for the empty text",
        )
    return tokenizer


def _config_of(found: FoundWeights, *, width: int) -> T5Config:
    path = found.file("config.json")
    values = read_json(path)
    if values.get("model_type") != "t5":
        raise wrong_file(path, "a model of type t5", repr(values.get("model_type")))
    if values.get("d_model") != width:
        raise ConfigError(
            str(path),
            expected=f"d_model {width}, as the config says",
            found=repr(values.get("d_model")),
            fix="Set text.dimensions and model.text_width to the checkpoint's, or give the other checkpoint.",
        )
    try:
        return T5Config.from_dict(values)
    except Exception as error:  # of whatever kind the library's checks have, by field
        raise wrong_file(path, "the config of a T5", str(error).strip()[:160]) from error


def _require_encoder(files: Mapping[str, Path], shapes: Mapping[str, tuple[int, ...]], *, item: str) -> None:
    """The encoder's tensors are where they should be, in these shapes, and nothing but a decoder stands beside them."""
    own = [
        (path, name, form)
        for path in sorted(set(files.values()))
        for name, form in tensor_forms(path).items()
        if files.get(name) == path and name != TIED and not name.startswith(DECODER)
    ]
    for path in sorted({path for path, _, _ in own}):
        require_kinds(path, {name: form.kind for where, name, form in own if where == path})
    there = {name: torch.empty(form.shape, device="meta") for _, name, form in own}
    require_names(there, shapes, item=item)


def _tensors(files: Mapping[str, Path], wanted: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """The wanted tensors, shard after shard."""
    for path in sorted({files[name] for name in wanted}):
        with opened(path) as file:
            for name in wanted:
                if files[name] == path:
                    yield name, file.get_tensor(name)
