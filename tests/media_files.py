"""Odd media files for tests, made with PyAV: every frame carries its number, every whole second a flash and a burst.

The picture: 12 blocks along the lower edge are the bits of the frame number; the upper half is white for 0.1 s from
every whole second of the file's own clock, grey else. The sound: 20 ms of 3 kHz from every whole second, on quiet
noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

BITS = 12
BLOCK = 8
WIDTH, HEIGHT = BITS * BLOCK, 64
FLASH_S, BURST_S, BURST_HZ = 0.1, 0.02, 3000.0


@dataclass(frozen=True)
class Recipe:
    """What a file is; the defaults are an ordinary mp4 of three seconds."""

    duration_s: float = 3.0
    fps: Fraction = Fraction(25)
    video_codec: str | None = "libx264"
    audio_codec: str | None = "aac"
    container: str = "mp4"
    size: tuple[int, int] = (WIDTH, HEIGHT)
    pixel_format: str = "yuv420p"
    audio_rate: int = 48_000
    layout: str = "stereo"
    audio_duration_s: float | None = None
    video_start_s: float = 0.0
    audio_start_s: float = 0.0
    sound_lost_s: tuple[float, float] | None = None  # packets that begin in between are left out
    kept: Sequence[int] | None = None  # frame numbers; a gap is a hole in a variable rate
    last_stands_s: float | None = None  # how long the last packet's picture is said to stand
    rotation: int | None = None
    mirrored: bool = False
    pixel_aspect: Fraction | None = None
    still: bool = False
    silent: bool = False
    gop: int = 12
    b_frames: bool = True
    interleaved: bool = True
    faststart: bool = False


def picture(number: int, time_s: float, recipe: Recipe) -> np.ndarray:
    """RGB [H, W, 3] of one frame."""
    width, height = recipe.size
    image = np.full((height, width, 3), 90, np.uint8)
    if recipe.still:
        return image
    if time_s % 1.0 < FLASH_S - 1e-9:
        image[: height // 2] = 250
    block = width // BITS
    for bit in range(BITS):
        value = 235 if number >> bit & 1 else 20
        image[height - max(BLOCK, height // 8) :, bit * block : (bit + 1) * block] = value
    return image


def read_number(frame: np.ndarray) -> int:
    """The number that is burnt into a frame of any size with the original's proportions."""
    height, width = frame.shape[:2]
    rows = frame[height - height // 16 - 1 : height - 1].astype(float).mean(axis=(0, 2))
    block = width / BITS
    return sum(
        1 << bit for bit in range(BITS) if rows[int((bit + 0.3) * block) : int((bit + 0.7) * block)].mean() > 128
    )


def sound(recipe: Recipe) -> np.ndarray:
    """Mono float sound [N] from the moment at which the audio stream begins."""
    duration_s = recipe.audio_duration_s if recipe.audio_duration_s is not None else recipe.duration_s
    times_s = recipe.audio_start_s + np.arange(round(duration_s * recipe.audio_rate)) / recipe.audio_rate
    if recipe.silent:
        return np.zeros_like(times_s)
    burst = 0.6 * np.sin(2 * np.pi * BURST_HZ * (times_s % 1.0)) * (times_s % 1.0 < BURST_S)
    return burst + np.random.default_rng(7).normal(0, 1e-3, len(times_s))


def write(path: Path, recipe: Recipe | None = None, **changes: Any) -> Path:
    """The file of a recipe."""
    recipe = replace(recipe or Recipe(), **changes)
    options = {"movflags": "+faststart"} if recipe.faststart else {}
    with av.open(f"file:{path}", "w", format=recipe.container, container_options=options) as out:
        video = _video_stream(out, recipe) if recipe.video_codec else None
        audio = _audio_stream(out, recipe) if recipe.audio_codec else None
        packets: list[tuple[float, Any]] = []
        if video is not None:
            packets += _video_packets(video, recipe)
        if audio is not None:
            packets += _audio_packets(audio, recipe)
        for _, packet in sorted(packets, key=lambda item: item[0]) if recipe.interleaved else packets:
            out.mux(packet)
    return path


def _video_stream(out: Any, recipe: Recipe) -> Any:
    video = out.add_stream(recipe.video_codec, rate=recipe.fps)
    video.width, video.height = recipe.size
    video.pix_fmt = recipe.pixel_format
    video.codec_context.gop_size = recipe.gop
    if recipe.video_codec == "libx264":
        video.options = {"preset": "ultrafast", "crf": "12", "threads": "1", "bf": "2" if recipe.b_frames else "0"}
    else:
        video.bit_rate = 2_000_000
    if recipe.video_codec == "libvpx":
        video.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    if recipe.pixel_aspect is not None:
        video.codec_context.sample_aspect_ratio = recipe.pixel_aspect
    if recipe.rotation is not None:
        video.set_display_rotation(recipe.rotation, hflip=recipe.mirrored)
    return video


def _audio_stream(out: Any, recipe: Recipe) -> Any:
    audio = out.add_stream(recipe.audio_codec, rate=recipe.audio_rate, layout=recipe.layout)
    if recipe.audio_codec == "vorbis":
        audio.options = {"strict": "experimental"}  # FFmpeg's own encoder
    elif recipe.audio_codec not in ("flac", "pcm_s16le"):
        audio.bit_rate = 192_000
    return audio


def _video_packets(video: Any, recipe: Recipe) -> list[tuple[float, Any]]:
    packets = []
    offset = round(recipe.video_start_s * recipe.fps)
    numbers = range(round(recipe.duration_s * recipe.fps)) if recipe.kept is None else recipe.kept
    for number in numbers:
        pts = number + offset
        image = picture(number, float(pts / recipe.fps), recipe)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=recipe.pixel_format)
        frame.pts, frame.time_base = pts, 1 / recipe.fps
        packets += video.encode(frame)
    packets += video.encode(None)
    if recipe.last_stands_s is not None:
        packets[-1].duration = round(recipe.last_stands_s / packets[-1].time_base)
    return [(float(packet.dts * packet.time_base), packet) for packet in packets]


def _audio_packets(audio: Any, recipe: Recipe) -> list[tuple[float, Any]]:
    wave = sound(recipe).astype(np.float32)
    channels = audio.codec_context.layout.nb_channels
    frame = av.AudioFrame.from_ndarray(np.repeat(wave, channels)[None], format="flt", layout=recipe.layout)
    frame.rate, frame.pts = recipe.audio_rate, round(recipe.audio_start_s * recipe.audio_rate)
    frame.time_base = Fraction(1, recipe.audio_rate)
    resampler = av.AudioResampler(format=audio.codec_context.format, layout=recipe.layout, rate=recipe.audio_rate)
    packets = []
    for piece in [*resampler.resample(frame), None]:
        packets += audio.encode(piece)
    lost = recipe.sound_lost_s or (0.0, 0.0)
    timed = [(float(packet.dts * packet.time_base), packet) for packet in packets]
    return [(time_s, packet) for time_s, packet in timed if not lost[0] <= time_s < lost[1]]


def cut_by_copy(source: Path, target: Path, *, start_s: float) -> Path:
    """A copy cut as yt-dlp makes it: packets from the key frame before, and an edit list that hides the lead-in."""
    with av.open(str(source)) as given, av.open(f"file:{target}", "w", format="mp4") as out:
        streams = {stream.index: out.add_stream_from_template(stream) for stream in given.streams}
        given.seek(round(start_s * av.time_base), backward=True)
        for packet in given.demux():
            if packet.dts is None:
                continue
            lead_in_s = float(packet.pts * packet.time_base) - start_s
            if packet.stream.type == "audio" and lead_in_s < -0.03:
                continue
            shift = round(start_s / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = streams[packet.stream.index]
            out.mux(packet)
    return target


def repeat(source: Path, target: Path, *, times: int, every_s: float) -> Path:
    """What is in an MPEG-TS file, so many times, each so much later than the one before."""
    with av.open(f"file:{target}", "w", format="mpegts") as out:
        for turn in range(times):
            with av.open(str(source)) as given:
                if not turn:
                    streams = [out.add_stream_from_template(stream) for stream in given.streams]
                for packet in given.demux():
                    if packet.dts is None:
                        continue
                    shift = round(turn * every_s / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = streams[packet.stream.index]
                    out.mux(packet)
    return target


def without_timestamps(source: Path, target: Path, *, kind: str, count: int) -> Path:
    """A copy of an MPEG-TS file whose first PES packets of a stream (`video`, `audio`) carry no PTS and no DTS."""
    data, begin, at = bytearray(source.read_bytes()), b"\x00\x00\x01" + {"video": b"\xe0", "audio": b"\xc0"}[kind], 0
    for _ in range(count):
        at = data.index(begin, at)
        stamps = {0x80: 5, 0xC0: 10}[data[at + 7] & 0xC0]  # bytes of a PTS, of both
        data[at + 7] &= 0x3F
        data[at + 9 : at + 9 + stamps] = b"\xff" * stamps  # stuffing
        at += 9
    target.write_bytes(data)
    return target


def flip_bytes(source: Path, target: Path, *, count: int, seed: int, keep: int = 2000) -> Path:
    """A copy with bytes changed between the first and the last `keep`."""
    data = bytearray(source.read_bytes())
    rng = np.random.default_rng(seed)
    for position in rng.integers(keep, len(data) - keep, count):
        data[position] ^= int(rng.integers(1, 256))
    target.write_bytes(data)
    return target


def truncate(source: Path, target: Path, *, fraction: float) -> Path:
    """The first part of a file."""
    data = source.read_bytes()
    target.write_bytes(data[: int(len(data) * fraction)])
    return target


def bursts_s(waveform: np.ndarray, rate_hz: int) -> list[float]:
    """When bursts begin: the first loud sample after 0.3 s of quiet."""
    loud = np.flatnonzero(np.abs(waveform) > 0.15)
    begins = [index for order, index in enumerate(loud) if order == 0 or index - loud[order - 1] > 0.3 * rate_hz]
    return [float(index) / rate_hz for index in begins]


def flashes(frames: np.ndarray) -> list[int]:
    """The indices at which the upper half turns white."""
    bright = frames[:, : frames.shape[1] // 3].mean(axis=(1, 2, 3)) > 170
    return [int(index) for index in np.flatnonzero(bright) if index == 0 or not bright[index - 1]]
