"""STDiT3 without audio and task columns is Open-Sora's, to float rounding, on every golden folder."""

from __future__ import annotations

import functools
import math
from pathlib import Path

import pytest
import torch
from golden_data import COPY, golden_arrays, golden_folders, golden_json, golden_state
from torch import Tensor, nn

from uniform_core.model import ModelConfig, STDiT3
from uniform_core.model.embed import grid_positions, sincos_embedding
from uniform_core.model.kernels import rotate_pairs
from uniform_core.model.stdit3 import GridConditions

TOLERANCE = {"atol": 2e-5, "rtol": 1e-4}  # the README's; two independent implementations differ by less than 1e-5
FOLDERS = golden_folders("stdit3")
each_folder = pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)


class Golden:
    """A folder: its arrays, and our model with its weights."""

    def __init__(self, folder: Path) -> None:
        values = golden_json(folder / "config.json")
        config = values["config"]
        self.x, self.out = golden_arrays(folder / "inputs.npz"), golden_arrays(folder / "outputs.npz")
        self.config = ModelConfig(
            hidden=config["hidden_size"],
            depth=config["depth"],
            heads=config["num_heads"],
            mlp_ratio=config["mlp_ratio"],
            patch_THW=tuple(config["patch_size"]),
            text_width=config["caption_channels"],
            max_text_tokens=config["model_max_length"],
            qk_norm=config["qk_norm"],
        )
        self.square = config["input_sq_size"]
        self.model = STDiT3(self.config, channels=config["in_channels"]).eval()
        state = golden_state("stdit3", seed=values["seed"])
        absent, extra = self.model.load_state_dict(state, strict=False)
        assert (absent, extra) == (["rope.freqs"], [])

    def positions(self, grid: Tensor, *, height: float, width: float) -> Tensor:
        _, p_h, p_w = self.config.patch_THW
        rows, columns = math.ceil(grid.shape[3] / p_h), math.ceil(grid.shape[4] / p_w)
        at = grid_positions(rows, columns, scale=math.sqrt(height * width) / self.square)
        return sincos_embedding(*at, hidden=self.config.hidden)

    def conditions(
        self, grid: Tensor, *, mask: Tensor, samples: int = 2, height: float = 256, width: float = 256
    ) -> GridConditions:
        return self.model.prepare_grid(
            self.x["y"][:samples, 0],
            mask[:samples].bool(),
            rate_hz_B=self.x["fps"][:samples],
            position_SM=self.positions(grid, height=height, width=width),
            frames=math.ceil(grid.shape[2] / self.config.patch_THW[0]),
        )

    def base(self) -> GridConditions:
        height, width = float(self.x["height"][0]), float(self.x["width"][0])
        return self.conditions(self.x["x"], mask=self.x["mask"], height=height, width=width)


@functools.cache
def golden(folder: Path) -> Golden:
    return Golden(folder)


def recorded(model: STDiT3) -> tuple[dict[str, Tensor], list[torch.utils.hooks.RemovableHandle]]:
    """What the named parts of the model return while it runs; blocks and embedders as [B, tokens, M]."""
    seen: dict[str, Tensor] = {}
    parts: dict[str, nn.Module] = {"x_embedder": model.x_embedder, "t_block": model.t_block}
    parts |= {"t_embedder": model.t_embedder, "final_layer_tokens": model.final_layer}
    for index, (spatial, temporal) in enumerate(zip(model.spatial_blocks, model.temporal_blocks, strict=True)):
        parts |= {f"spatial_{index}": spatial, f"temporal_{index}": temporal}

    def keep(name: str, _part: nn.Module, _inputs: object, output: Tensor) -> None:
        seen.setdefault(name, output.flatten(1, 2) if output.ndim == 4 else output)

    return seen, [part.register_forward_hook(functools.partial(keep, name)) for name, part in parts.items()]


def compare(case: str, folder: Path, seen: dict[str, Tensor]) -> None:
    expected = {name: golden(folder).out[f"{case}.{name}"] for name in seen}
    for name, value in seen.items():
        torch.testing.assert_close(value, expected[name], **TOLERANCE, msg=lambda text, name=name: f"{name}: {text}")


def run(folder: Path, case: str, *, grid: Tensor, t: Tensor, conditions: GridConditions, clean=None) -> Tensor:
    """The output of a case, after every recorded part of it has been compared with the reference's."""
    model = golden(folder).model
    seen, hooks = recorded(model)
    try:
        with torch.no_grad():
            output = model.predict_grid(grid, t.float(), conditions, is_clean=clean)
    finally:
        for hook in hooks:
            hook.remove()
    if clean is not None:
        del seen["final_layer_tokens"]  # with the reference's double modulation; the output is compared without it
    compare(case, folder, seen)
    return output


@each_folder
@torch.no_grad()
def test_base(folder: Path) -> None:
    g = golden(folder)
    conditions = g.base()
    torch.testing.assert_close(conditions.rate_BM, g.out["base.fps_embedder"], **TOLERANCE)
    torch.testing.assert_close(conditions.position_SM[None], g.out["base.pos_embed"], **TOLERANCE)
    torch.testing.assert_close(g.model.y_embedder(g.x["y"][:, 0]), g.out["base.y_proj"][:, 0], **TOLERANCE)
    tokens = g.model.x_embedder(g.x["x"]) + conditions.position_SM
    torch.testing.assert_close(tokens.flatten(1, 2), g.out["base.tokens_in"], **TOLERANCE)
    output = run(folder, "base", grid=g.x["x"], t=g.x["timestep"], conditions=conditions)
    torch.testing.assert_close(output, g.out["base.output"], **TOLERANCE)


@each_folder
def test_without_a_mask_all_caption_tokens_are_read(folder: Path) -> None:
    g = golden(folder)
    with torch.no_grad():
        conditions = g.conditions(g.x["x"], mask=torch.ones_like(g.x["mask"]))
    output = run(folder, "nomask", grid=g.x["x"], t=g.x["timestep"], conditions=conditions)
    torch.testing.assert_close(output, g.out["nomask.output"], **TOLERANCE)


@each_folder
def test_clean_frames_keep_time_zero(folder: Path) -> None:
    g = golden(folder)
    with torch.no_grad():
        conditions = g.base()
    is_clean = ~g.x["x_mask"][:, :, None, None]
    output = run(folder, "xmask", grid=g.x["x"], t=g.x["timestep"], conditions=conditions, clean=is_clean)
    torch.testing.assert_close(output, g.out["xmask_fixed.output"], **TOLERANCE)
    assert not torch.allclose(output, g.out["xmask.output"], **TOLERANCE)  # the reference's own bug is not ours


@each_folder
def test_odd_sizes_are_padded_and_cropped(folder: Path) -> None:
    g = golden(folder)
    height, width = float(g.x["height_odd"][0]), float(g.x["width_odd"][0])
    with torch.no_grad():
        conditions = g.conditions(g.x["x_odd"], mask=g.x["mask"], height=height, width=width)
    output = run(folder, "odd", grid=g.x["x_odd"], t=g.x["timestep_float"], conditions=conditions)
    torch.testing.assert_close(output, g.out["odd.output"], **TOLERANCE)


@each_folder
@torch.no_grad()
def test_the_unified_width(folder: Path) -> None:
    g = golden(folder)
    conditions = g.conditions(g.x["x_wide"], mask=g.x["mask"], samples=1)
    output = g.model.predict_grid(g.x["x_wide"], g.x["timestep"][:1].float(), conditions)
    torch.testing.assert_close(output, g.out["wide.output"], **TOLERANCE)


@each_folder
@pytest.mark.parametrize(("columns", "base"), [(16, 16), (19, 17)])
def test_position_embedding(folder: Path, columns: int, base: int) -> None:
    g = golden(folder)
    codes = sincos_embedding(*grid_positions(16, columns, scale=0.5), hidden=g.config.hidden)
    torch.testing.assert_close(codes[None], g.out[f"posemb.h16_w{columns}_scale0.5_base{base}"], **TOLERANCE)


@each_folder
def test_rope(folder: Path) -> None:
    g = golden(folder)
    rope = g.model.rope
    torch.testing.assert_close(rope.freqs, g.out["rope_freqs"], **TOLERANCE)
    by_position = g.x["rope_q"].transpose(1, 2)  # the reference turns along the last axis but one
    turned = rotate_pairs(by_position, rope.rotation(by_position.shape[1]))
    torch.testing.assert_close(turned.transpose(1, 2), g.out["rope_out"], **TOLERANCE)


@each_folder
@torch.no_grad()
def test_attention_alone(folder: Path) -> None:
    g = golden(folder)
    tokens = g.out["base.tokens_in"]
    spatial, temporal = g.model.blocks()[:2]
    rotation = g.model.rope.rotation(tokens.shape[1])
    torch.testing.assert_close(spatial.attn(tokens), g.out["attn_spatial.out"], **TOLERANCE)
    torch.testing.assert_close(temporal.attn(tokens, rotation_T2d=rotation), g.out["attn_temporal.out"], **TOLERANCE)
    keys = spatial.cross_attn.keys(g.out["base.y_proj"][:, 0], g.x["mask"].bool()[:, None, None])
    torch.testing.assert_close(spatial.cross_attn(tokens, keys), g.out["cross_attn.out"], **TOLERANCE)


def test_names_and_shapes_at_the_papers_size() -> None:
    table = golden_json(COPY / "stdit3_xl2_spec.json")
    config = ModelConfig(hidden=1152, depth=28, heads=16, text_width=4096, max_text_tokens=300)
    with torch.device("meta"):
        model = STDiT3(config, channels=4)
    expected = {name: tuple(entry["shape"]) for name, entry in table.items()}
    assert {name: tuple(value.shape) for name, value in model.state_dict().items()} == expected
    assert sum(weight.numel() for weight in model.parameters()) == 1_207_643_936
