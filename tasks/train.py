"""Train: Ray Train runs the core's training loop on every worker; rank 0 saves, exports and logs.

<checkpoints>/<model id>/index.parquet   what is trained on: fixed when the training starts
                        /steps/…         resumable checkpoints (safetensors + JSON)
                        /history.jsonl   losses, written by rank 0
                        /model/          the trained model
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.context import RunContext
from tasks.stage import StageSummary
from tasks.tracking import Tracker
from tasks.train_worker import HELD_OUT, HISTORY, INDEX, TrainSetup, init_account, train_on_worker
from uniform_core.catalog.shards import ref_of
from uniform_core.config import RunConfig
from uniform_core.corpus.captions import caption_versions, count_captioned
from uniform_core.corpus.fingerprints import model_id, train_fingerprint
from uniform_core.corpus.parts import weight_facts
from uniform_core.corpus.samples import (
    is_trained,
    null_text,
    require_samples,
    require_text_features,
    require_trained,
    samples_digest,
    training_samples,
)
from uniform_core.devices import gpus, is_on_gpu
from uniform_core.errors import ConfigError, WorkFailedError
from uniform_core.files import lock, whole_file
from uniform_core.fingerprint import file_sha256
from uniform_core.model import InitReport
from uniform_core.progress import Listener, ProgressEvent
from uniform_core.training.export import WEIGHTS, read_card
from uniform_core.types import TensorRef

READ = ("sources", "clips", "latents", "captions", "caption_texts", "text_features")
# glibc gives freed memory of a step back and asks for it again in the next: up to a seventh of a step on a CPU.
WORKER_ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
    "MALLOC_TOP_PAD_": str(1 << 28),
}
LOCK = ".lock"
RESTARTS = 3  # of the whole group of workers; each goes on from the newest checkpoint


@dataclass(frozen=True)
class TrainedModel:
    """A finished model of this run's config and data."""

    model_id: str
    folder: Path


def run_train(context: RunContext) -> list[StageSummary]:
    """Train the model of this config on the clips that the catalog has, or find it trained already.

    Raises WorkFailedError where there is nothing to train on, or the workers cannot be kept alive; ServiceError where
    MLflow does not answer. Waits while another driver of this machine trains the same model.
    """
    started, steps = time.monotonic(), context.config.train.steps
    index, key = training_index(context)
    done, cpu_s, note = 0, 0.0, ""
    if not is_trained(context.catalog, key):
        read = _what_is_read(context, index)
        note = "\n".join(_notes(context.config, read))
        Tracker.open(context.settings)  # what rank 0 would find out only after the workers have started
        with lock(context.settings.checkpoints_dir / key / LOCK, shared=False):  # one driver at a time writes there
            if not is_trained(context.catalog, key):
                done, cpu_s = steps, _train(context, read, key)
    wall_s = time.monotonic() - started
    return [StageSummary.complete("train", steps, done=done, wall_s=wall_s, cpu_s=cpu_s, note=note)]


def _notes(config: RunConfig, read: _Read) -> list[str]:
    """What a person should know of what is read: the weights that are started from, the corpus of the captions."""
    said = [] if read.init is None else [read.init.text()]
    if config.corpus is not None:
        captioned = count_captioned(read.index)
        said.append(f"captions: corpus {config.corpus}, of {captioned} of {read.index.num_rows} clips")
    return said


@dataclass(frozen=True)
class _Read:
    """What a training reads: its samples, those of held-out clips, where the null text's features lie, and weights."""

    index: pa.Table
    held_out: pa.Table
    null_text: dict[str, Any]
    init: InitReport | None


def _what_is_read(context: RunContext, index: pa.Table) -> _Read:
    """Everything that training reads, before a folder is made for it.

    Raises WorkFailedError where some is missing, ConfigError for weights to start from that are not what they must be.
    """
    config, clips = context.config, context.clips()
    require_samples(index, clips, split=config.train_split)
    held_out = training_samples(context.catalog, config, clips, split=config.evaluate.split)
    for samples in (index, held_out):
        require_text_features(samples, config)
    return _Read(index, held_out, asdict(null_ref(context)), init_account(config))


def _train(context: RunContext, read: _Read, key: str) -> float:
    """The model, trained to the last step and recorded; the CPU seconds that it took."""
    config, folder = context.config, context.settings.checkpoints_dir / key
    _write_table(folder / INDEX, read.index)
    _write_table(folder / HELD_OUT, read.held_out)
    setup = TrainSetup(
        config_json=config.model_dump_json(),
        folder=str(folder),
        tensors_dir=str(context.settings.tensors_dir),
        null_text=read.null_text,
        model_id=key,
        fingerprint=train_fingerprint(config),
        settings_json=context.settings.model_dump_json(),
        run_id=context.run_id,
        versions=caption_versions(context.catalog, config, context.catalog.versions(READ)),
        data_digest=samples_digest(read.index),
        init=None if read.init is None else read.init.as_json(),
        init_weights=config.train.init.located().weights,
        facts=weight_facts(config, ["encode"]),
    )
    context.ray.start()
    with _followed(folder / HISTORY, steps=config.train.steps, listener=context.listener):
        _fit(setup, workers=config.train_workers, use_gpu=on_gpus(config))
    cpu_s = sum(json.loads(file.read_text()) for file in folder.glob("cpu-*.json"))
    _record(context, key, folder, setup=setup)
    return float(cpu_s)


def trained_model(context: RunContext) -> TrainedModel:
    """The trained model of this run. Raises WorkFailedError where it has not been trained."""
    key = context.model_id or training_index(context)[1]
    require_trained(context.catalog, key)
    return TrainedModel(key, context.settings.checkpoints_dir / key / "model")


def training_index(context: RunContext) -> tuple[pa.Table, str]:
    """What training would read, and the id of the model that it would give."""
    clips = context.clips()
    index = training_samples(context.catalog, context.config, clips, split=context.config.train_split)
    return index, model_id(context.config, samples_digest(index))


def _write_table(path: Path, table: pa.Table) -> None:
    with whole_file(path) as temp:
        pq.write_table(table, temp)


def null_ref(context: RunContext) -> TensorRef:
    """Where the features of the null text lie. Raises WorkFailedError before the text stage has run."""
    row = null_text(context.catalog, context.config)
    if row is None:
        raise WorkFailedError(
            "training", expected="features of the null text", found="none", fix="Run `uniform text` first."
        )
    return ref_of(row)


def on_gpus(config: RunConfig) -> bool:
    """Whether ranks train on GPUs, one each. Raises ConfigError where there are too few."""
    if not is_on_gpu(config.train):
        return False
    if gpus() < config.train_workers:
        raise ConfigError(
            "train_workers",
            expected=f"at most the {gpus()} GPUs of this machine, one a rank",
            found=str(config.train_workers),
            fix=f"Set train_workers={gpus()}, or train.device=cpu.",
        )
    return True


def _fit(setup: TrainSetup, *, workers: int, use_gpu: bool) -> None:
    """Have Ray Train bring every worker to the last step, whatever dies on the way.

    Raises WorkFailedError where it gives up.
    """
    from ray.train import FailureConfig, ScalingConfig, TrainingFailedError
    from ray.train import RunConfig as RayRunConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    trainer = TorchTrainer(
        train_on_worker,
        train_loop_config=setup.as_dict(),
        torch_config=TorchConfig(backend="cpu:gloo,cuda:nccl" if use_gpu else "gloo"),  # losses are summed on the CPU
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=use_gpu),
        run_config=RayRunConfig(
            name=f"train-{setup.model_id[:12]}-{int(time.time())}",
            storage_path=str(Path(setup.folder) / "ray"),
            failure_config=FailureConfig(max_failures=RESTARTS),
            worker_runtime_env={"env_vars": dict(WORKER_ENVIRONMENT)},
        ),
    )
    try:
        trainer.fit()
    except TrainingFailedError as error:
        raise given_up(error) from error


def given_up(error: Exception) -> WorkFailedError:
    """Ray Train's last word as one of ours: of each worker that failed, the last line of what it said."""
    failures: Mapping[int, Exception] = getattr(error, "worker_failures", {})
    said = [f"rank {rank}: {_last_line(failure)}" for rank, failure in sorted(failures.items())]
    return WorkFailedError(
        "training",
        expected=f"workers that reach the last step in {RESTARTS + 1} starts",
        found="; ".join(said) or _last_line(error),
        fix="Put the cause right and run again: it goes on from the newest checkpoint.",
    )


SEE_ALSO = "(Background on this error at"  # SQLAlchemy's last line, which says nothing


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith(SEE_ALSO)]
    return (lines[-1] if lines else type(error).__name__)[:500]


@contextmanager
def _followed(history: Path, *, steps: int, listener: Listener) -> Iterator[None]:
    """Progress events while the block runs, read from what rank 0 writes."""
    ended = threading.Event()

    def follow() -> None:
        while not ended.wait(0.5):
            last = last_record(history)
            if last is not None:
                listener(ProgressEvent("train", last["step"] + 1, steps, note=f"loss {last['loss']:.3f}"))

    thread = threading.Thread(target=follow, name="train-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def last_record(history: Path) -> dict[str, Any] | None:
    """The newest whole step record of a history; None where there is none yet."""
    if not history.is_file():
        return None
    with history.open("rb") as file:
        file.seek(max(0, history.stat().st_size - 65_536))
        lines = file.read().decode(errors="replace").splitlines()
    for line in reversed(lines):
        try:
            record: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError:
            continue  # the line that is being written
        if "loss" in record:
            return record
    return None


def last_validation(history: Path, *, until: int | None = None) -> dict[str, float]:
    """The losses on fixed noise that a history ends with, by `set.task.modality`; empty where it has none.

    `until` is the last step that counts.
    """
    if not history.is_file():
        return {}
    for line in reversed(history.read_text(errors="replace").splitlines()):
        with suppress(json.JSONDecodeError):  # half a line of a killed run
            record = json.loads(line)
            losses: dict[str, float] | None = record.get("validation")
            if losses and (until is None or record["step"] <= until):
                return losses
    return {}


def _record(context: RunContext, key: str, folder: Path, *, setup: TrainSetup) -> None:
    """The row that makes the model exist."""
    card, weights = read_card(folder / "model"), folder / "model" / WEIGHTS
    last = last_record(folder / HISTORY) or {}
    row: Mapping[str, Any] = {
        "work_key": key,
        "model_id": key,
        "kind": "uniform" if context.config.train.only is None else "unimodal",
        "path": f"{key}/model",
        "weights_sha256": file_sha256(weights),
        "parameters": count_parameters(weights),
        "steps": card.steps,
        "data_digest": setup.data_digest,
        "versions": json.dumps(setup.versions),
        "corpus": context.config.corpus,
        "metrics": json.dumps({"last_loss": last.get("loss"), "validation": last_validation(folder / HISTORY)}),
        "stage_fp": setup.fingerprint,
        "run_id": context.run_id,
        "created_at": datetime.now(UTC),
    }
    context.catalog.insert("models", [row])


def count_parameters(weights: Path) -> int:
    """The number of values in a safetensors file, from its header alone."""
    from safetensors import safe_open

    with safe_open(weights, framework="np") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
