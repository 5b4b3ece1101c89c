"""A server of chat completions on this machine: what it says of a clip depends on the clip's frames alone.

with chatting() as host:
    config = chat_config(host)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from standin_host import Asked, Reply, StandinHost, running

from uniform_core.captioners import OpenAiHttpConfig

CHAT, MODELS = "/v1/chat/completions", "/v1/models"


def completion(text: str | None, *, finish: str = "stop", **message: Any) -> Reply:
    """A server's answer with one choice."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
    usage = {"prompt_tokens": 40, "completion_tokens": 7, "total_tokens": 47}
    return as_json({"id": "x", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage})


def as_json(values: Any, **more: Any) -> Reply:
    return Reply(json.dumps(values).encode(), kind="application/json", **more)


def said(asked: Asked) -> Reply:
    """Words for these frames and this seed, where the temperature is not 0."""
    body = json.loads(asked.body)
    seed = body["seed"] if body["temperature"] else 0
    shown = json.dumps([part for part in body["messages"][-1]["content"] if part["type"] != "text"])
    return completion(f"A clip like {hashlib.sha256(f'{seed}{shown}'.encode()).hexdigest()[:12]}.")


@contextmanager
def chatting() -> Iterator[StandinHost]:
    """A host that answers as vLLM does while the block runs."""
    with running() as host:
        host.answers[CHAT] = said
        host.put(MODELS, as_json({"object": "list", "data": [{"id": "m", "object": "model"}]}))
        yield host


def chat_config(host: StandinHost, **values: Any) -> OpenAiHttpConfig:
    """A captioner that asks this host, and waits for hardly anything."""
    quick = {"frames": 2, "short_side_px": 32, "timeout_s": 20.0, "tries": 3, "pause_s": 0.001}
    return OpenAiHttpConfig.model_validate({"url": host.url("/v1"), "model": "m", **quick, **values})
