"""The page: it holds what there is, says what is missing, trusts nobody's words, and asks for nothing."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from catalog_rows import caption_row, clip_row, open_catalog, sha, source_row, stamp

from flows.cli.main import main
from flows.outcome import outcome_of
from flows.report.files import report_path
from flows.report.gather import _facts, gather
from flows.report.write import render, write_report
from tasks.sample import ROW_NAMES
from uniform_core.build import build_run
from uniform_core.corpus.candidates import captions_candidates
from uniform_core.corpus.evaluation import evaluation_digest, generation_candidates, wanted_scores
from uniform_core.corpus.fingerprints import captions_fingerprint, ingest_fingerprint
from uniform_core.corpus.inputs import current_clips, list_items
from uniform_core.corpus.samples import current_model_id
from uniform_core.errors import StorageError, WorkFailedError
from uniform_core.fingerprint import digest, text_digest
from uniform_core.media import write_mp4
from uniform_core.settings import Settings
from uniform_core.types import Task

EVIL = '<script>alert("x")</script><img src=x onerror=alert(1)> \' onload="'
OVERRIDES = ["data.train_short=0", "data.train_long=1", "data.held_out_short=1", "data.instrument_short=0"]


FAD = "fad.tinymel.uniform_tiny"


class Made:
    """A home as a run leaves it, without a run: rows, one film, no latents."""

    def __init__(self, home) -> None:
        self.settings = Settings(home=home)
        self.config = build_run("nano", overrides=OVERRIDES)
        self.catalog = open_catalog(home)
        self.model_id = current_model_id(self.catalog, self.config)
        self.clips: list[dict] = []

    def add_model(self) -> None:
        row = stamp(work_key=self.model_id, model_id=self.model_id, kind="uniform", path=f"{self.model_id}/model")
        row |= {"weights_sha256": sha("weights"), "parameters": 1_234_567, "steps": 8, "data_digest": sha("data")}
        self.catalog.insert("models", [row | {"versions": '{"clips": 1}', "metrics": "{}"}])

    def add_clips(self) -> None:
        fp = ingest_fingerprint(self.config, self.config.data)
        held_out = [listed for listed in list_items(self.config) if listed.item.split == "held_out"]
        for n, listed in enumerate(held_out):
            item = listed.item
            who = {"dataset": item.dataset, "source_id": item.source_id, "split": item.split, "stage_fp": fp}
            who |= {"label": EVIL if n == 0 else item.label}
            self.catalog.insert("sources", [source_row(n, work_key=listed.key, **who)])
            self.clips.append(clip_row(n, **who))
        self.catalog.insert("clips", self.clips)

    def add_captions(self) -> None:
        fp = captions_fingerprint(self.config.captioners[0])
        key = text_digest(EVIL)
        self.catalog.insert("caption_texts", [stamp(work_key=key, text_hash=key, text=EVIL)])
        clips = current_clips(self.catalog, self.config)
        keys = captions_candidates(self.config.captioners[0], clips)["work_key"].to_pylist()
        rows = [caption_row(c, key, stage_fp=fp, work_key=k) for c, k in zip(clips.to_pylist(), keys, strict=True)]
        self.catalog.insert("captions", rows)

    def add_films(self) -> None:
        """Of the first clip, the truth and a v2a film; of the second, rows without files."""
        spec = self.config.spec
        frames = np.random.default_rng(0).integers(0, 255, (spec.frames, 32, 32, 3), dtype=np.uint8)
        tone = np.sin(np.arange(spec.samples) / 20).astype(np.float32)
        rates = {"video_rate_hz": spec.video_rate_hz, "audio_rate_hz": spec.audio_rate_hz}
        for path in (self.clips[0]["path"], "generated/v2a.mp4"):
            write_mp4(self.settings.media_dir / path, frames, tone, **rates)
        wanted = [(self.clips[0], Task.V2A, "generated/v2a.mp4"), (self.clips[1], Task.T2AV, "generated/gone.mp4")]
        clips = current_clips(self.catalog, self.config)
        candidates = generation_candidates(self.catalog, self.config, clips, model_id=self.model_id).to_pylist()
        by_place = {(row["clip_id"], row["task"], row["system"]): row for row in candidates}
        for clip, task, path in wanted:
            candidate = by_place[clip["clip_id"], str(task), "uniform"]
            how = {"steps": 2, "guidance": 1.0, "modality_guidance": 1.0, "guide_scale": None, "sampler": None}
            row = stamp(path=path, bytes=10, file_sha256=sha(path), **how)
            row |= {name: candidate[name] for name in ROW_NAMES}
            self.catalog.insert("generations", [row])

    def add_scores(self) -> None:
        fp = evaluation_digest(self.catalog, self.config, model_id=self.model_id)
        wanted = wanted_scores(self.catalog, self.config, model_id=self.model_id)
        keys = {(score.metric.name, score.system.name, score.system.task_name): score.work_key for score in wanted}
        for system, task, value in (("uniform", "v2a", 2.0), ("untrained", "v2a", 50.0), ("uniform", "t2av", None)):
            row = stamp(work_key=keys[FAD, system, task], name=FAD, task=task, system=system)
            row |= {"value": value, "reason": "too <few> clips" if value is None else None, "n_generated": 4}
            row |= {"n_reference": 8, "protocol": "uniform_tiny", "protocol_hash": digest("p"), "data_digest": sha("d")}
            self.catalog.insert(
                "scores", [row | {"versions": "{}", "extractors": None, "model_id": self.model_id, "stage_fp": fp}]
            )

    def add_history(self) -> None:
        path = self.settings.checkpoints_dir / self.model_id / "history.jsonl"
        path.parent.mkdir(parents=True)
        steps = [{"step": n, "task": "v2a", "loss": 1.0, "losses": {"audio": 2.0 - n / 9}, "time": n} for n in range(8)]
        path.write_text("\n".join(map(json.dumps, steps)))

    def page(self) -> Path:
        """Where the report of now belongs."""
        stands_on = evaluation_digest(self.catalog, self.config, model_id=self.model_id)
        return report_path(self.settings, self.config, model_id=self.model_id, stands_on=stands_on)

    def write(self, **words) -> str:
        path = write_report(self.settings, self.catalog, self.config, model_id=self.model_id, **words)
        return path.read_text("utf-8")


@pytest.fixture
def made(home):
    return Made(home)


@pytest.fixture
def full(made):
    for add in (made.add_model, made.add_clips, made.add_captions, made.add_films, made.add_scores, made.add_history):
        add()
    return made


class Page(HTMLParser):
    """Tags, the attributes that load or run something, and whether every tag is closed."""

    VOID = frozenset({"meta", "link", "img", "wbr", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.handlers: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href", "poster", "xlink:href", "data")]
        self.handlers += [name for name, _ in attrs if name.startswith("on") or name == "style"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_full_page_plays_and_asks_for_nothing(full):
    text = full.write()
    page = Page(text)
    assert page.open == []
    assert page.tags.count("video") == 2  # the truth and what was made of its picture
    assert all(load.startswith(("data:", "#")) for load in page.loads)
    assert page.handlers == []
    assert not re.search(r"https?://", text)
    assert "default-src 'none'" in text


def test_scores_under_another_protocol_of_the_same_name_are_not_mixed_in(full):
    """Another ddof, say: the same clips, the same name, other numbers."""
    stands_on = evaluation_digest(full.catalog, full.config, model_id=full.model_id)
    shown = full.write()
    (row,) = full.catalog.query(
        "SELECT * FROM scores WHERE value = 50 AND stage_fp = ?", parameters=[stands_on]
    ).to_pylist()
    other = row | {"work_key": digest("other"), "protocol_hash": digest("other"), "value": 987.0}
    full.catalog.insert("scores", [other | {"created_at": row["created_at"] + timedelta(days=1)}])
    assert "987" not in full.write()
    assert "25.0×" in shown
    outcome = outcome_of(full.settings, full.config, ask_mlflow=False)
    assert sorted(score["value"] or 0.0 for score in outcome.scores) == [0.0, 2.0, 50.0]


def test_words_of_strangers_stay_words(full):
    text = full.write()
    page = Page(text)
    assert page.tags.count("script") == 1  # our own
    assert page.tags.count("img") == 0
    assert "&lt;script&gt;alert(" in text
    assert "too &lt;few&gt; clips" in text


def test_what_cannot_be_shown_says_why(full):
    text = full.write()
    assert text.count("Cannot be shown.") == 2
    assert "gone.mp4" in text or "No such file" in text or "missing" in text


def test_scores_losses_and_numbers_are_on_the_page(full):
    text = full.write()
    assert "25.0×" in text
    assert "Not computed at T2AV: too &lt;few&gt; clips" in text
    assert "none: too" in text
    assert 'class="curve v2a"' in text
    assert "1.23 M values" in text
    assert "uniform run --preset nano" in text


def test_without_clips_scores_and_history_the_page_says_so(made):
    made.add_model()
    text = made.write()
    assert Page(text).tags.count("video") == 0
    for words in ("Nothing has been scored yet", "No clips have been made", "history of this training is not there"):
        assert words in text


def test_times_of_the_stages_are_shown_and_kept(made):
    made.add_model()
    summary = {"stage": "ingest", "candidates": 26, "already_done": 0, "done": 25, "failed": 1, "waiting": 0}
    summary |= {"wall_s": 61.0, "cpu_s": 30.0, "bytes": 2048, "by_error_class": {"too_short": 1}, "rows": {}}
    for text in (made.write(summaries=[summary]), made.write()):
        assert "1 min 1 s" in text
        assert "1 too_short" in text
        assert "2.0 KiB" in text


def test_the_index_is_the_same_page_and_nothing_else_is_left(made):
    made.add_model()
    made.write()
    names = {path.name: path.read_bytes() for path in made.settings.reports_dir.iterdir()}
    assert set(names) == {made.page().name, "index.html"}
    assert len(set(names.values())) == 1


def test_other_clips_are_another_page(made):
    for add in (made.add_model, made.add_clips, made.add_captions):
        add()
    made.write()
    before = made.page()
    made.add_films()
    assert not made.page().exists(), "else a run that was killed before its report would think it written"
    made.write()
    assert made.page().exists()
    assert made.page() != before


def test_gathering_is_apart_from_rendering(full):
    data = gather(full.settings, full.catalog, full.config, model_id=full.model_id, summaries=None)
    assert render(data) == render(data)
    assert [tile.kind for tile in data.cards[0].tiles] == ["truth", "v2a"]
    assert data.cards[0].tiles[1].marks_s == (0.25, 1.5)
    lost = next(card for card in data.cards if card.label != EVIL.replace("_", " "))
    assert [tile.is_lost for tile in lost.tiles] == [True, True]


def test_clips_that_taught_nets_are_no_clips_of_the_data():
    """A folder of two classes is not of four because the nets were taught by two others."""
    rows = [("train", "dog"), ("held_out", "sea"), ("train", None), ("instrument", "siren"), ("instrument", "engine")]
    splits, labels = zip(*rows, strict=True)
    clips = pa.table({"split": splits, "label": labels})
    facts = _facts(clips, build_run("nano"), {"parameters": 1, "steps": 1}, [])
    assert facts[0].remark == "2 classes"
    assert (facts[1].value, facts[1].remark) == ("3", "1 held-out, 2 train")


def test_no_model_is_one_clear_error(made):
    with pytest.raises(WorkFailedError, match="uniform run"):
        made.write()


def test_a_place_that_cannot_be_written_is_one_clear_error(made):
    made.add_model()
    made.settings.reports_dir.write_text("a file where a folder should be")
    with pytest.raises(StorageError):
        made.write()


def test_the_command_prints_the_path(made, capsys):
    words = ["report", "--preset", "nano", *(word for text in OVERRIDES for word in ("--set", text))]
    assert main(words) == 1
    assert "none in the catalog" in " ".join(capsys.readouterr().err.split())
    made.add_model()
    assert main([*words, "--json"]) == 0
    path = json.loads(capsys.readouterr().out)["path"]
    assert path == str(made.page())
    assert "<!doctype html>" in Path(path).read_text("utf-8")
