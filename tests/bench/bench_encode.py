"""Encoding beside a plain pool of processes and Ray Data: clips a second of each, and whether memory stays flat.

Run it with `PYTHONPATH=tests`. The same clips, the same decoding and the same codecs of preset `tiny`, on as many
processes. Ours ends when latents are in shards, with their hashes, and their rows are committed; the pool when .npy
files are written; Ray Data when `write_parquet` returns. Start-up is told apart. `of_pool` and `of_ray_data` are ratios
of clips a second, medians of some rounds; `…_by_cpu` of clips for each second of CPU, of all processes together (Ray's
own among them), which is the same where every core is busy with nothing else, and also holds where others work beside.
`--memory` encodes 5,000 clips and prints the memory of driver and workers; it ends with 1 where that grew.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from cpu_clock import CpuClock
from encode_bench import (
    Cost,
    bench_config,
    by_plain_pool,
    by_ray_data,
    clips_of,
    context_of,
    render_files,
)

from tasks.encode import run_encode
from tasks.ray_session import RaySession, ray_session
from uniform_core.config import RunConfig
from uniform_core.progress import ProgressEvent
from uniform_core.settings import Settings

WARM_UP = 256  # clips, after which every actor has imported what it needs


def by_engine(
    config: RunConfig, settings: Settings, paths: list[str], count: int, ray: RaySession, clock: CpuClock
) -> Cost:
    """The whole stage, from listing what is to do to the last commit."""
    context = context_of(settings, config, clips_of(paths, count, salt=f"{time.monotonic_ns()}"), ray)
    started_s, before_s = time.monotonic(), clock.read_s()
    [summary] = run_encode(context)
    assert summary.done == 2 * count, summary
    return Cost(time.monotonic() - started_s, clock.read_s() - before_s)


def compare(root: Path, *, clips: int, rounds: int, workers: int) -> dict[str, object]:
    settings, config = Settings(home=root / "home", cpus=workers), bench_config()
    paths = render_files(config, settings.media_dir, root)
    costs: dict[str, list[Cost]] = {"ours": [], "pool": [], "ray_data": []}
    with ray_session(settings) as ray, CpuClock() as clock:
        started_s = time.monotonic()
        ray.start()
        by_engine(config, settings, paths, WARM_UP, ray, clock)
        startup_s = time.monotonic() - started_s
        for n in range(rounds):
            given = clips_of(paths, clips, salt=f"others {n}")
            how: dict[str, Any] = {"workers": workers, "clock": clock}
            costs["pool"].append(by_plain_pool(config, settings, given, root / f"npy-{n}", **how))
            costs["ours"].append(by_engine(config, settings, paths, clips, ray, clock))
            costs["ray_data"].append(by_ray_data(config, settings, given, root / f"parquet-{n}", **how))
            print(f"round {n}: { ({name: each[-1] for name, each in costs.items()}) }", file=sys.stderr, flush=True)
    ours = costs.pop("ours")
    rates = {"ours": ours, **costs}
    return {
        "clips": clips,
        "workers": workers,
        "rounds": rounds,
        "startup_s": {
            "ours": round(startup_s, 1),
            **{name: round(statistics.median(one.before_s for one in each), 1) for name, each in costs.items()},
        },
        "clips_s": {name: [round(clips / one.wall_s, 1) for one in each] for name, each in rates.items()},
        "cpu_ms_a_clip": {name: [round(1000 * one.cpu_s / clips, 2) for one in each] for name, each in rates.items()},
        **{f"of_{name}": ratio(ours, each, "wall_s") for name, each in costs.items()},
        **{f"of_{name}_by_cpu": ratio(ours, each, "cpu_s") for name, each in costs.items()},
    }


def ratio(ours: list[Cost], theirs: list[Cost], what: str) -> float:
    """How often as fast ours is: the median over rounds, of which each had both under the same load."""
    each = [getattr(their, what) / getattr(our, what) for our, their in zip(ours, theirs, strict=True)]
    return round(statistics.median(each), 3)


def memory(root: Path, *, clips: int, workers: int) -> dict[str, Any]:
    """The memory of the driver and of the largest worker, MiB, at each tenth of a long run."""
    settings, config = Settings(home=root / "home", cpus=workers), bench_config()
    paths = render_files(config, settings.media_dir, root)
    me, seen = psutil.Process(), []

    def look(event: ProgressEvent) -> None:
        if event.done * 10 // event.total > len(seen):
            actors = [one for one in me.children(recursive=True) if "ray::PoolActor" in " ".join(one.cmdline()[:1])]
            seen.append([me.memory_info().rss >> 20, max(one.memory_info().rss for one in actors) >> 20])

    with ray_session(settings) as ray:
        context = context_of(settings, config, clips_of(paths, clips, salt="memory"), ray, listener=look)
        [summary] = run_encode(context)
    assert summary.done == 2 * clips, summary
    return {"clips": clips, "driver_mib": [driver for driver, _ in seen], "worker_mib": [worker for _, worker in seen]}


GROWTH = 1.10  # of what was held at the third tenth, by when every process has imported and cached what it needs


def has_grown(tenths_mib: list[int]) -> bool:
    """Whether more is held at the last tenth of a run than a tenth above the third."""
    assert len(tenths_mib) > 3, f"a run has ten tenths: {tenths_mib}"
    return tenths_mib[-1] > GROWTH * tenths_mib[2]


def main() -> int:
    """1 where memory was looked at and grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory", action="store_true", help="encode 5,000 clips, and print what memory was held")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="uf-bench-") as folder:
        root = Path(folder)
        if chosen.memory:
            held = memory(root, clips=5000, workers=chosen.workers)
            print(json.dumps(held))
            return int(has_grown(held["driver_mib"]) or has_grown(held["worker_mib"]))
        print(json.dumps(compare(root, clips=chosen.clips, rounds=chosen.rounds, workers=chosen.workers)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
