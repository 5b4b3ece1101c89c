"""Room on the disk, looked at before gigabytes come."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from uniform_core.errors import StorageError

SPARE_BYTES: Final = 256 << 20  # left for everything else on the disk


def require_room(
    folder: Path, needed_bytes: int, *, item: str, fix: str = "Make room, or set UNIFORM_HOME to a larger disk."
) -> None:
    """The disk of the folder has room for so many bytes more. Raises StorageError that says how many are missing."""
    place = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(place).free
    if needed_bytes > 0 and free < needed_bytes + SPARE_BYTES:
        raise StorageError(
            item,
            expected=f"{(needed_bytes + SPARE_BYTES) / 1e6:,.0f} MB of room at {place}",
            found=f"{free / 1e6:,.0f} MB",
            fix=fix,
        )
