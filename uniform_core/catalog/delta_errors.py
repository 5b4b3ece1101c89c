"""What Delta Lake and the operating system say of a table, translated into our own errors."""

from __future__ import annotations

import re
from typing import Final

from uniform_core.errors import CatalogError, FormatTooNewError, StorageError

# EPERM, EIO, EACCES, ENFILE, EMFILE, EFBIG, ENOSPC, EROFS, EDQUOT: the operating system refused.
_REFUSED: Final = re.compile(r"[^:(\n]*\(?\bos error (?:1|5|13|23|24|27|28|30|122)\b\)?")
_TOO_NEW: Final = re.compile(
    r"minimum (reader|writer) version|unsupported[^\n]*feature|feature[^\n]*not supported|table features must be",
    re.IGNORECASE,
)


def is_storage(error: Exception) -> bool:
    """The operating system refused: full disk, quota, file limit, permission, read-only, a broken disk."""
    if isinstance(error, FileNotFoundError):
        return False
    return isinstance(error, OSError) or _REFUSED.search(str(error)) is not None


def is_too_new(error: Exception) -> bool:
    """The table's protocol or a feature of it is one that this delta-rs does not know."""
    from deltalake.exceptions import DeltaProtocolError

    return isinstance(error, DeltaProtocolError) or _TOO_NEW.search(str(error)) is not None


def is_vanished(error: Exception) -> bool:
    """A file that the version needs is not there."""
    return isinstance(error, FileNotFoundError) or "not found" in str(error).lower()


def refused(table: str, error: Exception) -> StorageError:
    said = _REFUSED.search(str(error))
    return StorageError(
        f"table {table}",
        expected="a folder that can be written, with room",
        found=said[0].strip() if said else first_line(error),
        fix="Free some room or correct the permissions of UNIFORM_HOME; nothing half-written is visible.",
    )


def too_new(item: str, found: str) -> FormatTooNewError:
    """What to say of something that a newer program wrote."""
    return FormatTooNewError(
        item,
        expected="a format that this program knows",
        found=found,
        fix="Update UniForm, or use another UNIFORM_HOME.",
    )


def unreadable(table: str, version: int | None, error: Exception) -> CatalogError:
    return CatalogError(
        f"table {table}" + ("" if version is None else f" at version {version}"),
        expected="a log that can be read" if version is None else "a version that was written",
        found=first_line(error),
        fix="Restore the table's _delta_log." if version is None else "See `uniform catalog history`.",
    )


def broken(table: str, error: Exception) -> CatalogError:
    return CatalogError(
        f"table {table}",
        expected="every file of its newest version, whole",
        found=first_line(error),
        fix="Run `uniform catalog verify`; what is lost must come from a backup.",
    )


def race_lost(table: str, error: Exception, *, bound_s: float) -> CatalogError:
    return CatalogError(
        f"table {table}",
        expected=f"a commit within {bound_s:.0f} s",
        found=first_line(error),
        fix="Run fewer writers at once, or run it again.",
    )


def first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
