"""A trained net: what it knows, how good it was on clips that it never saw, its weights on disk without pickle."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from uniform_core.errors import IntegrityError
from uniform_core.fingerprint import canonical_json, digest
from uniform_core.metrics.fitting import single_thread
from uniform_core.metrics.nets import Committee, MelCommittee, SyncNet, VideoCommittee, new_net
from uniform_core.metrics.recipes import VERSION

Net = TypeVar("Net", bound=nn.Module, covariant=True)
CLASSES: Mapping[str, type[nn.Module]] = {"video": VideoCommittee, "mel": MelCommittee, "sync": SyncNet}
REPAIR = "Run `uniform catalog verify --repair`, then run again: the net is trained again."
WEIGHTS, CARD = "weights.safetensors", "net.json"  # the card is written last: without it there is no net


@dataclass(frozen=True)
class TrainedNet(Generic[Net]):
    """A net ready to look. `shape` rebuilds it; `metrics` are its quality on held-out instrument clips."""

    kind: str
    module: Net
    shape: Mapping[str, int]
    classes: tuple[str, ...]
    metrics: Mapping[str, float]

    @property
    def fingerprint(self) -> str:
        """32 hex digits of what the net is: kind, shape, classes and every weight."""
        state = {name: _bytes_digest(tensor) for name, tensor in self.module.state_dict().items()}
        return digest({"net": self.kind, "shape": dict(self.shape), "classes": list(self.classes), "state": state})


def save_net(net: TrainedNet[nn.Module], directory: Path) -> None:
    """Write the net whole under `directory`, replacing what was there."""
    work = directory.with_name(f".{directory.name}.{os.getpid()}")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    save_file({name: tensor.contiguous() for name, tensor in net.module.state_dict().items()}, work / WEIGHTS)
    card = {
        "kind": net.kind,
        "version": VERSION,
        "shape": dict(net.shape),
        "classes": list(net.classes),
        "metrics": dict(net.metrics),
        "fingerprint": net.fingerprint,
    }
    (work / CARD).write_text(canonical_json(card))
    shutil.rmtree(directory, ignore_errors=True)
    work.rename(directory)


def load_net(directory: Path) -> TrainedNet[Any]:
    """The net that was saved. Raises IntegrityError where it is not there, or not with the weights of its card."""
    try:
        card: dict[str, Any] = json.loads((directory / CARD).read_text())
        module = new_net(CLASSES[card["kind"]], card["shape"])
        module.load_state_dict(load_file(directory / WEIGHTS))
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise IntegrityError(
            str(directory), expected="a net as it was saved", found=str(error).splitlines()[0], fix=REPAIR
        ) from error
    net = TrainedNet(card["kind"], module.eval(), card["shape"], tuple(card["classes"]), card["metrics"])
    if net.fingerprint != card["fingerprint"]:
        raise IntegrityError(
            str(directory / WEIGHTS),
            expected=f"weights of net {card['fingerprint']}",
            found=net.fingerprint,
            fix=REPAIR,
        )
    return net


def class_outputs(net: Committee, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standardised features [N, D] and logits [N, K] of clips, float32.

    One clip at a time and on one thread: not even the last digit depends on the clips beside it.
    """
    with single_thread(), torch.no_grad():
        looks = [net.looks(clip) for clip in torch.split(torch.from_numpy(clips), 1)]
    features, logits = zip(*looks, strict=True)
    return torch.cat(features).numpy(), torch.cat(logits).numpy()


def synchrony_embeddings(
    net: SyncNet, clips: np.ndarray, mels: np.ndarray
) -> tuple[Float[np.ndarray, "N d"], Float[np.ndarray, "N d"]]:
    """Flat embeddings of pictures and of sounds: their dot product is the mean agreement over time."""
    pictures, sounds = [], []
    with single_thread(), torch.no_grad():
        for clip, mel in zip(
            torch.split(torch.from_numpy(clips), 1), torch.split(torch.from_numpy(mels).float(), 1), strict=True
        ):
            pictures.append(net.video_steps(clip).flatten(1))
            sounds.append(net.audio_steps(mel).flatten(1))
    scale = float(clips.shape[1]) ** -0.5
    return scale * torch.cat(pictures).numpy(), scale * torch.cat(sounds).numpy()


def _bytes_digest(tensor: torch.Tensor) -> list[Any]:
    data = tensor.detach().cpu().contiguous().numpy()
    return [list(tensor.shape), str(data.dtype), hashlib.sha256(data.tobytes()).hexdigest()]
