"""Clips are cut from videos of every kind at the right moments, picture by picture and sample by sample."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import media_files
import numpy as np
import pytest

from uniform_core.media import CutClip, DecodeRule, Limits, MeasuredFile, RejectedWindow, Sandbox
from uniform_core.media.cut_file import CutFile
from uniform_core.media.refusal import OutputError
from uniform_core.media.sound import SoundTrack
from uniform_core.types import Window

NATIVE = DecodeRule(audio_rate_hz=None)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def cuts_of(sandbox: Sandbox, path: Path, *spans: tuple[float, float], starts_at_s: float = 0.0) -> list[Any]:
    return sandbox.cut(
        path,
        [Window(*span) for span in spans],
        out_dir=path.parent / "cuts",
        names=lambda span: f"{span.start_ms}-{span.end_ms}.mp4",
        starts_at_s=starts_at_s,
    )


def times_of(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.pts * frame.time_base) for frame in container.decode(container.streams.video[0])]


def numbers_of(sandbox: Sandbox, path: Path) -> list[int]:
    decoded = sandbox.decode(path, NATIVE)
    return [media_files.read_number(frame) for frame in decoded.frames_THWC]


def bursts_of(sandbox: Sandbox, path: Path) -> list[float]:
    decoded = sandbox.decode(path, NATIVE)
    return media_files.bursts_s(decoded.waveform_N, decoded.audio_rate_hz)


KINDS: dict[str, dict[str, Any]] = {
    "mp4": {},
    "mono": {"layout": "mono"},
    "5.1": {"layout": "5.1"},
    "44.1 kHz": {"audio_rate": 44_100},
    "webm": {"container": "matroska", "audio_codec": "libopus", "video_codec": "libvpx"},
    "video-late": {"video_start_s": 0.52},
    "audio-late": {"audio_start_s": 0.5},
    "without B-frames": {"b_frames": False},
    "faststart": {"faststart": True},
    "long groups": {"gop": 250},
}


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_and_sound_of_a_span_are_those_of_the_video(sandbox: Sandbox, tmp_path: Path, kind: str) -> None:
    source = media_files.write(tmp_path / f"a.{KINDS[kind].get('container', 'mp4')}", duration_s=9.0, **KINDS[kind])
    [clip] = cuts_of(sandbox, source, (5.5, 8.5))
    assert isinstance(clip, CutClip), clip
    late = round(KINDS[kind].get("video_start_s", 0.0) * 25)
    first = 137 - late  # the picture that shows at 5.5 s began at 5.48 s
    assert numbers_of(sandbox, clip.path) == list(range(first, first + 76))
    times_s = times_of(clip.path)
    assert times_s[0] == 0.0
    np.testing.assert_allclose(times_s[1:], 0.02 + 0.04 * np.arange(75), atol=2e-3 if kind == "webm" else 2e-5)
    np.testing.assert_allclose(bursts_of(sandbox, clip.path), [0.5, 1.5, 2.5], atol=2e-3)
    assert (clip.duration_s, clip.frames, clip.decode_errors) == (pytest.approx(3.0), 76, 0)


def test_the_file_is_ordinary_and_whole(sandbox: Sandbox, tmp_path: Path) -> None:
    """No edit list and no priming: a reader that knows neither sees picture and sound at 0 too."""
    source = media_files.write(tmp_path / "a.mp4", duration_s=9.0, fps=Fraction(30000, 1001))
    [clip] = cuts_of(sandbox, source, (2.0, 5.0))
    with av.open(str(clip.path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "flac")
        assert (video.start_time, audio.start_time) == (0, 0)
        assert float(video.duration * video.time_base) == pytest.approx(3.0, abs=1e-3)
        assert audio.duration * audio.time_base == 3
        assert (audio.codec_context.sample_rate, audio.codec_context.layout.name) == (48_000, "stereo")
        assert not any(packet.pts != packet.dts for packet in container.demux(video) if packet.pts is not None)
    assert b"elst" not in clip.path.read_bytes()
    assert [path.name for path in clip.path.parent.iterdir()] == [clip.path.name]


def test_sound_is_not_encoded_with_loss_again(sandbox: Sandbox, tmp_path: Path) -> None:
    source = media_files.write(tmp_path / "a.mkv", container="matroska", audio_codec="flac", duration_s=5.0)
    [clip] = cuts_of(sandbox, source, (1.25, 4.25))
    whole, part = (sandbox.decode(path, NATIVE).waveform_N for path in (source, clip.path))
    np.testing.assert_array_equal(part, whole[60_000:204_000])


def test_a_variable_rate_and_a_picture_that_stands_keep_their_times(sandbox: Sandbox, tmp_path: Path) -> None:
    kept = [number for number in range(225) if not 60 <= number < 110]  # 2.4 s to 4.4 s: picture 59 stands
    source = media_files.write(tmp_path / "a.mp4", duration_s=9.0, kept=kept)
    [clip] = cuts_of(sandbox, source, (3.0, 6.0))
    assert numbers_of(sandbox, clip.path) == [59, *range(110, 150)]
    np.testing.assert_allclose(times_of(clip.path), [0.0, *(1.4 + 0.04 * np.arange(40))], atol=2e-5)


def test_a_copy_cut_with_an_edit_list_is_read_from_where_it_is_shown(sandbox: Sandbox, tmp_path: Path) -> None:
    whole = media_files.write(tmp_path / "whole.mp4", duration_s=9.0, gop=250, b_frames=False)
    section = media_files.cut_by_copy(whole, tmp_path / "section.mp4", start_s=3.32)
    [clip] = cuts_of(sandbox, section, (4.32, 6.32), starts_at_s=3.32)
    assert isinstance(clip, CutClip), clip
    assert clip.window == Window(4.32, 6.32)
    assert numbers_of(sandbox, clip.path)[:3] == [108, 109, 110]
    np.testing.assert_allclose(bursts_of(sandbox, clip.path), [0.68, 1.68], atol=0.03)  # as far as AAC packets fall


def test_a_turned_picture_is_shown_upright_and_an_odd_size_becomes_even(sandbox: Sandbox, tmp_path: Path) -> None:
    turned = media_files.write(tmp_path / "turned.mp4", rotation=90)
    [clip] = cuts_of(sandbox, turned, (0.0, 2.0))
    measured = sandbox.measure(clip.path)
    assert isinstance(measured, MeasuredFile)
    assert (measured.width_px, measured.height_px) == (media_files.HEIGHT, media_files.WIDTH)
    odd = media_files.write(tmp_path / "odd.mkv", container="matroska", size=(97, 65), pixel_format="yuv444p")
    [clip] = cuts_of(sandbox, odd, (0.0, 2.0))
    measured = sandbox.measure(clip.path)
    assert isinstance(measured, MeasuredFile)
    assert (measured.width_px, measured.height_px) == (98, 66)


def test_all_spans_of_a_video_are_cut_in_one_pass(sandbox: Sandbox, tmp_path: Path) -> None:
    source = media_files.write(tmp_path / "a.mp4", duration_s=20.0, gop=250)
    starts = [0.0, 0.5, 1.0, 5.0, 5.0, 12.0, 17.0]
    spans = [(start, start + 2.0 + 0.5 * (place % 2)) for place, start in enumerate(starts)]
    results = cuts_of(sandbox, source, *spans)
    assert [clip.window for clip in results] == [Window(*span) for span in sorted(spans)]
    for clip in results:
        assert numbers_of(sandbox, clip.path)[0] == int(clip.window.start_s * 25 + 1e-6)
    again = [clip.path.read_bytes() for clip in results]
    assert [clip.path.read_bytes() for clip in cuts_of(sandbox, source, *spans)] == again


def test_what_lies_behind_the_end(sandbox: Sandbox, tmp_path: Path) -> None:
    source = media_files.write(tmp_path / "a.mp4", duration_s=6.0)
    almost, short, behind, far = cuts_of(sandbox, source, (3.1, 6.1), (3.5, 6.5), (6.1, 9.1), (100.0, 110.0))
    assert isinstance(almost, CutClip), almost
    assert almost.duration_s == pytest.approx(2.9, abs=1e-3)
    assert short.rejection.error_class == "too_short"
    assert "from 3.500 s to 6.500 s expected, the picture ends at 6.000 s" in short.rejection.message
    assert [one.rejection.error_class for one in (behind, far)] == ["range", "range"]


def test_a_file_that_was_cut_short_is_not_taken_for_a_shorter_video(sandbox: Sandbox, tmp_path: Path) -> None:
    """`range` is final, `truncated` is fetched again."""
    whole = media_files.write(tmp_path / "a.mp4", duration_s=9.0, faststart=True)
    torn = media_files.truncate(whole, tmp_path / "torn.mp4", fraction=0.6)
    first, second, third = cuts_of(sandbox, torn, (0.0, 2.0), (5.0, 8.0), (20.0, 22.0))
    assert isinstance(first, CutClip)
    assert second.rejection.error_class == "truncated"
    assert third.rejection.error_class == "range"


def test_a_span_without_its_beginning_or_its_sound(sandbox: Sandbox, tmp_path: Path) -> None:
    source = media_files.write(tmp_path / "a.mp4", duration_s=6.0, video_start_s=2.0)
    [late, whole] = cuts_of(sandbox, source, (1.0, 3.0), (2.0, 4.0))
    assert late.rejection.error_class == "starts_late"
    assert isinstance(whole, CutClip)
    [before] = cuts_of(sandbox, source, (9.0, 12.0), starts_at_s=10.0)
    assert before.rejection.error_class == "starts_late"
    hole = media_files.write(tmp_path / "hole.mkv", container="matroska", duration_s=6.0, sound_lost_s=(2.5, 3.5))
    [lost, good] = cuts_of(sandbox, hole, (2.0, 5.0), (3.6, 5.6))
    assert lost.rejection.error_class == "lost_sound"
    assert isinstance(good, CutClip)


def test_a_file_that_gives_no_clip_says_why_for_every_span(sandbox: Sandbox, tmp_path: Path) -> None:
    silent = media_files.write(tmp_path / "silent.mp4", audio_codec=None)
    page = tmp_path / "page.mp4"
    page.write_text("<html><body>Sign in</body></html>" * 20)
    for path, error_class in ((silent, "no_audio"), (page, "not_media"), (tmp_path / "gone.mp4", "missing_file")):
        results = cuts_of(sandbox, path, (0.0, 1.0), (1.0, 2.0))
        assert [(one.window, one.rejection.error_class) for one in results] == [
            (Window(0.0, 1.0), error_class),
            (Window(1.0, 2.0), error_class),
        ]
    good = media_files.write(tmp_path / "good.mp4")
    [backwards, endless] = cuts_of(sandbox, good, (1.0, 0.5), (1.5, 2000.0))
    assert [one.rejection.error_class for one in (backwards, endless)] == ["odd_span", "odd_span"]
    assert not list((tmp_path / "cuts").iterdir())


def test_damage_is_counted_and_leaves_no_parts(sandbox: Sandbox, tmp_path: Path) -> None:
    whole = media_files.write(tmp_path / "a.mp4", duration_s=9.0)
    damaged = media_files.flip_bytes(whole, tmp_path / "damaged.mp4", count=60, seed=3, keep=8000)
    results = cuts_of(sandbox, damaged, (0.0, 3.0), (3.0, 6.0), (6.0, 8.9))
    cut = [one for one in results if isinstance(one, CutClip)]
    assert sum(one.decode_errors for one in cut) > 0 or len(cut) < 3
    assert sorted((tmp_path / "cuts").iterdir()) == sorted(one.path for one in cut)


def test_a_request_that_takes_too_long_is_ended_and_what_is_done_is_kept(tmp_path: Path) -> None:
    source = media_files.write(tmp_path / "a.mp4", duration_s=20.0, size=(384, 256))
    with Sandbox(Limits(request_wall_s=1.0)) as hurried:
        spans = [(0.0, 0.5), *((place / 4, 10 + place / 2) for place in range(14))]
        results = cuts_of(hurried, source, *spans)
    assert len(results) == len(spans)
    refused = [one for one in results if isinstance(one, RejectedWindow)]
    assert {one.rejection.error_class for one in refused} == {"timeout"}
    assert len(list((tmp_path / "cuts").iterdir())) == len(results) - len(refused)


def test_a_disk_that_is_full_is_nobodys_bad_media(tmp_path: Path) -> None:
    file = CutFile(Path("/dev/full"), size_WH=(96, 64), rate_hz=Fraction(25), audio_rate_hz=16_000, layout="mono")
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)

    def fill() -> None:
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            file.add(frame, start_s=number / 25, end_s=(number + 1) / 25)
        file.finish(np.zeros((32_000, 1), np.float32))

    with pytest.raises(OutputError, match="ENOSPC"):
        fill()


def test_a_sound_track_of_several_channels_is_cut_to_the_sample() -> None:
    track = SoundTrack(100)
    samples_NC = np.arange(600, dtype=np.float32).reshape(300, 2)
    for at in (0, 100, 200):
        track.push(at / 100, samples_NC[at : at + 100], anew=False)
    cut = track.exact(0.5, 2.5)
    np.testing.assert_array_equal(cut.waveform_N, samples_NC[50:250])
    assert (cut.late_s, cut.lost_s, cut.short_s) == (0.0, 0.0, 0.0)
    cut = track.exact(-0.5, 3.5)
    assert cut.waveform_N.shape == (400, 2)
    assert (cut.late_s, cut.lost_s, cut.short_s) == (0.5, 0.0, 0.5)
