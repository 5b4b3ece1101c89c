"""The stage of captions asks a real server of chat completions, over HTTP, that is silent about one clip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from chat_host import CHAT, chat_config, chatting, said
from encode_bench import clips_of, context_of, render_files
from standin_host import Asked, Reply

from tasks.caption_reader import CaptionReader
from tasks.captions import run_captions
from tasks.pool_actor import Read
from tasks.ray_session import RaySession, ray_session
from uniform_core.build import build_run
from uniform_core.captioners import OpenAiHttpConfig
from uniform_core.captioners.chat import body_of
from uniform_core.catalog import Catalog
from uniform_core.corpus.candidates import captions_candidates
from uniform_core.settings import Settings

CLIPS = 6  # the last of which is of another file than the others


def pictures_of(body: Any) -> list[Any]:
    return [part for part in body["messages"][-1]["content"] if part["type"] == "image_url"]


def pictures_asked(config: OpenAiHttpConfig, row: dict[str, Any], media_dir: Path) -> list[Any]:
    """The pictures of a clip as its request has them."""
    [read] = CaptionReader(captioner_json=config.model_dump_json(), media_dir=str(media_dir)).read([row])
    assert isinstance(read, Read)
    return pictures_of(body_of(read.value, config, seed=0))


@pytest.mark.usefixtures("ray_running")
def test_a_server_that_is_silent_about_one_clip_costs_that_clip_alone_and_only_until_it_answers(
    tmp_path: Path,
) -> None:
    settings = Settings(home=tmp_path / "home", cpus=1)
    config = build_run("nano")
    usual, other = render_files(config, settings.media_dir, tmp_path, files=2)
    clips = clips_of([usual] * (CLIPS - 1) + [other], CLIPS, salt="served")
    with chatting() as host, ray_session(settings) as ray:
        captioner = chat_config(host, timeout_s=5.0, tries=2, concurrency=3)
        [row] = captions_candidates(captioner, clips.slice(CLIPS - 1)).to_pylist()
        silent = pictures_asked(captioner, row, settings.media_dir)

        def answer(asked: Asked) -> Reply:
            reply = said(asked)  # one letter of it, and then nothing for longer than anybody waits
            is_silent = pictures_of(json.loads(asked.body)) == silent
            return Reply(reply.data, kind=reply.kind, piece=1, pause_s=300.0) if is_silent else reply

        host.answers[CHAT] = answer
        summary = captioned(settings, captioner, clips, ray)
        assert (summary.done, summary.failed, summary.by_error_class) == (CLIPS - 1, 1, {"captioner_error": 1})
        catalog = Catalog.open(settings)
        [failure] = catalog.read("attempts").to_pylist()
        assert failure["item_key"] == row["work_key"]
        assert failure["is_terminal"] is False
        assert "2 tries, the last: AgainError: no whole answer within 5 s" in failure["message"]
        assert host.count()[CHAT] == CLIPS - 1 + 2
        assert row["clip_id"] not in catalog.read("captions")["clip_id"].to_pylist()

        host.answers[CHAT] = said
        again = captioned(settings, captioner, clips, ray)
        assert (again.done, again.failed, again.already_done) == (1, 0, CLIPS - 1)
        assert sorted(catalog.read("captions")["clip_id"].to_pylist()) == sorted(clips["clip_id"].to_pylist())
        assert host.count()[CHAT] == CLIPS + 2


def captioned(settings: Settings, captioner: OpenAiHttpConfig, clips: Any, ray: RaySession) -> Any:
    config = build_run("nano", overrides=["caption_quality.retries=0"]).model_copy(update={"captioners": (captioner,)})
    [summary] = run_captions(context_of(settings, config, clips, ray))
    return summary
