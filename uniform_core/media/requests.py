"""What the worker can be asked, each as one function from a JSON object to answers on the channel."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import av.logging

from uniform_core.media import canonical, cutting, decoding, measuring, streaming
from uniform_core.media.cut_file import CutFile
from uniform_core.media.encoder import write_synced
from uniform_core.media.facts import facts_of
from uniform_core.media.forms import PIECE_SLOTS, CanonicalForm, CutRule, DecodeRule, Limits, StreamRule
from uniform_core.media.opening import open_source
from uniform_core.media.plans import Span
from uniform_core.media.refusal import Refused
from uniform_core.media.results import ClipFacts, SourceFacts
from uniform_core.media.window import FinishedClip, Plan

av.logging.set_level(av.logging.PANIC)
_NUMBERS = count()


class Answers(Protocol):
    def say(self, kind: str, **message: Any) -> None: ...

    def hear(self) -> dict[str, Any]: ...


def probe(request: dict[str, Any], channel: Answers) -> None:
    """Facts of a file; a stream that is not there is None. Raises Refused where it is no media."""
    with open_source(Path(request["path"]), Limits(**request["limits"])) as source:
        first_v, first_a = source.read_head()
        facts = facts_of(source, source.first_picture, video_start_s=first_v, audio_start_s=first_a)
    channel.say("facts", facts=asdict(facts))


def canonicalise(request: dict[str, Any], channel: Answers) -> None:
    """One answer for each window: `clip` with a synced file of a temporary name, or `refused`."""
    form = CanonicalForm(**request["form"])
    windows = request["windows"]
    canonical.canonicalise(
        Path(request["path"]),
        form,
        windows=None if windows is None else [(start, end) for start, end in windows],
        cut=CutRule(**request["cut"]),
        limits=Limits(**request["limits"]),
        listener=_Writer(Path(request["out_dir"]), form, channel),
    )


def cut(request: dict[str, Any], channel: Answers) -> None:
    """One answer for each span: `cut` with a synced file of a temporary name, or `refused`."""
    cutting.cut(
        Path(request["path"]),
        [(start, end) for start, end in request["spans"]],
        limits=Limits(**request["limits"]),
        listener=_CutWriter(Path(request["out_dir"]), channel),
    )


def measure(request: dict[str, Any], channel: Answers) -> None:
    """What a file is when all of it is decoded. Raises Refused."""

    def progress(time_s: float) -> None:
        channel.say("progress", time_s=time_s)

    limits, longest_s = Limits(**request["limits"]), request["longest_s"]
    measured = measuring.measure(Path(request["path"]), limits=limits, longest_s=longest_s, progress=progress)
    channel.say("measured", measured=asdict(measured))


def decode(request: dict[str, Any], channel: Answers) -> None:
    """Scratch files with the pictures and the sound of a file. Raises Refused."""
    rule = dict(request["rule"])
    rule["size_px"] = None if rule["size_px"] is None else tuple(rule["size_px"])
    decoded = decoding.decode(
        Path(request["path"]),
        DecodeRule(**rule),
        limits=Limits(**request["limits"]),
        frames_file=Path(request["frames_file"]),
        sound_file=Path(request["sound_file"]),
    )
    channel.say("decoded", decoded=asdict(decoded))


def stream(request: dict[str, Any], channel: Answers) -> None:
    """Pieces of frames, each of which is answered with `more`, then what was read in all. Raises Refused.

    A scratch file is written again only when its last piece is answered: until then one further piece may be given.
    """
    open_pieces = 0

    def answered() -> bool:
        nonlocal open_pieces
        open_pieces -= 1
        return bool(channel.hear()["more"])

    def give(piece: streaming.Piece) -> bool:
        nonlocal open_pieces
        channel.say("frames", piece=asdict(piece))
        open_pieces += 1
        return answered() if open_pieces == PIECE_SLOTS else True

    try:
        streamed = streaming.stream(
            Path(request["path"]),
            StreamRule(**request["rule"]),
            limits=Limits(**request["limits"]),
            frames_files=[Path(name) for name in request["frames_files"]],
            sound_file=Path(request["sound_file"]),
            give=give,
        )
    finally:
        while open_pieces:  # what the parent says to them is no next request
            answered()
    channel.say("streamed", streamed=asdict(streamed))


class _Teller:
    """A listener that tells the parent, and knows a temporary name for each file."""

    def __init__(self, out_dir: Path, channel: Answers) -> None:
        self._out_dir, self._channel = out_dir, channel

    def part(self) -> Path:
        return self._out_dir / f".part-{os.getpid()}-{next(_NUMBERS)}.mp4"

    def progress(self, time_s: float) -> None:
        self._channel.say("progress", time_s=time_s)

    def _refused(self, window: tuple[float, float] | None, why: Refused) -> None:
        verdict = {"error_class": why.error_class, "message": why.message, "terminal": why.terminal}
        self._channel.say("refused", window=window, **verdict)


class _Writer(_Teller):
    """Lays canonical clips on disk."""

    def __init__(self, out_dir: Path, form: CanonicalForm, channel: Answers) -> None:
        super().__init__(out_dir, channel)
        self._form = form

    def clip(self, plan: Plan, clip: FinishedClip, *, facts: SourceFacts) -> None:
        part = self.part()
        write_synced(part, clip.data)
        columns = clip_facts(clip, self._form, facts)
        self._channel.say("clip", window=[plan.start_s, plan.end_s], part=part.name, facts=asdict(columns))

    def refused(self, plan: Plan | None, why: Refused) -> None:
        self._refused(None if plan is None else (plan.start_s, plan.end_s), why)


class _CutWriter(_Teller):
    """Hears of clips that are cut from a video, and lie on disk already."""

    def clip(self, span: Span, file: CutFile, *, duration_s: float, decode_errors: int) -> None:
        facts = {"duration_s": duration_s, "frames": file.frames, "decode_errors": decode_errors}
        self._channel.say("cut", window=span, part=file.path.name, facts=facts)

    def refused(self, span: Span | None, why: Refused) -> None:
        self._refused(span, why)


def clip_facts(clip: FinishedClip, form: CanonicalForm, facts: SourceFacts) -> ClipFacts:
    """The row of a clip, as far as media knows it."""
    return ClipFacts(
        clip_sha256=clip.sha256,
        bytes=len(clip.data),
        width_px=clip.size_WH[0],
        height_px=clip.size_WH[1],
        frames=form.frames,
        video_rate_hz=float(form.video_rate_hz),
        samples=form.samples,
        audio_rate_hz=form.audio_rate_hz,
        source_width_px=facts.width_px or 0,
        source_height_px=facts.height_px or 0,
        source_video_rate_hz=facts.video_rate_hz,
        source_audio_rate_hz=facts.audio_rate_hz,
        source_channels=facts.channels,
        source_video_codec=facts.video_codec or "unknown",
        source_audio_codec=facts.audio_codec,
        source_duration_s=facts.duration_s,
        rotation_deg=facts.rotation_deg,
        held_frames=clip.held_frames,
        decode_errors=clip.decode_errors,
        audio_peak=clip.audio_peak,
        audio_rms_db=clip.audio_rms_db,
        motion=clip.motion,
        is_silent=clip.is_silent,
        is_still=clip.is_still,
        picture_hash=clip.picture_hash,
        sound_print=clip.sound_print,
    )


HANDLERS: dict[str, Callable[[dict[str, Any], Answers], None]] = {
    "probe": probe,
    "canonicalise": canonicalise,
    "decode": decode,
    "cut": cut,
    "measure": measure,
    "stream": stream,
}
