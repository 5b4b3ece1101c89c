"""Lengths, rates and shapes of a clip, computed in one place. Nobody else multiplies a rate by a duration.

Axes: B batch, C channels, T time, H height, W width, F mel bins or their latent, N audio samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from pydantic import model_validator

from uniform_core.types import Count, Frozen, PositiveFloat


class AVSpec(Frozen):
    """What a clip is: the paper's §4.1.2 is 4 s, 17 fps, 256x256, 16 kHz."""

    duration_s: PositiveFloat
    video_rate_hz: Count
    height_px: Count
    width_px: Count
    canonical_short_side_px: Count
    audio_rate_hz: Count = 16_000
    n_fft: Count = 1024
    hop: Count = 160
    n_mels: Count = 64
    f_max_hz: PositiveFloat = 8_000.0

    @model_validator(mode="after")
    def _whole_numbers(self) -> AVSpec:
        for name, rate in (("video_rate_hz", self.video_rate_hz), ("audio_rate_hz", self.audio_rate_hz)):
            if abs(self.duration_s * rate - round(self.duration_s * rate)) > 1e-9:
                raise ValueError(
                    f"duration_s {self.duration_s} x {name} {rate} must be a whole number of samples: change either"
                )
        if self.samples % self.hop:
            raise ValueError(
                f"{self.samples} audio samples must be a multiple of hop {self.hop}: change hop or duration_s"
            )
        return self

    @property
    def frames(self) -> int:
        """Video frames of a clip."""
        return round(self.duration_s * self.video_rate_hz)

    @property
    def samples(self) -> int:
        """Audio samples of a clip."""
        return round(self.duration_s * self.audio_rate_hz)

    @property
    def mel_frames(self) -> int:
        """Log-mel frames of a clip (the `training` form of AudioLDM: one per hop, no extra frame)."""
        return self.samples // self.hop

    @property
    def position_scale(self) -> float:
        """STDiT3's measure of a picture: sqrt(height x width) by the 512 that its weights call 1."""
        return math.sqrt(self.height_px * self.width_px) / 512

    @property
    def pixel_shape_CTHW(self) -> tuple[int, int, int, int]:
        return (3, self.frames, self.height_px, self.width_px)

    @property
    def mel_shape_TF(self) -> tuple[int, int]:
        return (self.mel_frames, self.n_mels)

    def frame_time_s(self, index: int) -> float:
        """The presentation time of frame `index` in a canonical clip."""
        return index / self.video_rate_hz


AudioForm = Literal["time_major", "plain_view", "chunk_aligned"]
# Open-Sora's VAE makes 5 latent frames of 17 pictures: the first holds one, the others four each (facts/model.md §2.3).
CHUNK_PICTURES, CHUNK_FRAMES, GROUP_PICTURES = 17, 5, 4


@dataclass(frozen=True)
class LatentLayout:
    """The unified latent: video columns, then audio columns, then task columns, on one [C, T, H, W] grid.

    Paper §3.3.1–3.3.2. At the paper's size video [4, 20, 32, 32] and audio [8, 100, 16] make width 32 + 5 + 1.
    `audio_form` says how audio becomes columns: `time_major` gives each latent frame its equal share of time,
    `plain_view` re-reads the same numbers in another shape (not aligned in time), `chunk_aligned` gives each frame the
    units whose middles it covers where frames are those of 17-picture chunks; cells without a unit are empty.
    Raises ValueError, with what to change, where the audio latent does not fill whole columns or the patch does not
    divide the grid.
    """

    video_CTHW: tuple[int, int, int, int]
    audio_CTF: tuple[int, int, int]
    task_columns: int
    patch_THW: tuple[int, int, int] = (1, 2, 2)
    audio_form: AudioForm = "time_major"

    def __post_init__(self) -> None:
        if min(*self.video_CTHW, *self.audio_CTF, *self.patch_THW) < 1 or self.task_columns < 0:
            raise ValueError(
                f"video latent {self.video_CTHW}, audio latent {self.audio_CTF}, patch {self.patch_THW} and "
                f"{self.task_columns} task columns must not be below 1 (task columns: 0)"
            )
        if problem := self._why_audio_leaves_gaps() or self._why_patch_does_not_divide():
            raise ValueError(problem)

    def _why_audio_leaves_gaps(self) -> str | None:
        """Why the audio latent does not fill whole columns, and what to change; None where it does."""
        (c_v, t_v, h_v, _), (c_a, t_a, f_a) = self.video_CTHW, self.audio_CTF
        item = (
            f"audio latent {list(self.audio_CTF)} does not fill whole columns of video latent {list(self.video_CTHW)}"
        )
        if self.audio_form == "plain_view":
            whole = c_a * t_a * f_a % (c_v * t_v * h_v) == 0
            return None if whole else f"{item}: a plain view needs C_a x T_a x F to be a multiple of C x T x H"
        if c_a % c_v:
            return f"{item}: its {c_a} channels must be a multiple of the video's {c_v}: choose codecs that fit"
        if self.audio_form == "chunk_aligned" and (t_v % CHUNK_FRAMES or t_a % (t_v // CHUNK_FRAMES)):
            return (
                f"{item}: aligned to chunks, {t_v} latent frames must be {CHUNK_FRAMES} a chunk, and {t_a} steps of "
                "sound as many for each: change spec.duration_s, or model.audio_form"
            )
        if self.audio_form == "time_major" and t_a % t_v:
            return (
                f"{item}: its {t_a} steps of time must be a multiple of the video's {t_v} latent frames: change "
                "spec.duration_s, spec.video_rate_hz or spec.hop"
            )
        height = c_a // c_v * f_a
        if height != h_v:
            return (
                f"{item}: its {c_a} channels of {f_a} bins, laid over {c_v} channels, are {height} high and must be as "
                f"high as the video latent, {h_v}: change spec.height_px or spec.n_mels"
            )
        return None

    def _why_patch_does_not_divide(self) -> str | None:
        """Why the patch does not divide the grid, and what to change; None where it does."""
        _, frames, height, _ = self.video_CTHW
        p_t, p_h, p_w = self.patch_THW
        item = f"patch {list(self.patch_THW)} does not divide the grid {[frames, height, self.width]}"
        if frames % p_t:
            return f"{item}: {frames} latent frames are no multiple of {p_t}: change model.patch_THW or spec.duration_s"
        if height % p_h:
            return f"{item}: {height} rows are no multiple of {p_h}: change model.patch_THW or spec.height_px"
        if self.width % p_w:
            fitting = self.task_columns + -self.width % p_w
            return f"{item}: {self.width} columns are no multiple of {p_w}: task_columns {fitting} would fit"
        return None

    @property
    def audio_fold(self) -> int:
        """d: how many audio channels lie above one another in one video channel."""
        return self.audio_CTF[0] // self.video_CTHW[0]

    @property
    def audio_columns(self) -> int:
        """w: columns that hold audio; in `time_major` the audio sub-frames of one video latent frame."""
        if self.audio_form == "chunk_aligned":
            frames = [self._frame_of_unit(unit) for unit in range(self._chunk_units)]
            return max(frames.count(frame) for frame in range(CHUNK_FRAMES))
        (c_v, t_v, h_v, _), (c_a, t_a, f_a) = self.video_CTHW, self.audio_CTF
        return c_a * t_a * f_a // (c_v * t_v * h_v)

    @cached_property
    def audio_cells(self) -> tuple[int, ...]:
        """For each audio unit of `chunk_aligned`, in order of time: latent frame x w + column."""
        cells: list[int] = []
        for unit in range(self.audio_CTF[1]):
            chunk, place = divmod(unit, self._chunk_units)
            first = (chunk * CHUNK_FRAMES + self._frame_of_unit(place)) * self.audio_columns
            cells.append(cells[-1] + 1 if cells and cells[-1] >= first else first)
        return tuple(cells)

    @property
    def _chunk_units(self) -> int:
        """Audio units that sound while one chunk of pictures is seen."""
        return self.audio_CTF[1] * CHUNK_FRAMES // self.video_CTHW[1]

    def _frame_of_unit(self, unit: int) -> int:
        """The latent frame of a chunk that covers the middle of a unit: all times as multiples of 1/2u of a picture."""
        middle, picture = (2 * unit + 1) * CHUNK_PICTURES, 2 * self._chunk_units
        return 0 if middle < picture else 1 + (middle - picture) // (GROUP_PICTURES * picture)

    @property
    def width(self) -> int:
        """All columns: video + audio + task."""
        return self.video_CTHW[3] + self.audio_columns + self.task_columns

    @property
    def unified_CTHW(self) -> tuple[int, int, int, int]:
        c, t, h, _ = self.video_CTHW
        return (c, t, h, self.width)

    @property
    def tokens(self) -> int:
        """Tokens of a clip."""
        return math.prod(self.grid_THW)

    @property
    def grid_THW(self) -> tuple[int, int, int]:
        """Tokens along time, height and width."""
        _, t, h, w = self.unified_CTHW
        p_t, p_h, p_w = self.patch_THW
        return (t // p_t, h // p_h, w // p_w)
