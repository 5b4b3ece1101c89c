"""Vision-language checkpoints in the hub's form, loaded without the network and without running code of theirs.

What the library would repair with random weights and a warning is an error here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import torch
import transformers
from transformers.utils import logging as library_log

from uniform_core.errors import ConfigError
from uniform_core.weights import FoundWeights
from uniform_core.weights.hub_form import AGAIN, read_json, tensor_files
from uniform_core.weights.reading import check_finite, first_line

T = TypeVar("T")
BUFFERS: Final = (".inv_freq", ".position_ids", "rotary_emb")  # stored by some versions, computed by all
_SHOWN: Final = 3


def model_type_of(found: FoundWeights) -> str:
    """The architecture that `config.json` names. Raises ConfigError for none."""
    path = found.file("config.json")
    kind = read_json(path).get("model_type")
    if not isinstance(kind, str):
        raise ConfigError(str(path), expected="a model_type", found=repr(kind), fix=AGAIN)
    return kind


def require_files(found: FoundWeights) -> None:
    """There is a config, and safetensors with every shard. Raises ConfigError."""
    model_type_of(found)
    tensor_files(found)


def loaded(load: Callable[[], T], found: FoundWeights, what: str) -> T:
    """What the library loads. Raises ConfigError for whatever it raises: strangers made the files."""
    try:
        with quietly():
            return load()
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        said = first_line(error)
        needs_code = "trust_remote_code" in str(error)
        raise ConfigError(
            f"weights {found.word}",
            expected=f"{what} that the library transformers {transformers.__version__} has",
            found="code of the checkpoint's own, which is never run" if needs_code else said,
            fix="Give a checkpoint of a family that the library has, as its hub has it.",
        ) from error


def load_processor(found: FoundWeights) -> Any:
    """The processor of a checkpoint. Raises ConfigError where it has none, or one that is not in the library."""
    return loaded(lambda: transformers.AutoProcessor.from_pretrained(str(found.root), **_LOCAL), found, "a processor")


def load_model(found: FoundWeights, kind: type[Any], *, dtype: torch.dtype, device: torch.device) -> Any:
    """The model, ready to be asked: every tensor of its architecture read, nothing else, every number finite.

    `kind` is a class of the library that has `from_pretrained`. Raises ConfigError.
    """
    require_files(found)
    options: dict[str, Any] = {**_LOCAL, "use_safetensors": True, "dtype": dtype, "output_loading_info": True}
    options["ignore_mismatched_sizes"] = True  # it then tells them, and they are refused below
    model, facts = loaded(lambda: kind.from_pretrained(str(found.root), **options), found, "a model")
    _require_all(facts, found)
    check_finite(model.state_dict(), item=f"weights {found.word}")
    clear_generation(model)
    return model.to(device).eval().requires_grad_(False)


def clear_generation(model: Any) -> None:
    """The model chooses words by what it is told alone; of its own defaults only the ids of tokens are kept.

    (Checkpoints bring temperatures and penalties, which the library puts in wherever nothing is said.)
    """
    own = model.generation_config
    ids = {name: getattr(own, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    model.generation_config = transformers.GenerationConfig(**ids)


@contextmanager
def quietly() -> Iterator[None]:
    """The library draws no bars and says nothing below an error; afterwards as before."""
    was_drawing, level = library_log.is_progress_bar_enabled(), library_log.get_verbosity()
    library_log.disable_progress_bar()
    library_log.set_verbosity_error()
    try:
        yield
    finally:
        library_log.set_verbosity(level)
        if was_drawing:
            library_log.enable_progress_bar()


_LOCAL: Final = {"local_files_only": True, "trust_remote_code": False}


def _require_all(facts: Mapping[str, Any], found: FoundWeights) -> None:
    """Nothing was missing, of another shape or left over. Raises ConfigError."""
    named = {
        "missing": facts["missing_keys"],
        "of another shape": [key[0] if isinstance(key, tuple) else key for key in facts["mismatched_keys"]],
        "unexpected": [key for key in facts["unexpected_keys"] if not any(part in key for part in BUFFERS)],
    }
    wrong = [
        f"{len(names)} {kind} ({', '.join(sorted(map(str, names))[:_SHOWN])}{', …' if len(names) > _SHOWN else ''})"
        for kind, names in named.items()
        if names
    ]
    if wrong:
        raise ConfigError(
            f"weights {found.word}",
            expected="the tensors of the architecture that its config names",
            found="; ".join(wrong),
            fix=AGAIN,
        )
