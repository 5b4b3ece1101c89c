"""What lies in a folder: every visible entry by name, and why one is not to be read. Nothing is opened here.

Links are followed to files inside the folder only, and never to folders: what they hide would be read twice, or for
ever, or is not the owner's to share. A root of UniForm's own data is not walked into either: what a run writes would
be the next run's input.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from uniform_core.catalog.formats import is_home
from uniform_core.errors import Rejection

HOME_WORDS = "a UNIFORM_HOME: it has a catalog"


def entries_under(root: Path) -> Iterator[Path]:
    """Every visible entry that is not a folder to walk into: files, links, pipes, folders that `why_not` refuses."""
    closed: list[Path] = []
    for folder, subfolders, names in os.walk(root, onerror=lambda error: closed.append(Path(error.filename))):
        here = [Path(folder, name) for name in (*subfolders, *names) if not name.startswith(".")]
        subfolders[:] = [  # os.walk follows no links
            name for name in subfolders if not name.startswith(".") and not is_home(Path(folder, name))
        ]
        yield from (path for path in here if path.is_symlink() or path.name not in subfolders)
    yield from closed


def why_not(path: Path, root: Path) -> Rejection | None:
    """Why an entry is no source, in the media floor's words; None for a regular file inside the root."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        found = "a link that leads nowhere" if path.is_symlink() else "nothing there"
        return Rejection("missing_file", f"a file expected, {found} found", terminal=False)
    except OSError as error:
        return Rejection("unreadable", f"a readable file expected, {error.strerror} found", terminal=False)
    if stat.S_ISDIR(mode) and is_home(path):
        return Rejection("own_data", f"media to ingest expected, what UniForm itself keeps found ({HOME_WORDS})")
    if stat.S_ISDIR(mode) and not path.is_symlink():
        return Rejection("unreadable", "a folder that can be listed expected, no permission found", terminal=False)
    if not stat.S_ISREG(mode):
        found = "a link to a folder" if stat.S_ISDIR(mode) else "a pipe, socket or device"
        return Rejection("not_a_file", f"a regular file expected, {found} found")
    if not path.resolve().is_relative_to(root):
        return Rejection("outside_folder", "a file inside the dataset's folder expected, a link out of it found")
    return None


def is_text(name: str) -> bool:
    """Whether a name is UTF-8 text; one that the file system gave may hold other bytes, as surrogates.

    >>> is_text("späße"), is_text(os.fsdecode(b"bad\\xff"))
    (True, False)
    """
    return "\0" not in name and not any("\ud800" <= letter <= "\udfff" for letter in name)


def portable_path(path: Path) -> str:
    """A path as text that any table can hold, different for different paths.

    Bytes that are not UTF-8 become escapes, and so does the backslash that marks them.

    >>> portable_path(Path("a/b.mp4"))
    'a/b.mp4'
    """
    return os.fsencode(path.as_posix()).replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
