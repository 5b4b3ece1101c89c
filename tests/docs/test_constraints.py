"""constraints.txt pins every package that an install gives, at the version with which these tests run."""

from __future__ import annotations

import re
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = "uniform-av"
LINES = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
PINNED = {canonicalize_name(name): version for name, version in LINES}


def needed() -> set[str]:
    """The packages that `.[dev]` pulls in on this machine, and what they pull in."""
    waiting: list[tuple[str, frozenset[str]]] = [(PROJECT, frozenset({"dev"}))]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        package = waiting.pop()
        if package in seen:
            continue
        seen.add(package)
        name, extras = package
        for requirement in map(Requirement, distribution(name).requires or []):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""}):
                waiting.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return {name for name, _ in seen} - {PROJECT}


def test_every_package_is_pinned_at_the_version_that_is_tested() -> None:
    found = {name: distribution(name).version for name in needed()}
    assert len(found) > 100
    assert {name: version for name, version in found.items() if PINNED.get(name) != version} == {}


def test_no_place_of_this_machine_is_written_down() -> None:
    text = "".join((ROOT / name).read_text() for name in ("constraints.txt", "pyproject.toml", "Makefile", ".ci/run"))
    assert not re.findall(r"https?://|file:|--(?:extra-)?index-url|@ ", text)
