"""What the worker has said, as values; the places that it names, as files at theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from uniform_core.errors import Rejection, StorageError
from uniform_core.files import fsync
from uniform_core.media.process import WorkerLostError
from uniform_core.media.results import CanonicalClip, CutClip, DecodedMedia, FramePiece, RejectedWindow, StreamedMedia

if TYPE_CHECKING:
    from uniform_core.types import Window

Message = dict[str, Any]
Clip = TypeVar("Clip", CanonicalClip, CutClip)


def complete(
    asked: Sequence[Window], found: Sequence[Clip | RejectedWindow], *, one_for_all: bool
) -> list[Clip | RejectedWindow]:
    """One result for each window that was asked for: what failed as a whole speaks for those without their own.

    With `one_for_all`, where nothing at all was done, the failure of the whole file stays one result.
    """
    own = [result for result in found if result.window is not None]
    whole = [result for result in found if isinstance(result, RejectedWindow) and result.window is None]
    if one_for_all and not own and whole:
        return [whole[0]]
    done = {(result.window.start_ms, result.window.end_ms) for result in own if result.window is not None}
    missing = [window for window in asked if (window.start_ms, window.end_ms) not in done]
    return own + [RejectedWindow(window, result.rejection) for result in whole[:1] for window in missing]


def make_directory(directory: Path) -> None:
    """The folder, made if need be. Raises StorageError."""
    with _writable(directory):
        directory.mkdir(parents=True, exist_ok=True)


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        found, fix = error.strerror or str(error), "Make room or choose a writable folder, then run again."
        raise StorageError(str(path), expected="a place that can be written", found=found, fix=fix) from error


def _window(span: Sequence[float]) -> Window:
    from uniform_core.types import Window  # here: the worker imports this package, and no pydantic

    return Window(*span)


def verdict(lost: WorkerLostError) -> Message:
    return {"error_class": lost.error_class, "message": lost.message, "terminal": lost.terminal}


def rejection(message: Message) -> Rejection:
    return Rejection(message["error_class"], message["message"], terminal=message["terminal"])


def rejected(message: Message) -> RejectedWindow:
    window = None if message["window"] is None else _window(message["window"])
    return RejectedWindow(window, rejection(message))


def canonical_clip(message: Message, out_dir: Path, names: Callable[[Window], str]) -> CanonicalClip:
    window = _window(message["window"])
    return CanonicalClip(**message["facts"], window=window, path=placed(message, out_dir, names(window)))


def placed(message: Message, out_dir: Path, name: str) -> Path:
    """Where a clip lies now that came under a temporary name. Raises StorageError."""
    path = out_dir / name
    make_directory(path.parent)
    with _writable(path):
        (out_dir / message["part"]).replace(path)
        if path.parent != out_dir:
            fsync(path.parent)
    return path


def decoded_media(facts: Message, frames_file: Path, sound_file: Path) -> DecodedMedia:
    shape, samples = facts["shape_THW"], facts["samples"]
    frames = None if shape is None else np.fromfile(frames_file, np.uint8).reshape(*shape, 3)
    waveform = None if samples is None else np.fromfile(sound_file, np.float32)
    return DecodedMedia(frames, waveform, facts["video_rate_hz"], facts["audio_rate_hz"], facts["decode_errors"])


def frame_piece(message: Message, frames_files: Sequence[Path]) -> FramePiece:
    piece = message["piece"]
    frames_THWC = np.fromfile(frames_files[piece["slot"]], np.uint8).reshape(*piece["shape_THW"], 3)
    return FramePiece(frames_THWC, tuple(piece["times_s"]), piece["rate_hz"])


def streamed_media(facts: Message, sound_file: Path) -> StreamedMedia:
    read = dict(facts)
    samples, channels = read.pop("samples"), read.pop("channels")
    sound_NC = None if samples is None else np.fromfile(sound_file, np.float32).reshape(samples, channels)
    lacks = {kind: Rejection(error_class, text) for kind, (error_class, text) in read.pop("lacks").items()}
    return StreamedMedia(**read, sound_NC=sound_NC, lacks=lacks)


def start_s(result: CanonicalClip | CutClip | RejectedWindow) -> float:
    return float("inf") if result.window is None else result.window.start_s
