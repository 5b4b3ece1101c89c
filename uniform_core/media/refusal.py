"""Why a file or a window is refused, inside the worker: raised there, a `Rejection` value outside.

The classes that a ledger may show (`outside_folder`, `own_data`, `bad_caption` and `unused_captions` come from a folder
dataset, `changed_file` from ingest, `range` and `odd_span` from cutting a video, `too_long` from measuring a file):
`missing_file not_a_file outside_folder own_data bad_caption unused_captions changed_file range odd_span too_long
unreadable empty_file not_media no_video no_audio undecodable too_large odd_shape too_short truncated
starts_late lost_sound bad_timestamps not_interleaved memory timeout crash`.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import av


class Refused(Exception):  # noqa: N818  (not an error of ours: a verdict on a file)
    """The file or the window gives no clip; becomes a `Rejection` at the border of the worker."""

    def __init__(self, error_class: str, message: str, *, terminal: bool = True) -> None:
        super().__init__(f"{error_class}: {message}")
        self.error_class, self.message, self.terminal = error_class, message, terminal


class OutputError(Exception):
    """The result could not be written: the disk's fault, not the file's."""


def short(error: BaseException) -> str:
    """An error in one line of at most 200 characters, without the path that PyAV appends."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"{type(error).__name__}: {' '.join(str(text).split())[:200]}"


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Translate what PyAV raises into `Refused`. Raises Refused."""
    try:
        yield
    except (MemoryError, av.error.MemoryError) as error:
        raise Refused("memory", f"{what}: more memory needed than the worker may have") from error
    except av.FFmpegError as error:
        raise Refused("undecodable", f"{what}: {short(error)}") from error
    except OSError as error:
        raise file_failed(error) from error


def file_failed(error: OSError) -> Refused:
    """What the file object said to FFmpeg: a position that cannot be, which only a damaged file asks for, or a disk."""
    if error.errno == errno.EINVAL:
        return Refused("undecodable", f"a container that fits its file expected, it points outside: {short(error)}")
    return Refused("unreadable", f"a file that can be read to its end expected, {short(error)}", terminal=False)


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Translate a disk that is full or closed into `OutputError`."""
    try:
        yield
    except OSError as error:
        code = errno.errorcode.get(error.errno or 0, "?")
        raise OutputError(f"{what}: {code} {error.strerror or error}") from error
