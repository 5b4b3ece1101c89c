"""The command that makes one clip from a person's own words, picture or sound."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.cli.licences import say_licences
from flows.cli.show import print_json
from uniform_core.catalog import Catalog
from uniform_core.errors import ConfigError, StorageError, WorkFailedError
from uniform_core.files import expanded, reading
from uniform_core.settings import Settings, load_settings
from uniform_core.types import Modality, Task

if TYPE_CHECKING:
    import numpy as np

    from uniform_core.config import RunConfig
    from uniform_core.generation.requests import GeneratedClip

FLAGS = {Modality.VIDEO: "--video", Modality.AUDIO: "--audio"}


def generate(arguments: argparse.Namespace) -> int:
    """Make the clip and print where it is.

    Raises ConfigError for arguments that do not fit the task or a file that cannot be used, StorageError where the
    result cannot be written, WorkFailedError where there is no model; all of these before the model is loaded.
    """
    order = order_of(arguments)
    settings = load_settings()
    model = choose_model(Catalog.open(settings).rows(MODELS), arguments.model)
    clip, config = _made(order, settings, model)
    from uniform_core.corpus.pictures import viewing_scale
    from uniform_core.media import write_mp4

    spec = config.spec
    scale = viewing_scale(*clip.video_THWC.shape[1:3])
    rates = {"video_rate_hz": spec.video_rate_hz, "audio_rate_hz": spec.audio_rate_hz}
    path = write_mp4(order.out, clip.video_THWC, clip.waveform_N, scale=scale, **rates)
    if arguments.json:
        print_json({"path": str(path), "task": str(order.task), "model_id": model["model_id"], "seed": order.seed})
    else:
        print(path)
    return 0


@dataclass(frozen=True)
class Order:
    """What a person asked for: checked words, and files that are there. `out` is absolute."""

    task: Task
    text: str | None
    given: Path | None
    out: Path
    seed: int


def order_of(arguments: argparse.Namespace) -> Order:
    """The order that the arguments are. Raises ConfigError, StorageError."""
    task = Task(arguments.task)
    text = (arguments.text or "").strip() or None
    files = {Modality.VIDEO: arguments.video, Modality.AUDIO: arguments.audio}
    _check_words(task, text, files)
    given = None if task.given is None else _given(FLAGS[task.given], files[task.given])
    out = expanded(arguments.out, item=f"--out {arguments.out}").absolute()
    _check_out(out, given)
    return Order(task=task, text=text, given=given, out=out, seed=arguments.seed)


def _given(flag: str, word: str) -> Path:
    """A person's file. Raises ConfigError where there is none."""
    path = expanded(word, item=f"{flag} {word}")
    with reading(f"{flag} {path}"):
        if path.is_file():
            return path
        found = "a folder" if path.is_dir() else "nothing there"
    raise ConfigError(f"{flag} {path}", expected="a file", found=found, fix="Correct the path.")


def _check_words(task: Task, text: str | None, files: Mapping[Modality, str | None]) -> None:
    """Everything that is missing or foreign, at once."""
    mistakes = [] if text is not None or task.given else ["--text is missing"]
    for modality, name in files.items():
        if modality is task.given and not name:
            mistakes.append(f"{FLAGS[modality]} is missing")
        elif modality is not task.given and name is not None:
            mistakes.append(f"{FLAGS[modality]} does not belong to it")
    if not mistakes:
        return
    needs = "--text WORDS" if task.given is None else f"{FLAGS[task.given]} FILE, and --text WORDS if you like"
    raise ConfigError(
        f"uniform generate {task}",
        expected=needs,
        found="; ".join(mistakes),
        fix="t2av makes picture and sound from words, v2a a sound for a picture, a2v a picture for a sound.",
    )


def _check_out(out: Path, given: Path | None) -> None:
    """A long computation must not end at a place that cannot be written, nor over the person's own file."""
    if given is not None and out.exists() and out.samefile(given):
        raise ConfigError(
            "--out", expected="another file than the given one", found=str(out), fix="Choose another name."
        )
    place = next(parent for parent in out.parents if parent.exists())
    found = None
    if out.is_dir():
        found = "a folder"
    elif not place.is_dir():
        found = f"{place} is no folder"
    elif not os.access(place, os.W_OK):
        found = f"{place} cannot be written"
    if found is not None:
        raise StorageError(
            f"--out {out}", expected="a file that can be written", found=found, fix="Choose another place."
        )


MODELS = "SELECT model_id, path, created_at FROM models WHERE kind = 'uniform' ORDER BY created_at DESC, model_id"


def choose_model(
    rows: Sequence[Mapping[str, Any]], wanted: str | None, *, command: str = "generate", flag: str = "--model"
) -> Mapping[str, Any]:
    """The newest model, or the one whose id begins as `wanted` says.

    Raises WorkFailedError where there is no model at all, ConfigError where the beginning fits none or several.
    """
    if not rows:
        raise WorkFailedError(
            f"uniform {command}",
            expected="a trained model",
            found="none in the catalog",
            fix="Run `uniform run` first.",
        )
    if wanted is None:
        return rows[0]
    fitting = [row for row in rows if row["model_id"].startswith(wanted)] if wanted else []
    if len(fitting) == 1:
        return fitting[0]
    raise ConfigError(
        f"{flag} {wanted}",
        expected="the beginning of one model's id, of " + ", ".join(row["model_id"][:12] for row in rows[:10]),
        found=f"{len(fitting)} that begin so" if fitting else "none that begins so",
        fix="Give more of the id." if fitting else 'Correct the id; `uniform query "SELECT * FROM models"` lists them.',
    )


def _made(order: Order, settings: Settings, model: Mapping[str, Any]) -> tuple[GeneratedClip, RunConfig]:
    """The clip, and the config that its model was made with."""
    from tasks.sample import media_codecs  # here: wrong words should not wait for torch
    from uniform_core.corpus.made_with import config_of
    from uniform_core.devices import device_of
    from uniform_core.generation.generator import Generator
    from uniform_core.generation.requests import GenerationRequest
    from uniform_core.training.export import load_exported, read_card

    folder = settings.checkpoints_dir / model["path"]
    config = config_of(read_card(folder).made_with, folder)
    say_licences(config, ("sample", "train"))  # also of what the model was made from
    media = None if order.given is None else _read_given(order.given, order.task, config)
    codecs = media_codecs(config)
    if media is None:
        given = None
    else:
        given = codecs.give_video(media) if order.task.given is Modality.VIDEO else codecs.give_audio(media)
    request = GenerationRequest(str(order.out), order.task, order.seed, caption=order.text, given=given)
    exported = load_exported(folder, device=device_of(config.sample.device, item="sample.device"))
    generator = Generator(exported, config.sample, codecs=codecs, text_encoder=config.text.build())
    return generator.generate([request])[0], config


def _read_given(path: Path, task: Task, config: RunConfig) -> np.ndarray:
    """The first seconds of a person's file as the spec sees them: uint8 [T, H, W, 3], or float32 [N]."""
    from uniform_core.errors import Rejection
    from uniform_core.media import DecodeRule, Sandbox

    spec = config.spec
    size_px, first_s = (spec.height_px, spec.width_px), spec.duration_s
    if task.given is Modality.VIDEO:
        rule = DecodeRule(
            "video", rate_hz=spec.video_rate_hz, size_px=size_px, resize=config.resize, duration_s=first_s
        )
    else:
        rule = DecodeRule("audio", audio_rate_hz=spec.audio_rate_hz, duration_s=first_s)
    with Sandbox() as sandbox:
        decoded = sandbox.decode(path, rule)
    if isinstance(decoded, Rejection):
        kind = WorkFailedError if decoded.error_class in ("crash", "timeout", "memory") else ConfigError
        raise kind(
            str(path),
            expected="a picture" if task.given is Modality.VIDEO else "a sound",
            found=f"{decoded.error_class} ({decoded.message})",
            fix="Give another file.",
        )
    if task.given is Modality.VIDEO:
        return whole(decoded.frames_THWC, spec.frames, unit_s=1 / spec.video_rate_hz, path=path, slack=1)
    return whole(decoded.waveform_N, spec.samples, unit_s=1 / spec.audio_rate_hz, path=path, slack=spec.hop)


def whole(media: np.ndarray | None, length: int, *, unit_s: float, path: Path, slack: int) -> np.ndarray:
    """Exactly `length` frames or samples; at most `slack` may be missing at the end: the last frame is held, as in
    canonical clips, and sound is silent.

    Raises ConfigError for what is shorter.
    """
    import numpy as np

    found = 0 if media is None else len(media)
    if media is None or found < length - slack or not found:
        raise ConfigError(
            str(path),
            expected=f"at least {length * unit_s:g} s",
            found=f"{found * unit_s:.3g} s",
            fix="Give a longer file: its first seconds are used.",
        )
    if found >= length:
        return media[:length]
    end = np.repeat(media[-1:], length - found, axis=0)
    return np.concatenate([media, end if media.ndim > 1 else np.zeros_like(end)])
