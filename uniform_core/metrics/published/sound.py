"""What the nets of sound ask of a waveform before they look at it."""

from __future__ import annotations

import numpy as np

from uniform_core.errors import ConfigError

RATE_HZ = 16_000  # of both nets


def require_waveform(waveform_N: np.ndarray, *, least: int, net: str) -> None:
    """It is one channel of finite floats, and long enough. Raises ConfigError."""
    wrong = None
    if waveform_N.ndim != 1 or waveform_N.dtype.kind != "f":
        wrong = f"{waveform_N.dtype} of shape {list(waveform_N.shape)}"
    elif len(waveform_N) < least:
        wrong = f"{len(waveform_N):,} samples"
    elif not np.isfinite(waveform_N).all():
        wrong = "NaN or infinity"
    if wrong is not None:
        raise ConfigError(
            f"{net}: a waveform",
            expected=f"one channel of at least {least:,} finite float samples at {RATE_HZ:,} Hz",
            found=wrong,
            fix="Decode, resample and pad it by the protocol's loading rule; leave out clips that are too short.",
        )
