"""What can go wrong, as a tree, and how it is said.

    UniformError                 every error that we raise on purpose
    ├── ConfigError              the call, a setting or a config value is wrong            exit code 2
    ├── StorageError             a root that cannot be written, a full disk                exit code 1
    ├── CatalogError             a table, a shard or a row is not what it must be          exit code 1
    │   ├── FormatTooNewError    written by a newer version of this project
    │   ├── SchemaError          a batch does not fit its table's DDL
    │   └── IntegrityError       a row points to bytes that are missing or different
    ├── ServiceError             Prefect, Ray or MLflow could not be reached or started    exit code 1
    │   └── RemoteError          a web server did not give the file (in `download`)        exit code 1
    └── WorkFailedError          a stage accepted nothing, or rejected too much            exit code 1
        └── StageFailedError     the same, with the stage's summary (in `tasks.stage`)     exit code 1

Bad *data* is not an exception: it is a `Rejection`, recorded in the `attempts` table and counted.

Every message has four parts: the item, what was expected, what was found, what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

PLAIN_FIXES = ("Correct it.", "Correct each of them.")


class UniformError(Exception):
    """An error with its four parts: item, expected, found, fix."""

    exit_code: ClassVar[int] = 1

    def __init__(self, item: str, *, expected: str, found: str, fix: str) -> None:
        self.item, self.expected, self.found, self.fix = item, expected, found, fix
        super().__init__(f"{item}: expected {expected}; found {found}. {fix}")

    def as_part(self) -> str:
        """The error within a larger one: its fix in brackets, but where that only says what the larger one's says."""
        said = f"{self.item}: expected {self.expected}; found {self.found}"
        return said if self.fix in PLAIN_FIXES else f"{said} ({self.fix.removesuffix('.')})"

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.item, self.expected, self.found, self.fix))


def nearest(word: str, known: Iterable[str]) -> str:
    """The fix for a word that is not known: the one that it was perhaps to be.

    >>> nearest("landscap", ["landscape", "aistpp"])
    "Did you mean 'landscape'?"
    """
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"Did you mean {near[0]!r}?" if near else "Correct the name."


def _rebuild(kind: type[UniformError], item: str, expected: str, found: str, fix: str) -> UniformError:
    """The error again on the other side of a process border (keyword-only arguments do not pickle)."""
    return kind(item, expected=expected, found=found, fix=fix)


class ConfigError(UniformError):
    """The call was wrong: nothing was started."""

    exit_code: ClassVar[int] = 2


class StorageError(UniformError):
    """A place cannot be read or written as it must be."""


class CatalogError(UniformError):
    """The catalog is not what it must be."""


class FormatTooNewError(CatalogError):
    """A table was written by a newer format than this program reads."""


class SchemaError(CatalogError):
    """A batch of rows does not fit its table."""


class IntegrityError(CatalogError):
    """A row points to bytes that are missing or not the ones it recorded."""


class ServiceError(UniformError):
    """A service that the work needs could not be reached or started."""


class WorkFailedError(UniformError):
    """A stage ended, and its result cannot be used."""


@dataclass(frozen=True)
class Rejection:
    """Why one item was not accepted: a value that travels in results, never raised.

    `error_class` is a short constant in snake_case (`too_short`, `no_video`, `undecodable`, `crash`, …);
    `message` says what was expected and found; `terminal` is False where another try may succeed.
    """

    error_class: str
    message: str
    terminal: bool = True
