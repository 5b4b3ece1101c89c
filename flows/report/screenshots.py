"""Pictures of a report as people meet it: at a desk and on a phone, light and dark."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from flows.report.browser import Browser
from uniform_core.files import write_bytes


@dataclass(frozen=True)
class Shot:
    """What a picture shows: a window of this size, with the element `first` at its top."""

    name: str
    width_px: int
    height_px: int
    scheme: str
    first: str


SHOTS: Final = (
    Shot("desktop-light.png", 1280, 1240, "light", "body"),
    Shot("desktop-dark.png", 1280, 1240, "dark", "#clips"),
    Shot("phone-light.png", 390, 1240, "light", "#gate"),
    Shot("phone-dark.png", 390, 1240, "dark", "#clips"),
)


def take_screenshots(page: Path, folder: Path) -> list[Path]:
    """PNG files of a page in a folder, named as in `SHOTS`. Raises ServiceError without a Chromium, StorageError."""
    with Browser() as browser:
        return [_take(browser, shot, page, folder / shot.name) for shot in SHOTS]


def _take(browser: Browser, shot: Shot, page: Path, path: Path) -> Path:
    browser.look(width_px=shot.width_px, height_px=shot.height_px, scheme=shot.scheme)
    browser.open(page)
    browser.run(f"document.querySelector('{shot.first}').scrollIntoView()")
    return save_picture(browser, path)


def save_picture(browser: Browser, path: Path) -> Path:
    """The file, which holds the window of a browser as PNG, once its films show a frame. Raises ServiceError."""
    write_bytes(path, _small(browser.settle()))
    return path


def _small(png: bytes) -> bytes:
    """The same picture in fewer bytes: Chromium is quick about it."""
    picture_HWC = cv2.imdecode(np.frombuffer(png, dtype=np.uint8), cv2.IMREAD_COLOR)
    _, encoded = cv2.imencode(".png", picture_HWC, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return encoded.tobytes()
