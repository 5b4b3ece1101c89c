"""Fetching: how much of a slow host's rate is kept, how much of what the cores can validate, and CPU beside ffmpeg's.

Run it with `PYTHONPATH=tests`. Three ratios as JSON. `kept`: clips a second from a host that gives 4 a second, over 4.
`of_ceiling`: clips a second from a host without limits, over what as many processes as cores cut and validate of files
that lie there. `per_core`: clips cut and validated a second of CPU, over those of a pipeline of ffmpeg processes (one
cuts and encodes, one decodes the result).
"""

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import imageio_ffmpeg
from fetch_index import short_index
from index_files import made_up_ids
from media_files import write
from pydantic import TypeAdapter
from standin_host import Asked, Reply, StandinHost

from tasks.context import RunContext
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


class ThrottledHost(StandinHost):
    """Begins so many answers a second, one after the other; None: at once."""

    def __init__(self, per_s: float | None) -> None:
        super().__init__()
        self._gap_s, self._next_s = 0.0 if per_s is None else 1.0 / per_s, 0.0

    def next_reply(self, asked: Asked) -> Reply:
        with self.lock:
            turn_s = max(time.monotonic(), self._next_s)
            self._next_s = turn_s + self._gap_s
        time.sleep(max(0.0, turn_s - time.monotonic()))
        return super().next_reply(asked)


@contextmanager
def serving(video: bytes, *, per_s: float | None) -> Iterator[ThrottledHost]:
    host = ThrottledHost(per_s)
    host.otherwise = lambda _path: Reply(video)
    threading.Thread(target=host.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield host
    finally:
        host.shutdown()
        host.server_close()


def fetched_per_s(root: Path, video: bytes, *, clips: int, per_s: float | None, workers: int) -> float:
    """Clips a second of the whole stage, from the first request to the last; Ray's start is not counted."""
    with serving(video, per_s=per_s) as host:
        source = HttpSource(url=f"{host.url('')}/{{video_id}}.mp4")
        index = short_index(root / "lists", [(one, *SPAN) for one in made_up_ids(clips)], sources=[source])
        words = [
            f"data.index={index.index}",
            f"data.sources=[{source.model_dump_json()}]",
            f"fetch.workers={workers}",
            'fetch.hosts={"other_rate": {"per_s": 10000.0, "burst": 1000}}',
        ]
        settings = Settings(home=root / "home", cpus=2)
        with ray_session(settings) as ray:
            config = build_run("nano", data="audioset:eval", overrides=words)
            context = RunContext(settings, config, Catalog.open(settings), ray, "bench", silent)
            [summary] = run_fetch(context)
        assert summary.done == clips, summary
        placed = [path.stat().st_ctime for path in (settings.media_dir / "sources" / "audioset").iterdir()]
        first_s = host.asked[0].at_s + time.time() - time.monotonic()
        return clips / (max(placed) - first_s)


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


def validate_all(root: str, video: str, index_json: str, numbers: Sequence[int]) -> int:
    """How many clips of the index were cut and validated, by one process."""
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
        {"work_key": fetch_key(items[n]), "dataset_index": 0, "source": json.dumps(item_json(items[n]))}
        for n in numbers
    ]
    done = sum(isinstance(result, Fetched) for row in rows for result in worker.process([row]))
    worker.close()
    return done


def ceiling_per_s(root: Path, video: Path, index_json: str, *, clips: int, processes: int) -> float:
    """Clips a second that as many processes as cores cut and validate."""
    shares = [list(range(clips))[n::processes] for n in range(processes)]
    roots = [root / str(n) for n in range(processes)]
    for one in roots:
        one.mkdir(parents=True)
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        pool.submit(validate_all, str(roots[0]), str(video), index_json, []).result()  # imports are not counted
        started = time.monotonic()
        futures = [
            pool.submit(validate_all, str(one), str(video), index_json, share)
            for one, share in zip(roots, shares, strict=True)
        ]
        done = sum(future.result() for future in futures)
    assert done == clips
    return clips / (time.monotonic() - started)


def cpu_s() -> float:
    """CPU of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


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
    parser.add_argument("--clips", type=int, default=120)
    parser.add_argument("--size", type=int, nargs=2, default=(480, 360), metavar=("W", "H"))
    chosen = parser.parse_args()
    clips: int = chosen.clips
    with tempfile.TemporaryDirectory(prefix="uf-bench-") as folder:
        root = Path(folder)
        video = write(root / "video.mp4", duration_s=12.0, size=tuple(chosen.size), faststart=True)
        index = short_index(root / "lists", [(one, *SPAN) for one in made_up_ids(clips)])
        slow = fetched_per_s(root / "slow", video.read_bytes(), clips=clips, per_s=SLOW_CLIPS_S, workers=8)
        free = fetched_per_s(root / "free", video.read_bytes(), clips=clips, per_s=None, workers=8)
        cores = len(os.sched_getaffinity(0))
        ceiling = ceiling_per_s(root / "ceiling", video, index.model_dump_json(), clips=clips, processes=cores)
        for name in ("ours", "plain"):
            (root / name).mkdir()
        before = cpu_s()
        assert validate_all(str(root / "ours"), str(video), index.model_dump_json(), range(clips)) == clips
        ours = clips / (cpu_s() - before)
        before = cpu_s()
        assert by_ffmpeg(root / "plain", video, clips=clips) == clips
        theirs = clips / (cpu_s() - before)
    result = {
        "clips": clips,
        "picture": list(chosen.size),
        "cores": cores,
        "slow_host_clips_s": round(slow, 2),
        "kept": round(slow / SLOW_CLIPS_S, 3),
        "free_host_clips_s": round(free, 2),
        "ceiling_clips_s": round(ceiling, 2),
        "of_ceiling": round(free / ceiling, 3),
        "ours_clips_per_core_s": round(ours, 2),
        "ffmpeg_clips_per_core_s": round(theirs, 2),
        "per_core": round(ours / theirs, 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
