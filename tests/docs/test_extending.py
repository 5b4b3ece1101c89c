"""docs/extending.md does what it says: each file and its one line pass the family's suite, the style, and no torch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text()
NEW_FILE = re.compile(r"^`(uniform_core/[\w/]+\.py)`\n\n```python\n(.*?)```", re.MULTILINE | re.DOTALL)
ONE_LINE = re.compile(r"One line in `(uniform_core/[\w/]+\.py)`:\n\n```python\n(.*?)\n```", re.DOTALL)
KINDS = {"colours", "mean_video", "shouting", "mean_gap", "renoise"}


def run(*words: str, path: Path) -> subprocess.CompletedProcess[str]:
    """A Python command on the tree at `path`, with the project's own settings of tools and tests."""
    environment = {**os.environ, "PYTHONPATH": str(path)}
    return subprocess.run(
        [sys.executable, "-P", *words], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500
    )


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the core with every file and every line of the page."""
    folder = tmp_path_factory.mktemp("extended")
    files, lines = NEW_FILE.findall(PAGE), ONE_LINE.findall(PAGE)
    assert len(files) == len(lines) == len(KINDS)
    shutil.copytree(ROOT / "uniform_core", folder / "uniform_core", ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in files:
        (folder / name).write_text(text)
    for name, line in lines:
        assert "\n" not in line, "one line"
        family = folder / name
        text = family.read_text()
        imports = [match.end() for match in re.finditer(r"^from .* import .*$", text, re.MULTILINE)]
        family.write_text(text[: imports[-1]] + "\n" + line + text[imports[-1] :])
    return folder


def test_every_member_that_the_page_shows_is_tested_the_moment_it_is_imported(extended: Path) -> None:
    options = ("-v", "-p", "no:cacheprovider", "-k", " or ".join(KINDS))
    done = run("-m", "pytest", *options, "tests/conformance", path=extended)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    passed = {kind for kind in KINDS if re.search(rf"\[.*{kind}.*\] PASSED", done.stdout)}
    assert passed == KINDS, f"the suites never met {KINDS - passed}"


def test_set_takes_a_new_member_by_its_kind(extended: Path) -> None:
    words = re.findall(r"--set ([\w.]+=(?!KIND)[\w.]+)", PAGE)
    assert len(words) == 2
    code = f"from uniform_core.build import build_run; print(repr(build_run('nano', overrides={words}).sample.sampler))"
    done = run("-c", code, path=extended)
    assert done.stdout.startswith("RenoiseConfig(kind='renoise'"), done.stderr
    assert "share=0.3" in done.stdout


def test_set_takes_lists_with_a_new_member_whole(extended: Path) -> None:
    (words,) = re.findall(r"--set '(captioners=.+?)'", PAGE)
    code = f"from uniform_core.build import build_run; print(repr(build_run('nano', overrides=[{words!r}]).captioners))"
    done = run("-c", code, path=extended)
    assert done.stdout.startswith("(ShoutingConfig(kind='shouting'"), done.stderr


def test_quick_commands_stay_quick_beside_the_new_members(extended: Path) -> None:
    """They read every member's config: one `import torch` at the top of a file would cost each of them seconds."""
    code = "import sys, uniform_core.build; from uniform_core.datasets.colours import ColoursConfig; "
    done = run("-c", code + "print({'torch', 'ray', 'prefect'} & set(sys.modules))", path=extended)
    assert done.stdout.strip() == "set()", done.stderr


def test_what_the_page_shows_is_in_the_style_of_the_house(extended: Path) -> None:
    files = [str(extended / name) for name, _ in NEW_FILE.findall(PAGE)]
    settings = ("--config", str(ROOT / "pyproject.toml"), "--no-cache")
    for command in (("check", *settings), ("format", "--check", *settings)):
        done = run("-m", "ruff", *command, *files, path=extended)
        assert done.returncode == 0, done.stdout
