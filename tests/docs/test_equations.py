"""Every numbered equation of the paper is named by the function that implements it (STYLE 26)."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from uniform_core.diffusion import AncestralConfig, IddpmConfig, Objective, sample, sample_joint
from uniform_core.diffusion.gaussian import GaussianTables
from uniform_core.diffusion.iddpm import Iddpm, min_snr_weight

ROOT = Path(__file__).parents[2]
IMPLEMENTED = {
    1: [sample_joint],
    2: [GaussianTables.of, IddpmConfig.build],
    3: [GaussianTables.of, Iddpm.noised],
    4: [Iddpm.noised, Iddpm.predict],
    5: [Iddpm.loss_terms, min_snr_weight],
    6: [sample, GaussianTables.steps],
    7: [AncestralConfig.advance],
    8: [AncestralConfig.advance],
    9: [GaussianTables.of, Iddpm.log_variance, IddpmConfig],
    10: [Objective.loss_at],
    11: [Objective.loss_at],
    12: [Objective.loss_at],
}
NAMED = re.compile(r"Eq\. (\(\d+\)(?:–\(\d+\)|(?:,| and| for [\w, ]*?)+ ?\(\d+\))*)")
OF_OTHERS = re.compile(r"et al\. \d{4}[^.]*, Eq\. \(\d+\)")


def docstrings() -> Iterator[tuple[str, str]]:
    """Each docstring of diffusion and training on one line, with its place."""
    for path in sorted(
        path for part in ("diffusion", "training") for path in (ROOT / "uniform_core" / part).glob("*.py")
    ):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = ast.get_docstring(node)
                yield f"{path.name}:{getattr(node, 'name', '')}", " ".join((text or "").split())


def test_the_list_has_all_equations_of_the_paper() -> None:
    assert list(IMPLEMENTED) == list(range(1, 13))  # §3 numbers them (1) to (12)


@pytest.mark.parametrize("number", IMPLEMENTED)
def test_the_function_that_implements_an_equation_names_it(number: int) -> None:
    for implementation in IMPLEMENTED[number]:
        text = inspect.getdoc(implementation) or ""
        assert "Eq. (" in text, implementation
        assert f"({number})" in text, implementation


def test_equations_are_written_in_one_way() -> None:
    """`Eq. (n)`: of the paper with n up to 12, or of another paper whose authors and year stand before it."""
    for place, text in docstrings():
        own = OF_OTHERS.sub("", text)
        numbers = [int(number) for said in NAMED.findall(own) for number in re.findall(r"\d+", said)]
        assert own.count("Eq.") == len(NAMED.findall(own)), f"{place}: {text}"
        assert all(1 <= number <= 12 for number in numbers), f"{place}: {text}"
