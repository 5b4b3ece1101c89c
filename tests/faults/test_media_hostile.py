"""Whatever a file does, the sandbox answers: a true reason, within its limits, and works for the next file."""

from __future__ import annotations

import errno
import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import media_files
import numpy as np
import psutil
import pytest

import uniform_core.media.source as media_source
from uniform_core.errors import Rejection, ServiceError, StorageError
from uniform_core.media import (
    CanonicalClip,
    CanonicalForm,
    CutRule,
    DecodeRule,
    Limits,
    RejectedWindow,
    Sandbox,
    SourceFacts,
)
from uniform_core.media.budget import ErrorBudget
from uniform_core.media.encoder import write_synced
from uniform_core.media.opening import open_source
from uniform_core.media.placing import Placer
from uniform_core.media.refusal import OutputError, Refused
from uniform_core.media.restart import Clocks
from uniform_core.types import Window

FORM = CanonicalForm(duration_s=2.0, video_rate_hz=17, short_side_px=64)
CUT = CutRule(2.0, 2.0)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return media_files.write(tmp_path_factory.mktemp("good") / "good.mp4")


def run(sandbox: Sandbox, path: Path, out: Path, windows: list[Window] | None = None) -> list[object]:
    return list(
        sandbox.canonicalise(path, windows, cut=CUT, form=FORM, out_dir=out, names=lambda w: f"{w.start_ms}.mp4")
    )


def reason(sandbox: Sandbox, path: Path, out: Path) -> str:
    """The reason of a file that gives no clip at all."""
    [result] = run(sandbox, path, out)
    assert isinstance(result, RejectedWindow), result
    assert result.window is None
    assert "expected" in result.rejection.message
    assert not list(out.glob("*"))
    return result.rejection.error_class


TEXTS = {
    "html": b"<!DOCTYPE html><html><body>Video unavailable</body></html>",
    "text": b"It is not a film.\n" * 500,
    "json": b'{"error": 404}',
    "playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\ngood.mp4\n#EXT-X-ENDLIST\n",
    "ffconcat": b"ffconcat version 1.0\nfile good.mp4\n",
    "subtitles": b"1\n00:00:01,000 --> 00:00:02,000\nhello\n",
    "noise": bytes(np.random.default_rng(3).integers(0, 256, 20_000, dtype=np.uint8)),
    "zeros": bytes(50_000),
    "one byte": b"\0",
}


@pytest.mark.parametrize("kind", TEXTS)
def test_what_is_no_media_is_said_to_be_none(kind: str, sandbox: Sandbox, good: Path, tmp_path: Path) -> None:
    (tmp_path / "good.mp4").write_bytes(good.read_bytes())  # a playlist must not reach it
    path = tmp_path / "file.mp4"
    path.write_bytes(TEXTS[kind])
    assert reason(sandbox, path, tmp_path / "out") == "not_media"
    assert isinstance(sandbox.probe(path), Rejection)
    assert isinstance(sandbox.decode(path, DecodeRule()), Rejection)


def test_what_cannot_hold_media(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    os.mkfifo(tmp_path / "pipe.mp4")
    out = tmp_path / "out"
    assert reason(sandbox, tmp_path / "empty.mp4", out) == "empty_file"
    assert reason(sandbox, tmp_path / "nothing.mp4", out) == "missing_file"
    assert reason(sandbox, tmp_path, out) == "not_a_file"
    assert reason(sandbox, tmp_path / "pipe.mp4", out) == "not_a_file"


@pytest.mark.parametrize(
    ("expected", "changes"),
    [
        ("no_audio", {"audio_codec": None}),
        ("no_video", {"video_codec": None}),
        ("too_short", {"duration_s": 0.04, "audio_duration_s": 3.0}),
        ("too_short", {"duration_s": 1.0}),
        ("too_short", {"audio_duration_s": 1.0}),
        ("odd_shape", {"size": (960, 16), "duration_s": 2.0}),
    ],
)
def test_reasons(expected: str, changes: dict[str, object], sandbox: Sandbox, tmp_path: Path) -> None:
    path = media_files.write(tmp_path / "file.mp4", **changes)
    assert reason(sandbox, path, tmp_path / "out") == expected


def test_a_cover_picture_is_no_video(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as out:
        sound = out.add_stream("aac", rate=16_000, layout="mono")
        cover = out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        cover_packets = cover.encode(picture.reformat(format="yuvj420p"))
        wave = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.float32), format="fltp", layout="mono")
        wave.rate, wave.pts = 16_000, 0
        out.mux(sound.encode(wave))
        out.mux(sound.encode(None))
        out.mux(cover_packets)
    assert reason(sandbox, path, tmp_path / "out") == "no_video"


@pytest.mark.parametrize(
    ("expected", "changes"),
    [
        ("starts_late", {"audio_start_s": 0.4, "audio_duration_s": 2.6}),
        ("starts_late", {"video_start_s": 0.4, "audio_duration_s": 3.4}),
        ("starts_late", {"video_start_s": 0.12, "audio_duration_s": 3.4}),
        ("lost_sound", {"sound_lost_s": (0.5, 0.8), "container": "matroska", "audio_codec": "mp2"}),
    ],
)
def test_a_clip_is_not_padded_beyond_one_frame(
    expected: str, changes: dict[str, object], sandbox: Sandbox, tmp_path: Path
) -> None:
    path = media_files.write(tmp_path / "file", **changes)
    [refused] = run(sandbox, path, tmp_path / "out", [Window(0.0, 2.0)])
    assert isinstance(refused, RejectedWindow)
    assert refused.rejection.error_class == expected
    if expected == "starts_late":  # the cut rule begins where both run
        first, *_ = run(sandbox, path, tmp_path / "out")
        assert isinstance(first, CanonicalClip)
        assert first.held_frames == 0


OFFSETS: dict[str, dict[str, object]] = {
    "mp4": {},
    "flv": {"container": "flv", "audio_rate": 44_100},
    "mpegts": {"container": "mpegts", "audio_codec": "mp2"},
    "wmv": {"container": "asf", "video_codec": "wmv2", "audio_codec": "wmav2"},
    "one packet of sound lost": {"sound_lost_s": (0.5, 0.52), "container": "matroska"},
    "a frame late": {"video_start_s": 0.04},
}


@pytest.mark.parametrize("kind", OFFSETS)
def test_what_encoders_and_containers_cost_is_no_reason(kind: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """Priming, B-frames, rounding: up to one frame, and a picture that is late is said to be held."""
    path = media_files.write(tmp_path / "file", **OFFSETS[kind])
    [clip] = run(sandbox, path, tmp_path / "out", [Window(0.0, 2.0)])
    assert isinstance(clip, CanonicalClip), clip
    assert clip.held_frames == (kind in ("flv", "mpegts", "a frame late"))


def test_a_truncated_film_gives_what_it_has(sandbox: Sandbox, tmp_path: Path) -> None:
    whole = media_files.write(tmp_path / "whole.mp4", duration_s=8.0, faststart=True)
    cut = media_files.truncate(whole, tmp_path / "cut.mp4", fraction=0.6)
    *clips, rest = run(sandbox, cut, tmp_path / "out")
    assert [type(clip) for clip in clips] == [CanonicalClip, CanonicalClip]
    assert isinstance(rest, RejectedWindow)
    assert rest.window == Window(4.0, 8.0)
    assert rest.rejection.error_class == "truncated"
    asked = run(sandbox, cut, tmp_path / "out2", [Window(1.0, 3.0), Window(5.0, 7.0), Window(7.0, 9.0)])
    assert [getattr(r, "rejection", Rejection("clip", "")).error_class for r in asked] == [  # type: ignore[attr-defined]
        "clip",
        "truncated",
        "too_short",
    ]


def test_a_film_cut_within_its_last_window_says_so(sandbox: Sandbox, tmp_path: Path) -> None:
    """An mp4 counts its samples, so a third of a second that is not there is known."""
    whole = media_files.write(tmp_path / "whole.mp4", duration_s=4.0, faststart=True)
    cut = media_files.truncate(whole, tmp_path / "cut.mp4", fraction=0.92)
    first, rest = run(sandbox, cut, tmp_path / "out")
    assert isinstance(first, CanonicalClip)
    assert isinstance(rest, RejectedWindow)
    assert (rest.window, rest.rejection.error_class) == (Window(2.0, 4.0), "truncated")


WHOLE: dict[str, dict[str, object]] = {
    "matroska": {"container": "matroska", "audio_codec": "flac"},
    "webm": {"container": "webm", "video_codec": "libvpx", "audio_codec": "libopus"},
    "asf": {"container": "asf", "video_codec": "wmv2", "audio_codec": "wmav2"},
}


@pytest.mark.parametrize("kind", WHOLE)
def test_a_short_sound_in_a_whole_film_is_no_truncation(kind: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """These containers give one length for all streams: the longer one's."""
    path = media_files.write(tmp_path / "film", duration_s=8.0, audio_duration_s=3.0, **WHOLE[kind])
    first, rest = run(sandbox, path, tmp_path / "out")
    assert isinstance(first, CanonicalClip)
    assert isinstance(rest, RejectedWindow)
    assert rest.window is not None
    assert (rest.window.start_s, rest.rejection.error_class) == (2.0, "too_short")


@pytest.mark.parametrize("kind", ["matroska", "webm"])
def test_a_film_that_lacks_its_last_second_tells_of_the_window(kind: str, sandbox: Sandbox, tmp_path: Path) -> None:
    whole = media_files.write(tmp_path / "whole", duration_s=8.0, **WHOLE[kind])
    results = run(sandbox, media_files.truncate(whole, tmp_path / "cut", fraction=0.93), tmp_path / "out")
    assert [type(result) for result in results] == [CanonicalClip] * 3 + [RejectedWindow]
    last = results[-1]
    assert isinstance(last, RejectedWindow)
    assert last.window is not None
    assert (last.window.start_s, last.rejection.error_class) == (6.0, "too_short")


def test_an_index_that_the_file_ends_in_is_not_taken_for_a_film_without_sound(sandbox: Sandbox, tmp_path: Path) -> None:
    whole = media_files.write(tmp_path / "whole.mp4")  # its index is at its end, the picture's first
    data = whole.read_bytes()
    index = data.index(b"moov")
    (tmp_path / "cut.mp4").write_bytes(data[: data.index(b"trak", data.index(b"trak", index) + 4) + 200])
    [result] = run(sandbox, tmp_path / "cut.mp4", tmp_path / "out")
    assert isinstance(result, RejectedWindow)
    assert result.rejection.error_class == "truncated"


def test_a_stream_that_appears_on_the_way_costs_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    """An flv may say a text at any moment; PyAV then flushes one stream more than it knows."""
    whole = media_files.write(tmp_path / "a.flv", container="flv", audio_rate=44_100, duration_s=4.0)
    data = whole.read_bytes()
    body = b"\x02\x00\x0aonTextData\x08\x00\x00\x00\x01\x00\x04text\x02\x00\x02hi\x00\x00\x09"
    at = 13
    while int.from_bytes(data[at + 4 : at + 7]) < 2500:
        at += 11 + int.from_bytes(data[at + 1 : at + 4]) + 4
    tag = b"\x12" + len(body).to_bytes(3) + data[at + 4 : at + 8] + b"\x00\x00\x00" + body
    (tmp_path / "b.flv").write_bytes(data[:at] + tag + len(tag).to_bytes(4) + data[at:])
    plain, with_text = (run(sandbox, tmp_path / name, tmp_path / f"out-{name}") for name in ("a.flv", "b.flv"))
    assert [(type(r), r.window) for r in with_text] == [(type(r), r.window) for r in plain]
    assert len(plain) == 2


def test_a_late_clock_is_not_taken_for_length(sandbox: Sandbox, tmp_path: Path) -> None:
    """A Matroska recording whose clock begins at 100 s says that it lasts until 103 s: nothing is cut off."""
    path = media_files.write(tmp_path / "a.mkv", container="matroska", video_start_s=100.0, audio_start_s=100.0)
    [clip] = run(sandbox, path, tmp_path / "out")
    assert isinstance(clip, CanonicalClip)


AGAIN: dict[str, dict[str, object]] = {
    "mpeg": {"container": "mpeg", "video_codec": "mpeg1video", "audio_codec": "mp2"},
    "mpegts": {"container": "mpegts", "audio_codec": "mp2"},
    "ogg": {"container": "ogg", "video_codec": "libvpx", "audio_codec": "libopus"},
    "mkv": {"container": "matroska"},
}


@pytest.mark.parametrize("kind", AGAIN)
def test_a_film_whose_clock_starts_again_keeps_what_came_before(kind: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """Two copies behind each other: the windows of the first one, and one reason for all that follows."""
    once = media_files.write(tmp_path / "once", duration_s=4.2, **AGAIN[kind])
    twice = tmp_path / "twice"
    twice.write_bytes(once.read_bytes() * 2)
    clips = run(sandbox, once, tmp_path / "out1")
    *kept, rest = run(sandbox, twice, tmp_path / "out2")
    assert [clip.clip_sha256 for clip in kept] == [clip.clip_sha256 for clip in clips]  # type: ignore[attr-defined]
    assert len(kept) == 2
    assert isinstance(rest, RejectedWindow)
    assert (rest.window, rest.rejection.error_class, rest.rejection.terminal) == (None, "bad_timestamps", True)
    assert re.search(r"start again at -?0\.0\d\d s after 4\.[12]\d\d s", rest.rejection.message)
    asked = run(sandbox, twice, tmp_path / "out3", [Window(1.0, 3.0), Window(5.0, 7.0)])
    assert isinstance(asked[0], CanonicalClip)
    assert isinstance(asked[1], RejectedWindow)
    assert asked[1].rejection.error_class == "bad_timestamps"
    assert not isinstance(sandbox.decode(twice, DecodeRule(duration_s=2.0)), Rejection)
    whole = sandbox.decode(twice, DecodeRule())
    assert isinstance(whole, Rejection)
    assert whole.error_class == "bad_timestamps"


def test_sound_may_begin_late_in_the_file(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind 4,500 pictures; how long it is waited for is bounded, and then that is the reason."""
    path = media_files.write(
        tmp_path / "a.mkv",
        container="matroska",
        fps=Fraction(500),
        duration_s=11.1,
        size=(32, 32),
        b_frames=False,
        audio_codec="flac",
        audio_rate=16_000,
        layout="mono",
        audio_start_s=9.0,
        audio_duration_s=2.1,
    )
    [clip] = run(sandbox, path, tmp_path / "out")
    assert isinstance(clip, CanonicalClip), clip
    assert clip.window == Window(9.0, 11.0)
    monkeypatch.setattr(media_source, "HEAD_PACKETS", 100)
    with open_source(path, Limits()) as source:
        assert source.read_head() == (0.0, None)
        assert source.nothing_of("audio").error_class == "not_interleaved"


def test_a_stream_that_is_named_and_empty_is_none(sandbox: Sandbox, tmp_path: Path) -> None:
    for kind, changes in (("no_audio", {"sound_lost_s": (-1.0, 9.0)}), ("no_video", {"kept": ()})):
        path = media_files.write(tmp_path / "a.mkv", container="matroska", **changes)
        assert reason(sandbox, path, tmp_path / "out") == kind


@pytest.mark.parametrize("sound_later_s", [0.0, 0.2])
def test_a_gap_in_both_streams_ends_the_film(sound_later_s: float, sandbox: Sandbox, tmp_path: Path) -> None:
    """A clock that jumps forward by 100 s: what lies before it is kept, and nothing is made of the hole."""
    kind: dict[str, object] = {"container": "mpegts", "video_codec": "mpeg2video", "audio_codec": "mp2"}
    once = media_files.write(tmp_path / "a.ts", duration_s=4.0, audio_duration_s=4.0 + sound_later_s, **kind)
    path = media_files.repeat(once, tmp_path / "b.ts", times=2, every_s=100.0)
    *kept, rest = run(sandbox, path, tmp_path / "out")
    assert [clip.window for clip in kept if isinstance(clip, CanonicalClip)] == [Window(0.0, 2.0), Window(2.0, 4.0)]
    assert isinstance(rest, RejectedWindow)
    assert (rest.window, rest.rejection.error_class) == (None, "bad_timestamps")
    assert re.search(r"neither from [34]\.\d+ s to 100\.0\d\d s", rest.rejection.message)
    behind = Window(100.5, 102.5)
    assert isinstance(run(sandbox, path, tmp_path / "out2", [Window(1.0, 3.0), behind])[1], CanonicalClip)


def test_sound_that_ends_before_the_picture(sandbox: Sandbox, tmp_path: Path) -> None:
    path = media_files.write(
        tmp_path / "a.mkv", container="matroska", fps=Fraction(5), duration_s=95.0, audio_duration_s=4.0
    )
    *kept, rest = run(sandbox, path, tmp_path / "out")
    assert [clip.window for clip in kept if isinstance(clip, CanonicalClip)] == [Window(0.0, 2.0), Window(2.0, 4.0)]
    assert isinstance(rest, RejectedWindow)
    assert (rest.window, rest.rejection.error_class) == (None, "too_short")
    assert "it ends at 4.0" in rest.rejection.message


def test_sound_that_lies_behind_the_picture_is_not_called_short(sandbox: Sandbox, tmp_path: Path) -> None:
    path = media_files.write(
        tmp_path / "a.mkv",
        container="matroska",
        audio_codec="flac",
        fps=Fraction(5),
        duration_s=120.0,
        interleaved=False,
    )
    [rest] = run(sandbox, path, tmp_path / "out")
    assert isinstance(rest, RejectedWindow)
    assert rest.rejection.error_class == "not_interleaved"


def test_a_small_step_back_is_no_new_start() -> None:
    clocks = Clocks(picture=True, sound=True)
    assert all(clocks.takes("picture", time_s) for time_s in (0.0, 1.0, 0.6, 1.2))
    assert all(clocks.takes("sound", time_s) for time_s in (0.0, 1.1))
    assert clocks.restart is None
    assert not clocks.takes("picture", 0.1)
    assert not clocks.takes("picture", 2.0)  # what follows is another recording, whatever its times
    assert not clocks.ended  # the sound of the first one may still come
    assert clocks.takes("sound", 1.8)
    assert clocks.ended


def test_a_file_cut_before_its_first_stream_is_undecodable(sandbox: Sandbox, tmp_path: Path) -> None:
    whole = media_files.write(tmp_path / "whole.mp4", faststart=True)
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[:206])
    assert reason(sandbox, tmp_path / "cut.mp4", tmp_path / "out") == "undecodable"


@pytest.mark.parametrize(
    ("code", "expected"), [(errno.EINVAL, ("undecodable", True)), (errno.EIO, ("unreadable", False))]
)
def test_what_the_file_itself_answers_is_a_reason(
    code: int, expected: tuple[str, bool], good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged index asks for a place before the file (a NUT did); a disk may fail at any read."""
    data = good.read_bytes()

    class Failing(io.BytesIO):
        name = "film.mp4"

        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 1000:
                raise OSError(code, os.strerror(code))
            return super().read(min(size or 1000, 1000))

    monkeypatch.setattr(Path, "open", lambda _path, _mode: Failing(data))
    with pytest.raises(Refused) as caught:
        read_through(good)
    assert (caught.value.error_class, caught.value.terminal) == expected


def read_through(path: Path) -> None:
    with open_source(path, Limits()) as source:
        source.read_head()
        assert list(source.events())


@pytest.mark.parametrize(("kind", "count"), [("video", 3), ("video", 17), ("audio", 6)])
def test_frames_before_the_first_timestamp_lie_right_before_it(
    kind: str, count: int, sandbox: Sandbox, tmp_path: Path
) -> None:
    """A film that is an hour into its clock, with and without the first timestamps of a stream: the same clips."""
    hour: dict[str, object] = {"video_start_s": 3600.08, "audio_start_s": 3600.0}
    whole = media_files.write(tmp_path / "a.ts", container="mpegts", audio_codec="mp2", duration_s=4.2, **hour)
    bare = media_files.without_timestamps(whole, tmp_path / "b.ts", kind=kind, count=count)
    clips, again = (run(sandbox, path, tmp_path / path.stem) for path in (whole, bare))
    assert [clip.clip_sha256 for clip in again] == [clip.clip_sha256 for clip in clips]  # type: ignore[attr-defined]
    assert len(clips) == 2
    assert [clip.decode_errors for clip in again] == [0, 0]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("kind", "said"), [("video", "picture"), ("audio", "sound")])
@pytest.mark.parametrize("duration_s", [0.8, 4.0])
def test_a_stream_without_any_timestamp_is_refused(
    kind: str, said: str, duration_s: float, sandbox: Sandbox, tmp_path: Path
) -> None:
    whole = media_files.write(tmp_path / "a.ts", container="mpegts", audio_codec="mp2", duration_s=duration_s)
    count = whole.read_bytes().count(b"\x00\x00\x01" + (b"\xe0" if kind == "video" else b"\xc0"))
    bare = media_files.without_timestamps(whole, tmp_path / "b.ts", kind=kind, count=count)
    [result] = run(sandbox, bare, tmp_path / "out")
    assert isinstance(result, RejectedWindow)
    assert result.rejection.error_class == "bad_timestamps"
    assert re.search(rf"a timestamp within 1 s of the {said}'s first .*, none found in \d+", result.rejection.message)


def test_frames_that_wait_for_a_timestamp_are_placed_backwards_or_given_up() -> None:
    placer = Placer()
    assert placer.place("a", None, length_s=0.5) == placer.place("b", None, length_s=0.25) == []
    assert placer.place("c", 9.0, length_s=0.5) == [(8.25, 0.5, "a"), (8.75, 0.25, "b"), (9.0, 0.5, "c")]
    assert placer.place("d", None, length_s=0.5) == [(9.5, 0.5, "d")]
    assert placer.place("e", 20.0, length_s=0.5) == [(20.0, 0.5, "e")]
    lossy = Placer()
    lossy.place("a", None, length_s=0.5)
    assert (lossy.give_up(), lossy.give_up()) == (1, 0)
    assert lossy.place("c", 9.0, length_s=0.5) == [(9.0, 0.5, "c")]


def test_reordered_pictures_in_avi_are_all_shown_in_their_order(sandbox: Sandbox, tmp_path: Path) -> None:
    """AVI has the order of decoding only; what FFmpeg makes pts of it goes back and forth (H.264 with B-frames)."""
    path = media_files.write(tmp_path / "a.avi", container="avi", audio_codec="libmp3lame", duration_s=2.5)
    with open_source(path, Limits()) as source:
        source.read_head()
        pictures = [piece for piece in source.events() if isinstance(piece, media_source.Picture)]
    numbers = [media_files.read_number(picture.frame.to_ndarray(format="rgb24")) for picture in pictures]
    assert numbers == list(range(62))
    steps_s = np.diff([picture.time_s for picture in pictures])
    assert steps_s == pytest.approx(np.full(61, 0.04))
    assert pictures[0].time_s == pytest.approx(0.0), "not as late as the decoder holds it"


def test_errors_of_the_sound_are_not_told_of_the_picture() -> None:
    budget = ErrorBudget(Limits(max_errors=3))
    budget.demux_failed("a torn page")
    budget.packet_failed("audio", "no frame header")
    assert (budget.last("audio"), budget.last("video")) == ("no frame header", "a torn page")
    budget.picture_damaged()
    assert (budget.last("audio"), budget.last("video")) == ("no frame header", "a damaged picture")
    with pytest.raises(Refused, match="4 packets do not decode, the last of the sound: again"):
        budget.packet_failed("audio", "again")


def test_an_mp4_without_its_index_is_undecodable(sandbox: Sandbox, good: Path, tmp_path: Path) -> None:
    cut = media_files.truncate(good, tmp_path / "cut.mp4", fraction=0.6)
    assert reason(sandbox, cut, tmp_path / "out") == "undecodable"


KINDS: dict[str, dict[str, object]] = {
    "mp4": {"faststart": True},
    "avi": {"container": "avi", "video_codec": "mpeg4", "audio_codec": "libmp3lame"},
    "mpeg": {"container": "mpeg", "video_codec": "mpeg1video", "audio_codec": "mp2"},
    "mkv": {"container": "matroska"},
    "webm": {"container": "webm", "video_codec": "libvpx", "audio_codec": "libopus"},
    "ogg": {"container": "ogg", "video_codec": "libvpx", "audio_codec": "libopus"},
    "flv": {"container": "flv", "audio_rate": 44_100},
}


@pytest.mark.parametrize("kind", KINDS)
def test_damage_of_every_degree_is_survived(kind: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """Flipped bytes anywhere, headers too, and cuts anywhere: an answer each time, and no worker is lost."""
    whole = media_files.write(tmp_path / "whole", duration_s=4.0, **KINDS[kind])
    pid = sandbox.worker_pid
    for seed, (count, keep) in enumerate([(1, 0), (5, 0), (400, 0), (20, 4000), (400, 4000), (4000, 4000)]):
        path = media_files.flip_bytes(whole, tmp_path / "flipped", count=count, seed=seed, keep=keep)
        check_answer(run(sandbox, path, tmp_path / "out"))
    for fraction in (0.01, 0.1, 0.5, 0.9, 0.99):
        check_answer(run(sandbox, media_files.truncate(whole, tmp_path / "cut", fraction=fraction), tmp_path / "out"))
    assert sandbox.worker_pid == pid or pid is None


def check_answer(results: list[object]) -> None:
    assert results
    for result in results:
        if isinstance(result, RejectedWindow):
            assert result.rejection.error_class not in ("crash", "timeout"), result
        else:
            assert isinstance(result, CanonicalClip)
            assert result.path.stat().st_size == result.bytes


def test_lost_packets_are_counted(sandbox: Sandbox, tmp_path: Path) -> None:
    whole = media_files.write(tmp_path / "whole.mp4", duration_s=9.0, faststart=True, gop=250)
    damaged = media_files.flip_bytes(whole, tmp_path / "a.mp4", count=12, seed=5, keep=20_000)
    results = run(sandbox, damaged, tmp_path / "out")
    assert sum(result.decode_errors for result in results if isinstance(result, CanonicalClip)) > 0


def test_a_file_of_errors_only_ends(tmp_path: Path) -> None:
    whole = media_files.write(tmp_path / "whole.mp4", duration_s=6.0, faststart=True)
    ruined = media_files.flip_bytes(whole, tmp_path / "a.mp4", count=60_000, seed=5, keep=9000)
    with Sandbox(Limits(max_errors=20, max_errors_in_a_row=10)) as strict:
        assert {r.rejection.error_class for r in run(strict, ruined, tmp_path / "out") if isinstance(r, RejectedWindow)}


@pytest.mark.parametrize("minutes", [2, pytest.param(10, marks=pytest.mark.long)])
def test_a_long_film_gives_all_its_clips_in_bounded_memory(minutes: int, tmp_path: Path) -> None:
    small: dict[str, object] = {"fps": Fraction(8), "size": (32, 32), "layout": "mono"}
    part = media_files.write(tmp_path / "a.ts", duration_s=10.0, container="mpegts", audio_codec="mp2", **small)
    film = media_files.repeat(part, tmp_path / "film.ts", times=6 * minutes, every_s=10.0)
    form = CanonicalForm(duration_s=2.0, video_rate_hz=8, short_side_px=32)
    resident: list[int] = []

    def name(window: Window) -> str:
        resident.append(psutil.Process(sandbox.worker_pid).memory_info().rss >> 20)
        return f"{window.start_ms}.mp4"

    with Sandbox() as sandbox:
        results = sandbox.canonicalise(film, None, cut=CUT, form=form, out_dir=tmp_path / "out", names=name)
    assert [result.window for result in results] == [Window(2.0 * i, 2.0 * i + 2.0) for i in range(30 * minutes)]
    assert all(isinstance(result, CanonicalClip) for result in results)
    assert max(resident) < 200
    assert max(resident) - resident[10] < 16


def test_pixels_are_bounded_before_decoding(good: Path, tmp_path: Path) -> None:
    with Sandbox(Limits(max_pixels=1000)) as small:
        assert reason(small, good, tmp_path / "out") == "too_large"
        assert isinstance(small.decode(good, DecodeRule()), Rejection)
    with Sandbox(Limits(max_decoded_bytes=100_000)) as small:
        rejection = small.decode(good, DecodeRule())
        assert isinstance(rejection, Rejection)
        assert rejection.error_class == "too_large"


def test_a_decompression_bomb_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    """Some kilobytes of JPEG that call themselves 65500 x 65500 pixels."""
    path = media_files.write(
        tmp_path / "a.avi",
        container="avi",
        video_codec="mjpeg",
        audio_codec="pcm_s16le",
        pixel_format="yuvj420p",
    )
    data = path.read_bytes()
    sizes = (64).to_bytes(2, "big") + (96).to_bytes(2, "big")
    assert data.count(sizes) >= 75
    path.write_bytes(data.replace(sizes, (65_500).to_bytes(2, "big") * 2))
    began = time.monotonic()
    assert reason(sandbox, path, tmp_path / "out") in ("too_large", "undecodable")
    assert time.monotonic() - began < 20


def test_memory_is_bounded(good: Path, tmp_path: Path) -> None:
    path = media_files.write(
        tmp_path / "a.avi",
        container="avi",
        video_codec="mjpeg",
        audio_codec="pcm_s16le",
        pixel_format="yuvj420p",
        size=(4800, 4000),
        duration_s=0.04,
        audio_duration_s=2.0,
    )
    with Sandbox() as roomy:
        roomy.probe(good)
        vms = psutil.Process(roomy.worker_pid).memory_info().vms
        assert isinstance(roomy.probe(path), SourceFacts)
    with Sandbox(Limits(memory_bytes=vms + 16 * 2**20)) as tight:  # a picture takes 29 MB
        assert isinstance(tight.probe(good), SourceFacts)
        rejection = tight.probe(path)
        assert isinstance(rejection, Rejection)
        assert rejection.error_class == "memory"
        assert tight.worker_pid is None  # a worker that ran out of memory is not used again


def test_a_worker_that_does_not_answer_is_killed(good: Path, tmp_path: Path) -> None:
    with Sandbox(Limits(wall_s=1.0)) as sandbox:
        assert isinstance(sandbox.probe(good), SourceFacts)
        stopped = sandbox.worker_pid
        assert stopped is not None
        part = tmp_path / "out" / f".part-{stopped}-7.mp4"  # as if it had been stopped between writing and telling
        part.parent.mkdir()
        part.touch()
        os.kill(stopped, signal.SIGSTOP)
        began = time.monotonic()
        [result] = run(sandbox, good, tmp_path / "out")
        assert isinstance(result, RejectedWindow)
        assert (result.rejection.error_class, result.rejection.terminal) == ("timeout", False)
        assert 0.9 < time.monotonic() - began < 5
        assert not psutil.pid_exists(stopped)
        assert not part.exists()
        assert isinstance(run(sandbox, good, tmp_path / "out")[0], CanonicalClip)


def test_the_whole_request_is_bounded_too(tmp_path: Path) -> None:
    film = media_files.write(tmp_path / "film.mp4", duration_s=60.0, fps=Fraction(10))
    with Sandbox(Limits(request_wall_s=0.2)) as sandbox:
        *clips, last = run(sandbox, film, tmp_path / "out")
    assert all(isinstance(clip, CanonicalClip) for clip in clips)
    assert isinstance(last, RejectedWindow)
    assert (last.window, last.rejection.error_class, last.rejection.terminal) == (None, "timeout", True)
    assert "at most 0.2 s of work on one file expected" in last.rejection.message
    assert len(list((tmp_path / "out").iterdir())) == len(clips)  # and no part of another


def test_windows_that_were_asked_for_are_answered_after_a_timeout(tmp_path: Path) -> None:
    film = media_files.write(tmp_path / "film.mp4", duration_s=40.0, fps=Fraction(10))
    asked = [Window(2.0 * i, 2.0 * i + 2.0) for i in range(20)]
    with Sandbox(Limits(request_wall_s=0.2)) as sandbox:
        results = run(sandbox, film, tmp_path / "out", asked)
    assert [result.window for result in results] in ([None], asked)  # type: ignore[attr-defined]


def test_a_worker_that_dies_is_replaced(good: Path, tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        sandbox.probe(good)
        first = sandbox.worker_pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(first)] if psutil.pid_exists(first) else [], timeout=5)
        assert isinstance(run(sandbox, good, tmp_path / "out")[0], CanonicalClip)  # no file's fault
        assert sandbox.worker_pid != first


def test_a_crash_is_a_reason(good: Path, tmp_path: Path) -> None:
    script = 'import sys,os; print(\'{"kind":"ready"}\', flush=True); sys.stdin.readline(); os.abort()'

    class Fragile(Sandbox):
        def command(self) -> list[str]:
            return [sys.executable, "-c", script]

    with Fragile() as sandbox:
        [result] = run(sandbox, good, tmp_path / "out")
        assert isinstance(result, RejectedWindow)
        assert result.rejection.error_class == "crash"
        assert "SIGABRT" in result.rejection.message
        rejection = sandbox.probe(good)
        assert isinstance(rejection, Rejection)
        assert rejection.terminal


def test_a_flood_of_words_is_cut_off(good: Path) -> None:
    class Talkative(Sandbox):
        def command(self) -> list[str]:
            script = "print('{\"kind\":\"ready\"}', flush=True); input()\nwhile True: print('x' * 4096, end='')"
            return [sys.executable, "-c", script]

    with Talkative(Limits(max_message_bytes=100_000)) as sandbox:
        rejection = sandbox.probe(good)
        assert isinstance(rejection, Rejection)
        assert rejection.error_class == "crash"
        assert "100000 bytes" in rejection.message


def test_a_worker_that_does_not_start_is_our_error(good: Path) -> None:
    class Absent(Sandbox):
        def command(self) -> list[str]:
            return [sys.executable, "-c", "raise SystemExit('no module named av')"]

    with Absent() as sandbox, pytest.raises(ServiceError, match="no module named av"):
        sandbox.probe(good)


def test_a_worker_serves_its_share_and_is_replaced(good: Path) -> None:
    with Sandbox(Limits(requests_per_process=2)) as sandbox:
        pids = []
        for _ in range(4):
            sandbox.probe(good)
            pids.append(sandbox.worker_pid)
    assert pids[0] is not None
    assert pids[1] is None
    assert pids[2] not in (None, pids[0])


def test_the_worker_dies_with_its_parent(good: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from uniform_core.media import Sandbox\n"
        "box = Sandbox(); box.probe(Path(sys.argv[1])); print(box.worker_pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(good)], capture_output=True, text=True, timeout=60)
    pid = int(done.stdout)
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_closing_leaves_no_process(good: Path) -> None:
    with Sandbox() as sandbox:
        sandbox.probe(good)
        pid = sandbox.worker_pid
    assert pid is not None
    assert not psutil.pid_exists(pid)


def test_a_folder_that_disappears_is_a_storage_error(sandbox: Sandbox, tmp_path: Path) -> None:
    film = media_files.write(tmp_path / "film.mp4", duration_s=8.0)
    out = tmp_path / "out"

    def name(window: Window) -> str:
        for file in out.iterdir():
            file.unlink()
        out.rmdir()
        return f"{window.start_ms}.mp4"

    with pytest.raises(StorageError):
        sandbox.canonicalise(film, None, cut=CUT, form=FORM, out_dir=out, names=name)
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError):
        run(sandbox, film, tmp_path / "file" / "out")


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="ENOSPC"):
        write_synced(tmp_path / "a.mp4", b"x" * 100)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_said_by_the_worker(good: Path, tmp_path: Path) -> None:
    class Full(Sandbox):
        def command(self) -> list[str]:
            script = (
                "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
                "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
                "from uniform_core.media import worker; worker.main()"
            )
            return [sys.executable, "-c", script, *super().command()[-2:]]

    with Full() as sandbox, pytest.raises(StorageError, match="EFBIG"):
        run(sandbox, good, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_the_worker_is_lean() -> None:
    """No pydantic, torch, decord, cv2 or Arrow: they would not fit into the memory that it may use."""
    script = (
        "import sys, uniform_core.media.worker, uniform_core.media.requests\n"
        "heavy = {'pydantic', 'torch', 'decord', 'cv2', 'pyarrow', 'jaxtyping'}\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & heavy))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
