"""AV-align of original files, streamed, beside the loop of the public codes: prints ratios of CPU time, and memory.

Cold: decode and flow of one film, ours through the sandbox in pieces, theirs by cv2.VideoCapture with all frames held
and the first pair computed twice. Cached: a second rule and the chance level over stored flow and onsets.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy reads it

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import media_files
import numpy as np
import psutil

from uniform_core.errors import Rejection
from uniform_core.media import Sandbox
from uniform_core.metrics.av_align import AvAlignConfig, onset_layer
from uniform_core.metrics.base import Need, Side
from uniform_core.metrics.features import FeatureSet
from uniform_core.metrics.originals.extractors import Layers
from uniform_core.metrics.originals.reader import look_at
from uniform_core.metrics.originals.wanted import PublishedNets, looks_of
from uniform_core.metrics.protocols import PROTOCOLS

FLOW = {"pyr_scale": 0.5, "levels": 3, "winsize": 15, "iterations": 3, "poly_n": 5, "poly_sigma": 1.2, "flags": 0}


def by_capture(path: Path) -> np.ndarray:
    """The trajectory as the public codes compute it, every frame held."""
    film, frames = cv2.VideoCapture(str(path)), []
    while True:
        good, frame = film.read()
        if not good:
            break
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY))
    pairs = [(0, 1), *((i - 1, i) for i in range(1, len(frames)))]
    flows = (cv2.calcOpticalFlowFarneback(frames[a], frames[b], None, **FLOW) for a, b in pairs)
    return np.array([cv2.cartToPolar(flow[..., 0], flow[..., 1])[0].mean() for flow in flows])


def ours(sandbox: Sandbox, path: Path, metric: AvAlignConfig) -> tuple[Layers, Layers]:
    """Flow and onsets of a film by a protocol, in one decode."""
    looks = looks_of([metric], PublishedNets())
    found = dict(
        zip([look.extractor.name for look in looks], look_at(sandbox, path, looks, content_sha256="0"), strict=True)
    )
    assert not any(isinstance(layers, Rejection) for layers in found.values()), found
    return found["farneback"], found["librosa"]  # type: ignore[return-value]


def timed(work: Callable[[], Any], sandbox: Sandbox) -> tuple[Any, float]:
    """What it gives, and seconds of CPU, the sandbox's too."""

    def spent_s() -> float:
        worker = psutil.Process(sandbox.worker_pid).cpu_times() if sandbox.worker_pid else None
        return time.process_time() + (worker.user + worker.system if worker else 0.0)

    start_s = spent_s()
    return work(), spent_s() - start_s


def cached(metric: AvAlignConfig, flow: Layers, onsets: Layers, *, clips: int) -> float:
    """The score of many clips over what is stored."""
    keys = [f"{index:05d}" for index in range(clips)]
    sets = {"flow": flow["flow"], "rate_hz": flow["rate_hz"], onset_layer(22_050): onsets[onset_layer(22_050)]}
    extractors = {"flow": "farneback", "rate_hz": "farneback", onset_layer(22_050): "librosa"}
    inputs = {
        Need(Side.GENERATED, extractors[layer], layer): FeatureSet.of(keys, [value] * clips)
        for layer, value in sets.items()
    }
    measured = metric.measure(inputs)
    assert not isinstance(measured, str), measured
    return measured.value


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--clips", type=int, default=20)
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    own, other = (PROTOCOLS[name].metrics for name in ("tempotokens2025", "seeing_and_hearing"))
    with tempfile.TemporaryDirectory() as folder, Sandbox() as sandbox:
        size = (chosen.side, chosen.side)
        path = media_files.write(Path(folder, "a.mp4"), duration_s=chosen.seconds, fps=Fraction(17), size=size)
        ours(sandbox, media_files.write(Path(folder, "b.mp4"), duration_s=0.5), own[0])  # starts the worker
        before_mib = psutil.Process().memory_info().rss >> 20
        (flow, onsets), ours_s = timed(lambda: ours(sandbox, path, own[0]), sandbox)
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        theirs, theirs_s = timed(lambda: by_capture(path), sandbox)
        _, cached_s = timed(
            lambda: [cached(metric, flow, onsets, clips=chosen.clips) for metric in (own[1], *other)], sandbox
        )
    result = {
        "frames": len(flow["flow"]),
        "px": chosen.side,
        "ours_cpu_s": round(ours_s, 2),
        "capture_loop_cpu_s": round(theirs_s, 2),
        "ratio": round(theirs_s / ours_s, 2),
        "largest_relative_difference": float(np.abs(flow["flow"] / theirs - 1).max()),
        "chance_and_two_of_another_rule_cpu_s_a_clip": cached_s / chosen.clips,
        "cached_ratio_a_protocol": round(ours_s / (cached_s / chosen.clips / 3), 0),
        "grown_mib": peak_mib - before_mib,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
