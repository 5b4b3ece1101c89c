"""What the bench of the encode engine runs: a run over many clips of few files, and two other ways to do its work.

Windows of one file would be decoded as the file is; so every file stands for many clips, which differ in their keys.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from cpu_clock import CpuClock

from tasks.clip_reader import ClipReader
from tasks.context import RunContext
from tasks.encode import BATCH, EncodeWorker
from tasks.pool import Seen
from tasks.ray_session import RaySession
from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.candidates import encode_candidates
from uniform_core.errors import Rejection
from uniform_core.fingerprint import digest
from uniform_core.media import CanonicalForm, CutRule, Sandbox
from uniform_core.progress import Listener, silent
from uniform_core.settings import Settings

FILES = 40
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Cost:
    """What some work took, and what came before it: wall seconds, and CPU seconds of all processes."""

    wall_s: float
    cpu_s: float
    before_s: float = 0.0


@dataclass(frozen=True)
class ManyClips(RunContext):
    """A run whose clips are given."""

    given: pa.Table = None

    def clips(self, columns: Sequence[str] | None = None) -> pa.Table:
        return self.given


def bench_config() -> RunConfig:
    """Preset `tiny`, with files to render that are few."""
    words = [f"data.{name}={count}" for name, count in (("train_short", 6), ("train_long", 0), ("held_out_short", 1))]
    return build_run("tiny", overrides=words)


def render_files(config: RunConfig, media_dir: Path, scratch: Path, *, files: int = FILES) -> list[str]:
    """Canonical clips of rendered files: their paths in media/."""
    spec, paths = config.spec, []
    with Sandbox() as sandbox:
        for n, item in zip(range(files), config.data.items(spec), strict=False):
            name = f"canonical/bench/{n}.mp4"
            (media_dir / name).parent.mkdir(parents=True, exist_ok=True)
            source = config.data.fetch(item, scratch)
            assert isinstance(source, Path), source
            made = sandbox.canonicalise(
                source,
                None,
                cut=CutRule(spec.duration_s, spec.duration_s),
                form=CanonicalForm.of(spec),
                out_dir=media_dir,
                names=lambda _, name=name: name,
            )
            assert not isinstance(made, Rejection), made
            paths.append(name)
    return paths


def clips_of(paths: Sequence[str], count: int, *, salt: str) -> pa.Table:
    """Rows of so many clips, whose files are these in turn; another salt makes other clips of the same files."""
    rows = [
        {
            "clip_id": digest(["bench", salt, n]),
            "clip_sha256": digest([paths[n % len(paths)]]) * 2,
            "path": paths[n % len(paths)],
            "dataset": "bench",
            "source_id": f"{salt}/{n}",
            "video_id": None,
            "start_ms": 0,
            "end_ms": 1500,
            "split": "train",
            "label": "siren",
            "source_caption": None,
        }
        for n in range(count)
    ]
    return pa.Table.from_pylist(rows)


def context_of(
    settings: Settings, config: RunConfig, clips: pa.Table, ray: RaySession, *, listener: Listener = silent
) -> ManyClips:
    return ManyClips(settings, config, Catalog.open(settings), ray, "bench", listener, given=clips)


# -- a plain pool of processes that writes .npy files -----------------------------------------------------------------


class PlainEncoder:
    """Decodes and encodes a batch as the engine's workers do, with their code; what comes of it is the caller's."""

    def __init__(self, config_json: str, media_dir: str) -> None:
        self._reader = ClipReader(config_json=config_json, media_dir=media_dir)
        self._worker = EncodeWorker(config_json=config_json, tensors_dir="")

    def encode(self, rows: Rows) -> dict[str, np.ndarray]:
        read = [one for one in self._reader.read(rows) if not isinstance(one, Rejection)]
        assert len(read) == len(rows)
        return self._worker.encode([Seen(row, one.value) for row, one in zip(rows, read, strict=True)])


_PLAIN: list[PlainEncoder] = []


def _init_plain(config_json: str, media_dir: str) -> None:
    _PLAIN.append(PlainEncoder(config_json, media_dir))


def _plain(work: tuple[Rows, str]) -> int:
    rows, folder = work
    latents = _PLAIN[0].encode(rows)
    for key, latent in latents.items():
        np.save(Path(folder) / f"{key}.npy", latent)
    return len(latents)


def by_plain_pool(
    config: RunConfig, settings: Settings, clips: pa.Table, folder: Path, *, workers: int, clock: CpuClock
) -> Cost:
    """From the first batch to the last file; before that the processes load."""
    folder.mkdir()
    rows = encode_candidates(config, clips).to_pylist()
    batches = [(rows[at : at + BATCH], str(folder)) for at in range(0, len(rows), BATCH)]
    started_s = time.monotonic()
    setup = (config.model_dump_json(), str(settings.media_dir))
    with multiprocessing.get_context("spawn").Pool(workers, _init_plain, setup) as pool:
        pool.map(_plain, [(rows[:2], str(folder))] * workers, chunksize=1)
        ready_s, ready_cpu_s = time.monotonic(), clock.read_s()
        assert sum(pool.imap_unordered(_plain, batches)) == len(rows)
        return Cost(time.monotonic() - ready_s, clock.read_s() - ready_cpu_s, ready_s - started_s)


# -- Ray Data ---------------------------------------------------------------------------------------------------------


class MapEncoder(PlainEncoder):
    """A batch of Ray Data: columns in, columns out. It leaves a mark when it is ready."""

    def __init__(self, config_json: str, media_dir: str, marks: str) -> None:
        super().__init__(config_json, media_dir)
        self._encoder = self
        Path(marks, str(os.getpid())).touch()

    def __call__(self, columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
        names = list(columns)
        rows = [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        latents = self.encode(rows)
        kept = ("work_key", "stage_fp", "clip_id", "clip_sha256", "modality")
        return {
            **{name: columns[name] for name in kept},
            "data": [latents[row["work_key"]].tobytes() for row in rows],
            "shape": [list(latents[row["work_key"]].shape) for row in rows],
        }


def by_ray_data(
    config: RunConfig, settings: Settings, clips: pa.Table, folder: Path, *, workers: int, clock: CpuClock
) -> Cost:
    """From when its actors have loaded to the last file. Ray must be running."""
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    marks = folder.with_name(folder.name + "-marks")
    marks.mkdir()
    rows = encode_candidates(config, clips)
    started_s, ready = time.monotonic(), list[tuple[float, float]]()

    def wait_until_ready() -> None:
        while len(list(marks.iterdir())) < workers:
            time.sleep(0.02)
        ready.append((time.monotonic(), clock.read_s()))

    waiting = threading.Thread(target=wait_until_ready, daemon=True)
    waiting.start()
    made = (
        ray.data.from_arrow(rows)
        .repartition(max(workers, rows.num_rows // BATCH))
        .map_batches(
            MapEncoder,
            batch_size=BATCH,
            compute=ray.data.ActorPoolStrategy(size=workers),
            fn_constructor_args=(config.model_dump_json(), str(settings.media_dir), str(marks)),
            num_cpus=1,
        )
    )
    made.write_parquet(str(folder))
    ended_s, ended_cpu_s = time.monotonic(), clock.read_s()
    waiting.join()
    [(ready_s, ready_cpu_s)] = ready
    return Cost(ended_s - ready_s, ended_cpu_s - ready_cpu_s, ready_s - started_s)
