"""Writes librosa.npz beside this file: what librosa's onset detector finds (README.md). Needs librosa 0.11.0."""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np

RATES_HZ = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)
KINDS = ("noise", "steps", "ramp", "spikes")


def strength(kind: str, n: int, random: np.random.Generator) -> np.ndarray:
    if kind == "noise":
        values = random.random(n)
    elif kind == "steps":  # plateaus and exact ties
        values = random.integers(0, 4, n) / 3.0
    elif kind == "ramp":
        values = np.abs(random.standard_normal(n)).cumsum()
    else:
        values = random.random(n) * 0.1 + (random.random(n) < 0.1)
    return values.astype(np.float32)


def sound(n: int, random: np.random.Generator) -> np.ndarray:
    """Noise in bursts that die away."""
    return (0.3 * random.standard_normal(n) * np.exp(-(np.arange(n) % 5000) / 600.0)).astype(np.float32)


def main() -> None:
    os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp()
    import librosa
    from librosa.onset import onset_detect, onset_strength

    assert librosa.__version__ == "0.11.0", librosa.__version__
    random = np.random.default_rng(20261125)
    made: dict[str, np.ndarray] = {}
    for index in range(480):
        rate_hz, kind = RATES_HZ[index % 6], KINDS[index // 6 % 4]
        envelope = strength(kind, int(random.integers(1, 12) if index < 48 else random.integers(12, 120)), random)
        name = f"peaks_{index:03d}_{kind}_{rate_hz}"
        made[f"{name}_strength"] = envelope
        made[f"{name}_frames"] = onset_detect(onset_envelope=envelope, sr=rate_hz)
    for rate_hz in RATES_HZ:
        heard = sound(int(random.integers(2_048, 24_000)), random)
        made[f"sound_{rate_hz}_samples"] = heard
        made[f"sound_{rate_hz}_strength"] = onset_strength(y=heard, sr=rate_hz)
        made[f"sound_{rate_hz}_22050"] = librosa.resample(heard, orig_sr=rate_hz, target_sr=22_050)
    np.savez_compressed(Path(__file__).with_name("librosa.npz"), **made)
    print(len(made), "arrays", file=sys.stderr)


if __name__ == "__main__":
    main()
