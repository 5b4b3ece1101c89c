"""Files of every kind become canonical clips whose pictures and sound are the right ones at the right time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict, fields
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any

import av
import decord
import media_files
import numpy as np
import pytest

from uniform_core.errors import Rejection
from uniform_core.media import (
    CanonicalClip,
    CanonicalForm,
    CanonicalReader,
    CutRule,
    DecodeRule,
    Limits,
    RejectedWindow,
    Sandbox,
    SourceFacts,
    write_mp4,
)
from uniform_core.media.canonical import open_cutter
from uniform_core.media.opening import open_source
from uniform_core.media.refusal import Refused
from uniform_core.media.source import Source
from uniform_core.media.window import FinishedClip, Plan
from uniform_core.types import Window

FORM = CanonicalForm(duration_s=2.0, video_rate_hz=17, short_side_px=64)
CUT = CutRule(2.0, 2.0)
IDS_25_AT_17 = [0, 1, 2, 4, 5, 7, 8, 10, 11, 13, 14, 16]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def clips_of(
    sandbox: Sandbox, path: Path, windows: list[Window] | None = None, *, form: CanonicalForm = FORM, cut: CutRule = CUT
) -> list[CanonicalClip | RejectedWindow]:
    def name(window: Window) -> str:
        return f"{window.start_ms}-{window.end_ms}.mp4"

    return sandbox.canonicalise(path, windows, cut=cut, form=form, out_dir=path.parent / "clips", names=name)


def only_clip(results: list[CanonicalClip | RejectedWindow]) -> CanonicalClip:
    [clip] = results
    assert isinstance(clip, CanonicalClip), clip
    return clip


def numbers(frames: np.ndarray) -> list[int]:
    return [media_files.read_number(frame) for frame in frames]


CASES: dict[str, dict[str, Any]] = {
    "mp4": {},
    "mp4-faststart": {"faststart": True},
    "mono": {"layout": "mono"},
    "5.1": {"layout": "5.1"},
    "7.1": {"container": "matroska", "audio_codec": "libopus", "layout": "7.1"},
    "44.1 kHz": {"audio_rate": 44_100},
    "29.97 fps": {"fps": Fraction(30000, 1001)},
    "hole": {"kept": [i for i in range(75) if not 20 <= i < 40]},
    "video-late": {"video_start_s": 0.52},
    "audio-late": {"audio_start_s": 0.5},
    "non-square": {"pixel_aspect": Fraction(2, 1)},
    "avi": {"container": "avi", "video_codec": "mpeg4", "audio_codec": "libmp3lame"},
    "avi-reordered": {"container": "avi", "audio_codec": "pcm_s16le"},  # H.264 with B-frames
    "avi-mjpeg": {
        "container": "avi",
        "video_codec": "mjpeg",
        "audio_codec": "pcm_s16le",
        "pixel_format": "yuvj420p",
    },
    "mpeg1": {"container": "mpeg", "video_codec": "mpeg1video", "audio_codec": "mp2"},
    "mpeg2": {"container": "vob", "video_codec": "mpeg2video", "audio_codec": "mp2"},
    "mpegts": {"container": "mpegts", "audio_codec": "mp2"},
    "webm-vp8": {"container": "webm", "video_codec": "libvpx", "audio_codec": "libopus"},
    "webm-vp9-vorbis": {"container": "webm", "video_codec": "libvpx-vp9", "audio_codec": "vorbis"},
    "ogg": {"container": "ogg", "video_codec": "libvpx", "audio_codec": "libopus"},
    "ogg-vorbis": {"container": "ogg", "video_codec": "libvpx", "audio_codec": "vorbis"},  # no wheel encodes Theora
    "mkv": {"container": "matroska", "audio_codec": "flac"},
    "flv": {"container": "flv", "audio_rate": 44_100},
    "wmv": {"container": "asf", "video_codec": "wmv2", "audio_codec": "wmav2"},
}


@pytest.mark.parametrize("case", CASES)
def test_picture_and_sound_stay_together(case: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """Flash and burst, one at every whole second of the source, are at the same moment of the clip."""
    source = media_files.write(tmp_path / "source", **CASES[case])
    clip = only_clip(clips_of(sandbox, source))
    reader = CanonicalReader()
    frames, waveform = reader.frames(clip.path, None), reader.sound(clip.path)
    assert (len(frames), waveform.shape) == (FORM.frames, (FORM.samples,))
    bursts = media_files.bursts_s(waveform, FORM.audio_rate_hz)
    flashes = media_files.flashes(frames)
    assert bursts
    assert flashes
    # the encoder's delay may be a part of a container that cannot say so (avi, mpeg, flv): the same for all bursts
    offset_s = (bursts[-1] + clip.window.start_s) % 1.0
    offset_s -= offset_s > 0.5
    assert -0.001 < offset_s < 0.03
    if CASES[case].get("container", "mp4") in ("mp4", "matroska", "webm", "ogg", "asf"):
        assert abs(offset_s) < 0.001
    for burst_s in bursts:
        nearest = min(abs(burst_s - flash * FORM.frame_s) for flash in flashes)
        assert nearest <= FORM.frame_s + 0.001 or case == "hole"
    assert np.diff(bursts) == pytest.approx(1.0, abs=0.001)


def test_frames_are_the_last_ones_shown_at_each_tick(sandbox: Sandbox, tmp_path: Path) -> None:
    clip = only_clip(clips_of(sandbox, media_files.write(tmp_path / "a.mp4")))
    assert numbers(CanonicalReader().frames(clip.path, None))[:12] == IDS_25_AT_17
    assert (clip.held_frames, clip.decode_errors, clip.rotation_deg) == (0, 0, 0)
    assert not clip.is_silent
    assert not clip.is_still


def test_picked_frames_say_which_they_are(sandbox: Sandbox, tmp_path: Path) -> None:
    clip = only_clip(clips_of(sandbox, media_files.write(tmp_path / "a.mp4")))
    asked: list[int] = []
    picked = CanonicalReader().picked(clip.path, lambda frames: asked.append(frames) or (0, 4, 4, 9))
    assert asked == [picked.clip_frames] == [34]
    assert picked.indices == (0, 4, 4, 9)
    assert numbers(picked.frames_THWC) == [IDS_25_AT_17[index] for index in picked.indices]
    assert picked.rate_hz == pytest.approx(17)


def test_a_variable_rate_holds_the_frame_over_a_hole(sandbox: Sandbox, tmp_path: Path) -> None:
    kept = [i for i in range(75) if not 20 <= i < 40]
    clip = only_clip(clips_of(sandbox, media_files.write(tmp_path / "a.mp4", kept=kept)))
    shown = numbers(CanonicalReader().frames(clip.path, None))
    expected = [max(k for k in kept if k <= i / 17 * 25 + 1e-6) for i in range(34)]
    assert shown == expected


STILLS: dict[str, dict[str, Any]] = {
    "one picture": {"kept": [0], "duration_s": 70.0, "last_stands_s": 70.0},
    "25 s apart": {"kept": [0, 25, 50, 51], "duration_s": 52.0},
    "40 s apart": {"kept": [0, 40, 61], "duration_s": 62.0},
}


@pytest.mark.parametrize("case", STILLS)
def test_a_picture_may_stand_as_long_as_sound_runs(case: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """Every window, though more lie under one picture than may be open at once."""
    recipe = STILLS[case]
    source = media_files.write(
        tmp_path / "a.mkv",
        fps=Fraction(1),
        container="matroska",
        audio_codec="flac",
        audio_rate=16_000,
        layout="mono",
        **recipe,
    )
    results = clips_of(sandbox, source, cut=CutRule(2.0, 0.5))
    assert [r.rejection for r in results if isinstance(r, RejectedWindow)] == []
    starts = [0.5 * i for i in range(int(2 * recipe["duration_s"]) - 3)]
    assert [clip.window for clip in results] == [Window(start, start + 2.0) for start in starts]
    for clip in (results[7], results[-7]):
        assert isinstance(clip, CanonicalClip)
        begin_s = clip.window.start_s
        assert numbers(CanonicalReader().frames(clip.path, [0]))[0] == max(k for k in recipe["kept"] if k <= begin_s)
        heard_s = begin_s + np.array(media_files.bursts_s(CanonicalReader().sound(clip.path), 16_000))
        assert heard_s == pytest.approx(np.round(heard_s), abs=0.001)


def test_milliseconds_of_webm_do_not_shift_frames(sandbox: Sandbox, tmp_path: Path) -> None:
    source = media_files.write(tmp_path / "a.mkv", container="matroska", fps=Fraction(17), audio_codec="flac")
    clip = only_clip(clips_of(sandbox, source))
    assert numbers(CanonicalReader().frames(clip.path, None)) == list(range(34))


def test_an_edit_list_hides_what_it_hides(sandbox: Sandbox, tmp_path: Path) -> None:
    """A copy cut at 3.28 s: decord by its own timestamps is 3.28 s wrong on it."""
    whole = media_files.write(tmp_path / "long.mp4", duration_s=8.0, gop=250)
    cut = media_files.cut_by_copy(whole, tmp_path / "cut.mp4", start_s=3.28)
    first, second = clips_of(sandbox, cut)
    assert isinstance(first, CanonicalClip)
    assert isinstance(second, CanonicalClip)
    reader = CanonicalReader()
    assert numbers(reader.frames(first.path, [0]))[0] == 82
    assert media_files.bursts_s(reader.sound(first.path), 16_000) == pytest.approx([0.72, 1.72], abs=0.001)
    trap = decord.VideoReader(str(cut))  # the frame that it says is shown at 0 s is another one
    begins_s = trap.get_frame_timestamp(range(len(trap)))[:, 0]
    assert numbers(trap.get_batch([int(np.argmax(begins_s > -0.01))]).asnumpy()) != [82]


@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_rotation_is_applied(rotation: int, sandbox: Sandbox, tmp_path: Path) -> None:
    source = media_files.write(tmp_path / "a.mp4", rotation=rotation)
    clip = only_clip(clips_of(sandbox, source, form=CanonicalForm(2.0, 25, 64)))
    assert abs(clip.rotation_deg) == abs(rotation)
    ours = CanonicalReader().frames(clip.path, [30])[0].astype(float)
    upright = decord.VideoReader(str(source))[30].asnumpy().astype(float)  # decord turns by itself
    assert ours.shape == upright.shape
    assert np.abs(ours - upright).mean() < 2
    assert (clip.source_width_px, clip.source_height_px) == (upright.shape[1], upright.shape[0])


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_a_mirrored_film_is_shown_as_players_show_it(rotation: int, sandbox: Sandbox, tmp_path: Path) -> None:
    """Mirrored after its turn, as a selfie camera says it: left and right of the turned film change places."""
    form = CanonicalForm(2.0, 25, 64)
    turned, mirrored = (
        media_files.write(tmp_path / f"{is_mirrored}.mp4", rotation=rotation, mirrored=is_mirrored)
        for is_mirrored in (False, True)
    )
    plain, ours = (
        CanonicalReader().frames(only_clip(clips_of(sandbox, source, form=form)).path, [30])[0].astype(float)
        for source in (turned, mirrored)
    )
    assert np.abs(ours - plain[:, ::-1]).mean() < 2
    assert np.abs(ours - plain).mean() > 10


def test_pixels_become_square(sandbox: Sandbox, tmp_path: Path) -> None:
    clip = only_clip(clips_of(sandbox, media_files.write(tmp_path / "a.mp4", pixel_aspect=Fraction(2))))
    assert (clip.width_px, clip.height_px) == (192, 64)
    assert numbers(CanonicalReader().frames(clip.path, [3])) == [4]


@pytest.mark.parametrize("matrix", [5, 1])
@pytest.mark.parametrize("value_range", [1, 2])
def test_colours_survive(matrix: int, value_range: int, sandbox: Sandbox, tmp_path: Path) -> None:
    colours = [(200, 30, 40), (30, 180, 60), (40, 60, 220), (128, 128, 128)]
    image = np.repeat(np.repeat(np.array([colours], np.uint8), 64, axis=0), 32, axis=1)
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream("libx264", rate=25, options={"crf": "4"})
        video.width, video.height, video.pix_fmt = 128, 64, "yuv420p"
        video.codec_context.colorspace, video.codec_context.color_range = matrix, value_range
        sound: Any = out.add_stream("flac", rate=16_000, layout="mono")
        for index in range(51):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=matrix, dst_color_range=value_range)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(video.encode(frame))
        wave = av.AudioFrame.from_ndarray(np.zeros((1, 33_000), np.int16), format="s16", layout="mono")
        wave.rate, wave.pts = 16_000, 0
        out.mux(video.encode(None))
        out.mux(sound.encode(wave))
        out.mux(sound.encode(None))
    clip = only_clip(clips_of(sandbox, path))
    middle = CanonicalReader().frames(clip.path, [5])[0][32, 16::32]
    assert np.abs(middle.astype(int) - np.array(colours)).max() <= 6
    assert clip.is_silent
    assert clip.is_still
    assert clip.audio_rms_db is None


def test_the_canonical_form_is_as_promised(sandbox: Sandbox, tmp_path: Path) -> None:
    source = media_files.write(tmp_path / "a.mp4")
    clip = only_clip(clips_of(sandbox, source))
    first_bytes = clip.path.read_bytes()
    again = only_clip(clips_of(sandbox, source))
    assert again.path.read_bytes() == first_bytes
    assert again == clip
    assert clip.bytes == len(first_bytes)
    assert [p.name for p in clip.path.parent.iterdir()] == ["0-2000.mp4"]  # no litter
    with av.open(str(clip.path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (audio.codec_context.name, audio.rate, audio.layout.nb_channels) == ("flac", 16_000, 1)
        packets = [packet for packet in container.demux(video) if packet.dts is not None]
        assert [packet.pts for packet in packets] == [packet.dts for packet in packets]  # no B-frames
        assert [i for i, packet in enumerate(packets) if packet.is_keyframe] == [0, 17]
    reader = decord.VideoReader(str(clip.path))
    assert reader.get_avg_fps() == 17
    assert reader.get_frame_timestamp(range(2))[:, 0] == pytest.approx([0, 1 / 17], abs=1e-5)


def test_columns_are_those_of_the_table(sandbox: Sandbox, tmp_path: Path) -> None:
    clip = only_clip(clips_of(sandbox, media_files.write(tmp_path / "a.mp4")))
    ddl = files("catalogs").joinpath("ddl/clips.sql").read_text()
    columns = clip.columns()
    assert all(f"    {name} " in ddl for name in columns)
    assert columns["clip_sha256"] == clip.clip_sha256
    assert (columns["source_channels"], columns["source_audio_rate_hz"], columns["source_video_codec"]) == (
        2,
        48_000,
        "h264",
    )
    assert set(columns) == {f.name for f in fields(CanonicalClip)} - {"window", "path"} | {"start_ms", "end_ms"}
    assert columns["motion"] > 1
    assert -60 < columns["audio_rms_db"] < 0


def test_windows_by_the_cut_rule_lie_wholly_inside(sandbox: Sandbox, tmp_path: Path) -> None:
    source = media_files.write(tmp_path / "a.mp4", duration_s=7.5)
    results = clips_of(sandbox, source, cut=CutRule(3.0, 1.5))
    assert [result.window for result in results] == [Window(s, s + 3.0) for s in (0.0, 1.5, 3.0, 4.5)]
    for result in results:
        assert isinstance(result, CanonicalClip)
        assert result.window.start_s * 25 == pytest.approx(
            numbers(CanonicalReader().frames(result.path, [0]))[0], abs=1
        )


def test_windows_that_were_asked_for_have_one_result_each(sandbox: Sandbox, tmp_path: Path) -> None:
    source = media_files.write(tmp_path / "a.mp4", duration_s=4.0)
    windows = [Window(3.0, 5.0), Window(1.0, 3.0), Window(0.5, 1.0), Window(20.0, 22.0), Window(0.25, 10.25)]
    results = clips_of(sandbox, source, windows)
    found = {r.window: getattr(r, "rejection", None) for r in results}
    assert set(found) == set(windows)
    assert found[windows[1]] is None
    assert found[windows[4]] is None  # only its first two seconds are used
    for index in (0, 2, 3):
        assert found[windows[index]].error_class == "too_short"


def test_one_missing_frame_is_held_and_two_are_not(sandbox: Sandbox, tmp_path: Path) -> None:
    form = CanonicalForm(2.0, 25, 64)
    held = media_files.write(tmp_path / "a.mp4", duration_s=1.96, audio_duration_s=2.0)
    clip = only_clip(clips_of(sandbox, held, form=form))
    assert clip.held_frames == 1
    assert numbers(CanonicalReader().frames(clip.path, [47, 48, 49])) == [47, 48, 48]
    [refused] = clips_of(
        sandbox, media_files.write(tmp_path / "b.mp4", duration_s=1.92, audio_duration_s=2.0), form=form
    )
    assert isinstance(refused, RejectedWindow)
    assert refused.rejection.error_class == "too_short"


@pytest.mark.parametrize("name", ["-rf.mp4", "new\nline.mp4", "ü 视频 '\".mp4", "%03d.mp4", "concat:a|b.mp4", " "])
def test_a_name_is_only_a_name(name: str, sandbox: Sandbox, tmp_path: Path) -> None:
    shutil.copy(media_files.write(tmp_path / "plain"), tmp_path / name)
    only_clip(clips_of(sandbox, tmp_path / name))


def test_a_name_that_is_not_unicode(sandbox: Sandbox, tmp_path: Path) -> None:
    odd = tmp_path / b"\xff\xfe.mp4".decode(errors="surrogateescape")
    shutil.copy(media_files.write(tmp_path / "plain"), odd)
    only_clip(clips_of(sandbox, odd))


def test_probe_says_what_is_there(sandbox: Sandbox, tmp_path: Path) -> None:
    facts = sandbox.probe(media_files.write(tmp_path / "a.mp4", layout="5.1", rotation=90, audio_start_s=0.5))
    assert isinstance(facts, SourceFacts)
    assert (facts.width_px, facts.height_px, facts.rotation_deg) == (64, 96, 90)
    assert (facts.video_codec, facts.audio_codec, facts.channels) == ("h264", "aac", 6)
    assert facts.audio_start_s == pytest.approx(0.5, abs=0.03)
    assert facts.duration_s == pytest.approx(3.5, abs=0.05)
    mute = sandbox.probe(media_files.write(tmp_path / "b.mp4", audio_codec=None))
    assert isinstance(mute, SourceFacts)
    assert asdict(mute)["audio_codec"] is None


def test_decoding_by_a_rule(sandbox: Sandbox, tmp_path: Path) -> None:
    source = media_files.write(tmp_path / "a.mp4", layout="stereo")
    native = sandbox.decode(source, DecodeRule(audio_rate_hz=None))
    assert not hasattr(native, "error_class"), native
    assert native.frames_THWC.shape == (75, 64, 96, 3)  # type: ignore[union-attr]
    assert numbers(native.frames_THWC) == list(range(75))  # type: ignore[union-attr, arg-type]
    assert (native.video_rate_hz, native.audio_rate_hz) == (25.0, 48_000)  # type: ignore[union-attr]
    rule = DecodeRule(rate_hz=10, size_px=(32, 32), resize="letterbox", start_s=1.0, duration_s=1.5)
    cut = sandbox.decode(source, rule)
    assert cut.frames_THWC.shape == (15, 32, 32, 3)  # type: ignore[union-attr]
    assert cut.frames_THWC[:, :5].max() == 0  # type: ignore[union-attr]
    assert cut.waveform_N.shape == (24_000,)  # type: ignore[union-attr]
    assert media_files.bursts_s(cut.waveform_N, 16_000) == pytest.approx([0, 1], abs=1e-3)  # type: ignore[union-attr]
    first = sandbox.decode(source, DecodeRule(streams="video", max_frames=16, start_s=0.4))
    assert numbers(first.frames_THWC) == list(range(10, 26))  # type: ignore[union-attr, arg-type]
    assert first.waveform_N is None  # type: ignore[union-attr]
    sound = sandbox.decode(
        media_files.write(tmp_path / "b.mka", video_codec=None, container="matroska"), DecodeRule("audio")
    )
    assert sound.frames_THWC is None  # type: ignore[union-attr]
    assert len(sound.waveform_N) == pytest.approx(48_000, abs=800)  # type: ignore[union-attr, arg-type]


@pytest.mark.parametrize("container", ["mp4", "matroska"])
@pytest.mark.parametrize("gop", [12, 250])
def test_what_lies_before_a_window_is_not_decoded_and_not_missed(container: str, gop: int, tmp_path: Path) -> None:
    """The same clip, to the byte, as with every packet decoded."""
    path = media_files.write(tmp_path / "film", duration_s=30.0, container=container, gop=gop, fps=Fraction(10))
    windows = [(5.0, 7.0), (20.13, 22.13), (21.0, 23.0)]
    made = {}
    for lazy in (True, False):
        listener = Counting(lazy=lazy)
        with open_source(path, Limits()) as source:
            if not lazy:
                source.nothing_before = lambda _time_s: None  # type: ignore[method-assign]
            listener.watch(source)
            open_cutter(source, FORM, windows=windows, cut=CUT, listener=listener).run()
        made[lazy] = listener
    assert made[True].sha256 == made[False].sha256
    assert len(made[True].sha256) == 3
    if gop == 12:
        assert made[True].decoded < 0.6 * made[False].decoded


class Counting:
    """A listener that keeps the hashes of clips and counts the pieces that were decoded."""

    def __init__(self, *, lazy: bool) -> None:
        self.lazy, self.decoded = lazy, 0
        self.sha256: dict[float, str] = {}

    def watch(self, source: Source) -> None:
        decode = source._decode

        def counted(packet: Any) -> Any:
            pieces = decode(packet)
            self.decoded += len(pieces) if packet.stream.type == "video" else 0
            return pieces

        source._decode = counted  # type: ignore[method-assign]

    def clip(self, plan: Plan, clip: FinishedClip, *, facts: SourceFacts) -> None:
        self.sha256[plan.start_s] = clip.sha256

    def refused(self, plan: Plan | None, why: Refused) -> None:
        raise AssertionError(str(why))

    def progress(self, time_s: float) -> None:
        pass


@pytest.mark.parametrize("width", [16, 24, 32, 48, 56, 72, 96, 202])
def test_narrow_clips_are_read_as_they_are(width: int, tmp_path: Path) -> None:
    """decord takes the padding of short rows for channels; the reader must not."""
    rng = np.random.default_rng(width)
    frames_THWC = np.repeat(rng.integers(0, 255, (1, 8, width // 8, 3), dtype=np.uint8), 8, axis=2).repeat(4, axis=1)
    frames_THWC = np.repeat(frames_THWC, 16, axis=0)[:, :, :width]
    frames_THWC = np.pad(frames_THWC, ((0, 0), (0, 0), (0, width - frames_THWC.shape[2]), (0, 0)), mode="edge")
    path = write_mp4(
        tmp_path / "clip.mp4", frames_THWC, np.zeros(16_000, np.float32), video_rate_hz=16, audio_rate_hz=16_000
    )
    with Sandbox() as sandbox:
        exact = sandbox.decode(path, DecodeRule(streams="video"))
    assert not isinstance(exact, Rejection)
    assert exact.frames_THWC is not None
    read_THWC = CanonicalReader().frames(path, None)
    assert read_THWC.shape == exact.frames_THWC.shape == (16, 32, width, 3)
    assert np.abs(read_THWC.astype(int) - exact.frames_THWC.astype(int)).mean() < 3.0
