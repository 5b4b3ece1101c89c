"""The unimodal baseline: a picture of the one model with the sound of the other, and their absence told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.corpus.controls import Clip
from uniform_core.corpus.evaluation import System, makers_of, systems_of
from uniform_core.corpus.inputs import current_clips
from uniform_core.corpus.lineup import Lineup
from uniform_core.corpus.unimodal import made_apart, require_unimodal
from uniform_core.errors import ConfigError, WorkFailedError
from uniform_core.settings import Settings
from uniform_core.types import Modality, Task

WORDS = ['evaluate.baselines=["unimodal"]', "evaluate.controls=[]"]
UNIMODAL = System("unimodal", Task.T2AV)


def made(clip_ids: str, modality: str) -> list[dict[str, Any]]:
    names = [(clip_id, f"{modality} model's file of {clip_id}") for clip_id in clip_ids]
    return [{"clip_id": clip_id, "file_sha256": name, "path": f"{name}.mp4"} for clip_id, name in names]


def test_a_clip_has_the_picture_of_one_model_and_the_sound_of_the_other() -> None:
    config = build_run("nano", overrides=WORDS)
    rows = {Modality.VIDEO: made("ab", "video"), Modality.AUDIO: made("bc", "audio")}
    by_maker = {System(made_apart(m), Task.T2AV): own for m, own in rows.items()}
    lineup = Lineup(config, truth=(), reference=(), trained=(), made=by_maker)
    found = lineup.clips_of(UNIMODAL, lambda modality: pytest.fail("it is not retrieved"))
    assert found == {"b": Clip(video="video model's file of b", audio="audio model's file of b")}
    assert set(lineup.files()) == {row["file_sha256"] for own in rows.values() for row in own}


def test_it_is_scored_at_t2av_alone_and_writes_no_files_of_its_own() -> None:
    config = build_run("nano", overrides=WORDS)
    assert [system for system in systems_of(config) if system.name == "unimodal"] == [UNIMODAL]
    assert "unimodal" not in {system.name for system in makers_of(config)}
    assert "unimodal" not in {system.name for system in systems_of(build_run("nano"))}


def test_without_its_models_it_is_told_what_trains_them(tmp_path: Path) -> None:
    catalog = Catalog.open(Settings(home=tmp_path))
    config = build_run("nano", overrides=WORDS)
    clips: pa.Table = current_clips(catalog, config)
    with pytest.raises(WorkFailedError, match=r"none of video and none of audio\. `uniform table 6` trains"):
        require_unimodal(catalog, config, clips)
    require_unimodal(catalog, build_run("nano"), clips)


def test_a_run_of_one_modality_makes_t2av_alone() -> None:
    alone = 'train.task_weights={"t2av":1,"a2v":0,"v2a":0}'
    with pytest.raises(
        ConfigError, match=r'a model of audio alone makes T2AV alone: evaluate.tasks must be \["t2av"\]'
    ):
        build_run("nano", overrides=["train.only=audio", alone])
