"""Which copies the lost clips of a dataset have been asked of: one that the config gains later is asked for them, too.

A clip that its host calls dead is final, and no host is asked again. A folder or an archive costs no request, so what
was lost, or waits for another try, is looked for in it once, when it is new to the run's sources or has changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from uniform_core.datasets.index import IndexDataset
from uniform_core.errors import StorageError
from uniform_core.files import write_bytes
from uniform_core.fingerprint import digest
from uniform_core.types import Frozen

COPIES: Final = "copies.json"  # in the folder of the fetcher


class Asked(Frozen):
    """The copies that a dataset's last run had, and the lists of it whose lost clips have been looked for in them."""

    copies: str
    lists: tuple[str, ...] = ()


_ASKED: Final = TypeAdapter(dict[str, Asked])


class CopiesAsked:
    """What is kept of a root, in `path`, brought to the copies that this run's datasets have.

    A run without a copy, or with another, forgets what was asked: what it loses is asked of no copy that it has not.
    Raises StorageError where the file cannot be read or written.
    """

    def __init__(self, path: Path, datasets: Collection[IndexDataset]) -> None:
        self._path = path
        self._has = {one.name: copies for one in datasets if (copies := copies_of(one)) is not None}
        self._lists = {one.name: _list_of(one) for one in datasets}
        before = _read(path)
        self._asked = {name: asked for name, asked in before.items() if name not in self._lists}
        for name, copies in self._has.items():
            known = before.get(name)
            self._asked[name] = known if known is not None and known.copies == copies else Asked(copies=copies)
        if self._asked != before:
            self._keep()

    @property
    def due(self) -> set[str]:
        """The datasets whose lost clips are to be looked for in their copies."""
        return {name for name in self._has if self._lists[name] not in self._asked[name].lists}

    def done(self, names: Iterable[str]) -> None:
        """They have been looked for."""
        for name in names:
            lists = (*self._asked[name].lists, self._lists[name])
            self._asked[name] = self._asked[name].model_copy(update={"lists": lists})
        self._keep()

    def _keep(self) -> None:
        write_bytes(self._path, _ASKED.dump_json(self._asked, indent=1))


def copies_of(dataset: IndexDataset) -> str | None:
    """The copies among a dataset's sources, and when each place was changed last; None where it has none."""
    copies = [source for source in dataset.sources if source.is_copy]
    if not copies:
        return None
    return digest([[one.model_dump(mode="json"), [_changed(path) for path in one.places]] for one in copies])


def _list_of(dataset: IndexDataset) -> str:
    index = None if dataset.index is None else str(dataset.index)
    return digest([dataset.fingerprint_params(), index])


def _changed(path: Path) -> int | None:
    try:
        return path.expanduser().stat().st_mtime_ns
    except (OSError, RuntimeError, ValueError):  # opening it will say why
        return None


def _read(path: Path) -> dict[str, Asked]:
    if not path.exists():
        return {}
    try:
        return _ASKED.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        found = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror or str(error)
        fix = "Remove the file: copies are then asked again, which costs no request."
        raise StorageError(str(path), expected="which copies were asked, as JSON", found=found, fix=fix) from error
