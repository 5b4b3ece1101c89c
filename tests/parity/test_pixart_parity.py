"""PixArt in STDiT3: the table of names, the shapes of diffusers' own class at full size, the output of one frame."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from checkpoint_files import DEPTH, make_pixart, pth_state, save_pth
from golden_data import COPY, golden_json
from torch import Tensor

from uniform_core.model import InitConfig, ModelConfig, UniForm, initialise_from
from uniform_core.model.embed import grid_positions, sincos_embedding
from uniform_core.model.pixart import expected_shapes, pixart_origins
from uniform_core.spec import LatentLayout

TABLE = golden_json(COPY / "pixart_to_stdit3_map.json")
PAPER = LatentLayout((4, 20, 32, 32), (8, 100, 16), 1)
XL2 = ModelConfig(hidden=1152, depth=28, heads=16, text_width=4096, max_text_tokens=300)


def test_the_table_of_names_is_the_golden_one() -> None:
    ours = {name: (origin.pth, list(origin.diffusers)) for name, origin in pixart_origins(DEPTH).items()}
    assert ours == {row["stdit3"]: (row["pixart_pth"], row["diffusers"]) for row in TABLE["map"]}
    assert len(ours) == 436
    assert set(golden_json(COPY / "stdit3_xl2_spec.json")) - set(ours) == set(TABLE["not_in_pixart"])


def test_names_and_shapes_at_full_size_are_those_of_diffusers_own_class() -> None:
    from diffusers import PixArtTransformer2DModel

    with torch.device("meta"):
        net = PixArtTransformer2DModel(caption_channels=4096, sample_size=64)
    shapes = {name: tuple(value.shape) for name, value in UniForm(XL2, PAPER, device="meta").state_dict().items()}
    origins = {name: origin for name, origin in pixart_origins(DEPTH).items() if origin.diffusers}
    expected = expected_shapes(origins, shapes, form="diffusers")
    assert expected == {name: tuple(value.shape) for name, value in net.state_dict().items()}
    assert (len(origins), len(expected)) == (435, 603)


@pytest.mark.parametrize("form", ["diffusers", "pth"])
@torch.no_grad()
def test_on_one_frame_a_model_that_starts_from_pixart_is_pixart(form: str, tmp_path: Path) -> None:
    """Temporal blocks and the frame rate are silent at first, and without qk-norm nothing else is new."""
    net = make_pixart(depth=2, captions=12)
    if form == "diffusers":
        net.save_pretrained(tmp_path / "transformer")
    else:
        save_pth(tmp_path / "of-any-name.pth", pth_state(net))
    config = ModelConfig(hidden=16, depth=2, heads=2, text_width=12, max_text_tokens=300, qk_norm=False)
    model = UniForm(config, LatentLayout((4, 5, 8, 8), (8, 25, 4), 1), seed=1)
    initialise_from(model, InitConfig(source="pixart", weights=str(tmp_path)))

    generator = torch.Generator().manual_seed(0)
    picture, text = torch.randn(2, 4, 8, 8, generator=generator), torch.randn(2, 5, 12, generator=generator)
    mask = torch.tensor([[True] * 5, [True, True, False, False, False]])
    t = torch.tensor([17.0, 804.0])
    expected = net(
        picture,
        encoder_hidden_states=text,
        encoder_attention_mask=mask,
        timestep=t,
        added_cond_kwargs={"resolution": None, "aspect_ratio": None},
    ).sample
    places = sincos_embedding(*grid_positions(4, 4, scale=1.0), hidden=16)
    conditions = model.prepare_grid(text, mask, rate_hz_B=torch.tensor([17.0]), position_SM=places, frames=1)
    found: Tensor = model.predict_grid(picture[:, :, None], t, conditions)[:, :, 0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert float(found.std()) > 0.1
