"""The format of a catalog's tables: one number, and the ordered list of changes that led to it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from uniform_core.catalog.delta import DeltaTables
from uniform_core.catalog.delta_errors import too_new
from uniform_core.catalog.store import Clock
from uniform_core.catalog.tables import table_named
from uniform_core.errors import CatalogError, StorageError
from uniform_core.files import lock, write_text
from uniform_core.settings import Settings

FILE: Final = "format.json"


@dataclass(frozen=True)
class Migration:
    """One step: `apply` brings the tables under a root from format `number - 1` to `number`, and may run twice."""

    number: int
    name: str
    apply: Callable[[Path], None]


def _nothing(_root: Path) -> None:
    """The first format has no format before it."""


def _prints_and_videos(root: Path) -> None:
    """Clips written before have no prints, and no source came from an index: the new columns are null there."""
    tables = DeltaTables(root)
    tables.add_columns(table_named("clips"), ("video_id", "picture_hash", "sound_print"))
    tables.add_columns(table_named("sources"), ("video_id",))


CAPTION_COLUMNS: Final = (
    "sampling",
    "frame_policy",
    "seed",
    "tries",
    "other_raw_text_hashes",
    "n_words",
    "n_text_tokens",
    "token_counter",
    "distinct_4grams",
    "prompt_overlap",
    "is_refusal",
    "language",
    "english_share",
    "agreement",
    "agreement_by",
    "flags",
)


def _measures_of_captions(root: Path) -> None:
    """Captions written before were not measured, and no model was trained on a named corpus: null again."""
    tables = DeltaTables(root)
    tables.add_columns(table_named("captions"), CAPTION_COLUMNS)
    tables.add_columns(table_named("models"), ("corpus",))


def _scores_of_clips(root: Path) -> None:
    """Scores written before do not say which real clips they were measured with, and have no rows of single clips."""
    DeltaTables(root).add_columns(table_named("scores"), ("clips_digest",))


def _names_of_clips(root: Path) -> None:
    """Rows written before are all of clips that the catalog knows by their ids: they have no other name."""
    DeltaTables(root).add_columns(table_named("clip_scores"), ("clip_name",))


MIGRATIONS: Final = (
    Migration(1, "Delta Lake tables on work_key", _nothing),
    Migration(2, "prints of clips, and the videos that they are of", _prints_and_videos),
    Migration(3, "measures of captions, and named corpora of them", _measures_of_captions),
    Migration(4, "scores of single clips, and the real clips that scores stand on", _scores_of_clips),
    Migration(5, "names of single clips that lie in folders", _names_of_clips),
)
FORMAT: Final = MIGRATIONS[-1].number


def home_above(folder: Path) -> Path | None:
    """The nearest folder, this one or one that holds it, that is a root of UniForm's data: it has a catalog."""
    return next((at for at in (folder, *folder.parents) if is_home(at)), None)


def is_home(folder: Path) -> bool:
    """Whether a folder is a root of UniForm's data, this run's or another's; a folder that is closed to us is none."""
    return os.access(Settings(home=folder).catalog_dir / FILE, os.F_OK)


def ensure_format(root: Path, clock: Clock) -> None:
    """The catalog has this program's format: made new, or migrated, each step recorded when it is applied.

    Raises FormatTooNewError, CatalogError for a record that cannot be read, StorageError for a root that refuses.
    """
    if _recorded(root) == [m.number for m in MIGRATIONS]:
        return
    try:
        root.mkdir(parents=True, exist_ok=True)
        with lock(root / ".format.lock", shared=False):
            for migration in MIGRATIONS:
                applied = _read(root)
                if migration.number not in [step["format"] for step in applied]:
                    migration.apply(root)
                    step = {"format": migration.number, "name": migration.name, "applied_at": clock().isoformat()}
                    _write(root, [*applied, step])
    except (OSError, StorageError) as error:
        raise _unwritable(root, error) from error


def _unwritable(root: Path, error: OSError | StorageError) -> StorageError:
    return StorageError(
        f"UNIFORM_HOME, catalog {root}",
        expected="a folder that can be written",
        found=error.found if isinstance(error, StorageError) else error.strerror or str(error),
        fix="Set UNIFORM_HOME to a writable folder with enough room.",
    )


def _recorded(root: Path) -> list[int]:
    """The formats that were applied. Raises FormatTooNewError."""
    numbers = [int(step["format"]) for step in _read(root)]
    if numbers and max(numbers) > FORMAT:
        raise too_new(f"catalog {root}", f"format {max(numbers)} where this program knows {FORMAT}")
    return numbers


def _read(root: Path) -> list[dict[str, Any]]:
    path = root / FILE
    try:
        steps = json.loads(path.read_text(encoding="utf-8"))["migrations"]
        if not all(isinstance(step["format"], int) for step in steps):
            raise ValueError("a format is not a whole number")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unwritable(root, error) from error
    except (ValueError, KeyError, TypeError) as error:
        raise CatalogError(
            str(path), expected="the record of the catalog's format", found=repr(error), fix="Restore it from a backup."
        ) from error
    return list(steps)


def _write(root: Path, steps: list[dict[str, Any]]) -> None:
    write_text(root / FILE, json.dumps({"migrations": steps}, indent=1) + os.linesep)
