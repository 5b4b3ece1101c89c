"""UniForm at the paper's size, on the meta device: STDiT3's 973 names and shapes, and what each option adds to them."""

from __future__ import annotations

from typing import Any

import pytest
from golden_data import COPY, golden_json

from uniform_core.model import ModelConfig, UniForm
from uniform_core.spec import LatentLayout

TABLE = {name: tuple(entry["shape"]) for name, entry in golden_json(COPY / "stdit3_xl2_spec.json").items()}
ALWAYS = {"task_embedder.weight": (3, 128)}  # 4 channels x 32 rows of a task column
GAINS = {
    f"{kind}_blocks.{number}.cross_attn.{part}_norm.weight": (72,)
    for kind in ("spatial", "temporal")
    for number in range(28)
    for part in "qk"
}
ADDED: dict[str, tuple[dict[str, Any], dict[str, tuple[int, ...]]]] = {
    # option: (what is set, the names that it adds)
    "none": ({}, {}),
    "modality embedding": ({"modality_embedding": True}, {"modality_embedder.weight": (3, 1152)}),
    "norms of texts": ({"text_qk_norm": True}, GAINS),
    "plain view": ({"audio_form": "plain_view"}, {}),
    "chunk aligned": ({"audio_form": "chunk_aligned"}, {}),
    "clean time": ({"clean_time": "token"}, {}),
    "null text": ({"null_text": "reference"}, {}),
    "reference positions": ({"position": "reference"}, {}),
}


def at_full_size(**change: Any) -> UniForm:
    config = ModelConfig.model_validate(
        {"hidden": 1152, "depth": 28, "heads": 16, "text_width": 4096, "max_text_tokens": 300} | change
    )
    columns = 2 if config.audio_form == "chunk_aligned" else 1  # 32 + 6 + 2 and 32 + 5 + 1 are even
    layout = LatentLayout((4, 20, 32, 32), (8, 100, 16), columns, audio_form=config.audio_form)
    return UniForm(config, layout, device="meta")


@pytest.mark.parametrize("option", ADDED)
def test_names_are_stdit3s_and_exactly_those_that_are_added(option: str) -> None:
    change, added = ADDED[option]
    model = at_full_size(**change)
    assert len(TABLE) == 973
    assert {name: tuple(value.shape) for name, value in model.state_dict().items()} == TABLE | ALWAYS | added
    trained = {name: weight.numel() for name, weight in model.named_parameters() if weight.requires_grad}
    assert sum(count for name, count in trained.items() if name in TABLE) == 1_207_643_936
    assert sum(trained.values()) == 1_207_643_936 + 384 + {
        "modality embedding": 3 * 1152,
        "norms of texts": 112 * 72,
    }.get(option, 0)


def test_without_qk_norm_only_its_gains_are_absent() -> None:
    names = at_full_size(qk_norm=False).state_dict().keys()
    absent = TABLE.keys() - names
    assert len(absent) == 112
    assert len([name for name in absent if name.startswith("spatial_blocks.")]) == 56
    assert all(name.endswith(("attn.q_norm.weight", "attn.k_norm.weight")) for name in absent)
    assert names - TABLE.keys() == ALWAYS.keys()
