"""STDiT3 without audio and task columns is Open-Sora's, to float rounding, on every golden folder."""

from __future__ import annotations

import functools
import math
import re
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from golden_data import COPY, golden_arrays, golden_folders, golden_json, golden_state, numpy_arrays
from torch import Tensor, nn

from uniform_core.model import ModelConfig, STDiT3
from uniform_core.model.block import modulated
from uniform_core.model.embed import grid_positions, sincos_embedding, unpatchify
from uniform_core.model.kernels import rotate_pairs
from uniform_core.model.stdit3 import GridConditions

TOLERANCE = {"atol": 2e-5, "rtol": 1e-4}  # the README's; two independent implementations differ by less than 1e-5
FOLDERS = golden_folders("stdit3")
each_folder = pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
POSITIONS = r"posemb\.h(\d+)_w(\d+)_scale([\d.]+)_base(\d+)"


def position_grids(folder: Path) -> list[str]:
    """The arrays of a folder that are position codes of a grid, which their name tells."""
    return [name for name in numpy_arrays(folder / "outputs.npz") if re.fullmatch(POSITIONS, name)]


class Case(NamedTuple):
    """One call of the reference: the names of what it was given."""

    name: str
    grid: str = "x"
    t: str = "timestep"
    ending: str = ""  # of height and width
    reads_padding: bool = False  # of the captions


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
        absent, extra = self.model.load_state_dict(golden_state(folder), strict=False)
        assert (absent, extra) == (["rope.freqs"], [])

    def mask(self, case: Case) -> Tensor:
        """Which tokens of the captions a case reads, of as many samples as its grid has."""
        mask = self.x["mask"][: len(self.x[case.grid])].bool()
        return torch.ones_like(mask) if case.reads_padding else mask

    @torch.no_grad()
    def conditions(self, case: Case) -> GridConditions:
        grid, mask = self.x[case.grid], self.mask(case)
        patches_T, rows, columns = (
            math.ceil(size / patch) for size, patch in zip(grid.shape[2:], self.config.patch_THW, strict=True)
        )
        height, width = (float(self.x[side + case.ending][0]) for side in ("height", "width"))
        at = grid_positions(rows, columns, scale=math.sqrt(height * width) / self.square)
        return self.model.prepare_grid(
            self.x["y"][: len(grid), 0],
            mask,
            rate_hz_B=self.x["fps"][: len(grid)],
            position_SM=sincos_embedding(*at, hidden=self.config.hidden),
            frames=patches_T,
        )


@functools.cache
def golden(folder: Path) -> Golden:
    return Golden(folder)


def recorded(model: STDiT3) -> tuple[dict[str, Tensor], list[torch.utils.hooks.RemovableHandle]]:
    """What the named parts of the model return while it runs, as [B, tokens, M]; for clean frames a second time."""
    seen: dict[str, Tensor] = {}
    parts: dict[str, nn.Module] = {"x_embedder": model.x_embedder, "t_block": model.t_block}
    parts |= {"t_embedder": model.t_embedder, "final_layer_tokens": model.final_layer}
    for index, (spatial, temporal) in enumerate(zip(model.spatial_blocks, model.temporal_blocks, strict=True)):
        parts |= {f"spatial_{index}": spatial, f"temporal_{index}": temporal}

    def keep(name: str, _part: nn.Module, _inputs: object, output: Tensor) -> None:
        seen[f"{name}_t0" if name in seen else name] = output.flatten(1, 2) if output.ndim == 4 else output

    return seen, [part.register_forward_hook(functools.partial(keep, name)) for name, part in parts.items()]


def entering(g: Golden, case: Case, conditions: GridConditions) -> dict[str, Tensor]:
    """What goes into the blocks of a case, in the reference's names and shapes."""
    mask, text_BLM = g.mask(case), g.model.y_embedder(g.x["y"][:, 0])
    tokens_BTSM = g.model.x_embedder(g.x[case.grid]) + conditions.position_SM
    return {
        "fps_embedder": conditions.rate_BM,
        "pos_embed": conditions.position_SM[None],
        "y_proj": text_BLM[:, None],
        "y_packed": text_BLM[mask][None],
        "y_lens": mask.sum(dim=1),
        "tokens_in": tokens_BTSM.flatten(1, 2),
    }


@torch.no_grad()
def run(folder: Path, case: Case, *, is_clean: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
    """Our output of a case, and all that the reference recorded on its way to it."""
    g = golden(folder)
    conditions = g.conditions(case)
    seen, hooks = recorded(g.model)
    try:
        output = g.model.predict_grid(g.x[case.grid], g.x[case.t].float(), conditions, is_clean=is_clean)
    finally:
        for hook in hooks:
            hook.remove()
    return output, seen | entering(g, case, conditions)


def compare(folder: Path, case: str, found: dict[str, Tensor]) -> None:
    """Raises AssertionError where any array that a folder has of a case was not found, or is another."""
    start = f"{case}."
    expected = {name[len(start) :]: array for name, array in golden(folder).out.items() if name.startswith(start)}
    assert {"output"} <= expected.keys() <= found.keys()
    for name, array in expected.items():
        torch.testing.assert_close(found[name], array, **TOLERANCE, msg=lambda text, name=name: f"{name}: {text}")


BASE, NO_MASK, CLEAN = Case("base"), Case("nomask", reads_padding=True), Case("xmask")
ODD = Case("odd", grid="x_odd", t="timestep_float", ending="_odd")
WHOLE = (BASE, NO_MASK, ODD)  # compared with all that was recorded, as it is


@each_folder
@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case.name)
def test_every_value_on_the_way(folder: Path, case: Case) -> None:
    """With padded captions; with captions read to the end; with grids that are padded and cropped."""
    output, seen = run(folder, case)
    compare(folder, case.name, seen | {"output": output})


def doubly_modulated(model: STDiT3, x_BTSM: Tensor, times_BM: tuple[Tensor, Tensor], is_clean: Tensor) -> Tensor:
    """The reference's final layer, which norms and modulates clean tokens again after it did so by the noisy time."""
    table = model.final_layer.scale_shift_table
    for time_BM, tokens in zip(times_BM, (torch.ones_like(is_clean), is_clean), strict=True):
        shift, scale = (table[:, None, None, None] + time_BM[:, None, None]).unbind(0)
        x_BTSM = torch.where(tokens, modulated(x_BTSM, shift=shift, scale=scale), x_BTSM)
    return model.final_layer.linear(x_BTSM)


@each_folder
@torch.no_grad()
def test_clean_frames_keep_time_zero(folder: Path) -> None:
    g = golden(folder)
    is_clean = ~g.x["x_mask"][:, :, None, None]
    output, seen = run(folder, CLEAN, is_clean=is_clean)
    compare(folder, "xmask_fixed", {"output": output})
    rate_BM, size_THW = seen["fps_embedder"], g.x["x"].shape[2:]
    x_BTSM = seen[f"temporal_{g.config.depth - 1}"].unflatten(1, (is_clean.shape[1], -1))
    times_BM = (seen["t_embedder"] + rate_BM, seen["t_embedder_t0"] + rate_BM)
    theirs = doubly_modulated(g.model, x_BTSM, times_BM, is_clean)
    its_output = unpatchify(theirs, patch_THW=g.config.patch_THW, size_THW=tuple(size_THW))
    compare(folder, "xmask", seen | {"final_layer_tokens": theirs.flatten(1, 2), "output": its_output})


@each_folder
@torch.no_grad()
def test_the_unified_width(folder: Path) -> None:
    g, case = golden(folder), Case("wide", grid="x_wide")
    grid = g.x["x_wide"]
    output = g.model.predict_grid(grid, g.x["timestep"][: len(grid)].float(), g.conditions(case))
    compare(folder, "wide", {"output": output})


@pytest.mark.parametrize(("folder", "name"), [(folder, name) for folder in FOLDERS for name in position_grids(folder)])
def test_position_embedding(folder: Path, name: str) -> None:
    match = re.fullmatch(POSITIONS, name)
    assert match is not None
    rows, columns, scale, base = int(match[1]), int(match[2]), float(match[3]), int(match[4])
    assert base == round(math.sqrt(rows * columns))
    codes = sincos_embedding(*grid_positions(rows, columns, scale=scale), hidden=golden(folder).config.hidden)
    torch.testing.assert_close(codes[None], golden(folder).out[name], **TOLERANCE)


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
    keys = spatial.cross_attn.keys(g.out["base.y_proj"][:, 0], g.mask(BASE)[:, None, None])
    torch.testing.assert_close(spatial.cross_attn(tokens, keys), g.out["cross_attn.out"], **TOLERANCE)


def test_names_and_shapes_at_the_papers_size() -> None:
    table = golden_json(COPY / "stdit3_xl2_spec.json")
    config = ModelConfig(hidden=1152, depth=28, heads=16, text_width=4096, max_text_tokens=300)
    with torch.device("meta"):
        model = STDiT3(config, channels=4)
    expected = {name: tuple(entry["shape"]) for name, entry in table.items()}
    assert {name: tuple(value.shape) for name, value in model.state_dict().items()} == expected
    assert sum(weight.numel() for weight in model.parameters()) == 1_207_643_936
