"""Rendered takes with picture and sound in step, in disjoint groups. Axes: T frames, H height, W width, N samples."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from uniform_core.datasets import ProceduralConfig
from uniform_core.spec import AVSpec

SPEC = AVSpec(
    duration_s=2.0, video_rate_hz=16, height_px=64, width_px=64, canonical_short_side_px=64, hop=250, f_max_hz=8000.0
)
LEAD_FRAMES = 8  # of the take before the clip begins: what is heard where the sound is late
_FRAME_SAMPLES = SPEC.audio_rate_hz // SPEC.video_rate_hz
DATA = ProceduralConfig(seed=0, short_s=SPEC.duration_s + LEAD_FRAMES / SPEC.video_rate_hz)


@dataclass(frozen=True)
class Clip:
    """A clip of SPEC. `earlier_M` is what sounded in the half second before it, `events_s` when things happen in it."""

    key: str
    label: str
    frames_THW3: np.ndarray  # uint8
    waveform_N: np.ndarray  # float32
    earlier_M: np.ndarray
    events_s: tuple[float, ...]

    @cached_property
    def picture(self) -> str:
        """What its frames are, in a word."""
        return digest_of(self.frames_THW3)

    @cached_property
    def sound(self) -> str:
        """What its sound is, in a word."""
        return digest_of(self.waveform_N)


@dataclass(frozen=True)
class Group:
    """Clips to be degraded, and as many others of the same classes to compare them with."""

    number: int
    clips: tuple[Clip, ...]
    reference: tuple[Clip, ...]


def groups(count: int, *, of_class: int, labels: tuple[str, ...] = DATA.labels) -> Iterator[Group]:
    """Groups that share no clip: clips of the held-out split, references of the training one."""
    for number in range(count):
        indices = range(number * of_class, (number + 1) * of_class)
        sides = (clips_of(split, indices, labels=labels) for split in ("held_out", "train"))
        yield Group(number, *sides)


def clips_of(split: str, indices: range, *, labels: tuple[str, ...] = DATA.labels) -> tuple[Clip, ...]:
    """A clip of each class for each index."""
    return tuple(clip_of(split, label, index) for index in indices for label in labels)


def clip_of(split: str, label: str, index: int) -> Clip:
    """The end of a take: its picture and its sound from LEAD_FRAMES on."""
    scene = DATA.scene(split, label, form="short", index=index)
    frames_THW3 = scene.frames(rate_hz=SPEC.video_rate_hz, size_px=SPEC.height_px)
    take_N = scene.waveform(rate_hz=SPEC.audio_rate_hz)
    lead = LEAD_FRAMES * _FRAME_SAMPLES
    lead_s = LEAD_FRAMES / SPEC.video_rate_hz
    return Clip(
        key=f"{split}/{label}/{index:05d}",
        label=label,
        frames_THW3=frames_THW3[LEAD_FRAMES:][: SPEC.frames],
        waveform_N=take_N[lead:][: SPEC.samples],
        earlier_M=take_N[:lead],
        events_s=tuple(time - lead_s for time in scene.events.inside(scene.duration_s) if time >= lead_s),
    )


def later(clip: Clip, frames: float) -> np.ndarray:
    """What is heard with the clip where its sound is late by so many frames: no silence, the take from earlier on."""
    take_N = np.concatenate([clip.earlier_M, clip.waveform_N])
    end = len(take_N) - round(frames * _FRAME_SAMPLES)
    return take_N[end - SPEC.samples : end]


def digest_of(array: np.ndarray) -> str:
    """32 hex digits of an array's bytes."""
    return hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).hexdigest()
