"""A captioner behind an address: what it sends, what it makes of answers of every kind, and what it keeps to itself."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from chat_host import CHAT, MODELS, as_json, chat_config, chatting, completion, said
from pydantic import ValidationError
from standin_host import PAGE, Asked, Reply, StandinHost
from tiny_vlm import clip_input

from uniform_core.captioners import CaptionResult, OpenAiHttpConfig
from uniform_core.captioners.chat_server import MAX_REPLY_BYTES, ChatServer, UnansweredError
from uniform_core.errors import ConfigError, ServiceError

KEY = "sk-very-secret-0123456789"


@pytest.fixture
def host() -> Iterator[StandinHost]:
    with chatting() as server:
        yield server


def clips(count: int = 1) -> list[Any]:
    return [clip_input(n, frames=2) for n in range(count)]


def one(host: StandinHost, *replies: Reply, **values: Any) -> CaptionResult:
    """What comes of one clip when the server has these replies."""
    host.put(CHAT, *replies)
    [result] = chat_config(host, **values).build().caption(clips())
    return result


def sent(host: StandinHost) -> dict[str, Any]:
    return json.loads(next(asked.body for asked in host.asked if asked.path == CHAT))


@pytest.mark.parametrize("form", ["images", "video"])
def test_frames_arrive_as_they_are_seen(form: str, host: StandinHost) -> None:
    [clip] = clips()
    config = chat_config(host, form=form, short_side_px=None, prompt_name="six_sentences", jpeg_quality=95)
    [result] = config.build().caption([clip])
    body = sent(host)
    system, user = body["messages"]
    assert (system["role"], system["content"]) == ("system", config.asked.system)
    *pictures, text = user["content"]
    assert text == {"type": "text", "text": config.asked.user}
    urls = [picture[picture["type"]]["url"] for picture in pictures]
    whole = "data:video/jpeg;base64," if form == "video" else "data:image/jpeg;base64,"
    assert all(url.startswith(whole) for url in urls)
    frames = [part for url in urls for part in url.removeprefix(whole).split(",")]
    seen = [cv2.imdecode(np.frombuffer(base64.b64decode(frame), np.uint8), cv2.IMREAD_COLOR) for frame in frames]
    assert len(seen) == 2
    for found, expected in zip(seen, clip.frames_THWC, strict=True):
        assert found.shape == expected.shape
        assert np.abs(found[:, :, ::-1].astype(int) - expected).mean() < 12, (
            "colours in the order of OpenCV differ by 60"
        )
    assert (result.status, result.tokens_in, result.tokens_out, result.finish_reason) == ("success", 40, 7, "stop")


def test_what_is_asked_is_what_the_config_says(host: StandinHost) -> None:
    sampling = {"temperature": 0.2, "top_p": 0.9, "repetition_penalty": 1.05, "max_new_tokens": 33}
    chat_config(host, generation=sampling).build().caption(clips(), seed=4)
    body = sent(host)
    names = ("model", "temperature", "top_p", "repetition_penalty", "max_tokens", "seed", "stream")
    assert [body[name] for name in names] == ["m", 0.2, 0.9, 1.05, 33, 4, False]


def test_a_greedy_captioner_is_asked_again_with_a_temperature(host: StandinHost) -> None:
    captioner = chat_config(host).build()
    (first,), (again,) = captioner.caption(clips()), captioner.caption(clips(), seed=2)
    assert (first.seed, again.seed) == (0, 2)
    assert first.text != again.text
    assert [json.loads(asked.body)["temperature"] for asked in host.asked] == [0.0, 0.7]
    assert "repetition_penalty" not in sent(host)


def test_results_stand_beside_their_clips_and_many_are_asked_at_once(host: StandinHost) -> None:
    """The server answers none before three are there: one after the other would never end."""
    together = threading.Barrier(3, timeout=20)

    def waits(asked: Asked) -> Reply:
        return said(asked)

    alone = [chat_config(host).build().caption([clip])[0] for clip in clips(6)]
    lock = host.lock
    host.answers[CHAT] = waits
    host.lock = NoLock()
    host.answers[CHAT] = lambda asked: (together.wait(), said(asked))[1]
    try:
        assert chat_config(host, concurrency=3).build().caption(clips(6)) == alone
    finally:
        host.lock = lock


class NoLock:
    """Lets replies be made at the same time."""

    def __enter__(self) -> None: ...

    def __exit__(self, *_error: object) -> None: ...


@pytest.mark.parametrize(
    "busy",
    [
        Reply(status=429, retry_after="0"),
        Reply(status=500, data=b"oops"),
        Reply(status=503),
        Reply(b'{"choices": []}', length=900, kind="application/json"),
    ],
    ids=["429", "500", "503", "cut short"],
)
def test_a_busy_server_is_asked_again(busy: Reply, host: StandinHost) -> None:
    assert one(host, busy, busy, completion("A red ball.")).text == "A red ball."
    assert host.count()[CHAT] == 3


def test_pauses_double_and_heed_what_the_server_asks_for_within_a_bound() -> None:
    pauses: list[float] = []
    server = ChatServer("http://127.0.0.1:9", 5.0, 4, 1.0, 6.0, sleep=pauses.append)
    with pytest.raises(UnansweredError, match="4 tries"):
        server.post("/x", {}, name="a clip")
    assert all(low <= pause <= high for pause, (low, high) in zip(pauses, [(1, 2), (2, 4), (4, 6)], strict=True))
    again: list[float] = []
    with pytest.raises(UnansweredError):
        ChatServer("http://127.0.0.1:9", 5.0, 4, 1.0, 6.0, sleep=again.append).post("/x", {}, name="a clip")
    assert again == pauses, "another run pauses as this one"


def test_a_pause_that_is_asked_for_is_kept_and_bounded(host: StandinHost) -> None:
    pauses: list[float] = []
    host.put(CHAT, Reply(status=429, retry_after="3"), Reply(status=429, retry_after="9000"), completion("x y"))
    server = ChatServer(host.url("/v1"), 20.0, 3, 0.001, 6.0, sleep=pauses.append)
    server.post("/chat/completions", {}, name="x")
    assert pauses == [3.0, 6.0]


def test_a_silent_server_costs_its_clip_alone_and_no_longer_than_it_may(host: StandinHost) -> None:
    """A byte now and then is no answer: the whole request is bounded, not each piece of it."""
    host.put(CHAT, Reply(b"{" + b" " * 400, kind="application/json", piece=1, pause_s=0.05))
    [result] = chat_config(host, timeout_s=0.3, tries=2).build().caption(clips())
    assert (result.status, result.seed) == ("error", 0)
    assert "2 tries" in result.message
    assert host.count()[MODELS] == 1, "whether the server is there at all was asked"


def test_a_server_that_is_gone_stops_the_captioner() -> None:
    config = OpenAiHttpConfig(url="http://127.0.0.1:9/v1", frames=2, tries=2, pause_s=0.001)
    with pytest.raises(ServiceError, match="expected a server that answers"):
        config.build().caption(clips(2))
    with pytest.raises(ServiceError, match="vllm serve"):
        config.require_ready()


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (Reply(PAGE, kind="text/html"), ServiceError, r"web page \(HTML\).*url"),
        (Reply(b"hello", kind="text/plain"), ServiceError, "no JSON"),
        (Reply(b"[1]", kind="application/json"), ServiceError, "no JSON object"),
        (Reply(b"[" * 100_000, kind="application/json"), ServiceError, "no JSON"),
        (Reply(status=302, location="http://169.254.169.254/x"), ServiceError, r"302, on to http://169\.254"),
        (Reply(status=401, data=b"no key"), ConfigError, "lets this key in.*api_key_env"),
        (Reply(status=404, data=b"no model"), ConfigError, "404 no model"),
    ],
    ids=["html", "text", "list", "deep", "redirect", "key", "model"],
)
def test_what_is_no_such_server_stops_before_any_work(
    reply: Reply, error: type[Exception], words: str, host: StandinHost
) -> None:
    host.put(CHAT, reply)
    with pytest.raises(error, match=words):
        chat_config(host).require_ready()
    with pytest.raises(error, match=words):
        chat_config(host).build().caption(clips(3))
    assert {asked.path for asked in host.asked} == {CHAT}


def test_a_model_that_takes_no_frames_is_found_out_before_any_work(host: StandinHost) -> None:
    host.put(CHAT, as_json({"error": {"message": "At most 1 image(s) may be provided"}}, status=400))
    with pytest.raises(ConfigError, match=r"takes 2 frames as images.*At most 1 image.*limit-mm-per-prompt"):
        chat_config(host).require_ready()
    host.put(CHAT, as_json({"hello": 1}))
    with pytest.raises(ServiceError, match="choices with a message expected"):
        chat_config(host).require_ready()


def test_ready_where_a_server_answers_and_what_it_says_does_not_matter(host: StandinHost) -> None:
    host.put(CHAT, completion("", finish="length"))
    chat_config(host).require_ready()
    assert json.loads(host.asked[0].body)["max_tokens"] == 1


def test_one_clip_that_is_refused_costs_no_other(host: StandinHost) -> None:
    replies = iter([completion("one two"), as_json({"error": "too large"}, status=413), completion("three")])
    host.answers[CHAT] = lambda _asked: next(replies)
    results = chat_config(host, concurrency=1).build().caption(clips(3))
    assert [result.status for result in results] == ["success", "error", "success"]
    assert "413" in results[1].message
    assert "too large" in results[1].message


@pytest.mark.parametrize(
    ("reply", "status", "text"),
    [
        (completion(" A red\nball. "), "success", "A red\nball."),
        (completion("A red b", finish="length"), "truncated", "A red b"),
        (completion(None, refusal="I cannot help with that."), "refused", "I cannot help with that."),
        (completion("I will not.", finish="content_filter"), "refused", "I will not."),
        (completion("", finish="content_filter"), "empty", None),
        (completion(" \n"), "empty", None),
        (completion(None), "empty", None),
        (as_json({"choices": []}), "error", None),
        (as_json({"choices": [{"message": "words"}]}), "error", None),
        (as_json({"choices": {"0": 1}}), "error", None),
        (completion("x" * 200_000), "error", None),
        (Reply(b" " * (MAX_REPLY_BYTES + 2), kind="application/json"), "error", None),
    ],
)
def test_what_an_answer_is(reply: Reply, status: str, text: str | None, host: StandinHost) -> None:
    result = one(host, reply)
    assert (result.status, result.text) == (status, text)


def test_counts_that_are_none_are_not_believed(host: StandinHost) -> None:
    answer = json.loads(completion("a b").data)
    for usage in ({"prompt_tokens": -1, "completion_tokens": True}, {"prompt_tokens": "9"}, [], None):
        result = one(host, as_json({**answer, "usage": usage}))
        assert (result.text, result.tokens_in, result.tokens_out) == ("a b", None, None)


def test_the_key_is_sent_and_said_to_nobody_else(host: StandinHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the config, its fingerprint, a dump, a repr, nor where a server repeats it in an error."""
    monkeypatch.setenv("CHAT_KEY", KEY)
    config = chat_config(host, api_key_env="CHAT_KEY")
    captioner = config.build()
    assert captioner.caption(clips())[0].status == "success"
    assert host.asked[0].headers["authorization"] == f"Bearer {KEY}"
    host.put(CHAT, as_json({"error": f"bad request with {KEY}"}, status=400))
    [refused] = captioner.caption(clips())
    host.put(CHAT, Reply(status=401, data=f"wrong key {KEY}".encode()))
    with pytest.raises(ConfigError) as denied:
        captioner.caption(clips())
    seen = [config.model_dump_json(), repr(config), repr(captioner._server), str(config.fingerprint_params())]
    for words in [*seen, refused.message, str(denied.value)]:
        assert KEY not in words
    assert "bad request with ***" in refused.message


def test_without_its_key_nothing_is_asked(host: StandinHost, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (None, "", " ", "ключ"):
        monkeypatch.delenv("CHAT_KEY", raising=False)
        if value is not None:
            monkeypatch.setenv("CHAT_KEY", value)
        with pytest.raises(ConfigError, match="the environment variable CHAT_KEY"):
            chat_config(host, api_key_env="CHAT_KEY").require_ready()
    assert not host.asked


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"url": "ftp://x/v1"}, "should begin with http"),
        ({"url": "http://user:password@x/v1"}, "no name or password"),
        ({"url": "http://x/v1?key=1"}, r"no \?"),
        ({"url": "http://x.example/v1", "api_key_env": "KEY"}, "begin with https"),
        ({"api_key_env": "not a name"}, "pattern"),
        ({"frames": 0}, "greater than 0"),
        ({"prompt_name": "poem"}, "one of describe"),
    ],
)
def test_configs_that_cannot_be_right_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        OpenAiHttpConfig.model_validate(values)


def test_where_it_runs_changes_no_fingerprint_and_what_it_is_does() -> None:
    config = OpenAiHttpConfig(model="m", model_revision="r1")
    same = {"url": "https://x.example/v1", "timeout_s": 9.0, "concurrency": 2, "api_key_env": "KEY", "tries": 1}
    moved = OpenAiHttpConfig.model_validate({**config.model_dump(), **same})
    assert (moved.fingerprint_params(), moved.revision) == (config.fingerprint_params(), config.revision)
    assert config.revision == "http-1 m@r1"
    for change in ({"form": "video"}, {"jpeg_quality": 50}, {"frames": 3}, {"prompt_name": "sounding"}):
        other = OpenAiHttpConfig.model_validate({**config.model_dump(), **change})
        assert other.fingerprint_params() != config.fingerprint_params()


def test_a_clip_without_frames_is_not_asked_about(host: StandinHost) -> None:
    [result] = chat_config(host).build().caption([replace(clips()[0], frames_THWC=None)])
    assert result.status == "error"
    assert not host.asked
