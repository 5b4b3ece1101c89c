"""Traits: plain numbers in which clips of one class differ, for a class net to tell beside the class.

A net that tells classes and nothing else draws each class together in one point (neural collapse): how far clips of a
class lie apart is then how odd they look to it, and no more how they differ. Traits keep what differs in the features.
They are the same for a clip and for what training makes of it: mirrored pictures, louder or later sound.
Axes: N clips, T time, H height, W width, F mel bins, D numbers of a clip, K traits.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional

TRAITS = 12
GRID = 8  # rows and columns that pictures are averaged into
BANDS = 32


def video_traits(clips: UInt8[Tensor, "N T H W 3"]) -> Float[Tensor, "N D"]:
    """Mean and spread over time of the colours of each place, left and right taken together."""
    video_NCTHW = clips.permute(0, 4, 1, 2, 3).float() / 255.0
    grid_NCTRR = functional.adaptive_avg_pool3d(video_NCTHW, (clips.shape[1], GRID, GRID))
    grid_NCTRR = 0.5 * (grid_NCTRR + grid_NCTRR.flip(4))
    return torch.cat([grid_NCTRR.mean(dim=2), grid_NCTRR.std(dim=2)], dim=1).flatten(1)


def mel_traits(mels: Float[Tensor, "N T F"]) -> Float[Tensor, "N D"]:
    """Mean over time of each band, without the level of the whole, and its spread."""
    bands_NTB = functional.adaptive_avg_pool1d(mels, min(BANDS, mels.shape[2]))
    mean_NB = bands_NTB.mean(dim=1)
    return torch.cat([mean_NB - mean_NB.mean(dim=1, keepdim=True), bands_NTB.std(dim=1)], dim=1)


def within_classes(numbers_ND: Float[Tensor, "N D"], class_N: Int[Tensor, " N"]) -> Float[Tensor, "N K"]:
    """The principal components of what is left of the numbers without the mean of the class, each of unit variance.

    A component in which clips hardly differ, or that they are too few for, is zero.
    """
    rest_ND = numbers_ND.double().numpy().copy()
    for label in np.unique(class_N.numpy()):
        own = class_N.numpy() == label
        rest_ND[own] -= rest_ND[own].mean(axis=0)
    _, sizes, axes_KD = np.linalg.svd(rest_ND, full_matrices=False)
    axes_KD = axes_KD[:TRAITS] * (sizes[:TRAITS, None] > 1e-6 * sizes[0])
    largest_K = np.abs(axes_KD).argmax(axis=1)
    axes_KD *= np.sign(axes_KD[np.arange(len(axes_KD)), largest_K])[:, None]  # one of two signs, on every machine
    found_NK = np.zeros((len(rest_ND), TRAITS))
    found_NK[:, : len(axes_KD)] = rest_ND @ axes_KD.T
    return torch.from_numpy(found_NK / np.maximum(found_NK.std(axis=0), 1e-9)).float()
