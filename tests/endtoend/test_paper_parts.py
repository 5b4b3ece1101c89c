"""The paper's frozen parts in miniature, through a whole run: real loaders, encode, training, generation, decode.

Each part is saved by its real class in its published format; the run is preset paper with their sizes and its own
objective, sampler and guidance. No hub is asked.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av
import pytest
from checkpoint_files import make_pixart, pth_state, save_pth
from command_line import short_home, uniform
from services import seed_prefect, seed_tracking
from tiny_audioldm_vae import SCALING_FACTOR, tiny_audioldm_vae
from tiny_flan_t5 import tiny_flan_t5
from tiny_hifigan import tiny_hifigan
from tiny_opensora_vae import tiny_opensora_vae

from uniform_core.build import build_run
from uniform_core.config import RunConfig
from uniform_core.spec import AVSpec

# 34 frames are two chunks of 17: 10 latent frames of 4 x 4; 200 log-mel frames of 8 bins are 50 x 2: five columns.
SPEC = AVSpec(
    duration_s=2.0, video_rate_hz=17, height_px=32, width_px=32, canonical_short_side_px=32, n_mels=8, n_fft=1024
)
TOKENS = 40
HIDDEN = 16


class PaperRun(NamedTuple):
    """A home in which the run ended well, what it said, and what it was called with."""

    home: Path
    said: Any
    words: list[str]

    @property
    def config(self) -> RunConfig:
        return build_run("paper", overrides=[word.removeprefix("--set=") for word in self.words])

    def ask(self, *command: str) -> Any:
        """What a command says of this home."""
        return uniform(*command, "--json", home=self.home).json


def words(root: Path) -> list[str]:
    """The `--set` words that make preset paper a miniature whose weights lie under a folder."""
    audio, vocoder = tiny_audioldm_vae(root / "audioldm", spec=SPEC), tiny_hifigan(root / "audioldm", spec=SPEC)
    text = tiny_flan_t5(root / "flan_t5", token_limit=TOKENS)
    net = make_pixart(depth=1, captions=text.width, hidden=HIDDEN)
    pixart = save_pth(root / "pixart.pth", pth_state(net))
    nano = build_run("nano")
    nets = nano.evaluate.nets.model_dump(mode="json")
    data = nano.data.model_dump(mode="json") | {"short_s": 2.2, "long_s": 5.0}
    model = {"hidden": HIDDEN, "depth": 1, "heads": 2, "text_width": text.width, "max_text_tokens": TOKENS}
    model |= {"position_scale": SPEC.position_scale}
    parts: dict[str, Any] = {
        "spec": SPEC.model_dump(mode="json"),
        "data": data,
        "instrument": data,
        "video_codec": tiny_opensora_vae(root / "opensora").model_dump(mode="json"),
        "audio_codec": audio.model_dump(mode="json"),
        "vocoder": vocoder.model_dump(mode="json"),
        "text": text.model_dump(mode="json"),
        **{f"model.{name}": value for name, value in model.items()},
        "train.init": {"source": "pixart", "weights": str(pixart)},
        "train.steps": 4,
        "train.batch": 4,
        "train.compile": False,
        "train.validation_clips": 2,
        "train.validation_every": 2,
        "train_workers": 2,
        "sample.sampler.steps": 2,
        "sample.compile": False,
        "sample.batch": 4,
        "evaluate.split": "held_out",
        "evaluate.reference_split": "train",
        "evaluate.clips_per_task": 2,
        "evaluate.reference_clips": 4,
        "evaluate.untrained_clips": 2,
        "evaluate.nets": nets,
    }
    return [f"--set={name}={json.dumps(value)}" for name, value in parts.items()]


@pytest.fixture(scope="module")
def paper_run(
    tmp_path_factory: pytest.TempPathFactory, prefect_template: Path, tracking_template: Path
) -> Iterator[PaperRun]:
    """Preset paper in miniature, from files to scores."""
    given = words(tmp_path_factory.mktemp("weights"))
    home = short_home("paper")
    seed_prefect(prefect_template, home)
    seed_tracking(tracking_template, home)
    done = uniform("run", "--preset", "paper", *given, "--json", home=home, HF_HUB_OFFLINE="1")
    assert done.code == 0, done.err[-4000:]
    yield PaperRun(home, done.json, given)
    shutil.rmtree(home.parent)


def test_every_stage_did_all_that_there_was(paper_run: PaperRun) -> None:
    done = {row["stage"]: row for row in paper_run.said["stages"]}
    assert all(row["failed"] == 0 for row in done.values())
    assert all(done[stage]["done"] > 0 for stage in ("ingest", "encode", "text", "train", "sample", "evaluate"))


def test_latents_are_those_of_the_papers_codecs(paper_run: PaperRun) -> None:
    rows = paper_run.ask("query", "SELECT DISTINCT modality, codec, shape FROM latents")
    found = {row["modality"]: (row["codec"], tuple(row["shape"])) for row in rows}
    assert found == {"video": ("opensora_vae", (4, 10, 4, 4)), "audio": ("audioldm_vae", (8, 50, 2))}
    assert paper_run.config.layout.unified_CTHW == (4, 10, 4, 4 + 5 + 1)


def test_the_scaling_factor_that_was_used_stands_where_people_look(paper_run: PaperRun) -> None:
    factor = "audio_codec.scaling_factor"
    note = next(row["note"] for row in paper_run.said["stages"] if row["stage"] == "encode")
    assert note == f"{factor} {SCALING_FACTOR}"
    (card,) = (paper_run.home / "checkpoints").glob("*/model/model.json")
    assert json.loads(card.read_text())["facts"] == {factor: SCALING_FACTOR}
    run_id = paper_run.said["mlflow_runs"]["model"]
    with sqlite3.connect(f"file:{paper_run.home / 'mlflow.db'}?mode=ro", uri=True) as database:
        told = database.execute("SELECT value FROM params WHERE key = ? AND run_uuid = ?", (factor, run_id)).fetchall()
    assert told == [(str(SCALING_FACTOR),)]


def test_texts_are_ragged_and_in_the_encoders_precision(paper_run: PaperRun) -> None:
    rows = paper_run.ask("query", "SELECT encoder, tokens, shape, dtype FROM text_features")
    assert {(row["encoder"], row["dtype"]) for row in rows} == {("flan_t5", "bfloat16")}
    assert all(row["shape"] == [row["tokens"], paper_run.config.text.width] for row in rows)
    assert min(row["tokens"] for row in rows) == 1 < max(row["tokens"] for row in rows)


def test_the_model_started_from_pixart_and_its_card_accounts_for_every_name(
    paper_run: PaperRun,
) -> None:
    (card,) = (paper_run.home / "checkpoints").glob("*/model/model.json")
    account = json.loads(card.read_text())["init"]
    assert account["source"] == "pixart"
    note = next(row["note"] for row in paper_run.said["stages"] if row["stage"] == "train")
    assert "loaded" in note
    assert "temporal_blocks" in note


def test_clips_are_what_the_codecs_and_the_vocoder_make_of_latents(paper_run: PaperRun) -> None:
    spec, media = paper_run.config.spec, paper_run.home / "media"
    sql = "SELECT path, task, steps, guidance, sampler FROM generations WHERE system = 'uniform'"
    rows = paper_run.ask("query", sql)
    assert {row["task"] for row in rows} == {"t2av", "a2v", "v2a"}
    assert {(row["steps"], row["guidance"]) for row in rows if row["task"] == "t2av"} == {(2, 5.0)}
    assert {json.loads(row["sampler"])["kind"] for row in rows} == {"ancestral"}
    for row in rows:
        with av.open(str(media / row["path"])) as file:
            assert sum(1 for _ in file.decode(video=0)) == spec.frames
        with av.open(str(media / row["path"])) as file:
            assert file.streams.audio[0].rate == spec.audio_rate_hz


def test_running_again_redoes_nothing_and_other_weights_redo_what_they_change(
    paper_run: PaperRun,
) -> None:
    command = ["plan", "--preset", "paper", *paper_run.words]
    plan = paper_run.ask(*command)
    assert [row["to_do"] for row in plan] == [0] * len(plan)
    network = Path(paper_run.config.video_codec.weights) / "model.safetensors"
    kept = network.read_bytes()
    network.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    try:
        plan = {row["stage"]: row for row in paper_run.ask(*command)}
    finally:
        network.write_bytes(kept)
    assert plan["encode"]["to_do"] == plan["encode"]["already_done"] > 0, "video again, sound not"
    assert plan["text"]["to_do"] == 0
    assert plan["train"]["to_do"] > 0
