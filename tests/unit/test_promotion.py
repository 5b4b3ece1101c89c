"""Promotion: what a rule says of two models, and what becomes of an alias in a real registry."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from catalog_rows import START, open_catalog, sha, stamp
from command_line import said
from pydantic import ValidationError
from scored_clips import FVD, KL, SYNC, A, B, evaluation_rows
from services import seed_tracking

from flows.cli.promote import rule_of
from tasks import holder as holding
from tasks import promote as promoting
from tasks.context import RunContext
from tasks.promote import Promotion, promote
from tasks.registry import Registry
from tasks.results import model_run
from tasks.train import trained_model
from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.corpus.promotion import PromotionRule
from uniform_core.errors import ConfigError, IntegrityError, WorkFailedError
from uniform_core.fingerprint import digest
from uniform_core.metrics.gate import Verdict
from uniform_core.metrics.proof import Proof
from uniform_core.progress import silent
from uniform_core.settings import Settings

CONFIG = build_run("nano")
MODELS = {A: digest(["model", A]), B: digest(["model", B])}
SYNC_V2A = f"v2a/{SYNC}"


PASSED, FAILED = Proof((), ()), SimpleNamespace(verdict=Verdict.FAILED, words="failed")


@pytest.fixture
def settings(home: Path, tracking_template: Path) -> Settings:
    seed_tracking(tracking_template, home)
    return Settings(home=home)


@pytest.fixture
def catalog(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    """Two models with checkpoints and evaluations, B's synchrony better on every clip; the gate is passed."""
    catalog = open_catalog(settings.home)
    for evaluation, values in ((A, [0.4, 0.5, 0.45, 0.5, 0.42, 0.5]), (B, [0.8, 0.9, 0.85, 0.8, 0.9, 0.95])):
        add(catalog, evaluation, SYNC, values)
        add(catalog, evaluation, FVD, [5.0], half=1.0)
        model_id = MODELS[evaluation]
        (settings.checkpoints_dir / model_id / "model").mkdir(parents=True)
        row = {"model_id": model_id, "kind": "uniform", "path": f"{model_id}/model", "weights_sha256": sha(evaluation)}
        row |= {"parameters": 7, "steps": 8, "data_digest": sha("d"), "versions": "{}", "metrics": "{}"}
        catalog.insert("models", [stamp(work_key=model_id, **row)])

    def rows_of(catalog: Catalog, wanted: str) -> dict[str, Any]:
        rows = catalog.rows("SELECT * FROM scores WHERE model_id = ?", parameters=[wanted])
        return {row["work_key"]: row for row in rows}

    monkeypatch.setattr(promoting, "wanted_scores", lambda *_, model_id: model_id)
    monkeypatch.setattr(promoting, "kept_scores", rows_of)
    monkeypatch.setattr(promoting, "proof_of", lambda *_: PASSED)
    return catalog


def add(catalog: Catalog, evaluation: str, name: str, values: Any, **columns: Any) -> None:
    score, rows = evaluation_rows(evaluation, name=name, values=values, created_at=START, **columns)
    catalog.insert("scores", [score])
    catalog.insert("clip_scores", [] if name == FVD else rows)  # it is of a set


def promoted(settings: Settings, catalog: Catalog, evaluation: str, **words: Any) -> Promotion:
    rule = PromotionRule(**{"better": (SYNC_V2A,), **words.pop("rule", {})})
    return promote(settings, catalog, CONFIG, model_id=MODELS[evaluation], rule=rule, alias="champion", **words)


def versions(settings: Settings) -> list[Any]:
    client = Registry.open(settings, "uniform")._client
    return sorted(client.search_model_versions("name = 'uniform'"), key=lambda one: int(one.version))


def test_a_model_that_is_better_takes_the_alias_and_the_reason_is_kept(settings: Settings, catalog: Catalog) -> None:
    with model_run(settings, model_id=MODELS[A], config=CONFIG, tags={}) as run:
        pass
    assert promoted(settings, catalog, A).outcome == "promoted", "nobody had it"
    found = promoted(settings, catalog, B)
    assert (found.outcome, found.version) == ("promoted", "2")
    assert found.holder is not None
    assert found.holder.model_id == MODELS[A]
    registry = Registry.open(settings, "uniform")
    holder = registry.holder("champion")
    assert holder is not None
    assert (holder.number, holder.model_id, holder.evaluation) == ("2", MODELS[B], B)
    first, second = versions(settings)
    assert first.run_id == run.run_id
    assert second.source == (settings.checkpoints_dir / MODELS[B] / "model").resolve().as_uri()
    assert second.tags["uniform.checkpoint.sha256"] == sha(B)
    why = json.loads(second.tags["uniform.promoted.champion"])
    assert why["instead of version"] == "1"
    assert "0.8667 against 0.4617: difference 0.405 (" in why["found"][f"{SYNC_V2A} better"]
    assert why["rule"]["better"] == [SYNC_V2A]


def test_promoting_again_changes_nothing(settings: Settings, catalog: Catalog) -> None:
    promoted(settings, catalog, B)
    before = [(one.version, one.tags) for one in versions(settings)]
    again = promoted(settings, catalog, B)
    assert (again.outcome, again.has_alias) == ("has it already", True)
    assert [(one.version, one.tags) for one in versions(settings)] == before


def test_a_kill_between_version_and_alias_ends_with_one_version(
    settings: Settings, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Registry, "give", dies)
        with pytest.raises(KeyboardInterrupt):
            promoted(settings, catalog, B)
    assert Registry.open(settings, "uniform").holder("champion") is None
    assert promoted(settings, catalog, B).outcome == "promoted"
    assert [int(one.version) for one in versions(settings)] == [1]


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({}, "difference -0.405"),
        ({"better": (), "not_worse": (SYNC_V2A,)}, "difference -0.405"),
        ({"better": (f"v2a/{FVD}",)}, "difference 0 ("),
    ],
)
def test_a_model_that_is_not_better_leaves_the_alias_where_it_is(
    rule: dict[str, Any], says: str, settings: Settings, catalog: Catalog
) -> None:
    promoted(settings, catalog, B)
    found = promoted(settings, catalog, A, rule=rule)
    assert (found.outcome, found.has_alias, found.version) == ("not promoted", False, None)
    assert says in found.decision.conditions[-1].found
    assert [int(one.version) for one in versions(settings)] == [1], "and it was not registered"


def test_not_worse_holds_where_the_interval_holds_nothing(settings: Settings, catalog: Catalog) -> None:
    promoted(settings, catalog, A)
    rule = {"better": (), "not_worse": (f"v2a/{FVD}",)}
    assert promoted(settings, catalog, B, rule=rule).outcome == "promoted"


def test_a_gate_that_is_not_passed_promotes_nothing_unless_the_rule_waives_it(
    settings: Settings, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promoting, "proof_of", lambda *_: FAILED)
    found = promoted(settings, catalog, B)
    assert found.outcome == "not promoted"
    assert found.decision.conditions[0].found == "gate failed"
    assert promoted(settings, catalog, B, rule={"gate": False}).outcome == "promoted"


def test_a_score_that_cannot_be_compared_promotes_nothing(settings: Settings, catalog: Catalog) -> None:
    promoted(settings, catalog, A)
    add(catalog, A, KL, [1.0] * 6)
    add(catalog, B, KL, [0.5] * 6, protocol_hash=digest("another"))
    found = promoted(settings, catalog, B, rule={"not_worse": (f"v2a/{KL}",)})
    assert found.outcome == "not promoted"
    assert "not comparable: protocols differ" in found.decision.conditions[-1].found


def test_who_has_the_alias_is_compared_by_its_evaluation_on_the_clips_of_now(
    settings: Settings, catalog: Catalog
) -> None:
    promoted(settings, catalog, A)
    now = {"clips_digest": sha("clips of now")}
    again, later = "c" * 32, digest("a later model")
    add(catalog, again, FVD, [5.0], half=0.1, model_id=MODELS[A], **now)
    add(catalog, "d" * 32, FVD, [4.0], half=0.1, model_id=later, **now)
    (settings.checkpoints_dir / later / "model").mkdir(parents=True)
    rule = PromotionRule(better=(f"v2a/{FVD}",))
    found = promote(settings, catalog, CONFIG, model_id=later, rule=rule, alias="champion")
    assert found.outcome == "promoted", "its first evaluation stands on other real clips"
    assert "4 against 5" in found.decision.conditions[-1].found


def test_who_has_the_alias_is_scored_under_the_data_and_the_evaluation_of_now(
    settings: Settings, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_with = build_run("nano", overrides=["sample.sampler.steps=5", "evaluate.seed=3", "train.steps=9"])
    monkeypatch.setattr(holding, "read_card", lambda _: SimpleNamespace(made_with=made_with.model_dump(mode="json")))
    named = {"ray": None, "run_id": "a run", "listener": silent}
    context = RunContext(settings=settings, config=CONFIG, catalog=catalog, **named)  # type: ignore[arg-type]
    words = {"alias": "champion", "name": "uniform", "candidate": MODELS[B]}
    assert holding.holder_context(context, **words) == "nobody has the alias"
    promoted(settings, catalog, A)
    found = holding.holder_context(context, **words)
    assert not isinstance(found, str)
    assert trained_model(found).model_id == found.model_id == MODELS[A]
    assert found.config.evaluate == CONFIG.evaluate
    assert (found.config.sample, found.config.train) == (made_with.sample, made_with.train)
    assert holding.holder_context(context, **{**words, "candidate": MODELS[A]}) == "the candidate has the alias"
    made_with = build_run("nano", overrides=["vocoder.iterations=9"])
    assert "its vocoder differ" in str(holding.holder_context(context, **words))


def test_a_dry_run_says_what_would_be_done_and_does_nothing(settings: Settings, catalog: Catalog) -> None:
    found = promoted(settings, catalog, B, dry_run=True)
    assert (found.outcome, found.has_alias) == ("would be promoted", True)
    assert Registry.open(settings, "uniform").holder("champion") is None
    assert versions(settings) == []


def test_what_cannot_be_promoted_is_an_error(settings: Settings, catalog: Catalog) -> None:
    with pytest.raises(WorkFailedError, match="scores of it"):
        promote(settings, catalog, CONFIG, model_id=digest("nobody"), rule=PromotionRule(), alias="champion")
    with pytest.raises(ConfigError, match="Did you mean 'v2a/synchrony"):
        promoted(settings, catalog, B, rule={"better": ("v2a/synchrony.tinysink.uniform_tiny",)})
    add(catalog, B, "onset_count.librosa.uniform_tiny", [1.0])
    with pytest.raises(ConfigError, match="neither way is better"):
        promoted(settings, catalog, B, rule={"better": ("v2a/onset_count.librosa.uniform_tiny",)})
    (settings.checkpoints_dir / MODELS[B] / "model").rmdir()
    with pytest.raises(IntegrityError, match="its checkpoint"):
        promoted(settings, catalog, B)


def test_a_rule_has_to_ask_for_something() -> None:
    with pytest.raises(ValidationError, match="anything would be promoted"):
        PromotionRule(gate=False)
    with pytest.raises(ValidationError, match="asked to be better, and not worse"):
        PromotionRule(better=(SYNC_V2A,), not_worse=(SYNC_V2A,))
    with pytest.raises(ConfigError, match="'fvd'"):
        rule_of(gate=True, better=["fvd"], not_worse=[])


def test_the_command_says_each_condition_and_its_exit_code_tells_whether_it_has_the_alias(
    settings: Settings, catalog: Catalog, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = [MODELS[A]]
    monkeypatch.setattr("flows.cli.promote.current_model_id", lambda *_: model[0])
    code, words = said(["promote", "--preset", "nano", "--dry-run", "--better", SYNC_V2A], capsys)
    assert (code, "would be promoted; nobody has it" in words) == (0, True)
    assert said(["promote", "--preset", "nano"], capsys)[0] == 0
    model[0] = MODELS[B]
    code, words = said(["promote", "--preset", "nano", "--not-worse", SYNC_V2A, "--json"], capsys)
    value = json.loads(words)
    assert (code, value["outcome"], value["holder"]["number"]) == (0, "promoted", "1")
    model[0] = MODELS[A]
    code, words = said(["promote", "--preset", "nano", "--not-worse", SYNC_V2A], capsys)
    assert (code, "not promoted; version 2 had it" in words) == (1, True)
    code, words = said(["promote", "--preset", "nano", "--any-gate"], capsys)
    assert (code, "anything would be promoted" in words) == (2, True)
