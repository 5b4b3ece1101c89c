"""The sound of a file, by a loading rule. Axes: N samples, C channels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uniform_core.errors import Rejection
from uniform_core.media.results import StreamedMedia
from uniform_core.metrics.loading import AudioLoading, Loading

QUIET_PEAK = 10 ** (-60 / 20)
"""Sounds whose highest sample is lower are not made louder."""


@dataclass(frozen=True)
class LoadedSound:
    """What an extractor hears: float32 [N], its rate, and its highest sample before it was made equally loud."""

    waveform_N: np.ndarray
    rate_hz: int
    peak: float


def loaded_sound(media: StreamedMedia, loading: Loading) -> LoadedSound | Rejection:
    """The sound of a file as a rule has it, or why there is none."""
    rule = loading.audio
    assert rule is not None, "who hears has a rule for sound"
    if media.sound_NC is None or media.audio_rate_hz is None:
        return media.lacks.get("audio") or Rejection("no_audio", "sound expected, none found")
    if not len(media.sound_NC):
        return Rejection("empty_sound", "sound expected, 0 samples found")
    whole_N = _one_channel(media.sound_NC, rule)
    if rule.remove_dc and rule.dc_over == "file":
        whole_N = whole_N - whole_N.mean()
    if rule.starts == "picture":
        whole_N = _from_picture(whole_N, media)
    rate_hz = rule.rate_hz or media.audio_rate_hz
    part_N = _part(resampled(whole_N, rule, rate_hz=media.audio_rate_hz), loading, rate_hz=rate_hz)
    if not len(part_N):
        return Rejection("too_short", f"sound expected from {loading.start_s:g} s on, none found")
    if rule.remove_dc and rule.dc_over == "part":
        part_N = part_N - part_N.mean()
    if rule.least_samples is not None and len(part_N) < rule.least_samples:
        part_N = np.pad(part_N, (0, rule.least_samples - len(part_N)))
    peak = float(np.abs(part_N).max())
    if rule.loudness == "peak_half" and peak >= QUIET_PEAK:
        part_N = part_N * np.float32(0.5 / peak)
    return LoadedSound(np.ascontiguousarray(part_N, dtype=np.float32), rate_hz, peak)


def resampled(waveform_N: np.ndarray, rule: AudioLoading, *, rate_hz: int) -> np.ndarray:
    """The waveform at the rule's rate, by its resampler; as it is where it has that rate."""
    if rule.rate_hz is None or rule.rate_hz == rate_hz:
        return waveform_N
    if rule.resampler == "soxr_hq":
        from uniform_core.metrics.onsets import resample_for_onsets

        return resample_for_onsets(waveform_N, rate_hz=rate_hz, onset_rate_hz=rule.rate_hz)[0]
    if rule.resampler == "libswresample":
        from uniform_core.media.sound import resample

        return resample(waveform_N, rate_hz, to_hz=rule.rate_hz)
    import torch
    from torchaudio import functional

    told = functional.resample(torch.from_numpy(waveform_N), orig_freq=rate_hz, new_freq=rule.rate_hz)
    return np.asarray(told.numpy())


def _one_channel(sound_NC: np.ndarray, rule: AudioLoading) -> np.ndarray:
    channel_N: np.ndarray = sound_NC[:, 0] if rule.channels == "first" else sound_NC.mean(axis=1)
    return np.ascontiguousarray(channel_N, dtype=np.float32)


def _from_picture(whole_N: np.ndarray, media: StreamedMedia) -> np.ndarray:
    """The sound from the first picture on; as it is where the file has none."""
    if media.video_start_s is None or media.audio_start_s is None or media.audio_rate_hz is None:
        return whole_N
    late = round((media.audio_start_s - media.video_start_s) * media.audio_rate_hz)
    return np.pad(whole_N, (late, 0)) if late > 0 else whole_N[-late:]


def _part(waveform_N: np.ndarray, loading: Loading, *, rate_hz: int) -> np.ndarray:
    first = round(loading.start_s * rate_hz)
    end = None if loading.window_s is None else first + int(loading.window_s * rate_hz)
    return waveform_N[first:end]
