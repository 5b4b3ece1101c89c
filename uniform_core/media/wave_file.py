"""Sound as a WAV file of 32-bit floats, which keeps every decoded sample. Axes: N samples, C channels."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

import numpy as np

from uniform_core.files import whole_file

IEEE_FLOAT: Final = 3


def write_wav(path: Path, sound_NC: np.ndarray, *, rate_hz: int) -> Path:
    """The file, whole and synced. Raises ValueError for sound that is too long for the form, StorageError."""
    samples_NC = np.ascontiguousarray(sound_NC, dtype="<f4")
    samples, channels = samples_NC.shape
    size = samples_NC.nbytes
    if size > 2**32 - 64:
        raise ValueError(f"a WAV file holds 4 GiB, found {size} bytes")
    form = struct.pack("<HHIIHHH", IEEE_FLOAT, channels, rate_hz, rate_hz * channels * 4, channels * 4, 32, 0)
    parts = (b"fmt ", struct.pack("<I", len(form)), form, b"fact", struct.pack("<II", 4, samples))
    head = b"".join(parts) + b"data" + struct.pack("<I", size)
    with whole_file(path) as temp, temp.open("wb") as file:
        file.write(b"RIFF" + struct.pack("<I", 4 + len(head) + size) + b"WAVE" + head)
        file.write(samples_NC.data)
    return path
