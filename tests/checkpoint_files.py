"""Public checkpoints in miniature, in their published forms: full in depth and names, small in width."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from golden_data import COPY, golden_json
from safetensors.torch import save_file
from torch import Tensor

from uniform_core.model import ModelConfig, UniForm
from uniform_core.seeds import torch_generator
from uniform_core.spec import LatentLayout

DEPTH, HIDDEN, CAPTIONS = 28, 16, 4096
LAYOUT = LatentLayout((4, 5, 4, 4), (8, 25, 2), 1)
SHAPE = {"hidden": HIDDEN, "depth": DEPTH, "heads": 2, "text_width": CAPTIONS, "max_text_tokens": 300}


def make_model(*, device: str = "cpu", seed: int = 0, **change: Any) -> UniForm:
    """A UniForm of all 28 + 28 blocks, 16 wide."""
    return UniForm(ModelConfig.model_validate(SHAPE | change), LAYOUT, device=device, seed=seed)


def random_state(shapes: dict[str, tuple[int, ...]], *, seed: int = 0) -> dict[str, Tensor]:
    """A number for every weight, none of them what a fresh model has."""
    generator = torch_generator("test.checkpoint", seed)
    return {name: 0.3 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def make_pixart(*, depth: int = DEPTH, captions: int = CAPTIONS, hidden: int = HIDDEN, size: int = 8) -> Any:
    """diffusers' own PixArt, with random weights; `size` 128 has embeddings of size and aspect, as α-1024 has."""
    from diffusers import PixArtTransformer2DModel

    net = PixArtTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=hidden // 2,
        cross_attention_dim=hidden,
        num_layers=depth,
        caption_channels=captions,
        sample_size=size,
    )
    shapes = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    net.load_state_dict(random_state(shapes))
    return net.eval()


def pth_state(net: Any, *, null_rows: int = 120) -> dict[str, Tensor]:
    """PixArt's weights under the names of its `.pth`, by the golden table and nothing of ours."""
    theirs, state = net.state_dict(), {}
    for row in golden_json(COPY / "pixart_to_stdit3_map.json")["map"]:
        if all(name in theirs for name in row["diffusers"] or ["none"]):
            state[row["pixart_pth"]] = torch.cat([theirs[name] for name in row["diffusers"]])
    width = state["y_embedder.y_proj.fc1.weight"].shape[1]
    state |= random_state({"y_embedder.y_embedding": (null_rows, width), "pos_embed": (1, 16, HIDDEN)}, seed=1)
    return state


def save_pth(path: Path, state: dict[str, Tensor]) -> Path:
    """The file as PixArt publishes it: the weights under `state_dict`, beside what training kept."""
    torch.save({"state_dict": state, "epoch": 3}, path)
    return path


def stdit3_state(model: UniForm) -> dict[str, Tensor]:
    """Random weights for every name of STDiT3 that a model has, and for none that UniForm adds."""
    mine = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    return random_state({name: shape for name, shape in mine.items() if name in stdit3_names()})


def stdit3_names() -> set[str]:
    """The 973 names of Open-Sora's checkpoint."""
    return set(golden_json(COPY / "stdit3_xl2_spec.json"))


def save_safetensors(path: Path, state: dict[str, Tensor]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in state.items()}, path)
    return path
