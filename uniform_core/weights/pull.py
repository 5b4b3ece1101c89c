"""Weights brought here: from the hub, over HTTPS, or from where a person already has them; each held against its hash.

A file comes into `.partial/` of its folder, is measured, flushed and renamed, and then pinned: what stands under its
own name is whole. A process that is ended goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from uniform_core.download import Patience, Remote, download, require_room, too_much
from uniform_core.errors import ServiceError
from uniform_core.files import lock
from uniform_core.progress import Listener, silent
from uniform_core.weights.found import folder_of, known_weights
from uniform_core.weights.hub import denied, hub_file, require_online
from uniform_core.weights.pins import Pin, add_pin, expected_bytes, expected_sha256, read_pins, sha256_of
from uniform_core.weights.record import SMALL, Weights, WeightsFile
from uniform_core.weights.settle import BY_HAND, PARTIAL, ROOM, Pulled, State, event, part_of, require_right, settle
from uniform_core.weights.take import GIVEN, take

MOST_SMALL_BYTES: Final = 64 << 20
MOST_BYTES: Final = 64 << 30  # of a file whose size nobody published


def pull_weights(
    name: str, *, given: Path | None = None, on_progress: Listener = silent, patience: Patience | None = None
) -> list[Pulled]:
    """Every file of an entry, here, whole and pinned; those that were are left alone.

    `given` is a file or folder that a person has: only what is there is taken, and nothing fetched. Raises ConfigError,
    ServiceError or StorageError; what came before it stays.
    """
    weights = known_weights(name)
    root = folder_of(weights)
    with lock(root / PARTIAL / "lock", shared=False):
        pulled, missing = _those_here(weights, root)
        if missing and given is not None:
            pulled += take(weights, root, missing, given, on_progress=on_progress)
        elif missing:
            pulled += _fetch(weights, root, missing, on_progress=on_progress, patience=patience)
        _clear(root)
    order = [file.path for file in weights.files]
    return sorted(pulled, key=lambda one: order.index(one.path))


def _those_here(weights: Weights, root: Path) -> tuple[list[Pulled], list[WeightsFile]]:
    """What is here already, and what is missing or was damaged since it came.

    A file without a pin was put there by hand: it is held against the published hash, and pinned. Raises ConfigError
    where it is another: what we did not bring, we do not throw away.
    """
    pins = read_pins(root)
    here, missing = [], []
    for file in weights.files:
        path, pin = root / file.path, pins.get(file.path)
        if not path.is_file():
            missing.append(file)
        elif pin is None:
            require_right(weights, file, path)
            pin = Pin(sha256=sha256_of(path), size_bytes=path.stat().st_size)
            add_pin(root, file.path, pin)
            here.append(Pulled(file.path, "was here", pin.size_bytes, pin.sha256))
        elif path.stat().st_size != pin.size_bytes:
            missing.append(file)
        else:
            here.append(Pulled(file.path, "was here", pin.size_bytes, pin.sha256))
    return here, missing


def _fetch(
    weights: Weights, root: Path, missing: list[WeightsFile], *, on_progress: Listener, patience: Patience | None
) -> list[Pulled]:
    """The missing files, from the hub or their own address."""
    require_online(f"weights {weights.name}", ", ".join(file.path for file in missing))
    parts = {file.path: part_of(root, file) for file in missing}
    here = sum(part.stat().st_size for part in parts.values() if part.is_file())
    needed = sum(file.likely_bytes or 0 for file in missing) - here
    require_room(root, needed, item=f"weights {weights.name}", fix=ROOM)
    fetched: list[Pulled] = []
    for file in missing:
        before, part = sum(one.size_bytes for one in fetched), parts[file.path]
        remote = _remote(weights, root, file)
        heard = _teller(weights, before, file.path, on_progress=on_progress)
        download(remote, part, heard=heard, patience=patience)
        state: State = "came again" if (root / file.path).exists() else "came"
        fetched.append(settle(weights, root, file, part, state=state, remote=remote))
    return fetched


def _teller(weights: Weights, before: int, path: str, *, on_progress: Listener) -> Callable[[int], None]:
    """What tells the listener of bytes that came, once for each MB: a fast line has thousands of pieces a second."""
    told = -1

    def heard(count: int) -> None:
        nonlocal told
        if count // 10**6 > told:
            told = count // 10**6
            on_progress(event(weights, before + count, path))

    return heard


def _remote(weights: Weights, root: Path, file: WeightsFile) -> Remote:
    """What to ask for, with all that is known of it. Raises ServiceError where the hub has another file by now."""
    pins = read_pins(root)
    sha256, size_bytes = expected_sha256(file, pins), expected_bytes(file, pins)
    small = MOST_SMALL_BYTES if file.path.endswith(SMALL) else MOST_BYTES
    most = size_bytes or (small if file.about_bytes is None else file.about_bytes * 5 // 4)
    if weights.repo is None:
        return Remote(str(file.url), most, size_bytes, sha256, denied=BY_HAND, room=ROOM)
    there = hub_file(weights, file)
    for expected, found in ((sha256, there.sha256), (size_bytes, there.size_bytes)):
        if None not in (expected, found) and expected != found:
            raise ServiceError(
                f"{weights.repo}: {file.path}",
                expected=f"{expected}, as published or as it first came",
                found=f"{found}",
                fix="The repository has another file by now. If you have the former one, give it with --from PATH.",
            )
    size_bytes, sha256 = size_bytes or there.size_bytes, sha256 or there.sha256
    if size_bytes is not None and size_bytes > most:
        raise too_much(f"{weights.repo}: {file.path}", size_bytes, most=most, fix="Look at the repository.")
    return Remote(there.url, most, size_bytes, sha256, there.headers, denied(weights), ROOM)


def _clear(root: Path) -> None:
    """Nothing is left of what an ended process had taken, nor folders of partial files that have become empty."""
    for linked in (root / PARTIAL).rglob(f"*{GIVEN}"):
        linked.unlink(missing_ok=True)
    for folder in sorted((path for path in (root / PARTIAL).rglob("*") if path.is_dir()), reverse=True):
        with suppress(OSError):
            folder.rmdir()
