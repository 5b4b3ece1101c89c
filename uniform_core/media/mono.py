"""Decoded sound as one channel of floats. Axes: C channels, N samples at the source's rate.

The canonical rule is ITU-R BS.775's mono fold-down (centre 1, left and right 0.7071, surrounds 0.5, no LFE) divided by
the sum of its weights, so that it cannot clip. For mono and stereo it is the plain mean, which is also what MMAudio and
av-benchmark take. FFmpeg's own float downmix is not normalised and clips on loud stereo.
"""

from __future__ import annotations

from functools import lru_cache

import av
import numpy as np
from av.audio.resampler import AudioResampler

from uniform_core.media.forms import MonoRule

PLANES = 8
"""So many planes leave no null behind them where FFmpeg keeps their addresses, which PyAV 18 takes for their end."""
FRONT = 0.5**0.5
SURROUND = 0.5
WEIGHTS = {"FC": 1.0, "FL": FRONT, "FR": FRONT, "FLC": FRONT, "FRC": FRONT, "DL": FRONT, "DR": FRONT, "LFE": 0.0}


def channel_weights(names: list[str], rule: MonoRule) -> np.ndarray:
    """Weights of the channels, float32, summing to one.

    >>> channel_weights(["FL", "FR"], "itu").tolist()
    [0.5, 0.5]
    """
    if rule == "first":
        weights_C = np.eye(1, len(names))[0]
    elif rule == "mean":
        weights_C = np.ones(len(names))
    else:
        weights_C = np.array([0.0 if name.startswith("LFE") else WEIGHTS.get(name, SURROUND) for name in names])
        if not weights_C.any():  # a lone LFE channel is still the sound there is
            weights_C = np.ones(len(names))
    return np.asarray(weights_C / weights_C.sum(), dtype=np.float32)


def to_float(samples: np.ndarray) -> np.ndarray:
    """Samples of any FFmpeg format as float32, full scale at 1; values that are not numbers become silence."""
    if samples.dtype.kind == "f":
        if np.isfinite(samples.sum()):
            return samples.astype(np.float32)
        return np.nan_to_num(samples.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128) / 128
    return samples.astype(np.float32) / np.float32(-float(np.iinfo(samples.dtype).min))


def to_mono(frame: av.AudioFrame, rule: MonoRule) -> np.ndarray:
    """The sound of one decoded frame, float32 [N]."""
    samples_CN = _samples(frame)
    if len(samples_CN) == 1:
        return to_float(samples_CN[0])
    weights_C = _weights_of(tuple(channel.name for channel in frame.layout.channels), rule)
    return np.asarray(weights_C @ to_float(samples_CN), dtype=np.float32)


def to_channels(frame: av.AudioFrame) -> np.ndarray:
    """The sound of one decoded frame as it is, float32 [N, C]."""
    return np.ascontiguousarray(to_float(_samples(frame)).T)


def _samples(frame: av.AudioFrame) -> np.ndarray:
    """The samples of a frame in its own type, [C, N]."""
    channels = frame.layout.nb_channels
    if frame.format.is_planar and channels >= PLANES:
        frame = AudioResampler(frame.format.packed.name, frame.layout, frame.sample_rate).resample(frame)[0]
    samples = frame.to_ndarray()
    return np.asarray(samples if frame.format.is_planar else samples.reshape(-1, channels).T)


@lru_cache(maxsize=64)
def _weights_of(names: tuple[str, ...], rule: MonoRule) -> np.ndarray:
    return channel_weights(list(names), rule)
