"""Words of the command line that are wrong, or of another action, and how all of them are told at once."""

from __future__ import annotations

import pytest
from command_line import said

from flows.cli.main import build_parser
from flows.cli.words import right_words
from uniform_core.build import build_run
from uniform_core.errors import ConfigError


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["query", "SELECT 1", "--limit", "-1"], "'-1'"),
        (["failures", "list", "--limit", "many"], "'many'"),
        (["catalog", "vacuum", "--keep-hours", "-5"], "'-5'"),
        (["catalog", "vacuum", "--keep-hours", "nan"], "'nan'"),
    ],
)
def test_numbers_that_cannot_be_are_wrong_words(words, wrong, home, capsys):
    code, text = said(words, capsys)
    assert code == 2
    assert "0 or more" in text
    assert wrong in text


def test_every_word_that_is_wrong_is_told_at_once(home, capsys):
    words = ["run", "--preset", "tinny", "--only", "foo", "train", "encod", "--max-reject-fraction", "abc"]
    code, text = said([*words, "--set", "train.stepz=1"], capsys)
    assert code == 2
    for mistake in ("Did you mean 'tiny'", "found 'foo'", "Did you mean 'encode'", "max_reject_fraction", "'abc'"):
        assert mistake in text, mistake
    assert "Did you mean 'steps'" in text
    code, text = said(["failures", "lst", "--stage", "trian", "--limit", "-1"], capsys)
    assert (code, "'list'" in text, "'train'" in text, "'-1'" in text) == (2, True, True, True)
    code, text = said(["generate", "t2a", "--seed", "1.5", "--text", "a ball"], capsys)
    assert (code, "'t2av'" in text, "whole number" in text) == (2, True, True)
    assert not home.exists()


def test_the_share_that_may_be_rejected_is_a_value_of_the_config(home, capsys, monkeypatch):
    built = []

    def build(preset, *, overrides, data):
        built.append(build_run(preset, overrides=overrides, data=data))
        raise ConfigError("x", expected="y", found="z", fix="")

    monkeypatch.setattr("flows.cli.work.build_run", build)
    assert said(["run", "--max-reject-fraction", ".25"], capsys)[0] == 2
    assert built[0].max_reject_fraction == 0.25
    code, text = said(["ingest", "--max-reject-fraction", "1.5"], capsys)
    assert (code, "1.5" in text) == (2, True)


OF_ACTIONS = {
    ("catalog", "verify"): ["--repair"],
    ("catalog", "compact"): ["--table"],
    ("catalog", "vacuum"): ["--keep-hours"],
    ("catalog", "history"): ["--table"],
    ("catalog", "bury"): ["--dataset", "--source", "--video", "--reason"],
    ("failures", "list"): ["--stage", "--error-class", "--dataset", "--where", "--limit"],
    ("failures", "retry"): ["--stage", "--error-class", "--dataset", "--where", "--early", "--dry-run"],
    ("captions", "build"): [
        *("--preset", "--data", "--set", "--dry-run", "--max-reject-fraction", "--limit"),
        *("--corpus", "--policy", "--select-only", "--activate"),
    ],
    ("captions", "list"): ["--corpora"],
    ("captions", "show"): ["names", "--corpus"],
    ("captions", "diff"): ["names", "--by-hash", "--examples"],
    ("captions", "activate"): ["names"],
    ("captions", "rollback"): ["names"],
    ("captions", "sample"): ["names", "--count", "--seed"],
}
VALUES = {
    "--repair": [],
    "--select-only": [],
    "--activate": [],
    "--corpora": [],
    "--by-hash": [],
    "--examples": ["5"],
    "--count": ["10"],
    "--seed": ["0"],
    "--early": [],
    "--dry-run": [],
    "--keep-hours": ["168"],
    "--limit": ["50"],
    "--stage": ["encode"],
}
FOREIGN = {
    (action, word)
    for action, own in OF_ACTIONS.items()
    for other, words in OF_ACTIONS.items()
    for word in words
    if other[0] == action[0] and word not in own
}


@pytest.mark.parametrize(("action", "word"), sorted(FOREIGN), ids=str)
def test_a_word_of_another_action_is_refused(action, word, home, capsys):
    """Also where its value is the default's."""
    given = ["aa11"] if word == "names" else [word, *VALUES.get(word, ["x"])]
    code, text = said([*action, *given], capsys)
    assert code == 2
    assert text.startswith(f"error: uniform {' '.join(action)}: expected no other words than ")
    expected, _, found = text.partition("; found ")
    assert [name for name in [*OF_ACTIONS[action], "--json"] if name not in expected] == []
    assert word in found
    assert word not in expected.split()
    assert not home.exists()


def test_words_of_other_actions_are_told_with_everything_else(home, capsys):
    code, text = said(["captions", "list", "aa11", "--preset", "foo", "--max-reject-fraction", "2"], capsys)
    assert code == 2
    assert text.count("which is of build") == 2
    assert "names, which is of show" in text
    assert "Did you mean" not in text, "a config that is not asked for is not looked at"
    code, text = said(["catalog", "vacuum", "--table", "clips", "--keep-hours", "-1"], capsys)
    assert (code, "(a) uniform catalog vacuum" in text, "(b) --keep-hours" in text) == (2, True, True)


def test_what_all_mistakes_have_in_common_is_said_once(home, capsys):
    words = ["run", "--preset", "tinny", "--only", "foo", "--set", "train.stepz=1"]
    for some in (words, [*words, "--set", "train.lr=-1"], ["failures", "list", "--stage", "trian", "--limit", "x"]):
        code, text = said(some, capsys)
        assert code == 2
        assert text.count("Correct") == 1
        assert text.endswith(". Correct each of them.")
        assert not {"..", "?.", ".)"} & {text[n : n + 2] for n in range(len(text))}


@pytest.mark.parametrize("words", ["weigh list", "compere a b", "tabel 1", "captions explain"])
def test_a_command_that_is_not_there_names_those_that_are(words, home, capsys):
    code, text = said(words.split(), capsys)
    assert code == 2
    assert ("build, list, show" if words == "captions explain" else "'status', 'query', 'compare', 'doctor'") in text


def parsed(*words):
    return right_words(build_parser().parse_args(list(words)))


@pytest.mark.parametrize(
    ("words", "stages", "data"),
    [
        (["plan", "ingest", "vggsound:test"], ["ingest"], "vggsound:test"),
        (["plan", "vggsound"], [], "vggsound"),
        (["plan", "folder:a:b", "train", "encode"], ["train", "encode"], "folder:a:b"),
        (["plan", "train", "--data", "vggsound:test"], ["train"], "vggsound:test"),
        (["plan", "vggsound:test", "--data", "vggsound:test"], [], "vggsound:test"),
        (["plan"], [], None),
    ],
    ids=str,
)
def test_a_plan_is_told_apart_from_its_data(words, stages, data):
    arguments = parsed(*words)
    assert (arguments.stage, arguments.data) == (stages, data)


@pytest.mark.parametrize("command", ["ingest", "fetch", "missing"])
def test_data_may_be_said_without_its_flag_and_once(command, home, capsys):
    assert parsed(command, "vggsound:test", "--limit", "5").data == "vggsound:test"
    assert parsed(command, "vggsound:test", "--limit", "5").overrides == ["data.limit=5"]
    assert parsed(command).data is None
    code, text = said([command, "vggsound:test", "--data", "landscape"], capsys)
    assert (code, "vggsound:test and landscape" in text, "Leave one out" in text) == (2, True, True)
    assert not home.exists()


def test_a_stage_that_nobody_knows_is_no_data(home, capsys):
    code, text = said(["plan", "ingst"], capsys)
    assert (code, "Did you mean 'ingest'" in text) == (2, True)


def test_a_limit_is_checked_with_the_config(home, capsys):
    code, text = said(["plan", "vggsound:test", "--limit", "0"], capsys)
    assert (code, "data.limit" in text or "limit" in text) == (2, True)
    code, text = said(["plan", "procedural", "--limit", "5"], capsys)
    assert (code, "a key of data" in text) == (2, True)
