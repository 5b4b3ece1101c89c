"""Fréchet distance at d = 2048, n = 3,000, one thread, ours beside scipy.linalg.sqrtm: prints the ratio."""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy reads it

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
import scipy.linalg

from uniform_core.metrics.gaussian import frechet_from_features


def by_sqrtm(first: np.ndarray, second: np.ndarray) -> float:
    """What most public codes do: np.cov and a general matrix square root."""
    a, b = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    root = scipy.linalg.sqrtm(a @ b)
    return float(((first.mean(0) - second.mean(0)) ** 2).sum() + np.trace(a) + np.trace(b) - 2 * np.trace(root).real)


def timed(
    route: Callable[[np.ndarray, np.ndarray], float], first: np.ndarray, second: np.ndarray
) -> tuple[float, float]:
    """The value, and seconds of CPU."""
    start = time.process_time()
    value = route(first, second)
    return value, time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--features", type=int, default=2048)
    parser.add_argument("--items", type=int, default=3000)
    chosen = parser.parse_args()
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(chosen.features, chosen.features)) / np.sqrt(chosen.features)
    shape = (chosen.items, chosen.features)
    first = np.maximum(rng.normal(size=shape) @ mix, 0).astype(np.float32)
    second = np.maximum(rng.normal(size=shape) @ mix + 0.1, 0).astype(np.float32)
    ours, ours_s = timed(frechet_from_features, first, second)
    theirs, theirs_s = timed(by_sqrtm, first, second)
    result = {
        "features": chosen.features,
        "items": chosen.items,
        "ours_cpu_s": round(ours_s, 2),
        "scipy_sqrtm_cpu_s": round(theirs_s, 2),
        "ratio": round(theirs_s / ours_s, 1),
        "relative_difference": abs(ours - theirs) / theirs,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
