"""I3D-400 against its three references: both front ends, logits and features, both batch norms, names and shapes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from golden_data import golden_folders, golden_table, numpy_arrays
from golden_nets import PYTORCH_EPS, i3d_look, i3d_net
from published_weights import spec_table
from torch import Tensor

from uniform_core.metrics.published.frames import mm_diffusion_clip, styleganv_clip
from uniform_core.metrics.published.i3d import MIN_FRAMES, I3dNet
from uniform_core.metrics.published.loading import empty

ATOL = 1e-6  # the README's, of logits of about 0.1 with weights by the rule
FRONTS: dict[str, Callable[[np.ndarray], Tensor]] = {"mm": mm_diffusion_clip, "cd": styleganv_clip}
PREPROCESSED = {f"preprocessed_{front}_{what}" for front in FRONTS for what in ("frame0_ds8", "mean_std")}
OTHER_NORM = ("piergiaj_logits_mmpreprocess_time_mean", "piergiaj_logits_raw")
LOOKS = {"mm_diffusion_logits", "mm_diffusion_avgpool_features", "cdfvd_logits_cdpreprocess", *OTHER_NORM}
each_folder = pytest.mark.parametrize("folder", golden_folders("i3d"), ids=lambda path: path.name)


@each_folder
def test_nothing_in_a_folder_is_left_out(folder: Path) -> None:
    assert set(numpy_arrays(folder / "data.npz")) == {"video_thwc_uint8"} | PREPROCESSED | LOOKS


@each_folder
@pytest.mark.parametrize("front", FRONTS)
def test_front_ends(folder: Path, front: str) -> None:
    golden = numpy_arrays(folder / "data.npz")
    clip_CTHW = FRONTS[front](golden["video_thwc_uint8"])
    assert clip_CTHW.shape == (3, len(golden["video_thwc_uint8"]), 224, 224)
    np.testing.assert_allclose(clip_CTHW[:, 0, ::8, ::8], golden[f"preprocessed_{front}_frame0_ds8"], rtol=0, atol=ATOL)
    found = [clip_CTHW.double().mean(), clip_CTHW.double().std()]
    np.testing.assert_allclose(found, golden[f"preprocessed_{front}_mean_std"], rtol=0, atol=ATOL)


@each_folder
def test_mm_diffusions_features_and_logits(folder: Path) -> None:
    golden = numpy_arrays(folder / "data.npz")
    look = i3d_look(folder, mm_diffusion_clip(golden["video_thwc_uint8"]))
    np.testing.assert_allclose(look.logits_BK[0], golden["mm_diffusion_logits"], rtol=0, atol=ATOL)
    over_time = golden["mm_diffusion_avgpool_features"].mean(axis=1)
    np.testing.assert_allclose(look.features_BD[0], over_time, rtol=0, atol=ATOL)


@each_folder
def test_logits_of_a_squashed_picture(folder: Path) -> None:
    golden = numpy_arrays(folder / "data.npz")
    look = i3d_look(folder, styleganv_clip(golden["video_thwc_uint8"]))
    np.testing.assert_allclose(look.logits_BK[0], golden["cdfvd_logits_cdpreprocess"], rtol=0, atol=ATOL)


@each_folder
def test_logits_by_the_batch_norm_of_pytorch_i3d(folder: Path) -> None:
    golden = numpy_arrays(folder / "data.npz")
    look = i3d_look(folder, mm_diffusion_clip(golden["video_thwc_uint8"]), eps=PYTORCH_EPS)
    for name in OTHER_NORM:
        expected = golden[name].reshape(len(look.logits_BK[0]), -1).mean(axis=1)
        np.testing.assert_allclose(look.logits_BK[0], expected, rtol=0, atol=ATOL)


@each_folder
def test_a_clip_alone_is_as_beside_another(folder: Path) -> None:
    clip_CTHW = mm_diffusion_clip(numpy_arrays(folder / "data.npz")["video_thwc_uint8"][:MIN_FRAMES])
    clips_BCTHW, network = torch.stack([clip_CTHW, clip_CTHW.flip(1)]), i3d_net(folder).network
    with torch.no_grad():
        together = network(clips_BCTHW)
    alone = i3d_net(folder).look(clips_BCTHW)
    for found, expected in zip(together, alone, strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@each_folder
def test_names_and_shapes(folder: Path) -> None:
    network = empty(partial(I3dNet, batch_norm_eps=1e-5))
    names = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
    assert names == {name: entry["shape"] for name, entry in golden_table(folder).items()}
    assert names == {name: entry["shape"] for name, entry in spec_table("i3d_400").items()}
