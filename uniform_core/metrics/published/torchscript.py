"""A TorchScript file as a net of evaluation: float clips in, features or probabilities out.

Axes: B clips, C channels, T frames, H height, W width, D outputs.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from uniform_core.devices import device_of
from uniform_core.errors import ConfigError
from uniform_core.metrics.published.scripted import ScriptConfig, pinned_sha256, script_file
from uniform_core.weights.reading import first_line
from uniform_core.weights.script import load_script

SUM_ATOL: Final = 1e-3  # of what are called probabilities, in float32


class ScriptedNet:
    """A module that somebody else compiled; one clip at a time."""

    def __init__(self, module: Any, config: ScriptConfig) -> None:
        self._module, self._config, self._device = module, config, device_of(config.device)

    def outputs(self, clips_BCTHW: Float[Tensor, "B 3 T H W"]) -> Float32[np.ndarray, "B D"]:
        """One row for each clip. Raises ConfigError for too few frames, and for outputs of another form."""
        frames = clips_BCTHW.shape[2]
        if frames < self._config.least_frames:
            raise self._error(f"clips of at least {self._config.least_frames} frames", f"{frames}")
        with torch.no_grad():
            rows = [self._row(clip) for clip in torch.split(clips_BCTHW, 1)]
        return np.concatenate(rows)

    def _row(self, clip_1CTHW: Tensor) -> np.ndarray:
        options = dict.fromkeys(self._config.options, True)
        try:
            said = self._module(clip_1CTHW.to(device=self._device, dtype=torch.float32), **options)
        except RuntimeError as error:  # what TorchScript raises, whatever was wrong within
            raise self._error("a clip that it can look at", first_line(error)) from error
        if not isinstance(said, Tensor) or said.ndim != 2 or len(said) != 1:
            shape = list(said.shape) if isinstance(said, Tensor) else type(said).__name__
            raise self._error("one row for a clip", f"{shape}")
        row_1D: np.ndarray = said.float().cpu().numpy()
        if not np.isfinite(row_1D).all():
            raise self._error("finite numbers", "NaN or infinity")
        if self._config.output == "probabilities" and not _is_distribution(row_1D):
            raise self._error("probabilities that sum to 1", f"a sum of {row_1D.sum():.4g}, least {row_1D.min():.4g}")
        return row_1D

    def _error(self, expected: str, found: str) -> ConfigError:
        fix = "Look at its clips, and at the options and the output that its config says."
        return ConfigError(f"TorchScript {self._config.weights}", expected=expected, found=found, fix=fix)


def load_scripted(config: ScriptConfig) -> ScriptedNet:
    """The net of a config. Raises ConfigError where its code is not allowed, its sha256 is not known, or is another."""
    module = load_script(script_file(config), sha256=pinned_sha256(config), allow_code=config.allow_code)
    return ScriptedNet(module.to(device_of(config.device)).eval(), config)


def _is_distribution(row_1D: np.ndarray) -> bool:
    return bool(row_1D.min() >= 0 and abs(float(row_1D.sum()) - 1) <= SUM_ATOL)
