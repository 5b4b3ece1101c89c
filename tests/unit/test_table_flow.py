"""What a table's flow does for a run that lacks something, in which order, under which words; and for a whole one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from table_states import state_of

from flows.tables import flow
from flows.tables.state import TableState
from uniform_core.corpus.unimodal import unimodal_words
from uniform_core.progress import silent
from uniform_core.types import Modality

Called = list[tuple[str, list[str]]]
Play = Callable[..., Called]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Play:
    """Runs a table's flow over a state, with stages that only say that they were called; then the state is whole."""

    def run(state: TableState, *, told: bool = False, corpus: str | None = None) -> Called:
        called: Called = []
        states = iter([state, replace(state, runs=tuple(replace(run, scores_left=0) for run in state.runs))])
        ray = SimpleNamespace(start=lambda: None)

        @contextlib.contextmanager
        def context(*_words: Any) -> Iterator[Any]:
            config = SimpleNamespace(corpus=corpus)
            yield SimpleNamespace(catalog=None, settings=None, ray=ray, config=config, run_id="local", listener=silent)

        def stage(name: str) -> Callable[..., list[Any]]:
            return lambda _preset, overrides, _data: called.append((name, overrides)) or [{"stage": name}]

        for name in ("train", "sample", "evaluate"):
            monkeypatch.setattr(flow, name, stage(name))
        monkeypatch.setattr(flow, "run_context", context)
        monkeypatch.setattr(flow, "TableReader", lambda *_: SimpleNamespace(table=lambda _number: next(states)))
        monkeypatch.setattr(flow, "was_told", lambda *_: told)
        monkeypatch.setattr(flow, "tell_table", lambda *_: called.append(("told", [])))
        monkeypatch.setattr(flow, "create_markdown_artifact", lambda **_: None)
        rows = flow.paper_table.fn(state.table.number, "nano", ["train.lr=0.1"], None)
        assert [row["stage"] for row in rows] == [name for name, _ in called if name != "told"]
        return called

    return run


def test_a_run_that_lacks_scores_is_sampled_and_scored_under_its_words(play: Play) -> None:
    state = state_of("1", scores_left=3)
    [run] = state.runs
    words = ["train.lr=0.1", *run.run.words]
    assert play(state) == [("sample", words), ("evaluate", words), ("told", [])]


def test_what_is_whole_is_not_touched_and_told_only_where_it_was_not(play: Play) -> None:
    assert play(state_of("1")) == [("told", [])]
    assert play(state_of("1"), told=True) == []


def test_the_unimodal_models_are_trained_and_sampled_first(play: Play) -> None:
    state = state_of("6", scores_left=1)
    own = ["train.lr=0.1", *state.runs[0].run.words]
    apart = [[*own, *unimodal_words(modality)] for modality in Modality]
    made = [(stage, words) for words in apart for stage in ("train", "sample")]
    assert play(state) == [*made, ("sample", own), ("evaluate", own), ("told", [])]


def test_a_corpus_is_read_at_one_version_throughout(play: Play) -> None:
    called = play(state_of("2", scores_left=1), corpus="main@abc")
    assert all('corpus="main@abc"' in words for name, words in called if name != "told")
