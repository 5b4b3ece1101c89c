"""What runs on each Ray Train worker: the core's training loop, with rank 0 keeping the history and telling MLflow."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow.parquet as pq
import torch
from torch import Tensor

from tasks.results import model_run
from tasks.tracking import DataVersion, flatten
from uniform_core.catalog.shards import ShardReader
from uniform_core.config import RunConfig
from uniform_core.model import InitConfig, InitReport, ModelConfig, SeveredUniForm, UniForm, initialise_from
from uniform_core.settings import Settings
from uniform_core.spec import LatentLayout
from uniform_core.training.checkpoint import CheckpointStore
from uniform_core.training.export import ModelCard, export_model
from uniform_core.training.fit import ValidationReport, fit
from uniform_core.training.index import TrainIndex
from uniform_core.training.online_texts import online_texts
from uniform_core.training.samples import BatchSource, padded_texts
from uniform_core.training.scaling import LatentScale, fit_latent_scale
from uniform_core.training.tensors import BoundedCache, TensorCache
from uniform_core.training.trainer import StepReport, Trainer
from uniform_core.types import TensorRef
from uniform_core.weights import weights_digest

INDEX, HELD_OUT, HISTORY = "index.parquet", "held_out.parquet", "history.jsonl"
LOG_BATCH = 25  # records a call to MLflow: never one by one in the step loop


@dataclass(frozen=True)
class TrainSetup:
    """Everything that a worker needs, as plain values."""

    config_json: str
    folder: str
    tensors_dir: str
    null_text: Mapping[str, Any]
    model_id: str
    fingerprint: str
    settings_json: str
    run_id: str
    versions: Mapping[str, int]
    data_digest: str
    init: Mapping[str, Any] | None = None  # the account of the weights that the model starts from
    init_weights: str | None = None  # their name, or where they lie from the root
    facts: Mapping[str, Any] = field(default_factory=dict)  # what the codecs' weights say beyond the config

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def train_on_worker(values: dict[str, Any]) -> None:
    """Train to the last step, from the newest checkpoint; rank 0 keeps the history and exports the model."""
    from ray import train
    from ray.train.torch import get_device

    torch.set_num_threads(1)
    setup = TrainSetup(**values)
    folder = Path(setup.folder)
    trainer, source, held_out = _prepared(setup, get_device())
    store = CheckpointStore(folder / "steps", keep=trainer.config.keep_checkpoints)
    with _Rank0Log(setup) if trainer.place.rank == 0 else nullcontext() as log:
        fit(
            trainer,
            source,
            held_out=held_out,
            checkpoints=store,
            on_step=None if log is None else log.step,
            on_validation=None if log is None else log.validation,
        )
    if trainer.place.rank == 0:
        _export(trainer, setup)
    own = os.times()
    (folder / f"cpu-{trainer.place.rank}.json").write_text(json.dumps(own.user + own.system))
    train.report({})


def _prepared(setup: TrainSetup, device: torch.device) -> tuple[Trainer, BatchSource, BatchSource | None]:
    """The trainer at step 0 and what it reads. Every rank prepares the same."""
    config, folder = RunConfig.model_validate_json(setup.config_json), Path(setup.folder)
    tensors = TensorCache(ShardReader(Path(setup.tensors_dir)))
    null_LD = tensors.read(TensorRef(**{**setup.null_text, "shape": tuple(setup.null_text["shape"])}))
    tables = [pq.read_table(folder / name) for name in (INDEX, HELD_OUT)]
    encoded = text_cache(config)
    source, held_out = (
        BatchSource(config.train, TrainIndex.of(table), tensors, null_LD=null_LD, encoded=encoded)
        if table.num_rows
        else None
        for table in tables
    )
    assert source is not None, "the driver does not start a training without samples"
    scale = fit_latent_scale(config.train.scaling, source.raw_latents())
    init = config.train.init.model_copy(update={"weights": setup.init_weights})
    trainer = new_trainer(config, init, scale=scale, null_LD=null_LD, fingerprint=setup.model_id, device=device)
    return trainer, source, held_out


def text_cache(config: RunConfig) -> BoundedCache[str] | None:
    """What encodes captions while it trains; None where their features are stored."""
    return online_texts(config.text.build()) if config.is_text_online else None


def new_trainer(
    config: RunConfig,
    init: InitConfig,
    *,
    scale: LatentScale,
    null_LD: Tensor,
    fingerprint: str,
    device: torch.device,
) -> Trainer:
    """A trainer at step 0, with a model of the run's form that has the weights it is to start from."""
    form = UniForm if config.train.only is None else SeveredUniForm
    model = form(config.model, config.layout, seed=config.train.seed)
    initialise_from(model, init)
    return Trainer(
        config.train,
        model.to(device),
        config.objective,
        scale=scale,
        null_text=padded_texts([null_LD]),
        video_rate_hz=float(config.spec.video_rate_hz),
        fingerprint=fingerprint,
    )


def init_account(config: RunConfig) -> InitReport | None:
    """What becomes of each weight of the run's model before its first step; None where it starts at random.

    Raises ConfigError where the weights are not what they must be.
    """
    init = config.train.init
    if init.weights is None:
        return None
    return _account(config.model, config.layout, init, weights_digest(init.weights))


@lru_cache(maxsize=1)  # a run asks before its first stage, in its flow, and again where it trains: gigabytes each
def _account(model: ModelConfig, layout: LatentLayout, init: InitConfig, _digest: str | None) -> InitReport:
    return initialise_from(UniForm(model, layout, device="meta"), init)


def _export(trainer: Trainer, setup: TrainSetup) -> None:
    config = RunConfig.model_validate_json(setup.config_json)
    card = model_card(
        config,
        scale=trainer.scale,
        fingerprint=setup.model_id,
        steps=trainer.step,
        init=setup.init,
        facts=setup.facts,
    )
    export_model(Path(setup.folder) / "model", trainer.averaged_weights(), card=card, guide=trainer.guide)


def model_card(
    config: RunConfig,
    *,
    scale: LatentScale,
    fingerprint: str,
    steps: int,
    init: Mapping[str, Any] | None,
    facts: Mapping[str, Any],
) -> ModelCard:
    """What an exported model of a run says of itself."""
    return ModelCard(
        model=config.model,
        layout=config.layout,
        objective=config.objective,
        scale=scale,
        video_rate_hz=float(config.spec.video_rate_hz),
        fingerprint=fingerprint,
        steps=steps,
        made_with=config.model_dump(mode="json"),
        init=init,
        facts=facts,
    )


class _Rank0Log:
    """The losses, to a file that the driver follows and to MLflow, a batch of steps at a time."""

    def __init__(self, setup: TrainSetup) -> None:
        self._since_flush = 0
        config = RunConfig.model_validate_json(setup.config_json)
        self._stack = ExitStack()
        self._history = self._stack.enter_context((Path(setup.folder) / HISTORY).open("a", buffering=1))
        self._run = self._stack.enter_context(
            model_run(
                Settings.model_validate_json(setup.settings_json),
                model_id=setup.model_id,
                config=config,
                facts=setup.facts,
                tags={
                    "uniform.train.data_digest": setup.data_digest,
                    "uniform.train.versions": json.dumps(setup.versions),
                    "uniform.run_id": setup.run_id,
                },
                data=[DataVersion("training", setup.data_digest, setup.versions)],
            )
        )
        if setup.init is not None:
            self._run.log_params(flatten(setup.init, "init."))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def step(self, report: StepReport) -> None:
        task, losses = report.task.value, {modality.value: loss for modality, loss in report.losses.items()}
        by_task = {f"loss/{task}.{name}": loss for name, loss in losses.items()}
        terms = {f"term/{task}.{name}": term for name, term in report.terms.items()}
        numbers = {"loss": report.loss, "grad_norm": report.grad_norm, "lr": report.lr}
        self._run.log_metrics({**numbers, **by_task, **terms}, step=report.step)
        record = {"step": report.step, "task": task, "losses": losses, "terms": dict(report.terms), **numbers}
        self._add({**record, "time": time.time()})

    def validation(self, report: ValidationReport) -> None:
        numbers = report.numbers()
        self._run.log_metrics({f"validation/{name}": value for name, value in numbers.items()}, step=report.step)
        self._add({"step": report.step, "validation": numbers})

    def _add(self, record: dict[str, Any]) -> None:
        self._history.write(json.dumps(record) + "\n")
        self._since_flush += 1
        if self._since_flush >= LOG_BATCH:
            self._run.flush()
            self._since_flush = 0
