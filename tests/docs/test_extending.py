"""docs/extending.md does what it says: each file and its one line pass the family's conformance suite."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text()
NEW_FILE = re.compile(r"^`(uniform_core/[\w/]+\.py)`\n\n```python\n(.*?)```", re.MULTILINE | re.DOTALL)
ONE_LINE = re.compile(r"One line in `(uniform_core/[\w/]+\.py)`:\n\n```python\n(.*?)\n```", re.DOTALL)
KINDS = {"colours", "mean_video", "shouting", "mean_gap", "plain"}


def test_every_member_that_the_page_shows_is_tested_the_moment_it_is_imported(tmp_path: Path) -> None:
    files, lines = NEW_FILE.findall(PAGE), ONE_LINE.findall(PAGE)
    assert len(files) == len(lines) == len(KINDS)
    shutil.copytree(ROOT / "uniform_core", tmp_path / "uniform_core", ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in files:
        (tmp_path / name).write_text(text)
    for name, line in lines:
        assert "\n" not in line, "one line"
        family = tmp_path / name
        text = family.read_text()
        imports = [match.end() for match in re.finditer(r"^from .* import .*$", text, re.MULTILINE)]
        family.write_text(text[: imports[-1]] + "\n" + line + text[imports[-1] :])
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-P", "-m", "pytest", "-v", "-p", "no:cacheprovider", "-k", " or ".join(KINDS)]
    done = subprocess.run(
        [*command, "tests/conformance"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    passed = {kind for kind in KINDS if re.search(rf"\[.*{kind}.*\] PASSED", done.stdout)}
    assert passed == KINDS, f"the suites never met {KINDS - passed}"
