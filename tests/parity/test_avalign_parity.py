"""AV-align against the values of public codes (tests/parity/golden/avalign_seed*/README.md)."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_data import golden_folders

from uniform_core.metrics.alignment import JAVISBENCH, RULES, alignment, motion_peaks
from uniform_core.metrics.motion import motion_trajectory
from uniform_core.metrics.onsets import onset_times, resample_for_onsets

FOLDERS = golden_folders("avalign")
NAMES = {"tempotokens_2025": "tempotokens2025", "seeing_and_hearing": "seeing_and_hearing"}
AUDIO_RATE_HZ = 16_000


@cache
def clips(folder: Path) -> dict[str, np.ndarray]:
    return dict(np.load(folder / "clips.npz"))


@cache
def expected(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "expected.json").read_text())


@cache
def flow(folder: Path, case: str) -> np.ndarray:
    return motion_trajectory(iter(clips(folder)[f"{case}_video_rgb"]))


def clip_cases() -> list:
    names = [(folder, case) for folder in FOLDERS for case in expected(folder) if not case.startswith("_")]
    return [pytest.param(folder, case, id=f"{folder.name}-{case}") for folder, case in names]


@pytest.mark.parametrize(("folder", "case"), clip_cases())
@pytest.mark.parametrize("code", NAMES)
def test_clips_under_each_rule(folder: Path, case: str, code: str):
    told, rate_hz, rule = expected(folder)[case][code], float(expected(folder)["_versions"]["fps"]), RULES[NAMES[code]]
    # OpenCV 4.10 and 5.0 differ below 1e-11; the last float32 digit is left to the build.
    assert flow(folder, case) == pytest.approx(np.array(told["flow"]), rel=1e-6, abs=1e-9)
    onsets = onset_times(clips(folder)[f"{case}_audio_16k"], rate_hz=AUDIO_RATE_HZ, onset_rate_hz=rule.onset_rate_hz)
    assert onsets == pytest.approx(np.array(told["onset_times"]), abs=1e-12)
    peaks = motion_peaks(flow(folder, case), rate_hz, rule=rule)
    assert peaks == pytest.approx(told["video_peaks"], abs=1e-12)
    score = alignment(onsets.tolist(), peaks, rate_hz=rate_hz, rule=rule)
    if told["score"] == "ZeroDivisionError":
        assert score is None
    else:
        assert score == pytest.approx(told["score"], abs=1e-12)


@pytest.mark.parametrize(("folder", "case"), clip_cases())
def test_clips_under_javisbench(folder: Path, case: str):
    told, rate_hz = expected(folder)[case], float(expected(folder)["_versions"]["fps"])
    onsets = onset_times(clips(folder)[f"{case}_audio_16k"], rate_hz=AUDIO_RATE_HZ, onset_rate_hz=None)
    assert onsets == pytest.approx(np.array(told["javisbench_onset_times_native16k"]), abs=1e-12)
    peaks = motion_peaks(flow(folder, case), rate_hz, rule=JAVISBENCH)
    score = alignment(onsets.tolist(), peaks, rate_hz=rate_hz, rule=JAVISBENCH)
    assert score == pytest.approx(told["javisbench_score"], abs=1e-12)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_resampling_to_the_onset_rate(folder: Path):
    names = [name for name in clips(folder) if name.endswith("_audio_22k")]
    assert names
    for name in names:
        heard = clips(folder)[name.replace("22k", "16k")]
        resampled, rate_hz = resample_for_onsets(heard, rate_hz=AUDIO_RATE_HZ, onset_rate_hz=22_050)
        assert rate_hz == 22_050
        assert resampled == pytest.approx(clips(folder)[name], abs=1e-6)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
@pytest.mark.parametrize("code", [*NAMES, "javisbench"])
def test_matching_of_peak_lists(folder: Path, code: str):
    rule = RULES[NAMES.get(code, code)]
    for case in json.loads((folder / "unit_cases.json").read_text())["iou_cases"]:
        score = alignment(case["audio_peaks"], case["video_peaks"], rate_hz=case["fps"], rule=rule)
        if case[code] == "ZeroDivisionError":
            assert score is None
        else:
            assert score == pytest.approx(case[code], abs=1e-12), case


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
@pytest.mark.parametrize("code", NAMES)
def test_local_maxima_of_short_trajectories(folder: Path, code: str):
    for case in json.loads((folder / "unit_cases.json").read_text())["local_max_cases"]:
        peaks = motion_peaks(np.array(case["flow"]), case["fps"], rule=RULES[NAMES[code]])
        assert peaks == pytest.approx(case[code], abs=1e-12), case


def test_golden_data_is_there():
    assert FOLDERS
