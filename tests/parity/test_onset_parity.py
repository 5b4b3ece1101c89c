"""Our onset detector against librosa's (tests/parity/golden/onset_peaks/README.md) and AV-align's envelopes."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from golden_data import golden_folders

from uniform_core.metrics.onset_strength import onset_strength
from uniform_core.metrics.onsets import PeakRule, onset_frames, resample_for_onsets

GOLDEN = Path(__file__).parent / "golden" / "onset_peaks" / "librosa.npz"
RATES_HZ = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)
# Builds of NumPy and BLAS differ in the last digits of float32; 80 dB is the range.
CLOSE = {"rel": 1e-4, "abs": 1e-3}


@cache
def golden() -> dict[str, np.ndarray]:
    return dict(np.load(GOLDEN))


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_the_same_peaks_are_picked(rate_hz: int):
    names = [name for name in golden() if re.fullmatch(rf"peaks_.*_{rate_hz}_strength", name)]
    assert len(names) == 80
    for name in names:
        found = onset_frames(golden()[name], rule=PeakRule.at(rate_hz))
        assert found.tolist() == golden()[name.replace("strength", "frames")].tolist(), name


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_the_same_strength_and_the_same_resampling(rate_hz: int):
    heard = golden()[f"sound_{rate_hz}_samples"]
    assert onset_strength(heard, rate_hz=rate_hz) == pytest.approx(golden()[f"sound_{rate_hz}_strength"], **CLOSE)
    resampled, rate = resample_for_onsets(heard, rate_hz=rate_hz, onset_rate_hz=22_050)
    assert rate == 22_050
    assert resampled == pytest.approx(golden()[f"sound_{rate_hz}_22050"], abs=1e-6)


@pytest.mark.parametrize("folder", golden_folders("avalign"), ids=lambda f: f.name)
def test_the_envelopes_that_av_align_stands_on(folder: Path):
    clips = dict(np.load(folder / "clips.npz"))
    names = [name for name in clips if name.endswith("_onset_env_22k") and clips[name].any()]
    assert names
    for name in names:
        heard = clips[name.replace("onset_env_22k", "audio_16k")]
        samples, rate_hz = resample_for_onsets(heard, rate_hz=16_000, onset_rate_hz=22_050)
        assert onset_strength(samples, rate_hz=rate_hz) == pytest.approx(clips[name], **CLOSE), name


def test_no_machine_code_is_compiled_into_folders_that_processes_share():
    """numba's cache, written by several processes or by one that is killed, has crashed a later one."""
    code = (
        "import sys; import numpy as np; from uniform_core.metrics.onsets import onset_times;"
        "assert len(onset_times(np.random.default_rng(0).normal(size=16_000), rate_hz=16_000));"
        "print({'numba', 'librosa'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert done.stdout == "set()\n", done.stdout + done.stderr
