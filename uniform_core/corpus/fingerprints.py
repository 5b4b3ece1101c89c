"""How each stage makes its output, as fingerprints derived from a run's config.

A version below is bumped by hand when the code of its stage changes what it writes, beyond what the versions of its
parts (codecs, captioners, nets, …) say. Golden-output tests (`test_stage_versions_*.py`, `test_media_stage_version.py`)
fail where an output changed and its version did not.
"""

from __future__ import annotations

from typing import Final

from uniform_core.captioners.base import CaptionerConfig
from uniform_core.captions import cleaning
from uniform_core.config import RunConfig
from uniform_core.datasets.base import DatasetConfig
from uniform_core.fingerprint import digest, stage_fingerprint
from uniform_core.media import CanonicalForm
from uniform_core.metrics.loading import Loading
from uniform_core.metrics.recipes import VERSION as NETS_VERSION
from uniform_core.types import Modality, Task

VERSIONS: Final = {
    "fetch": 1,
    "ingest": 1,
    "encode": 1,
    "captions": 1,
    "text": 1,
    "train": 1,
    "instruments": 2,
    "sample": 3,
    "screen": 1,
    "features": 1,
    "originals": 1,
    "scores": 2,
}


def fetch_fingerprint() -> str:
    """How clips are cut from videos and validated. What was fetched before stays as it is: it is no part of its key."""
    return stage_fingerprint("fetch", version=VERSIONS["fetch"], params={})


def ingest_fingerprint(config: RunConfig, dataset: DatasetConfig) -> str:
    """The canonical form and the cut rule; not where the dataset lies, nor which items it lists."""
    cut = {"clip_s": dataset.clip_s or config.spec.duration_s, "stride_s": dataset.stride_s}
    form = CanonicalForm.of(config.spec).fingerprint_params()
    return stage_fingerprint("ingest", version=VERSIONS["ingest"], params={"form": form, "cut": cut})


def encode_fingerprint(config: RunConfig, modality: Modality) -> str:
    """The codec of one modality, the spec that it reads clips at, and how it is shown a picture or a sound."""
    spec = config.spec.model_dump(mode="json")
    if modality is Modality.VIDEO:
        params = {"codec": config.video_codec.fingerprint_params(), "spec": spec, "resize": config.resize}
    else:
        params = {"codec": config.audio_codec.fingerprint_params(), "spec": spec}
        if sound := config.sound.fingerprint_params():
            params["sound"] = sound
    return stage_fingerprint("encode", version=VERSIONS["encode"], params={"modality": modality, **params})


def captions_fingerprint(captioner: CaptionerConfig) -> str:
    """The captioner with its revision and prompt, what of the config enters its words, its frames, and the cleaning.

    What did not exist when the first captions were made is left out where it is as it was then.
    """
    params = {**captioner.fingerprint_params(), "revision": captioner.revision, "prompt": captioner.prompt}
    if captioner.sampling:
        params["sampling"] = captioner.sampling
    if captioner.frames:
        params["frame_policy"] = captioner.frame_policy
    if cleaning.VERSION != 1:
        params["cleaning"] = cleaning.VERSION
    return stage_fingerprint("captions", version=VERSIONS["captions"], params=params)


def text_fingerprint(config: RunConfig) -> str:
    """The text encoder."""
    return stage_fingerprint("text", version=VERSIONS["text"], params=config.text.fingerprint_params())


def train_fingerprint(config: RunConfig) -> str:
    """Everything that decides the weights but the data, whose digest is added in `model_id`."""
    upstream = [encode_fingerprint(config, m) for m in Modality] + [text_fingerprint(config)]
    params = {
        "model": config.model.fingerprint_params(),
        "task_columns": config.task_columns,
        "objective": config.objective.fingerprint_params(),
        "train": config.train.fingerprint_params(),
        "workers": config.train_workers,
        # Captions of a corpus are in the data's digest, text by text, whoever said them.
        **({"captioners": [captions_fingerprint(c) for c in config.captioners]} if config.corpus is None else {}),
        **({"text_features": config.text_features} if config.is_text_online else {}),
    }
    return stage_fingerprint("train", version=VERSIONS["train"], params=params, upstream=upstream)


def model_id(config: RunConfig, data_digest: str) -> str:
    """The identity of trained weights: how they were made, and from what."""
    return digest(["model", train_fingerprint(config), data_digest])


def instruments_fingerprint(config: RunConfig, kind: str) -> str:
    """The recipe of one feature net."""
    params = {
        "kind": kind,
        "nets_version": NETS_VERSION,
        "spec": config.spec.model_dump(mode="json"),
        "resize": config.resize,
        "training": getattr(config.evaluate.nets, kind).model_dump(mode="json"),
        "seed": config.evaluate.seed,
    }
    return stage_fingerprint("instruments", version=VERSIONS["instruments"], params=params)


def screen_fingerprint(config: RunConfig, screener: str) -> str:
    """The screener, by its fingerprint, and how it is shown a clip."""
    params = {"screener": screener, "spec": config.spec.model_dump(mode="json"), "resize": config.resize}
    return stage_fingerprint("screen", version=VERSIONS["screen"], params=params)


def features_fingerprint(config: RunConfig) -> str:
    """How files are read for extractors; who looks at them stands beside it in a feature's key."""
    params = config.terms.loading.model_dump(mode="json")
    return stage_fingerprint("features", version=VERSIONS["features"], params=params)


def originals_fingerprint(loading: Loading) -> str:
    """How original files are read by one rule of a named protocol."""
    params = loading.model_dump(mode="json")
    return stage_fingerprint("originals", version=VERSIONS["originals"], params=params)


def sample_fingerprint(config: RunConfig, model: str, *, task: Task, system: str) -> str:
    """How a system makes the clips of one task, and from which noise; not from which clip and caption."""
    params = {
        "system": system,
        "task": task,
        "with_text": task in config.evaluate.text_for,
        "seed": config.evaluate.seed,
        "sample": config.sample.fingerprint_params(),
        "video_codec": config.video_codec.fingerprint_params(),
        "audio_codec": config.audio_codec.fingerprint_params(),
        "vocoder": config.vocoder.fingerprint_params(),
        "spec": config.spec.model_dump(mode="json"),
    }
    return stage_fingerprint("sample", version=VERSIONS["sample"], params=params, upstream=[model])
