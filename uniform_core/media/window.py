"""One window of a source while it is being cut: its ticks, its encoder, its measures."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from uniform_core.media.encoder import ClipEncoder, quantise
from uniform_core.media.forms import CanonicalForm
from uniform_core.media.picture import Motion, Scaler, plane
from uniform_core.media.prints import PictureHash, sound_print
from uniform_core.media.refusal import Refused
from uniform_core.media.sound import SoundCut, SoundTrack
from uniform_core.media.source import Picture
from uniform_core.media.timeline import Ticks

SILENT_PEAK = 1e-4
MAX_HELD = 1
"""How many frames may show a neighbour's picture, and for how many frames' time sound may be missing."""


@dataclass(frozen=True)
class Plan:
    """A window that is asked for, seconds on the source's timeline; `until_s` is where the source must reach."""

    start_s: float
    end_s: float
    until_s: float


@dataclass(frozen=True)
class FinishedClip:
    """The bytes of a clip and what was measured on the way."""

    data: bytes
    sha256: str
    size_WH: tuple[int, int]
    held_frames: int
    decode_errors: int
    audio_peak: float
    audio_rms_db: float | None
    motion: float
    is_still: bool
    picture_hash: str | None
    sound_print: str | None

    @property
    def is_silent(self) -> bool:
        return self.audio_peak < SILENT_PEAK


class OpenWindow:
    """A window between its first picture and its last sample."""

    def __init__(
        self, plan: Plan, form: CanonicalForm, *, size_WH: tuple[int, int], scaler: Scaler, slack_s: float, errors: int
    ) -> None:
        self.plan = plan
        self._form, self._size_WH, self._scaler = form, size_WH, scaler
        self._errors_before = errors
        self._ticks = Ticks(plan.start_s, form.video_rate_hz, count=form.frames, slack_s=slack_s)
        self._encoder = ClipEncoder(size_WH, form)
        self._motion = Motion()
        self._hash = PictureHash(form.frames)
        self._held = 0
        self._late_frames = 0

    @property
    def has_all_frames(self) -> bool:
        return self._ticks.done

    @property
    def missing_frames(self) -> int:
        return self._ticks.left or 0

    @property
    def sound_end_s(self) -> float:
        """Until where sound is needed."""
        return self.plan.start_s + self._form.duration_s

    def show(self, picture: Picture, *, until_s: float) -> None:
        """Show a picture on every tick before `until_s`; ticks before its own time are counted as late."""
        times = self._ticks.before(until_s)
        self._encode(picture, times)
        if until_s <= picture.time_s:
            self._late_frames += times

    def hold_last(self, picture: Picture) -> None:
        """Show the last picture one frame longer than it lasts, if exactly one frame is missing."""
        if self.missing_frames == 1:
            self._ticks.hold()
            self._encode(picture, 1)
            self._held = 1

    def _encode(self, picture: Picture, times: int) -> None:
        if not times:
            return
        frame = self._scaler.scale(picture.frame, self._size_WH)
        self._motion.see(frame, times)
        self._hash.see(plane(frame, 0), times)
        for _ in range(times):
            self._encoder.add(frame)

    def finish(self, track: SoundTrack, *, errors: int) -> FinishedClip:
        """The clip. Raises Refused where picture or sound do not cover the window, to one frame."""
        self._check_picture()
        sound = track.cut(self.plan.start_s, self._form.duration_s, rate_hz=self._form.audio_rate_hz)
        self._check_sound(sound)
        samples_N = quantise(sound.waveform_N)
        stored_N = samples_N.astype(np.float64) / 32768
        rms = float(np.sqrt(np.mean(stored_N**2)))
        data = self._encoder.finish(samples_N)
        return FinishedClip(
            data=data,
            sha256=hashlib.sha256(data).hexdigest(),
            size_WH=self._size_WH,
            held_frames=self._late_frames + self._held,
            decode_errors=errors - self._errors_before,
            audio_peak=float(np.abs(stored_N).max()),
            audio_rms_db=20 * float(np.log10(rms)) if rms > 0 else None,
            motion=self._motion.mean,
            is_still=self._motion.is_still,
            picture_hash=self._hash.hex,
            sound_print=sound_print(samples_N, self._form.audio_rate_hz),
        )

    def _check_picture(self) -> None:
        wanted = f"a picture expected from {self.plan.start_s:.3f} s"
        if self._late_frames > MAX_HELD:
            late_s = self._late_frames * self._form.frame_s
            raise Refused("starts_late", f"{wanted}, none found for {late_s:.3f} s")
        if self._late_frames + self._held > MAX_HELD:
            raise Refused("too_short", f"{wanted} for {self._form.duration_s:g} s, none found at both ends")

    def _check_sound(self, sound: SoundCut) -> None:
        form = self._form
        most_s = MAX_HELD * form.frame_s + 1e-6
        wanted = f"{form.duration_s:g} s of sound expected from {self.plan.start_s:.3f} s"
        if sound.short_s > most_s:
            raise Refused("too_short", f"{wanted}, it ends {sound.short_s:.3f} s early")
        if sound.late_s > most_s:
            raise Refused("starts_late", f"{wanted}, it begins {sound.late_s:.3f} s late")
        missing_s = sound.late_s + sound.lost_s + sound.short_s
        if missing_s > most_s:
            raise Refused("lost_sound", f"{wanted}, {missing_s:.3f} s of it are missing or do not decode")

    def abandon(self) -> None:
        self._encoder.abandon()
