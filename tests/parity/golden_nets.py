"""The published nets with a golden folder's weights, through their real files; each net and each look is made once.

Weights of one net alone are kept: they have 0.3 GB, and its rule takes seconds.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import published_weights
import torch
from golden_data import golden_seed

from uniform_core.metrics.published import Cnn14Config, I3dConfig, VggishConfig
from uniform_core.metrics.published.cnn14 import Cnn14, Cnn14Look
from uniform_core.metrics.published.i3d import I3d, I3dLook
from uniform_core.metrics.published.vggish import Vggish

EPS, PYTORCH_EPS = 1e-5, 1e-3  # of batch norm: in every FVD, and in pytorch-i3d


def vggish_net(folder: Path) -> Vggish:
    """VGGish with the folder's weights."""
    return _vggish(golden_seed(folder))


def cnn14_net(folder: Path) -> Cnn14:
    """Cnn14 with the folder's weights."""
    return _cnn14(golden_seed(folder))


def i3d_net(folder: Path, *, eps: float = EPS) -> I3d:
    """I3D with the folder's weights."""
    return _i3d(golden_seed(folder), eps)


def cnn14_look(folder: Path, waveform_N: np.ndarray) -> Cnn14Look:
    """What Cnn14 with the folder's weights says of a waveform."""
    return _cnn14_look(golden_seed(folder), waveform_N.tobytes())


def i3d_look(folder: Path, clip_CTHW: torch.Tensor, *, eps: float = EPS) -> I3dLook:
    """What I3D with the folder's weights says of a clip."""
    return _i3d_look(golden_seed(folder), clip_CTHW.numpy().tobytes(), eps)


@lru_cache(maxsize=1)
def _vggish(seed: int) -> Vggish:
    _cnn14.cache_clear()
    with TemporaryDirectory() as work:
        path = published_weights.write_vggish(Path(work), seed)
        return VggishConfig(weights=str(path), device="cpu").build()


@lru_cache(maxsize=1)
def _cnn14(seed: int) -> Cnn14:
    _vggish.cache_clear()
    with TemporaryDirectory() as work:
        path = published_weights.write_cnn14(Path(work), seed)
        return Cnn14Config(weights=str(path), device="cpu").build()


@lru_cache(maxsize=2)
def _i3d(seed: int, eps: float) -> I3d:
    with TemporaryDirectory() as work:
        path = published_weights.write_i3d(Path(work), seed)
        return I3dConfig(weights=str(path), device="cpu", batch_norm_eps=eps).build()


@lru_cache(maxsize=4)
def _cnn14_look(seed: int, waveform: bytes) -> Cnn14Look:
    return _cnn14(seed).look(np.frombuffer(bytearray(waveform), dtype=np.float32))


@lru_cache(maxsize=4)
def _i3d_look(seed: int, clip: bytes, eps: float) -> I3dLook:
    clip_BCTHW = torch.frombuffer(bytearray(clip), dtype=torch.float32).reshape(1, 3, -1, 224, 224)
    return _i3d(seed, eps).look(clip_BCTHW)
