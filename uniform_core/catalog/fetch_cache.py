"""What the fetcher keeps for later (clips unpacked of archives, files on their way): whose it is, and how it goes."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

from uniform_core.files import TEMP_PREFIX, remove
from uniform_core.fingerprint import digest
from uniform_core.settings import FETCH_CACHE, FETCHING

HTTP_PARTS: Final = "http"  # the folder of films on their way from plain addresses


def part_name(video_id: str, of: str) -> str:
    """The name of what has come so far of a video; it begins with what tells the video, whatever letters its id has.

    `of` is a digest of everything else that the file depends on.
    """
    return f"{digest([video_id])}-{of}"


def purge_cache(media_dir: Path, gone: Collection[str]) -> int:
    """How many files were removed of clips and videos whose ids are in `gone`, whatever dataset they were kept for.

    A clip is known by its name, `ID_000030.mp4`, and is also gone where its video is. What belonged to somebody else's
    list is fetched or unpacked again when it is wanted.
    """
    parts = {digest([video_id]) for video_id in gone}
    removed = 0
    for path in sorted((media_dir / FETCHING / FETCH_CACHE).rglob("*")):
        clip = path.stem.removeprefix(TEMP_PREFIX)
        is_gone = clip in gone or clip.rpartition("_")[0] in gone or path.name.partition("-")[0] in parts
        if is_gone and path.is_file():
            remove(path)
            removed += 1
    return removed


def drop_parts(media_dir: Path, video_id: str) -> None:
    """Nothing is left of what has come of a video from a plain address, for whatever dataset. Raises StorageError."""
    for path in (media_dir / FETCHING / FETCH_CACHE / HTTP_PARTS).glob(f"{digest([video_id])}-*"):
        remove(path)
