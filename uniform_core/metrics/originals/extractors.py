"""What looks at original files: frames as they come, or the sound when it is whole. One clip, all layers that it has.

Beside its features each extractor tells what `Protocol.checks` may ask: `rate_hz` and `movement` of the frames that it
saw, the `peak` of the sound that it heard. Axes: N samples, T frames, E examples, D features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from uniform_core.errors import Rejection
from uniform_core.fingerprint import digest
from uniform_core.metrics.av_align import onset_rate_hz
from uniform_core.metrics.layers import I3D_LAYERS
from uniform_core.metrics.motion import MotionMeter
from uniform_core.metrics.onsets import onset_times
from uniform_core.metrics.published.configs import Cnn14Config, I3dConfig, VggishConfig
from uniform_core.metrics.published.scripted import ScriptConfig
from uniform_core.types import Modality

if TYPE_CHECKING:
    from uniform_core.metrics.published.torchscript import ScriptedNet

Layers = Mapping[str, np.ndarray]

VGGISH_SAMPLES: Final = 15_600  # of one example: 96 frames, the last of them 25 ms long
CNN14_SAMPLES: Final = 4_960  # five poolings need 32 frames
I3D_FRAMES: Final = 9


@cache
def built(config: VggishConfig | Cnn14Config | I3dConfig | ScriptConfig) -> Any:
    """The net of a config, loaded once in a process however many rules it looks by."""
    return config.build()


class OriginalExtractor(ABC):
    """Something that looks at original files. `fingerprint` names what it is: weights and parameters."""

    name: ClassVar[str]
    modality: ClassVar[Modality]

    @property
    @abstractmethod
    def fingerprint(self) -> str: ...


class Watcher(ABC):
    """Who looks at the frames of one file."""

    @abstractmethod
    def see(self, frame_HW3: np.ndarray) -> None:
        """Take in the next RGB uint8 frame [H, W, 3]."""

    @abstractmethod
    def layers(self, *, rate_hz: float | None) -> Layers | Rejection:
        """What was seen, once the file has ended."""


class PictureExtractor(OriginalExtractor):
    """Looks at frames. `is_windowed`: it holds all that it sees, so that its rule must have a window."""

    modality = Modality.VIDEO
    is_windowed: ClassVar[bool] = False

    @abstractmethod
    def watch(self) -> Watcher:
        """A watcher of one file."""


class SoundExtractor(OriginalExtractor):
    """Listens to whole sounds."""

    modality = Modality.AUDIO

    @abstractmethod
    def hear(self, waveform_N: np.ndarray, *, rate_hz: int) -> Layers | Rejection:
        """The layers of one sound, float32."""


@dataclass(frozen=True)
class StreamedFarneback(PictureExtractor):
    """`flow`: the motion trajectory, by frames as they come; `rate_hz`: the frame rate that it stands on."""

    name = "farneback"

    @property
    def fingerprint(self) -> str:
        return digest(["extractor", self.name, 1])

    def watch(self) -> Watcher:
        return _FlowWatcher()


class _FlowWatcher(Watcher):
    def __init__(self) -> None:
        self._meter = MotionMeter()

    def see(self, frame_HW3: np.ndarray) -> None:
        self._meter.see(frame_HW3)

    def layers(self, *, rate_hz: float | None) -> Layers | Rejection:
        trajectory_T = self._meter.trajectory_T
        if rate_hz is None:
            return Rejection("no_rate", "a frame rate expected, the container says none")
        if len(trajectory_T) < 2:
            return Rejection("too_short", f"two frames expected to see motion, {len(trajectory_T)} found")
        return {"flow": trajectory_T}


@dataclass(frozen=True)
class StreamedOnsets(SoundExtractor):
    """Onset times, by librosa's rule at the rate of each layer (`onset_layer`)."""

    wanted: tuple[str, ...]
    name = "librosa"

    @property
    def fingerprint(self) -> str:
        return digest(["extractor", self.name, 1])  # the rate of a layer is in the layer's name

    def hear(self, waveform_N: np.ndarray, *, rate_hz: int) -> Layers | Rejection:
        return {
            layer: onset_times(waveform_N, rate_hz=rate_hz, onset_rate_hz=onset_rate_hz(layer)) for layer in self.wanted
        }


@dataclass(frozen=True)
class Vggish16k(SoundExtractor):
    """`features` [E, 128]: a row for each 0.96 s, of all rows of all clips FAD is made."""

    config: VggishConfig
    name = "vggish16k"

    @property
    def fingerprint(self) -> str:
        return self.config.fingerprint

    def hear(self, waveform_N: np.ndarray, *, rate_hz: int) -> Layers | Rejection:
        too_short = _too_short(waveform_N, VGGISH_SAMPLES, rate_hz=rate_hz)
        return too_short or {"features": built(self.config).embed(waveform_N)}


@dataclass(frozen=True)
class Cnn14At16k(SoundExtractor):
    """`features` [2048] behind the last ReLU, and `logits` [527]."""

    config: Cnn14Config
    name = "cnn14_16k"

    @property
    def fingerprint(self) -> str:
        return self.config.fingerprint

    def hear(self, waveform_N: np.ndarray, *, rate_hz: int) -> Layers | Rejection:
        too_short = _too_short(waveform_N, CNN14_SAMPLES, rate_hz=rate_hz)
        if too_short is not None:
            return too_short
        look = built(self.config).look(waveform_N)
        return {"features": look.features_D, "logits": look.logits_K}


@dataclass(frozen=True)
class I3d400(PictureExtractor):
    """The 400 logits behind the front ends that are wanted, `I3D_LAYERS`."""

    config: I3dConfig
    wanted: tuple[str, ...] = I3D_LAYERS
    name = "i3d400"
    is_windowed = True

    @property
    def fingerprint(self) -> str:
        return self.config.fingerprint

    def watch(self) -> Watcher:
        return _Clip(I3D_FRAMES, self._look)

    def _look(self, frames_THW3: np.ndarray) -> Layers:
        from uniform_core.metrics.published.frames import mm_diffusion_clip, styleganv_clip

        fronts = dict(zip(I3D_LAYERS, (mm_diffusion_clip, styleganv_clip), strict=True))
        return {layer: built(self.config).look(fronts[layer](frames_THW3)[None]).logits_BK[0] for layer in self.wanted}


@dataclass(frozen=True)
class ScriptedI3d(PictureExtractor):
    """`features`: the 400 numbers that StyleGAN-V's TorchScript file gives before its softmax."""

    config: ScriptConfig
    name = "i3d400_torchscript"
    is_windowed = True

    @property
    def fingerprint(self) -> str:
        return self.config.fingerprint

    def watch(self) -> Watcher:
        return _Clip(I3D_FRAMES, lambda frames_THW3: {"features": _scripted_row(built(self.config), frames_THW3)})


@dataclass(frozen=True)
class ScriptedC3d(PictureExtractor):
    """`log_probabilities` of the 101 classes of UCF-101, float64: the softmax of them is what the file gave."""

    config: ScriptConfig
    name = "c3d_ucf101"
    is_windowed = True

    @property
    def fingerprint(self) -> str:
        return self.config.fingerprint

    def watch(self) -> Watcher:
        return _Clip(1, self._look)

    def _look(self, frames_THW3: np.ndarray) -> Layers:
        row_K = _scripted_row(built(self.config), frames_THW3).astype(np.float64)
        return {"log_probabilities": np.log(np.maximum(row_K, np.finfo(np.float64).tiny))}


class _Clip(Watcher):
    """The frames of a window, which a net looks at together."""

    def __init__(self, least: int, look: Callable[[np.ndarray], Layers]) -> None:
        self._least, self._look = least, look
        self._frames: list[np.ndarray] = []

    def see(self, frame_HW3: np.ndarray) -> None:
        self._frames.append(frame_HW3)

    def layers(self, *, rate_hz: float | None) -> Layers | Rejection:
        del rate_hz
        if len(self._frames) < self._least:
            return Rejection("too_short", f"{self._least} frames expected, {len(self._frames)} found")
        return self._look(np.stack(self._frames))


def _scripted_row(net: ScriptedNet, frames_THW3: np.ndarray) -> np.ndarray:
    from uniform_core.metrics.published.frames import plain_clip

    return np.asarray(net.outputs(plain_clip(frames_THW3)[None])[0])


def _too_short(waveform_N: np.ndarray, least: int, *, rate_hz: int) -> Rejection | None:
    if len(waveform_N) >= least:
        return None
    found = f"{len(waveform_N) / rate_hz:.3f} s"
    return Rejection("too_short", f"{least / rate_hz:.3f} s of sound expected, {found} found")
