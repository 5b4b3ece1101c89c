"""Fetching: how much of a slow host's rate is kept, how much of what the cores can validate, and CPU beside ffmpeg's.

Run it with `PYTHONPATH=tests`. Ratios as JSON. `kept`: clips a second from a host that gives 4 a second, over 4.
`of_ceiling`: clips a second from a host without limits, over what as many processes as cores cut and validate of files
that lie there (measured before and after, since other work on the machine comes and goes). Both are of a run whose
workers are up (`fleet`); the seconds until then stand beside them. The host runs on the same cores, and what it takes
is our loss. `of_ceiling_cpu` is the same in CPU seconds a clip, those of Ray and the driver included: where other work
runs beside, it says what the clock cannot. `per_core`: clips cut and validated a second of CPU, over those of a
pipeline of ffmpeg processes (one cuts and encodes, one decodes the result).
"""

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
from fetch_index import short_index
from fleet import Steady, Watch, serving
from index_files import made_up_ids
from media_files import write
from pydantic import TypeAdapter

from tasks.context import RunContext
from tasks.cpu import CpuMeter
from tasks.fetch import run_fetch
from tasks.fetch_results import Fetched
from tasks.fetch_worker import FetchWorker, OpenSource
from tasks.ray_session import ray_session
from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.corpus.fetching import fetch_key
from uniform_core.corpus.items import item_json
from uniform_core.datasets import AnyDataset
from uniform_core.datasets.index import IndexDataset
from uniform_core.fetching.outcome import FoundVideo, Outcome
from uniform_core.fetching.sources import HttpSource
from uniform_core.fetching.wanted import WantedVideo
from uniform_core.progress import silent
from uniform_core.settings import Settings
from uniform_core.spec import AVSpec

SLOW_CLIPS_S = 4.0
SPAN = (1.0, 11.0)  # of the clip in its video, s
SPEC = AVSpec(duration_s=2.0, video_rate_hz=16, height_px=32, width_px=32, canonical_short_side_px=32)


def fetched(root: Path, video: Path, *, clips: int, per_s: float | None, workers: int) -> Steady:
    """The whole stage, of a host that gives so many clips a second; None: as many as are asked for."""
    settings = Settings(home=root / "home", cpus=2)
    folder = settings.media_dir / "sources" / "audioset"
    with serving(video, per_s=per_s) as (address, host), ray_session(settings) as ray:
        source = HttpSource(url=f"{address}/{{video_id}}.mp4")
        index = short_index(root / "lists", [(one, *SPAN) for one in made_up_ids(clips)], sources=[source])
        words = [
            f"data.index={index.index}",
            f"data.sources=[{source.model_dump_json()}]",
            f"fetch.workers={workers}",
            'fetch.hosts={"other_rate": {"per_s": 10000.0, "burst": 1000}}',
        ]
        config = build_run("nano", data="audioset:eval", overrides=words)
        context = RunContext(settings, config, Catalog.open(settings), ray, "bench", silent)
        with Watch(folder, host=host) as watch:
            [summary] = run_fetch(context)
    assert summary.done == clips, summary
    return watch.steady(workers=workers, clips=clips)


class LocalSource:
    """Every video is one file that lies there already."""

    def __init__(self, video: Path, scratch: Path) -> None:
        self._video, self._scratch = video, scratch

    def fetch(self, video: WantedVideo) -> Mapping[str, Outcome]:
        copy = self._scratch / "copy.mp4"
        shutil.copy(self._video, copy)
        return {clip.source_id: FoundVideo(copy, "local") for clip in video.clips}

    def close(self) -> None:
        """Nothing is held."""


class LocalWorker(FetchWorker):
    """A worker without hosts."""

    source: LocalSource

    def _sources(self, index: int) -> list[OpenSource]:
        return [OpenSource("local", self.source, is_copy=False)]


@dataclass(frozen=True)
class Validated:
    """What one process has cut and validated, in how many seconds: by the clock, of CPU, of CPU without its decoder."""

    clips: int
    wall_s: float
    cpu_s: float
    own_s: float


def validate_all(root: str, video: str, index_json: str, numbers: Sequence[int]) -> Validated:
    """Cut and validate clips of the index, in this process; a first one, that is not counted, starts its decoder."""
    dataset: IndexDataset = TypeAdapter(AnyDataset).validate_json(index_json)
    media = Path(root) / "media"
    worker = LocalWorker(
        datasets={0: index_json},
        media_dir=str(media),
        work_dir=str(media / "fetching"),
        gate=None,  # type: ignore[arg-type]
    )
    worker.source = LocalSource(Path(video), Path(tempfile.mkdtemp(dir=root)))
    items = list(dataset.items(SPEC))
    rows = [
        {
            "work_key": fetch_key(items[n]),
            "dataset_index": 0,
            "is_alone": False,
            "source": json.dumps(item_json(items[n])),
        }
        for n in numbers
    ]
    meter = CpuMeter()
    assert isinstance(worker.process(rows[:1])[0], Fetched)
    before_s, own_s, started_s = meter.read_s(), time.process_time(), time.monotonic()
    done = sum(isinstance(result, Fetched) for row in rows[1:] for result in worker.process([row]))
    wall_s, own_s = time.monotonic() - started_s, time.process_time() - own_s
    validated = Validated(done, wall_s, meter.read_s() - before_s, own_s)
    worker.close()
    assert done == len(rows) - 1
    return validated


@dataclass(frozen=True)
class Ceiling:
    """Clips a second of all processes together, and CPU seconds a clip; `own_s` of them without the decoders'."""

    per_s: float
    cpu_s: float
    own_s: float


def ceiling(root: Path, video: Path, index_json: str, *, clips: int, processes: int) -> Ceiling:
    """What as many processes as cores cut and validate, side by side."""
    shares = [list(range(clips))[n::processes] for n in range(processes)]
    roots = [root / str(n) for n in range(processes)]
    for one in roots:
        one.mkdir(parents=True)
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = [
            pool.submit(validate_all, str(one), str(video), index_json, share)
            for one, share in zip(roots, shares, strict=True)
        ]
        done = [future.result() for future in futures]
    return Ceiling(
        per_s=sum(one.clips / one.wall_s for one in done),
        cpu_s=sum(one.cpu_s for one in done) / sum(one.clips for one in done),
        own_s=sum(one.own_s for one in done) / sum(one.clips for one in done),
    )


def cpu_s() -> float:
    """CPU of this process's children that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def by_ffmpeg(root: Path, video: Path, *, clips: int) -> int:
    """How many clips a plain pipeline makes: one process cuts and encodes, one decodes all of the result."""
    ffmpeg, done = imageio_ffmpeg.get_ffmpeg_exe(), 0
    quiet = [ffmpeg, "-nostdin", "-v", "error", "-threads", "1"]
    for number in range(clips):
        out = root / f"{number}.mp4"
        cut = ["-ss", str(SPAN[0]), "-i", str(video), "-t", str(SPAN[1] - SPAN[0]), "-c:v", "libx264"]
        form = ["-preset", "veryfast", "-crf", "18", "-threads", "1", "-c:a", "aac", "-y", str(out)]
        subprocess.run([*quiet, *cut, *form], check=True)
        look = subprocess.run([*quiet, "-i", str(out), "-f", "null", "-"], check=True, capture_output=True)
        done += not look.stderr
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--size", type=int, nargs=2, default=(480, 360), metavar=("W", "H"))
    chosen = parser.parse_args()
    clips, workers = chosen.clips, chosen.workers
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="uf-bench-") as folder:
        root = Path(folder)
        video = write(root / "video.mp4", duration_s=12.0, size=tuple(chosen.size), faststart=True)
        index = short_index(root / "lists", [(one, *SPAN) for one in made_up_ids(clips)]).model_dump_json()
        slow = fetched(root / "slow", video, clips=clips, per_s=SLOW_CLIPS_S, workers=workers)
        before = ceiling(root / "before", video, index, clips=clips // 2, processes=cores)
        free = fetched(root / "free", video, clips=clips, per_s=None, workers=workers)
        after = ceiling(root / "after", video, index, clips=clips // 2, processes=cores)
        (root / "plain").mkdir()
        spent = cpu_s()
        assert by_ffmpeg(root / "plain", video, clips=clips // 4) == clips // 4
        theirs = (cpu_s() - spent) / (clips // 4)
    ceiling_per_s, ceiling_cpu_s = (before.per_s + after.per_s) / 2, (before.cpu_s + after.cpu_s) / 2
    result = {
        "clips": clips,
        "workers": workers,
        "picture": list(chosen.size),
        "cores": cores,
        "load": round(os.getloadavg()[0], 1),
        "slow_host_clips_s": round(slow.per_s, 2),
        "kept": round(slow.per_s / SLOW_CLIPS_S, 3),
        "free_host_clips_s": round(free.per_s, 2),
        "ceiling_clips_s": [round(before.per_s, 2), round(after.per_s, 2)],
        "of_ceiling": round(free.per_s / ceiling_per_s, 3),
        "free_host_cpu_ms": round(1e3 * free.cpu_s),
        "ceiling_cpu_ms": [round(1e3 * before.cpu_s), round(1e3 * after.cpu_s)],
        "free_host_cpu_ms_by_part": {part: round(1e3 * spent_s) for part, spent_s in sorted(free.parts_s.items())},
        "ceiling_cpu_ms_by_part": [
            {"decoders": round(1e3 * (one.cpu_s - one.own_s)), "workers": round(1e3 * one.own_s)}
            for one in (before, after)
        ],
        "of_ceiling_cpu": round(ceiling_cpu_s / free.cpu_s, 3),
        "start_s": [round(slow.start_s, 1), round(free.start_s, 1)],
        "counted": [slow.clips, free.clips],
        "ffmpeg_cpu_ms": round(1e3 * theirs),
        "per_core": round(theirs / ceiling_cpu_s, 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
