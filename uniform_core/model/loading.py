"""A model's weights from public checkpoints or an own export: every name accounted for, or one error.

A file is told by the names in it, never by its own: a checkpoint of another model, under whatever name, is refused
before the first weight is changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from uniform_core.errors import ConfigError
from uniform_core.files import find_damage
from uniform_core.model.account import InitReport
from uniform_core.model.init_config import InitConfig, InitSource
from uniform_core.model.initialise import start_of
from uniform_core.model.pixart import (
    CAPTIONS,
    NULL_TEXT,
    converted,
    expected_shapes,
    form_of,
    pixart_origins,
    why_skipped,
)
from uniform_core.model.uniform import UniForm, is_addition
from uniform_core.weights import FoundWeights, find_weights, weights_digest
from uniform_core.weights.reading import PICKLES, read_tensors, require_names

STATE = "state_dict"  # the part of PixArt's .pth files that holds the weights
EXPORTED = "model.safetensors"
SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.\w+")


@dataclass(frozen=True, eq=False)
class _Taken:
    """What a file gives to a model, under the model's names and in its shapes, and what of the file it leaves."""

    values: Mapping[str, Tensor]
    skipped: Mapping[str, str] = field(default_factory=dict)


def initialise_from(model: UniForm, init: InitConfig) -> InitReport:
    """What became of each weight: a fresh model's are replaced by those of the source, as far as it has them.

    A model on device "meta" is compared with the source, and stays without weights. Raises ConfigError, with the model
    as it was, where weights are missing, damaged, not finite, of another model or of another size.
    """
    if init.weights is None:
        taken = _Taken({})
    else:
        found = find_weights(init.weights)
        taken = _taken(found, model, init.source)
    state = model.state_dict()
    with torch.no_grad():
        for name, value in taken.values.items():
            if not state[name].is_meta:
                state[name].copy_(value)
    return InitReport(
        source=init.source,
        weights=init.weights,
        digest=None if init.weights is None else weights_digest(init.weights),
        loaded=tuple(name for name in state if name in taken.values),
        skipped=taken.skipped,
        new={name: start_of(name) for name in state if name not in taken.values},
    )


def _taken(found: FoundWeights, model: UniForm, source: InitSource) -> _Taken:
    if source == "export":
        tensors = _of_export(found)
    else:
        files = _weight_files(found)
        tensors = {name: value for file in files for name, value in _read(file).items()}
    item = f"weights {found.word}"
    _require_kind(tensors, source, item=item)
    if source == "pixart":
        return _of_pixart(tensors, model, item=item)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    expected = {name: shape for name, shape in shapes.items() if name in tensors or not is_addition(name)}
    require_names(tensors, expected, item=item)
    return _Taken(tensors)


def _of_pixart(tensors: Mapping[str, Tensor], model: UniForm, *, item: str) -> _Taken:
    """PixArt's weights; captions of another width leave new what reads them."""
    if model.config.patch_THW[0] != 1:
        raise ConfigError(
            "model.patch_THW",
            expected="a patch of one frame, as PixArt has",
            found=str(model.config.patch_THW),
            fix="Set model.patch_THW to (1, 2, 2).",
        )
    form, origins = form_of(tensors), pixart_origins(model.config.depth)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    skipped = {name: why for name in tensors if (why := why_skipped(name)) is not None}
    width = _caption_width(tensors, origins[CAPTIONS].names(form)[0])
    if width is not None and width != model.config.text_width:
        for name in (CAPTIONS, NULL_TEXT):
            theirs = origins.pop(name).names(form)
            why = f"reads texts of width {width}; the model's have {model.config.text_width}"
            skipped |= {other: why for other in theirs if other in tensors}
    if not (null := origins.get(NULL_TEXT)) or form == "diffusers":
        origins.pop(NULL_TEXT, None)
    elif (rows := tensors.get(null.pth)) is not None and rows.ndim == 2:
        shapes[NULL_TEXT] = (len(rows), shapes[NULL_TEXT][1])  # as many as there are: cut or padded to the model's
    wanted = {name: value for name, value in tensors.items() if name not in skipped}
    require_names(wanted, expected_shapes(origins, shapes, form=form), item=item)
    values = {
        ours: converted(ours, [wanted[name] for name in origin.names(form)], rows=model.config.max_text_tokens)
        for ours, origin in origins.items()
    }
    return _Taken(values, skipped)


def _caption_width(tensors: Mapping[str, Tensor], name: str) -> int | None:
    weight = tensors.get(name)
    return int(weight.shape[1]) if weight is not None and weight.ndim == 2 else None


def _require_kind(tensors: Mapping[str, Tensor], source: InitSource, *, item: str) -> None:
    """Raises ConfigError for weights that are plainly of another source than was said."""
    kind: InitSource | None = None
    if "task_embedder.weight" in tensors:
        kind = "export"
    elif any(name.startswith("temporal_blocks.") for name in tensors):
        kind = "opensora_v1_2"
    elif "adaln_single.linear.weight" in tensors or {"blocks.0.attn.qkv.weight", "t_block.1.weight"} <= tensors.keys():
        kind = "pixart"
    if kind not in (None, source):
        raise ConfigError(
            item, expected=f"weights of source {source}", found=f"those of source {kind}", fix=f"Set source to {kind}."
        )


def _of_export(found: FoundWeights) -> dict[str, Tensor]:
    """The averaged weights of an exported model, checked against its marker."""
    problem = find_damage(found.root) if "model.json" in found.files else "no model.json"
    if problem is not None:
        raise ConfigError(
            f"weights {found.word}",
            expected="a folder that `uniform train` exported, as it was written",
            found=problem,
            fix="Give the folder `model` of a training, or export it again.",
        )
    return read_tensors(found.file(EXPORTED))


def _read(file: Path) -> dict[str, Tensor]:
    """The tensors of a file: all of it, or what stands under `state_dict`, as its content says."""
    if file.suffix not in PICKLES:
        return read_tensors(file)
    try:
        return read_tensors(file, key=STATE)
    except ConfigError as error:
        if error.expected != f"a part {STATE!r}":
            raise
        return read_tensors(file)


def _weight_files(found: FoundWeights) -> list[Path]:
    """The one file of weights of a folder, or its shards: in `transformer/`, where a whole pipeline lies there."""
    names = [name for name in sorted(found.files) if name.endswith((".safetensors", *PICKLES))]
    names = [name for name in names if name.startswith("transformer/")] or names
    shards = [match for name in names if (match := SHARD.fullmatch(name))]
    stems = {(shard["stem"], shard["count"]) for shard in shards}
    if len(shards) == len(names) and len(stems) == 1 and len(names) == int(shards[0]["count"]):
        return [found.files[name] for name in names]
    if len(names) != 1:
        raise ConfigError(
            f"weights {found.word}",
            expected="one file of weights, or all shards of one",
            found=", ".join(names[:5]) or "none",
            fix="Give the path of the file itself.",
        )
    return [found.files[names[0]]]
