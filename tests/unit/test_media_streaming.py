"""A file is handed over frame by frame as it is, in bounded memory, behind the same border as all media."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import media_files
import numpy as np
import psutil
import pytest

from uniform_core.errors import Rejection
from uniform_core.media import DecodeRule, FramePiece, Sandbox, StreamedMedia, StreamRule
from uniform_core.media.forms import PIECE_BYTES, PIECE_FRAMES

NATIVE = DecodeRule(audio_rate_hz=None)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


class Watching:
    """Keeps the numbers that are burnt into frames, and when they are shown."""

    def __init__(self, most: int | None = None) -> None:
        self.numbers: list[int] = []
        self.times_s: list[float] = []
        self.pieces = 0
        self.largest_bytes = 0
        self._most = most

    def __call__(self, piece: FramePiece) -> bool:
        self.numbers += [media_files.read_number(frame) for frame in piece.frames_THWC]
        self.times_s += piece.times_s
        self.pieces += 1
        self.largest_bytes = max(self.largest_bytes, piece.frames_THWC.nbytes)
        return self._most is None or len(self.numbers) < self._most


def test_frames_and_sound_are_those_of_a_decode(sandbox: Sandbox, tmp_path: Path) -> None:
    path = media_files.write(tmp_path / "a.mp4", duration_s=12.0, audio_start_s=0.5, layout="mono")
    whole = sandbox.decode(path, NATIVE)
    assert not isinstance(whole, Rejection)
    seen = Watching()
    frames: list[np.ndarray] = []
    streamed = sandbox.stream(path, StreamRule(), lambda piece: frames.append(piece.frames_THWC) or seen(piece))
    assert isinstance(streamed, StreamedMedia)
    assert seen.numbers == list(range(300))
    assert seen.times_s == pytest.approx([index / 25 for index in range(300)], abs=1e-3)
    assert seen.pieces > 1
    assert np.array_equal(np.concatenate(frames), whole.frames_THWC)
    assert (streamed.frames, streamed.video_rate_hz, streamed.audio_rate_hz) == (300, 25.0, 48_000)
    assert streamed.audio_start_s == pytest.approx(0.5, abs=0.03)
    assert streamed.sound_NC is not None
    assert streamed.sound_NC.shape[1] == 1
    late = round(streamed.audio_start_s * 48_000)  # type: ignore[operator]
    assert whole.waveform_N is not None
    both = min(len(streamed.sound_NC), len(whole.waveform_N) - late)
    assert np.array_equal(streamed.sound_NC[:both, 0], whole.waveform_N[late : late + both])


def test_every_channel_is_kept(sandbox: Sandbox, tmp_path: Path) -> None:
    path = media_files.write(tmp_path / "a.mka", video_codec=None, container="matroska", layout="5.1")
    streamed = sandbox.stream(path, StreamRule("audio"), Watching())
    assert isinstance(streamed, StreamedMedia)
    assert streamed.sound_NC is not None
    assert streamed.sound_NC.shape == (pytest.approx(144_000, abs=2048), 6)
    assert streamed.video_rate_hz is None
    assert not streamed.lacks


def test_who_has_enough_ends_the_picture_and_hears_the_rest(sandbox: Sandbox, tmp_path: Path) -> None:
    path = media_files.write(tmp_path / "a.mp4", duration_s=30.0, fps=Fraction(25), size=(480, 320))
    seen = Watching(most=40)
    streamed = sandbox.stream(path, StreamRule(), seen)
    assert isinstance(streamed, StreamedMedia)
    assert 40 <= len(seen.numbers) < 200
    assert seen.numbers == list(range(len(seen.numbers)))
    assert streamed.sound_NC is not None
    assert len(streamed.sound_NC) == pytest.approx(30 * 48_000, abs=2048)
    part = sandbox.stream(path, StreamRule(until_s=1.0), Watching())
    assert isinstance(part, StreamedMedia)
    assert part.sound_NC is not None
    assert (part.frames, len(part.sound_NC)) == (25, 48_000)


def test_a_stream_that_is_not_there_has_its_reason(sandbox: Sandbox, tmp_path: Path) -> None:
    mute = sandbox.stream(media_files.write(tmp_path / "mute.mp4", audio_codec=None), StreamRule(), Watching())
    assert isinstance(mute, StreamedMedia)
    assert mute.frames == 75
    assert mute.sound_NC is None
    assert mute.lacks["audio"].error_class == "no_audio"
    none = sandbox.stream(tmp_path / "mute.mp4", StreamRule("audio"), Watching())
    assert isinstance(none, Rejection)
    assert none.error_class == "no_audio"
    (tmp_path / "empty.mp4").write_bytes(b"")
    empty = sandbox.stream(tmp_path / "empty.mp4", StreamRule(), Watching())
    assert isinstance(empty, Rejection)
    assert empty.error_class == "empty_file"


def test_memory_does_not_grow_with_the_film(tmp_path: Path) -> None:
    short, long = (
        media_files.write(tmp_path / f"{seconds}.mp4", duration_s=float(seconds), size=(480, 320), still=True)
        for seconds in (6, 60)
    )
    resident: dict[Path, int] = {}
    for path in (short, long):
        with Sandbox() as sandbox:

            def see(piece: FramePiece, *, sandbox: Sandbox = sandbox, path: Path = path) -> bool:
                assert piece.frames_THWC.nbytes <= PIECE_BYTES
                assert len(piece.frames_THWC) <= PIECE_FRAMES
                now = psutil.Process(sandbox.worker_pid).memory_info().rss >> 20
                resident[path] = max(resident.get(path, 0), now)
                return True

            streamed = sandbox.stream(path, StreamRule("video"), see)
            assert isinstance(streamed, StreamedMedia)
    assert 60 * 25 * 480 * 320 * 3 > 600 << 20
    assert resident[long] < resident[short] + 64


def test_a_slow_watcher_is_not_the_files_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = media_files.write(tmp_path / "a.mp4", duration_s=12.0)
    clock = SimpleNamespace(passed_s=0.0)
    clock.monotonic = lambda: time.monotonic() + clock.passed_s
    monkeypatch.setattr("uniform_core.media.sandbox.time", clock)

    def see(piece: FramePiece) -> bool:
        clock.passed_s += 10_000.0  # far more than a request may take
        return True

    with Sandbox() as sandbox:
        streamed = sandbox.stream(path, StreamRule("video"), see)
    assert clock.passed_s > 10_000.0
    assert isinstance(streamed, StreamedMedia), streamed
    assert streamed.frames == 300


def test_a_watcher_that_fails_leaves_a_sandbox_that_works(sandbox: Sandbox, tmp_path: Path) -> None:
    path = media_files.write(tmp_path / "a.mp4")

    def see(piece: FramePiece) -> bool:
        raise ArithmeticError("no flow")

    with pytest.raises(ArithmeticError, match="no flow"):
        sandbox.stream(path, StreamRule(), see)
    seen = Watching()
    assert isinstance(sandbox.stream(path, StreamRule(), seen), StreamedMedia)
    assert len(seen.numbers) == 75
    assert isinstance(sandbox.stream(path, StreamRule(), Watching()), StreamedMedia)


def test_a_file_that_ends_the_worker_is_a_verdict_and_the_next_is_read(tmp_path: Path) -> None:
    path = media_files.write(tmp_path / "a.mp4", duration_s=60.0, size=(480, 320), still=True)
    with Sandbox() as sandbox:

        def see(piece: FramePiece) -> bool:
            psutil.Process(sandbox.worker_pid).kill()
            return True

        lost = sandbox.stream(path, StreamRule("video"), see)
        assert isinstance(lost, Rejection)
        assert (lost.error_class, lost.terminal) == ("crash", False)
        assert isinstance(sandbox.stream(path, StreamRule("video", until_s=1.0), lambda piece: True), StreamedMedia)


def test_a_damaged_file_is_a_verdict_after_its_whole_pieces(sandbox: Sandbox, tmp_path: Path) -> None:
    path = media_files.write(tmp_path / "a.ts", container="mpegts", duration_s=30.0, video_codec="mpeg2video")
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    half = len(data) // 2
    data[half:] = rng.bytes(len(data) - half)
    path.write_bytes(data)
    streamed = sandbox.stream(path, StreamRule(), Watching())
    assert isinstance(streamed, StreamedMedia | Rejection)
    whole = media_files.write(tmp_path / "b.mp4")
    again = sandbox.stream(whole, StreamRule(), Watching())
    assert isinstance(again, StreamedMedia)
    assert again.frames == 75
