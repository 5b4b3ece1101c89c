"""The official lists of datasets, brought here once: pinned as they first came, and held against that ever after.

A list that changes at its place would change splits and scores without a word; here it is an error.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from uniform_core.download import Patience, Remote, download, drop
from uniform_core.errors import ConfigError, ServiceError
from uniform_core.files import fsync, lock, storage_error, write_bytes
from uniform_core.fingerprint import file_sha256
from uniform_core.pinned import PINS, Pin, add_pin, read_pins, sha256_of
from uniform_core.progress import Listener, ProgressEvent, silent

PARTIAL: Final = ".partial"  # the folder of what is on its way
_NO_ZIP: Final = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, RuntimeError, OSError, EOFError)
BY_HAND: Final = "Get it by hand, and name it with --set data.index=PATH."


@dataclass(frozen=True)
class IndexFile:
    """One official list. `name` is what its publisher calls it, and its name in our folder.

    `url` is None where no address of it alone is known; `is_zipped`: the address is of a ZIP that has it under its
    name, in whatever folder. `published` are the clips that each split was published with (None: nobody says), `labels`
    how many labels; `note` says what was not verified.
    """

    name: str
    url: str | None
    what: str
    most_bytes: int = 64 << 20
    is_zipped: bool = False
    published: tuple[tuple[str, int | None], ...] = ()
    labels: int | None = None
    note: str = ""

    @property
    def clips(self) -> int | None:
        """How many clips were published in all; None where nobody says."""
        counts = [count for _, count in self.published]
        return sum(count for count in counts if count is not None) if counts and None not in counts else None

    @property
    def comes(self) -> str:
        """How it gets here."""
        if self.url is None:
            return f"by hand. {self.note}"
        return f"by itself, out of {self.url}" if self.is_zipped else f"by itself, from {self.url}"


def ensure_index(
    files: Sequence[IndexFile],
    folder: Path,
    *,
    dataset: str,
    on_progress: Listener = silent,
    patience: Patience | None = None,
) -> None:
    """Every file stands in the folder, whole and pinned; those that were there are held against their pins.

    Raises ConfigError, ServiceError or StorageError; what came before it stays.
    """
    with lock(folder / PARTIAL / "lock", shared=False):
        archives: set[Path] = set()
        for number, file in enumerate(files):
            on_progress(ProgressEvent(f"index of {dataset}", number, len(files), note=file.name))
            path = folder / file.name
            if not path.is_file():
                _bring(file, folder, dataset=dataset, archives=archives, patience=patience)
            elif file.name in read_pins(folder):
                pinned_path(file, folder, dataset=dataset)
            else:  # put there by hand
                add_pin(folder, file.name, _pin_of(path))
        for archive in archives:
            drop(archive)


def pinned_path(file: IndexFile, folder: Path, *, dataset: str) -> Path:
    """Where the file stands, as it was when it came. Raises ConfigError where it is not there, or is another by now."""
    path = folder / file.name
    if not path.is_file():
        raise ConfigError(
            f"index of {dataset}",
            expected=f"{file.name} ({file.what}) in {folder}",
            found="nothing there",
            fix=f"Run `uniform ingest {dataset}`, which gets it{'' if file.url is None else f' from {file.url}'}. "
            f"Or: {BY_HAND}",
        )
    pin, found = read_pins(folder).get(file.name), sha256_of(path)
    if pin is not None and found != pin.sha256:
        raise ConfigError(
            f"index of {dataset}: {path}",
            expected=f"sha256 {pin.sha256}, as when it first came",
            found=f"sha256 {found}",
            fix=f"Remove it, and it is fetched again; or remove its entry in {PINS} to go on with what is there now.",
        )
    return path


def _bring(file: IndexFile, folder: Path, *, dataset: str, archives: set[Path], patience: Patience | None) -> None:
    """The file comes, is held against what it was before, flushed, renamed and pinned."""
    came = folder / PARTIAL / file.name
    if file.is_zipped:
        archive = folder / PARTIAL / PurePosixPath(file.url or "").name
        if archive not in archives:
            _download(file, archive, dataset=dataset, patience=patience)
            archives.add(archive)
        write_bytes(came, _unzipped(file, archive, dataset=dataset))
    else:
        _download(file, came, dataset=dataset, patience=patience)
    pin, before = _pin_of(came), read_pins(folder).get(file.name)
    if not pin.size_bytes:
        drop(came)
        raise ServiceError(
            f"index of {dataset}: {file.name} ({file.url})", expected="a list", found="an empty file", fix=BY_HAND
        )
    if before is not None and pin != before:
        drop(came)
        raise ServiceError(
            f"index of {dataset}: {file.name} ({file.url})",
            expected=f"sha256 {before.sha256}, as when it first came",
            found=f"sha256 {pin.sha256}",
            fix=f"The list has changed at its place. To take the new one, remove its entry in {folder / PINS}; "
            "to keep to the former one, name a copy of it with --set data.index=PATH.",
        )
    path = folder / file.name
    try:
        fsync(came)
        came.replace(path)
        fsync(folder)
    except OSError as error:
        raise storage_error(str(path), error) from error
    drop(came)
    add_pin(folder, file.name, pin)


def _download(file: IndexFile, part: Path, *, dataset: str, patience: Patience | None) -> None:
    if file.url is None:
        raise ConfigError(
            f"index of {dataset}",
            expected=f"{file.name} ({file.what}) in a folder of yours",
            found="no public address of it alone",
            fix=f"{file.note or 'Ask its publisher.'} {BY_HAND}",
        )
    try:
        download(Remote(file.url, most_bytes=file.most_bytes, denied=BY_HAND), part, patience=patience)
    except ServiceError as error:
        raise ServiceError(
            f"index of {dataset}: {file.name} ({file.url})",
            expected=error.expected,
            found=error.found,
            fix=error.fix if BY_HAND in error.fix else f"{error.fix} Or: {BY_HAND}",
        ) from error


def _unzipped(file: IndexFile, archive: Path, *, dataset: str) -> bytes:
    """The bytes of the one member that has the file's name; the archive goes where it has none, or more than one."""
    problem = "a damaged archive"
    try:
        with zipfile.ZipFile(archive) as opened:
            named = [one for one in opened.infolist() if PurePosixPath(one.filename).name == file.name]
            members = [one for one in named if not one.is_dir() and not one.filename.startswith("__MACOSX/")]
            if len(members) == 1:
                with opened.open(members[0]) as member:
                    data = member.read(file.most_bytes + 1)
                if len(data) <= file.most_bytes:
                    return data
                problem = f"one of more than {file.most_bytes:,} bytes"
            else:
                problem = f"{len(members)} of them"
    except _NO_ZIP as error:
        problem = f"{problem} ({error})"
    drop(archive)
    raise ServiceError(
        f"index of {dataset}: {file.url}", expected=f"a ZIP with one {file.name}", found=problem, fix=BY_HAND
    )


def _pin_of(path: Path) -> Pin:
    return Pin(sha256=file_sha256(path), size_bytes=path.stat().st_size)
