"""What is done again when something changes, by counts: only what depends on it; the old rows stay beside the new."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import media_files
import pytest
from in_driver import context_without_ray, without_ray

from tasks.captions import run_captions
from tasks.context import RunContext
from tasks.encode import run_encode
from tasks.ingest import run_ingest
from tasks.stage import StageSummary
from uniform_core.corpus.plan import plan_stages

FILES = 3
LABELS = 'captioners=[{"kind": "class_label"}]'
FEW = (
    "instrument.instrument_short=1",
    'instrument.labels=["siren"]',
    "instrument.never_trained=null",
    "data.dataset=films",  # else its name has its place in it
)


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home and a folder of films, cut, encoded and captioned once for the tests of this module; each takes a copy."""
    root = tmp_path_factory.mktemp("encoded")
    for n in range(FILES):
        (root / "films" / "siren").mkdir(parents=True, exist_ok=True)
        media_files.write(root / "films" / "siren" / f"{n}.mp4", duration_s=1.7 + 0.1 * n, size=(64, 48))
    with pytest.MonkeyPatch.context() as patch:
        without_ray(patch)
        Home(root).everything()
    return root


class Home:
    """A home and its folder of films."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def context(self, *overrides: str) -> RunContext:
        return context_without_ray(self.root / "home", LABELS, *FEW, *overrides, data=f"folder:{self.root / 'films'}")

    def everything(self, *overrides: str) -> dict[str, StageSummary]:
        """What ingest, encode and captions did, by stage."""
        done: dict[str, StageSummary] = {}
        for run in (run_ingest, run_encode, run_captions):
            context = self.context(*overrides)  # each sees what the one before has left
            done |= {summary.stage: summary for summary in run(context)}
        return done

    def planned(self, *overrides: str) -> dict[str, int]:
        context = self.context(*overrides)
        return {plan.stage: plan.to_do for plan in plan_stages(context.catalog, context.config, workers=1)}

    def latents(self) -> list[dict[str, Any]]:
        return self.context().catalog.query("SELECT * FROM latents").to_pylist()


@pytest.fixture
def home(encoded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    without_ray(monkeypatch)
    shutil.copytree(encoded, tmp_path / "root")  # with times: a file's time is part of what it is
    return Home(tmp_path / "root")


def counts(done: dict[str, StageSummary]) -> dict[str, tuple[int, int]]:
    """What was done now and what was done before, by stage."""
    return {stage: (summary.done, summary.already_done) for stage, summary in done.items()}


def test_a_rerun_does_nothing(home: Home) -> None:
    assert {name: home.planned()[name] for name in ("encode", "captions")} == {"encode": 0, "captions": 0}
    done = counts(home.everything())
    assert (done["encode"], done["captions"]) == ((0, 2 * FILES), (0, FILES))


@pytest.mark.parametrize(
    ("changes", "latents"),
    [
        (["resize=squash"], FILES),  # how pictures are shown to their codec: sound is not encoded again
        (["sound.level=peak_half"], FILES),
        (["video_codec.keep=8", "audio_codec.keep=8"], 2 * FILES),
        (["spec.video_rate_hz=8"], 2 * FILES),
    ],
)
def test_another_codec_or_spec_encodes_again_and_captions_nothing(changes: list[str], latents: int, home: Home) -> None:
    before = {row["work_key"]: row["tensor_sha256"] for row in home.latents()}
    if "spec" not in changes[0]:
        assert (home.planned(*changes)["encode"], home.planned(*changes)["captions"]) == (latents, 0)
    done = home.everything(*changes)
    assert (done["encode"].done, done["encode"].already_done) == (latents, 2 * FILES - latents)
    if "spec" not in changes[0]:  # another spec cuts other clips: their captions are theirs
        assert counts(done)["captions"] == (0, FILES)
    after = {row["work_key"]: row["tensor_sha256"] for row in home.latents()}
    assert len(after) == len(before) + latents, "the old ones stay beside the new ones"
    assert {key: after[key] for key in before} == before
    assert counts(home.everything())["encode"] == (0, 2 * FILES), "and serve again when the old config comes back"


def test_another_wording_captions_again_and_encodes_nothing(home: Home) -> None:
    other = 'captioners=[{"kind": "class_label", "template": "the sound of {label}"}]'
    assert (home.planned(other)["encode"], home.planned(other)["captions"]) == (0, FILES)
    done = counts(home.everything(other))
    assert (done["encode"], done["captions"]) == ((0, 2 * FILES), (FILES, 0))


def test_another_source_of_one_clip_redoes_that_clip(home: Home) -> None:
    media_files.write(home.root / "films" / "siren" / "1.mp4", duration_s=1.9, size=(48, 64))
    done = counts(home.everything())
    assert done["ingest"][0] == 1
    assert done["encode"] == (2, 2 * FILES - 2)
    assert done["captions"] == (0, FILES), "a label is no pixel"
