"""Extractors: what is computed once for each clip and stored, so that every metric is a reduction.

Axes: B clips, T frames or mel frames, H height, W width, F mel bins, N samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from uniform_core.fingerprint import digest
from uniform_core.metrics.av_align import onset_rate_hz
from uniform_core.metrics.gauges import area_of, colour_of, pitch_of
from uniform_core.metrics.layers import SKETCH_LAYER
from uniform_core.metrics.motion import motion_trajectory
from uniform_core.metrics.nets import MelCommittee, SyncNet, VideoCommittee
from uniform_core.metrics.onsets import onset_times
from uniform_core.metrics.sketch import mel_sketch, video_sketch
from uniform_core.metrics.synchrony import AUDIO_LAYER, VIDEO_LAYER
from uniform_core.metrics.trained import TrainedNet, class_outputs, synchrony_embeddings


@dataclass(frozen=True)
class EvalBatch:
    """Clips as one loading rule reads them. A silent clip has zeros for sound, never None."""

    frames_BTHW3: np.ndarray  # uint8
    mel_BTF: np.ndarray  # float32, natural log
    waveform_BN: np.ndarray  # float32 in [-1, 1]
    video_rate_hz: int | float
    audio_rate_hz: int

    def __len__(self) -> int:
        return len(self.frames_BTHW3)


Features = Mapping[str, Sequence[np.ndarray]]  # layer → one array for each clip of the batch, in order


class Extractor(ABC):
    """Something that looks at clips. `fingerprint` names what it is: weights and parameters."""

    name: ClassVar[str]
    modality: ClassVar[Literal["video", "audio", "joint"]]

    @property
    @abstractmethod
    def fingerprint(self) -> str: ...

    @abstractmethod
    def extract(self, batch: EvalBatch) -> Features:
        """Every layer for every clip; a clip's features do not depend on the other clips of the batch."""


@dataclass(frozen=True)
class TinyVideo(Extractor):
    """`features` and `logits` of the picture nets."""

    net: TrainedNet[VideoCommittee]
    name = "tinyvideo"
    modality = "video"

    @property
    def fingerprint(self) -> str:
        return self.net.fingerprint

    def extract(self, batch: EvalBatch) -> Features:
        features, logits = class_outputs(self.net.module, batch.frames_BTHW3)
        return {"features": list(features), "logits": list(logits)}


@dataclass(frozen=True)
class TinyMel(Extractor):
    """`features` and `logits` of the sound net."""

    net: TrainedNet[MelCommittee]
    name = "tinymel"
    modality = "audio"

    @property
    def fingerprint(self) -> str:
        return self.net.fingerprint

    def extract(self, batch: EvalBatch) -> Features:
        features, logits = class_outputs(self.net.module, batch.mel_BTF)
        return {"features": list(features), "logits": list(logits)}


@dataclass(frozen=True)
class TinySync(Extractor):
    """The flat embeddings of both towers of the synchrony net."""

    net: TrainedNet[SyncNet]
    name = "tinysync"
    modality = "joint"

    @property
    def fingerprint(self) -> str:
        return self.net.fingerprint

    def extract(self, batch: EvalBatch) -> Features:
        video, audio = synchrony_embeddings(self.net.module, batch.frames_BTHW3, batch.mel_BTF)
        return {VIDEO_LAYER: list(video), AUDIO_LAYER: list(audio)}


@dataclass(frozen=True)
class Farneback(Extractor):
    """`flow`: the motion trajectory; `rate_hz`: the frame rate that it stands on."""

    name = "farneback"
    modality = "video"

    @property
    def fingerprint(self) -> str:
        return digest(["extractor", self.name, 1])

    def extract(self, batch: EvalBatch) -> Features:
        rates = [np.array(batch.video_rate_hz, dtype=np.float64)] * len(batch)
        return {"flow": [motion_trajectory(iter(clip)) for clip in batch.frames_BTHW3], "rate_hz": rates}


@dataclass(frozen=True)
class LibrosaOnsets(Extractor):
    """Onset times at the rates that rules of AV-align ask for, each a layer (`onset_layer`)."""

    layers: tuple[str, ...]
    name = "librosa"
    modality = "audio"

    @property
    def fingerprint(self) -> str:
        return digest(["extractor", self.name, 1])  # the rate of a layer is in the layer's name

    def extract(self, batch: EvalBatch) -> Features:
        def at(layer: str) -> list[np.ndarray]:
            rate_hz, onset_hz = batch.audio_rate_hz, onset_rate_hz(layer)
            return [onset_times(wave_N, rate_hz=rate_hz, onset_rate_hz=onset_hz) for wave_N in batch.waveform_BN]

        return {layer: at(layer) for layer in self.layers}


@dataclass(frozen=True)
class Gauge(Extractor):
    """`colour`, `area` and `pitch` by arithmetic alone (`gauges.py`)."""

    name = "gauge"
    modality = "joint"

    @property
    def fingerprint(self) -> str:
        return digest(["extractor", self.name, 1])

    def extract(self, batch: EvalBatch) -> Features:
        return {
            "colour": [colour_of(frames_THW3) for frames_THW3 in batch.frames_BTHW3],
            "area": [area_of(frames_THW3) for frames_THW3 in batch.frames_BTHW3],
            "pitch": [pitch_of(mel_TF) for mel_TF in batch.mel_BTF],
        }


@dataclass(frozen=True)
class VideoSketch(Extractor):
    """`sketch`: the picture in little, to be compared with every training clip."""

    name = "videosketch"
    modality = "video"

    @property
    def fingerprint(self) -> str:
        return digest(["extractor", self.name, 1])

    def extract(self, batch: EvalBatch) -> Features:
        return {SKETCH_LAYER: [video_sketch(frames_THW3) for frames_THW3 in batch.frames_BTHW3]}


@dataclass(frozen=True)
class MelSketch(Extractor):
    """`sketch`: the log-mel in little, in steps of one frame of the picture."""

    name = "melsketch"
    modality = "audio"

    @property
    def fingerprint(self) -> str:
        return digest(["extractor", self.name, 1])

    def extract(self, batch: EvalBatch) -> Features:
        steps = batch.frames_BTHW3.shape[1]
        return {SKETCH_LAYER: [mel_sketch(mel_TF, steps=steps) for mel_TF in batch.mel_BTF]}
