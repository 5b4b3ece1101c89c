"""The driver of a stage: what is outstanding is done, once, and committed so that a kill cannot spoil it."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from catalog_rows import source_row
from text_worker import TextWorker

from tasks.commits import CommitRule
from tasks.pool import PoolLimits
from tasks.ray_session import RaySession, ray_session
from tasks.stage import ItemRows, Stage, StageFailedError, StageSummary, run_stage
from uniform_core.catalog import Catalog
from uniform_core.errors import SchemaError, WorkFailedError
from uniform_core.fingerprint import digest, text_digest
from uniform_core.progress import ProgressEvent
from uniform_core.settings import Settings

FP = digest("how texts are made")


def table_of(*words: str) -> pa.Table:
    rows = [{"work_key": text_digest(w), "word": w, "dataset": "d", "source_id": w} for w in words]
    return pa.Table.from_pylist(
        rows, schema=pa.schema([(n, pa.string()) for n in ("work_key", "word", "dataset", "source_id")])
    )


class Bench:
    """A catalog in a fresh root, and a Ray that must not start unless a test says so."""

    def __init__(self, home: Path, ray: RaySession) -> None:
        self.catalog, self.ray = Catalog.open(Settings(home=home)), ray
        self.events: list[ProgressEvent] = []

    def run(self, *words: str, run_id: str = "run-1", **changes: Any) -> StageSummary:
        stage = Stage(
            **{
                "name": "say",
                "table": "prompts",
                "worker": TextWorker,
                "setup": {},
                "workers": 0,
                "batch": 2,
                "describe": lambda row: f"word {row['word']}",
                "stage_fp": FP,
                **changes,
            }
        )
        return run_stage(
            stage, table_of(*words), catalog=self.catalog, ray=self.ray, run_id=run_id, listener=self.events.append
        )

    def words(self, table: str = "prompts", column: str = "prompt") -> list[str]:
        return sorted(self.catalog.read(table)[column].to_pylist())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, RaySession(Settings(home=tmp_path)))


def test_what_is_outstanding_is_done_once(bench: Bench) -> None:
    first = bench.run("a", "b", "bad c")
    assert (first.candidates, first.already_done, first.done, first.failed, first.waiting) == (3, 0, 2, 1, 0)
    assert (first.by_error_class, first.rows, first.bytes) == ({"too_short": 1}, {"prompts": 2, "caption_texts": 2}, 20)
    second = bench.run("a", "b", "bad c", "d")
    assert (second.candidates, second.already_done, second.done, second.failed, second.waiting) == (4, 2, 1, 0, 1)
    assert bench.words() == bench.words("caption_texts", "text") == ["a", "b", "d"]
    assert bench.events[-1] == ProgressEvent("say", done=1, total=1, failed=0)


def test_nothing_to_do_starts_no_ray(bench: Bench) -> None:
    bench.run("a")

    class NoRay(RaySession):
        def start(self) -> None:
            raise AssertionError("Ray was started")

    bench.ray = NoRay(Settings())
    assert bench.run("a", workers=2).already_done == 1
    assert bench.run(workers=2).candidates == 0
    with pytest.raises(AssertionError, match="Ray was started"):
        bench.run("b", workers=2)


def test_rows_and_failures_say_which_run_and_how(bench: Bench) -> None:
    bench.run("half", "bad", run_id="run-7")
    assert bench.catalog.read("prompts").select(["stage_fp", "run_id"]).to_pylist() == [
        {"stage_fp": FP, "run_id": "run-7"}
    ]
    ledger = {row["item"]: row for row in bench.catalog.read("attempts").to_pylist()}
    assert set(ledger) == {"half/2", "word bad"}
    assert ledger["word bad"]["item_key"] == text_digest("bad")
    assert {(r["stage"], r["stage_fp"], r["run_id"], r["dataset"]) for r in ledger.values()} == {
        ("say", FP, "run-7", "d")
    }


def test_each_candidate_may_have_its_own_fingerprint(bench: Bench) -> None:
    words = table_of("a", "b")
    fps = [digest("one"), digest("two")]
    stage = Stage(
        name="say", table="prompts", worker=TextWorker, setup={}, workers=0, batch=8, describe=lambda row: row["word"]
    )
    candidates = words.append_column("stage_fp", pa.array(fps))
    run_stage(stage, candidates, catalog=bench.catalog, ray=bench.ray, run_id="r")
    assert sorted(bench.catalog.read("prompts")["stage_fp"].to_pylist()) == sorted(fps)


def test_what_is_not_terminal_is_tried_again(bench: Bench) -> None:
    bench.run("bad later", "bad")
    again = bench.run("bad later", "bad")
    assert (again.failed, again.waiting) == (1, 1)


def test_the_same_candidate_twice_is_one(bench: Bench) -> None:
    summary = bench.run("a", "a", "b")
    assert (summary.candidates, summary.done, summary.waiting) == (2, 2, 0)


def test_a_source_that_was_taken_down_is_no_candidate(bench: Bench) -> None:
    bench.catalog.insert("sources", [source_row(1, dataset="d", source_id="b")])
    bench.catalog.bury("d", ["b"], reason="asked", run_id="r")
    summary = bench.run("a", "b")
    assert (summary.candidates, summary.done, summary.waiting) == (1, 1, 0)


@pytest.mark.parametrize(
    "rule", [CommitRule(rows=4, seconds=1e9), CommitRule(rows=10**9, seconds=0.0)], ids=["rows", "s"]
)
def test_commits_come_as_the_results_do(bench: Bench, rule: CommitRule) -> None:
    bench.run("a", "b", "c", "d", "e", "f", commit=rule)
    assert len([h for h in bench.catalog.history("prompts") if h.get("operation") != "CREATE TABLE"]) >= 3


@pytest.mark.parametrize(("word", "error"), [("bug", WorkFailedError), ("interrupt", KeyboardInterrupt)])
def test_what_came_before_the_end_is_kept(bench: Bench, word: str, error: type[BaseException]) -> None:
    with pytest.raises(error):
        bench.run("a", "b", word, "c")
    assert bench.words() == ["a", "b"]
    assert bench.run("a", "b", "c").already_done == 2


def test_the_mark_is_written_last(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill between two inserts leaves an item to do, never one that is marked done and lacks rows."""
    order: list[str] = []
    insert, record = bench.catalog.insert, bench.catalog.record_failures
    monkeypatch.setattr(bench.catalog, "insert", lambda table, rows: (order.append(table), insert(table, rows))[1])
    monkeypatch.setattr(
        bench.catalog, "record_failures", lambda rows, **words: (order.append("attempts"), record(rows, **words))[1]
    )
    bench.run("half", commit=CommitRule(rows=1))
    assert [name for name in order if name in ("caption_texts", "attempts", "prompts")][-1] == "prompts"
    assert set(order) >= {"caption_texts", "attempts", "prompts"}


def test_an_interrupted_commit_is_repeated_whole(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    insert, interrupted = bench.catalog.insert, []

    def once(table: str, rows: Any) -> int:
        if table == "prompts" and not interrupted:
            interrupted.append(table)
            raise KeyboardInterrupt
        return insert(table, rows)

    monkeypatch.setattr(bench.catalog, "insert", once)
    with pytest.raises(KeyboardInterrupt):
        bench.run("a", "b", "c", commit=CommitRule(rows=1))
    assert bench.words() == bench.words("caption_texts", "text") == ["a", "b"]


def test_the_catalogs_own_error_is_the_one_that_is_seen(bench: Bench) -> None:
    class Wrong:
        def process(self, batch: Sequence[Any]) -> list[ItemRows]:
            return [ItemRows({"prompts": [{"work_key": row["work_key"], "no_such": 1}]}) for row in batch]

    with pytest.raises(SchemaError, match="no_such"):
        bench.run("a", "b", "c", worker=Wrong, commit=CommitRule(rows=1))


def test_a_stage_that_accepted_nothing_has_failed_and_says_it_again(bench: Bench) -> None:
    for _ in range(2):
        summary = bench.run("bad a", "bad b")
        with pytest.raises(WorkFailedError, match="at least one of 2 items"):
            summary.require_accepted(max_reject_fraction=1.0)
    with pytest.raises(WorkFailedError, match="at least one of 1 items"):
        bench.run("hollow").require_accepted(max_reject_fraction=1.0)
    bench.run().require_accepted(max_reject_fraction=0.0)


def test_rejects_above_the_limit_are_a_failure(bench: Bench) -> None:
    for _ in range(2):
        summary = bench.run("a", "b", "c", "bad d")
        assert summary.require_accepted(max_reject_fraction=0.25) is summary
        with pytest.raises(StageFailedError, match="at most 20% of 4 items rejected; found 1 rejected") as caught:
            summary.require_accepted(max_reject_fraction=0.2)
        again = pickle.loads(pickle.dumps(caught.value))
        assert (again.summary, str(again)) == (summary, str(caught.value))


def test_a_summary_is_json(bench: Bench) -> None:
    summary = bench.run("a", "bad")
    assert json.loads(json.dumps(summary.as_dict())) == summary.as_dict()


def test_in_a_pool_a_word_that_kills_is_in_the_ledger(tmp_path: Path, ray_running: RaySession) -> None:
    with ray_session(Settings(home=tmp_path)) as inner:
        bench = Bench(tmp_path, inner)
        words = [f"w{n}" for n in range(9)]
        summary = bench.run(*words, "die", workers=2, batch=4, limits=PoolLimits(batch_limit_s=20))
    assert (summary.done, summary.failed, summary.by_error_class) == (9, 1, {"crash": 1})
    assert summary.deaths >= 3
    assert bench.words() == words
    assert bench.catalog.read("attempts")["item"].to_pylist() == ["word die"]
    assert summary.cpu_s > 0
    assert ray_running.is_running, "an inner session leaves the outer one's Ray alone"
