"""The active version of a corpus: activated, rolled back, and by two at once."""

from __future__ import annotations

import threading

import pytest
from caption_table import add_clips, build, policy, say_all
from catalog_rows import open_catalog

from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.corpus import caption_pointer
from uniform_core.corpus.caption_pointer import activate, pinned, pointer_events, rollback
from uniform_core.corpus.caption_versions import CorpusVersion, corpus_version, corpus_versions
from uniform_core.errors import ConfigError, WorkFailedError


@pytest.fixture
def catalog(tmp_path) -> Catalog:
    catalog = open_catalog(tmp_path)
    add_clips(catalog, ["dog", "cat"])
    say_all(catalog, {0: "a dog"})
    return catalog


@pytest.fixture
def versions(catalog) -> list[CorpusVersion]:
    return [build(catalog, policy({"captioner": "vlm"}, duplicate_copies=n), days=n) for n in (2, 3, 4)]


def active(catalog: Catalog) -> str:
    return corpus_version(catalog, "main").version


def test_the_pointer_goes_where_it_is_sent_and_back_the_same_way(catalog, versions):
    first, second, third = versions
    for one in (first, second, third):
        assert activate(catalog, one.name, run_id="run").is_active
        assert active(catalog) == one.version
    assert [one.is_active for one in corpus_versions(catalog, "main")] == [False, False, True]
    for one in (second, first):
        assert rollback(catalog, "main", run_id="run").version == one.version == active(catalog)
    with pytest.raises(ConfigError, match="active before the present one"):
        rollback(catalog, "main", run_id="run")
    activate(catalog, third.name, run_id="run")
    assert rollback(catalog, "main", run_id="run").version == first.version
    kinds = [event["kind"] for event in pointer_events(catalog, "main")]
    assert kinds == ["activate"] * 3 + ["rollback"] * 2 + ["activate", "rollback"]


def test_a_name_alone_activates_its_newest_version_and_twice_is_once(catalog, versions):
    for _ in range(2):
        assert activate(catalog, "main", run_id="run").version == versions[-1].version
    assert len(pointer_events(catalog, "main")) == 1


def test_what_is_not_there_cannot_be_activated_or_rolled_back(catalog, versions):
    with pytest.raises(ConfigError, match="no corpus named 'other'"):
        activate(catalog, "other", run_id="run")
    with pytest.raises(ConfigError, match="0 that begin so"):
        activate(catalog, "main@xyz", run_id="run")
    with pytest.raises(ConfigError, match="no version that was ever active"):
        rollback(catalog, "main", run_id="run")
    with pytest.raises(ConfigError, match="a version of it"):
        rollback(catalog, versions[0].name, run_id="run")
    with pytest.raises(ConfigError, match="no corpus named"):
        rollback(catalog, "other", run_id="run")


def test_a_version_without_captions_cannot_be_activated(catalog, versions):
    activate(catalog, versions[0].name, run_id="run")
    empty = build(catalog, policy({"captioner": "vlm", "statuses": ["refused"]}), days=5)
    for word in (empty.name, "main"):
        with pytest.raises(ConfigError, match=rf"{empty.name}: expected a version that has captions"):
            activate(catalog, word, run_id="run")
    assert active(catalog) == versions[0].version


def test_of_many_at_once_each_has_its_own_place(catalog, versions):
    threads = [
        threading.Thread(target=activate, args=(catalog, one.name), kwargs={"run_id": "run"})
        for one in versions[:2] * 2
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = [event["number"] for event in pointer_events(catalog, "main")]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= 2


def test_a_rollback_that_somebody_overtakes_is_not_done_twice(catalog, versions, monkeypatch):
    activate(catalog, versions[0].name, run_id="run")
    activate(catalog, versions[1].name, run_id="run")
    seen = pointer_events(catalog, "main")
    rollback(catalog, "main", run_id="somebody else")
    monkeypatch.setattr(caption_pointer, "pointer_events", lambda *_: seen)
    with pytest.raises(WorkFailedError, match="moved meanwhile"):
        rollback(catalog, "main", run_id="run")
    assert active(catalog) == versions[0].version


def test_an_activation_that_is_overtaken_every_time_says_so(catalog, versions, monkeypatch):
    activate(catalog, versions[0].name, run_id="run")
    tries = []
    monkeypatch.setattr(caption_pointer, "_add", lambda *_given, **words: tries.append(words) or False)
    with pytest.raises(WorkFailedError, match=rf"activate {versions[1].name}: .*moved meanwhile, 16 times"):
        activate(catalog, versions[1].name, run_id="run")
    assert len(tries) == 16
    assert active(catalog) == versions[0].version
    activate(catalog, versions[0].name, run_id="run")  # it is there already: nothing is to be moved


def test_a_run_is_pinned_to_the_version_that_was_active_when_it_began(catalog, versions):
    activate(catalog, versions[0].name, run_id="run")
    config = pinned(catalog, build_run("nano", overrides=["corpus=main"]))
    assert config.corpus == f"main@{versions[0].version}"
    activate(catalog, versions[1].name, run_id="run")
    assert pinned(catalog, config) == config
    plain = build_run("nano")
    assert pinned(catalog, plain) is plain
    with pytest.raises(ConfigError, match="no corpus named 'mian'"):
        pinned(catalog, build_run("nano", overrides=["corpus=mian"]))
