"""Clips from an exported model: requests in, frames and sound out.

Axes: B batch, C channels, T time, H height, W width, F latent mel bins, L text tokens, D text width, N samples.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from uniform_core.diffusion import sample_joint
from uniform_core.errors import WorkFailedError
from uniform_core.generation.config import SampleConfig
from uniform_core.generation.decode import MediaCodecs
from uniform_core.generation.requests import GeneratedClip, GenerationRequest
from uniform_core.model import JointLatent, SeveredUniForm, TextBatch, UniForm, drop_text
from uniform_core.model.config import BlockForm
from uniform_core.progress import Listener, ProgressEvent, silent
from uniform_core.seeds import torch_generator
from uniform_core.text import TextEncoder
from uniform_core.training.export import Exported, ModelCard
from uniform_core.training.samples import padded_texts
from uniform_core.types import Modality, Task

STAGE = "sample"


class Generator:
    """A model, its codecs and its text encoder, loaded once; `generate` may be called as often as one likes."""

    def __init__(
        self, exported: Exported, config: SampleConfig, *, codecs: MediaCodecs, text_encoder: TextEncoder
    ) -> None:
        self.config = config
        self._model = in_form(exported.model, config)
        self._guide = None if exported.guide is None else in_form(exported.guide, config)
        self._card, self._codecs = exported.card, codecs
        self._scales = {Modality.VIDEO: exported.card.scale.video, Modality.AUDIO: exported.card.scale.audio}
        self._objective = exported.card.objective.build()
        self._text_encoder = text_encoder
        self._device = next(exported.model.parameters()).device

    def generate(self, requests: Sequence[GenerationRequest], *, listener: Listener = silent) -> list[GeneratedClip]:
        """One clip for each request, in their order. A clip depends on its own request alone, up to rounding.

        Raises ConfigError for a given latent of another shape, WorkFailedError where the model made no finite latent.
        """
        made: dict[int, GeneratedClip] = {}
        for task in Task:
            places = [place for place, request in enumerate(requests) if request.task is task]
            for start in range(0, len(places), self.config.batch):
                batch = places[start : start + self.config.batch]
                clips = self._batch(task, [requests[place] for place in batch])
                made |= dict(zip(batch, clips, strict=True))
                listener(ProgressEvent(STAGE, len(made), len(requests), note=task.value))
        return [made[place] for place in range(len(requests))]

    def sample_latents(self, task: Task, requests: Sequence[GenerationRequest]) -> JointLatent:
        """The raw latents of requests of one task, the given modality to the bit as it came."""
        given = self._given(task, requests)
        text, null_text = self._texts([request.caption or "" for request in requests])
        latent = sample_joint(
            self._model,
            self._objective,
            task=task,
            given={modality: self._scales[modality].to_model(raw.float()) for modality, raw in given.items()},
            text=text,
            null_text=null_text,
            video_rate_hz=self._card.video_rate_hz,
            sampler=self.config.sampler_of(task),
            guidance=self.config.guidance,
            generators=[torch_generator("generate", task.value, request.seed) for request in requests],
            device=self._device,
            guide=self._guide,
        )
        _check_finite(latent, requests)
        # To the model's scale and back is another number in its last bits, so what was given is not taken back.
        raws = given | {made: self._scales[made].to_raw(latent[made]) for made in task.made}
        return JointLatent(raws[Modality.VIDEO], raws[Modality.AUDIO])

    def _batch(self, task: Task, requests: Sequence[GenerationRequest]) -> list[GeneratedClip]:
        raw = self.sample_latents(task, requests)
        media = [request.given.media for request in requests if request.given is not None]
        videos = media if task.given is Modality.VIDEO else self._codecs.decode_video(raw.video_BCTHW)
        sounds = media if task.given is Modality.AUDIO else self._codecs.decode_audio(raw.audio_BCTF)
        parts = zip(requests, videos, sounds, strict=True)
        return [GeneratedClip(request.request_id, video, waveform) for request, video, waveform in parts]

    def _given(self, task: Task, requests: Sequence[GenerationRequest]) -> dict[Modality, Tensor]:
        """The given raw latents of a batch of one task: of one modality, or of none."""
        if task.given is None:
            return {}
        raw = torch.stack([request.given.raw for request in requests if request.given is not None])
        return {task.given: raw.to(self._device)}

    def _texts(self, texts: Sequence[str]) -> tuple[TextBatch | None, TextBatch]:
        """The texts, None where there is not a single one, and what stands for a text that is not there."""
        null = self._text([""])
        if not any(texts):
            return None, self._model.null_for(null, null)
        own = self._text(texts)
        nulls = self._model.null_for(own, null)
        has_text_B = torch.tensor([bool(text) for text in texts], device=self._device)
        return drop_text(own, nulls, keep_B=has_text_B), nulls

    def _text(self, texts: Sequence[str]) -> TextBatch:
        batch = padded_texts([features.features_LD for features in self._text_encoder.encode(texts)])
        return TextBatch(batch.features_BLD.to(self._device), batch.mask_BL.to(self._device))


def in_form(model: UniForm, config: SampleConfig) -> UniForm:
    """The model as the config asks it to sample; the same weights, or where their precision is another own ones."""
    formed = copy.copy(model) if config.precision == "float32" else copy.deepcopy(model).to(torch.bfloat16)
    formed.block_form = BlockForm(is_compiled=config.compile)
    return formed


def build_untrained(exported: Exported, *, seed: int) -> Exported:
    """The baseline `untrained`: a fresh model of the same config, which goes through the same code as the trained one.

    Its last layer is zero, so that it says nothing: its clips are what noise looks like behind the same codecs.
    """
    model = UniForm(exported.card.model, exported.card.layout, seed=seed).eval().requires_grad_(False)
    device = next(exported.model.parameters()).device
    return Exported(model.to(device), replace(exported.card, steps=0), weights_sha256="")


def build_severed(exported: Exported) -> Exported:
    """The same model with attention between sound and picture severed.

    Raises ConfigError where a token of its layout holds columns of both.
    """
    guide = None if exported.guide is None else _severed(exported.guide, exported.card)
    return replace(exported, model=_severed(exported.model, exported.card), guide=guide)


def _severed(whole: UniForm, card: ModelCard) -> UniForm:
    model = SeveredUniForm(card.model, card.layout, device="meta")
    model.load_state_dict(whole.state_dict(), strict=True, assign=True)
    return model.eval().requires_grad_(False)


def _check_finite(latent: JointLatent, requests: Sequence[GenerationRequest]) -> None:
    for row, request in enumerate(requests):
        if not all(bool(torch.isfinite(part[row]).all()) for part in latent.values()):
            raise WorkFailedError(
                f"request {request.request_id}",
                expected="finite latents",
                found="NaN or infinity",
                fix="Lower the guidance, set sampler.clamp_x0_sigma, or look at the model's losses.",
            )
