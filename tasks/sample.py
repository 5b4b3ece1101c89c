"""Sample: the evaluation set. The model, and the baselines by the same code, make clips of held-out conditions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tasks.commits import ItemRows
from tasks.conditions import Conditions, with_conditions
from tasks.context import RunContext, item_name
from tasks.pool import PoolLimits
from tasks.stage import CommitRule, Stage, StageSummary, run_stage
from tasks.train import trained_model
from tasks.workforce import model_resources
from uniform_core.config import RunConfig
from uniform_core.corpus.evaluation import generation_candidates
from uniform_core.corpus.fingerprints import sample_fingerprint
from uniform_core.devices import device_of, is_on_gpu
from uniform_core.diffusion import GuidanceConfig
from uniform_core.errors import Rejection
from uniform_core.fingerprint import canonical_json, file_sha256
from uniform_core.generation.decode import MediaCodecs
from uniform_core.generation.generator import Generator, build_untrained
from uniform_core.generation.requests import GeneratedClip
from uniform_core.media import write_mp4
from uniform_core.training.export import load_exported
from uniform_core.types import Modality, Task


class SampleWorker:
    """The model and its codecs, loaded once; makes clips and writes them as mp4 with sound."""

    def __init__(self, *, config_json: str, model_dir: str, media_dir: str, tensors_dir: str) -> None:
        torch.set_num_threads(1)
        self._config = RunConfig.model_validate_json(config_json)
        self._media_dir = Path(media_dir)
        self._conditions = Conditions(self._config, media_dir=Path(media_dir), tensors_dir=Path(tensors_dir))
        self._codecs = media_codecs(self._config)
        self._model = load_exported(Path(model_dir), device=device_of(self._config.sample.device, item="sample.device"))
        self._texts = self._config.text.build()
        self._generators: dict[str, Generator] = {}

    def process(self, batch: Sequence[Mapping[str, Any]]) -> list[ItemRows | Rejection]:
        """One mp4 each, or why its condition could not be read."""
        made: dict[str, GeneratedClip] = {}
        failed: dict[str, Rejection] = {}
        groups: defaultdict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
        for row in batch:
            groups[row["system"], row["task"]].append(row)
        for (system, _), rows in groups.items():
            if system in UNSAMPLED:
                made.update(self._decoded(rows))
                continue
            requests = []
            for row in rows:
                request = self._conditions.request(row)
                if isinstance(request, Rejection):
                    failed[row["work_key"]] = request
                else:
                    requests.append(request)
            made.update({clip.request_id: clip for clip in self._generator(system).generate(requests)})
        return [failed.get(row["work_key"]) or self._produced(row, made[row["work_key"]]) for row in batch]

    def _generator(self, system: str) -> Generator:
        if system not in self._generators:
            config = self._config
            model = self._model if system == "uniform" else build_untrained(self._model, seed=config.train.seed)
            sample = config.sample.model_copy(update={"guidance": guidance_of(config, system)})
            self._generators[system] = Generator(model, sample, codecs=self._codecs, text_encoder=self._texts)
        return self._generators[system]

    def _shown(self, row: Mapping[str, Any], modality: Modality) -> torch.Tensor:
        """The latent that a system without a model shows: the condition's own, or the mean of its class."""
        if row["system"] == "codec_round_trip":
            return self._conditions.latent(row, modality)
        return self._conditions.mean_latent(row, modality)

    def _decoded(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, GeneratedClip]:
        video, audio = (torch.stack([self._shown(row, modality) for row in rows]) for modality in Modality)
        keys = [row["work_key"] for row in rows]
        clips = self._codecs.round_trip(keys, video_raw_BCTHW=video, audio_raw_BCTF=audio)
        return {clip.request_id: clip for clip in clips}

    def _produced(self, row: Mapping[str, Any], clip: GeneratedClip) -> ItemRows:
        spec = self._config.spec
        relative = Path("generated") / row["model_id"][:12] / row["system"] / row["task"] / f"{row['work_key']}.mp4"
        path = self._media_dir / relative
        write_mp4(
            path, clip.video_THWC, clip.waveform_N, video_rate_hz=spec.video_rate_hz, audio_rate_hz=spec.audio_rate_hz
        )
        size = path.stat().st_size
        columns = {
            **{name: row[name] for name in ROW_NAMES},
            **way_of(self._config, row),
            "path": relative.as_posix(),
            "file_sha256": file_sha256(path),
            "bytes": size,
        }
        return ItemRows(rows={"generations": [columns]}, bytes=size)


UNSAMPLED = ("codec_round_trip", "class_mean")  # latents of real clips, decoded
ROW_NAMES = ("work_key", "stage_fp", "model_id", "task", "system", "clip_id", "text_hash", "seed")


def way_of(config: RunConfig, row: Mapping[str, Any]) -> dict[str, Any]:
    """How a row's clip is sampled, as columns of `generations`; a system without a model does not sample."""
    if row["system"] in UNSAMPLED:
        return {"steps": 0, "sampler": None, "guidance": 1.0, "modality_guidance": 1.0, "guide_scale": None}
    task, sample = Task(row["task"]), config.sample
    sampler = sample.sampler_of(task)
    text, given = sample.scales_of(task, with_text=row["text_hash"] is not None)
    guidance = guidance_of(config, row["system"])
    scales = {str(modality): scale for modality, scale in guidance.by_guide(task).items()}
    return {
        "steps": sampler.steps,
        "sampler": canonical_json(sampler.fingerprint_params()),
        "guidance": text,
        "modality_guidance": given,
        "guide_scale": canonical_json(scales) if scales else None,
    }


def guidance_of(config: RunConfig, system: str) -> GuidanceConfig:
    """The guidance of a system's clips: only the trained model has an early average to be guided by."""
    guidance = config.sample.guidance
    return guidance if system == "uniform" else guidance.without_guide()


def media_codecs(config: RunConfig) -> MediaCodecs:
    """The codecs of a run, from media to raw latents and back."""
    spec = config.spec
    return MediaCodecs(
        spec,
        video=config.video_codec.build(spec),
        audio=config.audio_codec.build(spec),
        vocoder=config.vocoder.build(spec),
        sound=config.sound,
    )


def run_sample(context: RunContext) -> list[StageSummary]:
    """Make what the evaluation of the run's model still lacks. Raises WorkFailedError where there is no model yet."""
    config = context.config
    model = trained_model(context)
    clips = context.clips()
    networks = (config.sample, config.video_codec, config.audio_codec, config.vocoder, config.text)
    on_gpu = is_on_gpu(*networks)
    stage = Stage(
        name="sample",
        table="generations",
        stage_fp=sample_fingerprint(config, model.model_id, task=config.evaluate.tasks[0], system="uniform"),
        worker=SampleWorker,
        setup={
            "config_json": config.model_dump_json(),
            "model_dir": str(model.folder),
            "media_dir": str(context.settings.media_dir),
            "tensors_dir": str(context.settings.tensors_dir),
        },
        # One process holds a GPU: the models of several would not fit beside one another.
        workers=1 if on_gpu else context.settings.worker_cpus,
        resources=model_resources(context.settings, on_gpu=on_gpu),
        batch=config.sample.batch,
        describe=item_name,
        limits=PoolLimits(batch_limit_s=3600.0),
        commit=CommitRule(rows=256, seconds=20.0),
    )
    summary = run_stage(
        stage,
        with_conditions(context, generation_candidates(context.catalog, config, clips, model_id=model.model_id)),
        catalog=context.catalog,
        ray=context.ray,
        run_id=context.run_id,
        listener=context.listener,
    )
    return [summary.require_accepted(max_reject_fraction=config.reject_limit)]
