"""What extractors find in clips, each stream once however many ladders leave it alone. Nothing is encoded.

Axes: T frames, H height, W width, N samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from ladder.takes import SPEC, Clip, digest_of
from uniform_core.codecs.mel import log_mel
from uniform_core.errors import Rejection
from uniform_core.media.results import StreamedMedia
from uniform_core.metrics.base import CLIPS, Inputs, MetricConfig, Need, Side
from uniform_core.metrics.extractors import EvalBatch, Extractor
from uniform_core.metrics.features import FeatureSet
from uniform_core.metrics.layers import modality_of
from uniform_core.metrics.originals.extractors import Layers, PictureExtractor, SoundExtractor
from uniform_core.metrics.originals.frames import FrameFeed
from uniform_core.metrics.originals.reader import Look
from uniform_core.metrics.originals.sound import loaded_sound
from uniform_core.metrics.originals.wanted import PublishedNets, looks_of


@dataclass(frozen=True)
class Gallery:
    """Extractors, and what they found by the bytes that they were given."""

    published: Mapping[tuple[str, str], Look]  # by the extractor's name and the rule's hash
    tiny: Mapping[str, Extractor]
    found: dict[tuple[str, ...], Layers] = field(default_factory=dict)

    @classmethod
    def of(cls, metrics: Sequence[MetricConfig], nets: PublishedNets, tiny: Mapping[str, Extractor]) -> Gallery:
        """For these metrics: those of named protocols look by `nets`, those of the tiny preset by `tiny`."""
        looks = looks_of([metric for metric in metrics if metric.protocol.loading is not None], nets)
        return cls({(look.extractor.name, look.loading.part_hash): look for look in looks}, tiny)

    def inputs(self, metric: MetricConfig, clips: Sequence[Clip], reference: Sequence[Clip]) -> Inputs:
        """All that a metric reads of degraded clips, and of those that they are compared with."""
        sides = {Side.GENERATED: clips, Side.REFERENCE: reference}
        return {
            need: FeatureSet.of(
                [clip.key for clip in sides[need.side]], [self._value(metric, need, clip) for clip in sides[need.side]]
            )
            for need in (*metric.needs, *metric.checked)
        }

    def _value(self, metric: MetricConfig, need: Need, clip: Clip) -> np.ndarray:
        if need.extractor == CLIPS:
            known = {"label": np.array(clip.label), "event_times_s": np.array(clip.events_s)}
            return known[need.layer]
        loading = metric.protocol.loading
        if loading is None:
            return self._by_tiny(self.tiny[need.extractor], clip)[need.layer]
        part_hash = loading.only(modality_of(need)).part_hash
        return self._by_look(self.published[need.extractor, part_hash], clip)[need.layer]

    def _by_tiny(self, extractor: Extractor, clip: Clip) -> Layers:
        sees, hears = extractor.modality != "audio", extractor.modality != "video"
        key = ("tiny", extractor.name, clip.picture if sees else "", clip.sound if hears else "")
        return self._once(key, lambda: _layers_of(extractor, clip))

    def _by_look(self, look: Look, clip: Clip) -> Layers:
        extractor = look.extractor
        if isinstance(extractor, PictureExtractor):
            key = (extractor.name, look.loading.part_hash, clip.key, clip.picture)
            return self._once(key, lambda: _seen(extractor, look, clip))
        assert isinstance(extractor, SoundExtractor), "an extractor looks or listens"
        sound = loaded_sound(_media(clip), look.loading)
        assert not isinstance(sound, Rejection), sound
        key = (extractor.name, digest_of(sound.waveform_N))  # by what is heard: suites differ little on such clips
        heard = self._once(key, lambda: _accepted(extractor.hear(sound.waveform_N, rate_hz=sound.rate_hz)))
        return {**heard, "peak": np.array(sound.peak)}

    def _once(self, key: tuple[str, ...], look: Callable[[], Layers]) -> Layers:
        if key not in self.found:
            self.found[key] = look()
        return self.found[key]


def _seen(extractor: PictureExtractor, look: Look, clip: Clip) -> Layers:
    """The layers of frames that come as from a file; a random window lies at one place on all rungs."""
    watcher = extractor.watch()
    feed = FrameFeed(look.loading, rate_hz=float(SPEC.video_rate_hz), content=clip.key, see=watcher.see)
    for number, frame_HW3 in enumerate(clip.frames_THW3):
        feed.take(frame_HW3, SPEC.frame_time_s(number))
    problem = feed.finish()
    assert problem is None, problem
    layers = _accepted(watcher.layers(rate_hz=feed.rate_hz))
    return {**layers, "rate_hz": np.array(feed.rate_hz), "movement": np.array(feed.movement)}


def _layers_of(extractor: Extractor, clip: Clip) -> Layers:
    waveform_1N = clip.waveform_N[None]
    mel_1TF = log_mel(torch.from_numpy(waveform_1N), SPEC).numpy()
    batch = EvalBatch(clip.frames_THW3[None], mel_1TF, waveform_1N, SPEC.video_rate_hz, SPEC.audio_rate_hz)
    return {layer: values[0] for layer, values in extractor.extract(batch).items()}


def _media(clip: Clip) -> StreamedMedia:
    return StreamedMedia(
        frames=len(clip.frames_THW3),
        video_rate_hz=float(SPEC.video_rate_hz),
        video_start_s=0.0,
        sound_NC=clip.waveform_N[:, None],
        audio_rate_hz=SPEC.audio_rate_hz,
        audio_start_s=0.0,
        lacks={},
        decode_errors=0,
    )


def _accepted(found: Layers | Rejection) -> Layers:
    assert not isinstance(found, Rejection), found
    return found
