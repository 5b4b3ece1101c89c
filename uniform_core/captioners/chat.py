"""Clips captioned by a server: frames to JPEG, one request each, many at once."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from uniform_core.captioners.base import Captioner, CaptionInput, CaptionResult
from uniform_core.captioners.chat_server import ChatServer, RefusedError, UnansweredError
from uniform_core.captioners.frames import frames_problem, probe, shrunk
from uniform_core.errors import ConfigError, ServiceError
from uniform_core.settings import secret

if TYPE_CHECKING:
    from uniform_core.captioners.openai_http import OpenAiHttpConfig

CHAT: Final = "/chat/completions"
MAX_CAPTION_CHARS: Final = 100_000


@dataclass(frozen=True)
class _Outcome:
    """A result, and whether the server was there for it."""

    result: CaptionResult
    is_answered: bool = True


class ChatCaptioner(Captioner):
    """Asks a server for each clip, `concurrency` at once."""

    def __init__(self, config: OpenAiHttpConfig, server: ChatServer) -> None:
        self._config, self._server = config, server

    @classmethod
    def open(cls, config: OpenAiHttpConfig) -> ChatCaptioner:
        """The captioner of a config. Raises ConfigError where its key is not set."""
        return cls(config, server_of(config))

    def caption(self, inputs: Sequence[CaptionInput], *, seed: int = 0) -> list[CaptionResult]:
        """One result for each input. Raises ServiceError where nothing is answered, and the server is not there."""
        with ThreadPoolExecutor(max_workers=self._config.concurrency) as threads:
            asked = [threads.submit(self._one, item, seed) for item in inputs]
            try:
                outcomes = [one.result() for one in asked]
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                raise
        if outcomes and not any(outcome.is_answered for outcome in outcomes):
            self._require_there(outcomes[0].result.message)
        return [replace(outcome.result, seed=seed) for outcome in outcomes]

    def _one(self, item: CaptionInput, seed: int) -> _Outcome:
        problem = frames_problem(item, frames=self._config.frames)
        if problem is not None:
            return _Outcome(CaptionResult("error", message=f"{item.clip_id}: {problem}"))
        try:
            answer = self._server.post(CHAT, body_of(item, self._config, seed=seed), name=f"{item.clip_id}/{seed}")
        except RefusedError as error:
            return _Outcome(CaptionResult("error", message=f"{item.clip_id}: refused: {error}"))
        except UnansweredError as error:
            return _Outcome(CaptionResult("error", message=f"{item.clip_id}: {error}"), is_answered=False)
        return _Outcome(result_of(answer, item.clip_id))

    def _require_there(self, said: str) -> None:
        """The server answers something, be it an error. Raises ServiceError."""
        try:
            self._server.get("/models")
        except UnansweredError as error:
            raise _absent(self._config, said) from error
        except (RefusedError, ConfigError):
            return


def server_of(config: OpenAiHttpConfig) -> ChatServer:
    """The server of a config. Raises ConfigError where its key is not in the environment."""
    key = None if config.api_key_env is None else secret(config.api_key_env)
    return ChatServer(config.url, config.timeout_s, config.tries, config.pause_s, config.longest_pause_s, key=key)


def require_server(config: OpenAiHttpConfig) -> None:
    """The server is there, has the model, and says something of a black clip. Raises ConfigError or ServiceError."""
    server = server_of(config)
    black = probe(config.pick_frames(64), clip_frames=64)
    try:
        answer = server.post(CHAT, {**body_of(black, config, seed=0), "max_tokens": 1}, name="probe")
    except UnansweredError as error:
        raise _absent(config, str(error)) from error
    except RefusedError as error:
        raise ConfigError(
            config.url,
            expected=f"a model that takes {config.frames} frames as {config.form}, with these settings",
            found=str(error),
            fix="Correct what it says; a server has its own limit of images a prompt (vLLM: --limit-mm-per-prompt).",
        ) from error
    if result_of(answer, "probe").status == "error":
        raise ServiceError(
            config.url,
            expected="chat completions",
            found=result_of(answer, "a black clip").message,
            fix="Correct url, or use a server that answers as OpenAI's does.",
        )


def body_of(item: CaptionInput, config: OpenAiHttpConfig, *, seed: int) -> dict[str, Any]:
    """The request for one clip."""
    assert item.frames_THWC is not None, "whoever asks has looked for frames"
    jpegs = [_jpeg(frame, config.jpeg_quality) for frame in shrunk(item.frames_THWC, config.short_side_px)]
    if config.form == "video":
        url = "data:video/jpeg;base64," + ",".join(jpegs)  # vLLM's form of frames that are no file
        pictures: list[dict[str, Any]] = [{"type": "video_url", "video_url": {"url": url}}]
    else:
        urls = [f"data:image/jpeg;base64,{jpeg}" for jpeg in jpegs]
        pictures = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    asked = config.asked
    system = [] if asked.system is None else [{"role": "system", "content": asked.system}]
    sampling = config.generation
    penalty = sampling.repetition_penalty
    return {
        "model": config.model,
        "messages": [*system, {"role": "user", "content": [*pictures, {"type": "text", "text": asked.user}]}],
        "max_tokens": sampling.max_new_tokens,
        "temperature": sampling.temperature_for(seed),
        "top_p": sampling.top_p,
        "seed": seed,
        "stream": False,
        **({} if penalty == 1 else {"repetition_penalty": penalty}),  # vLLM's; OpenAI's own servers know no such word
    }


def result_of(answer: dict[str, Any], name: str) -> CaptionResult:
    """The caption in a server's answer, of which nothing is believed."""
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        return CaptionResult("error", message=f"{name}: choices with a message expected, {str(answer)[:120]!r} found")
    finish = choice.get("finish_reason")
    finish = finish[:50] if isinstance(finish, str) else None
    told = answer.get("usage")
    usage: dict[str, Any] = told if isinstance(told, dict) else {}
    facts: dict[str, Any] = {
        "finish_reason": finish,
        "tokens_in": _count(usage.get("prompt_tokens")),
        "tokens_out": _count(usage.get("completion_tokens")),
    }
    content, refusal = message.get("content"), message.get("refusal")
    text = content.strip() if isinstance(content, str) else ""
    if len(text) > MAX_CAPTION_CHARS:
        return CaptionResult("error", message=f"{name}: a caption of {len(text):,} characters", **facts)
    if isinstance(refusal, str) and refusal.strip():
        return CaptionResult("refused", refusal.strip()[:MAX_CAPTION_CHARS], **facts)
    if not text:
        return CaptionResult("empty", message=f"{name}: the server said nothing ({finish})", **facts)
    status = {"length": "truncated", "content_filter": "refused"}.get(finish or "", "success")
    return CaptionResult(status, text, **facts)  # type: ignore[arg-type]  # one of three constants


def _absent(config: OpenAiHttpConfig, said: str) -> ServiceError:
    fix = "Start the server (vLLM: `vllm serve MODEL`), or correct url."
    return ServiceError(config.url, expected="a server that answers", found=said, fix=fix)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 else None


def _jpeg(frame_HWC: np.ndarray, quality: int) -> str:
    """A frame as JPEG in base64."""
    is_made, data = cv2.imencode(".jpg", frame_HWC[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert is_made, "JPEG holds any picture of at most 65,535 pixels a side"
    return base64.b64encode(data.tobytes()).decode("ascii")
