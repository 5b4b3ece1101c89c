"""Fingerprints by which copies of a clip are known again after another encoder, size or gain.

Two clips are copies where picture and sound both agree: pictures alone look alike within a class, and
sounds alone come from one sample library. Axes: M moments, T sound frames, F bands, H, W picture.

Source: Zauner 2010, "Implementation and benchmarking of perceptual image hash functions" (signs of low frequencies);
Haitsma & Kalker 2002, "A highly robust audio fingerprinting system" (signs of energy differences over band and time).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

MOMENTS = 8
SIDE = 32  # of a thumbnail, px
FLAT_LEVELS = 2.0
"""Below this spread, in grey levels, thumbnails are flat: their signs would be those of compression."""
PICTURE_HEX = MOMENTS * 16
"""Hex digits of a picture: 64 signs for each moment."""
FRAME, HOP = 4096, 1024  # samples
LOWEST_HZ, HIGHEST_HZ = 150.0, 6000.0
SIGNS = 15
"""Signs of one frame of sound; with the bit that says whether anything is heard it is four hex digits."""
QUIET = 1e-4
"""Frames of less than this share of the loudest one's energy are silence: their signs would be those of noise."""
MIN_HEARD = 6  # frames; a lone click says too little
SAME_PICTURE = 0.10
SAME_SOUND = 0.15
"""Shares of differing signs up to which two prints are of one content; measured in docs/experiments.md."""


class PictureHash:
    """The hash of a clip in the making: eight moments, evenly spread, are looked at as they come."""

    def __init__(self, frames: int) -> None:
        self._wanted = [int((moment + 0.5) * frames / MOMENTS) for moment in range(MOMENTS)]
        self._seen = 0
        self._thumbnails: list[np.ndarray] = []

    def see(self, luma_HW: np.ndarray, times: int) -> None:
        """Count a picture that is shown for `times` ticks."""
        self._seen += times
        while len(self._thumbnails) < MOMENTS and self._wanted[len(self._thumbnails)] < self._seen:
            self._thumbnails.append(thumbnail(luma_HW))

    @property
    def hex(self) -> str | None:
        """The hash in hex digits; None for flat pictures, in which there is nothing to know again, or for too few."""
        if len(self._thumbnails) < MOMENTS:
            return None
        thumbnails_MHW = np.stack(self._thumbnails)
        if float(thumbnails_MHW.std(axis=(1, 2)).max()) < FLAT_LEVELS:
            return None
        waves_S, rows, columns = _cosines()
        spectra_MSS = waves_S @ thumbnails_MHW @ waves_S.T
        return np.packbits(spectra_MSS[:, rows, columns] > 0, axis=1).tobytes().hex()


def thumbnail(luma_HW: np.ndarray) -> np.ndarray:
    """Means of the 32 by 32 parts of a picture, whatever its size and shape, float32."""
    step = max(1, min(luma_HW.shape) // (4 * SIDE))  # four rows and columns of a part say enough of it
    part_HW = luma_HW[::step, ::step]
    height, width = part_HW.shape
    tops, lefts = (np.arange(SIDE) * side // SIDE for side in (height, width))
    sums = np.add.reduceat(np.add.reduceat(part_HW, tops, axis=0, dtype=np.uint32), lefts, axis=1)
    tall, wide = (np.maximum(1, np.diff(starts, append=side)) for starts, side in ((tops, height), (lefts, width)))
    return np.asarray(sums / np.outer(tall, wide), dtype=np.float32)


def sound_print(samples_N: np.ndarray, rate_hz: int) -> str | None:
    """The print of mono sound in hex digits, four for each 64 ms at 16 kHz; None where hardly anything is heard.

    The gain does not matter.
    """
    if len(samples_N) < FRAME + HOP:
        return None
    frames_TN = np.lib.stride_tricks.sliding_window_view(samples_N, FRAME)[::HOP]
    spectra = np.fft.rfft(frames_TN.astype(np.float32) * _hann(), axis=1)
    power_TB = spectra.real**2 + spectra.imag**2
    edges = _band_edges(rate_hz)
    bands_TF = np.add.reduceat(power_TB[:, : edges[-1]], edges[:-1], axis=1)
    energy_T = bands_TF.sum(axis=1)
    heard_T = energy_T[1:] > QUIET * energy_T.max()
    if int(heard_T.sum()) < MIN_HEARD:
        return None
    slopes_TF = bands_TF[:, :-1] - bands_TF[:, 1:]
    signs_TF = (slopes_TF[1:] > slopes_TF[:-1]) & heard_T[:, None]
    return np.packbits(np.concatenate([heard_T[:, None], signs_TF], axis=1), axis=1).tobytes().hex()


def picture_distance(one: str, other: str) -> float:
    """The share of differing signs of two hashes, 0 to 1; unrelated pictures have about 0.5."""
    return float(picture_distances(picture_words([one]), picture_words([other]))[0])


def sound_distance(one: str, other: str) -> float:
    """The share of differing signs of two prints where either is heard, 0 to 1; 1 for sounds of other lengths.

    Where one alone is heard, half the signs count as differing, as they do between unrelated sounds.
    """
    if len(one) != len(other):
        return 1.0
    return float(sound_distances(sound_words([one]), sound_words([other]))[0])


def picture_words(hashes: list[str]) -> np.ndarray:
    """Hashes as uint16 [N, W]."""
    return _words(hashes, PICTURE_HEX // 4)


def sound_words(prints: list[str]) -> np.ndarray:
    """Prints of one length as uint16 [N, T]."""
    return _words(prints, len(prints[0]) // 4)


def _words(texts: list[str], length: int) -> np.ndarray:
    words = np.frombuffer(bytes.fromhex("".join(texts)), ">u2").astype(np.uint16)
    return words.reshape(len(texts), length)


def picture_distances(ones_NW: np.ndarray, others_NW: np.ndarray) -> np.ndarray:
    """`picture_distance` of each pair of rows."""
    differing_N = np.bitwise_count(ones_NW ^ others_NW).sum(axis=1, dtype=np.int64)
    return np.asarray(differing_N / (16 * ones_NW.shape[1]))


def sound_distances(ones_NT: np.ndarray, others_NT: np.ndarray) -> np.ndarray:
    """`sound_distance` of each pair of rows."""
    heard_NT, heard_too_NT = ones_NT >> SIGNS, others_NT >> SIGNS
    both_NT, either_NT = heard_NT & heard_too_NT, heard_NT | heard_too_NT
    signs_NT = np.bitwise_count((ones_NT ^ others_NT) & ((1 << SIGNS) - 1))
    differing_N = (signs_NT * both_NT).sum(axis=1) + SIGNS / 2 * (either_NT ^ both_NT).sum(axis=1)
    return np.asarray(differing_N / np.maximum(1, SIGNS * either_NT.sum(axis=1, dtype=np.int64)))


@lru_cache(maxsize=1)
def _cosines() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cosine waves [S, 32] of the lowest frequencies, and the 64 places of their products that follow the mean."""
    kept = 11
    waves = np.cos(np.pi * np.outer(np.arange(kept), np.arange(SIDE) + 0.5) / SIDE).astype(np.float32)
    places = sorted((row + column, row, column) for row in range(kept) for column in range(kept))[1:65]
    return waves, np.array([row for _, row, _ in places]), np.array([column for _, _, column in places])


@lru_cache(maxsize=1)
def _hann() -> np.ndarray:
    return np.hanning(FRAME).astype(np.float32)


@lru_cache(maxsize=8)
def _band_edges(rate_hz: int) -> np.ndarray:
    """The first bin of each of the 16 bands, and the one behind the last: equal steps of pitch."""
    highest_hz = min(HIGHEST_HZ, 0.45 * rate_hz)
    pitches_hz = np.geomspace(LOWEST_HZ, highest_hz, SIGNS + 2)
    return np.round(pitches_hz * FRAME / rate_hz).astype(np.int64)
