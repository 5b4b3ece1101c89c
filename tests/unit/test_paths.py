"""Paths that a person writes: what `~` stands for, and one error where that is nobody's home."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest
from weights_entries import made_up

from flows.cli.generate import order_of
from uniform_core.errors import ConfigError
from uniform_core.files import expanded, reading
from uniform_core.model import InitConfig
from uniform_core.settings import load_settings
from uniform_core.weights import MANIFEST, WeightsFile
from uniform_core.weights.pull import pull_weights

NOBODY = "~nobody-has-this-name/x"


def order(**given: str) -> object:
    words = {"task": "v2a", "text": None, "video": None, "audio": None, "seed": 0, "out": "o.mp4"} | given
    return order_of(argparse.Namespace(**words))


NAMED: dict[str, Callable[[], object]] = {
    NOBODY: lambda: expanded(NOBODY),
    f"--video {NOBODY}": lambda: order(video=NOBODY),
    f"--out {NOBODY}": lambda: order(video=__file__, out=NOBODY),
    f"UNIFORM_HOME {NOBODY}": lambda: load_settings({"UNIFORM_HOME": NOBODY}),
    f"UNIFORM_WEIGHTS_DIR {NOBODY}": lambda: load_settings({"UNIFORM_WEIGHTS_DIR": NOBODY}),
    "weights": lambda: InitConfig(source="pixart", weights=NOBODY).located(),
    "given": lambda: pull_weights("made-up", given=Path(NOBODY)),
}


@pytest.mark.parametrize("item", NAMED)
def test_a_home_that_nobody_knows_is_one_error(item: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIFORM_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.setitem(MANIFEST, "made-up", made_up(WeightsFile(path="config.json")))
    with pytest.raises(ConfigError) as caught:
        NAMED[item]()
    assert caught.value.item == (item if "~" in item else NOBODY)
    assert caught.value.found == "~nobody-has-this-name, whose home nobody knows"


def test_a_known_home_is_written_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/weights") == tmp_path / "weights"
    assert expanded(Path("a/~b")) == Path("a/~b")
    assert load_settings({"UNIFORM_HOME": "~/h", "UNIFORM_WEIGHTS_DIR": "~/w"}).weights_root == tmp_path / "w"


def test_what_the_system_refuses_is_one_error_that_names_the_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught, reading("weights x"):
        (tmp_path / ("a" * 300)).is_file()
    assert caught.value.item == str(tmp_path / ("a" * 300))
    assert caught.value.found == "File name too long"
