"""`uniform weights list|pull|verify|where` as a person types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import said
from weights_entries import made_up

from flows.cli.main import main
from uniform_core.fingerprint import bytes_sha256
from uniform_core.weights import MANIFEST, WeightsFile

FREE = {"name": "free", "licence": "Apache-2.0", "is_commercial": True}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNIFORM_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("UNIFORM_WEIGHTS_DIR", raising=False)
    monkeypatch.setitem(MANIFEST, "made-up", made_up(WeightsFile(path="a.bin"), WeightsFile(path="b.json")))
    monkeypatch.setitem(MANIFEST, "free", made_up(WeightsFile(path="c.bin", about_bytes=3 << 30), **FREE))
    return tmp_path / "home" / "weights"


@pytest.fixture
def given(tmp_path: Path) -> Path:
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "a.bin").write_bytes(b"a")
    (tmp_path / "given" / "b.json").write_bytes(b"{}")
    return tmp_path / "given"


def test_list_shows_source_size_licence_and_what_it_is_for(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(["weights", "list"], capsys)
    assert code == 0
    assert all(name in text for name in MANIFEST)
    assert "made-up maker/made-up 2 – CC-BY-NC-4.0 NO COMMERCIAL USE no tests" in text
    assert "free maker/made-up 1 3.0 GiB Apache-2.0 allowed no tests" in text
    assert f"They lie in {root}" in text
    assert main(["weights", "list", "free", "made-up", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in shown] == ["free", "made-up"]
    assert shown[1]["is_commercial"] is False
    assert shown[1]["files"][0] | {"path": "a.bin", "is_here": False, "pinned_sha256": None} == shown[1]["files"][0]
    assert not root.exists(), "looking changes nothing"


def test_a_pull_says_the_licence_and_what_came_and_then_that_nothing_is_to_do(
    root: Path, given: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["weights", "pull", "made-up", "--from", str(given)]
    code, text = said(words, capsys)
    assert code == 0
    assert "made-up (maker/made-up): its licence is CC-BY-NC-4.0: NO COMMERCIAL USE" in text
    assert "made-up a.bin taken 1 B" in text
    assert "nothing to do" not in text
    code, text = said(["weights", "pull", "made-up"], capsys)
    assert (code, "nothing to do: all of it was here" in text) == (0, True)
    assert main([*words, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[0] == {"weights": "made-up", "path": "a.bin", "state": "was here", "size_bytes": 1} | {
        "sha256": bytes_sha256(b"a")
    }
    code, text = said(["weights", "list", "made-up"], capsys)
    assert "NO COMMERCIAL USE yes" in text
    (root / "made-up" / "a.bin").unlink()
    assert "NO COMMERCIAL USE 1 of 2" in said(["weights", "list", "made-up"], capsys)[1]


def test_offline_a_pull_says_what_is_missing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The tests run with HF_HUB_OFFLINE=1."""
    code, text = said(["weights", "pull", "made-up"], capsys)
    assert code == 2
    assert "weights made-up: expected a.bin, b.json to be here already, since HF_HUB_OFFLINE is set" in text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["pull"], "expected the name of some weights; found none. `uniform weights list` shows the names."),
        (["pull", "made-up", "free", "--from", "x"], "expected one name, for files that you have; found made-up, free"),
        (["pull", "made-upp"], "Did you mean 'made-up'?"),
        (["pull", "free", "nobody"], "weights 'nobody': expected one of "),
        (["list", "--from", "x"], "--from, which is of pull"),
        (["fetch"], "one of list, pull, verify, where"),
        (["where", "../x"], "expected one of "),
    ],
)
def test_a_wrong_call_is_told_before_anything_is_fetched(
    words: list[str], expected: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = said(["weights", *words], capsys)
    assert code == 2
    assert expected in text
    assert not root.exists()


def test_verify_ends_with_1_where_a_file_is_not_whole(
    root: Path, given: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = said(["weights", "verify"], capsys)
    assert (code, text) == (0, f"no weights are in {root} yet")
    assert said(["weights", "verify", "made-up"], capsys)[0] == 1, "asked for, and missing"
    assert main(["weights", "pull", "made-up", "--from", str(given)]) == 0
    capsys.readouterr()
    code, text = said(["weights", "verify"], capsys)
    assert code == 0
    assert text.count("whole made-up: ") == 2
    (root / "made-up" / "a.bin").unlink()
    (root / "made-up" / "a.bin").write_bytes(b"z")
    code, text = said(["weights", "verify"], capsys)
    assert code == 1
    assert f"damaged made-up: a.bin (expected sha256 {bytes_sha256(b'a')}, found" in text
    assert main(["weights", "verify", "--json"]) == 1
    assert [row["verdict"] for row in json.loads(capsys.readouterr().out)] == ["damaged", "whole"]


def test_where_prints_folders_alone(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "where", "made-up", "free"]) == 0
    assert capsys.readouterr().out == f"{root / 'made-up'}\n{root / 'free'}\n"
    assert main(["weights", "where"]) == 0
    assert capsys.readouterr().out == f"{root}\n"
    assert main(["weights", "where", "free", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"name": "free", "folder": str(root / "free"), "here": "no"}]


@pytest.mark.parametrize("words", ["list", "where flan-t5-xxl", "verify", "pull flan-t5-xxl"])
def test_no_command_waits_for_torch_ray_or_prefect(words: str, root: Path) -> None:
    code = (
        "import sys; from flows.cli.main import main; main(['weights', *sys.argv[1:]]); "
        "print('loaded', {'torch', 'ray', 'prefect', 'mlflow', 'transformers', 'diffusers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, *words.split()], capture_output=True, text=True, timeout=300)
    assert "loaded set()" in done.stdout, done.stdout + done.stderr
