"""What the README shows is there: every command parses, every make target and every linked page exists."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml

from flows.cli.main import STAGES, build_parser
from flows.cli.words import right_words
from uniform_core.build import build_run

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^\.venv/bin/uniform (.+?)(?:   .*)?$", README, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_readme_parses(command: str) -> None:
    arguments = right_words(build_parser().parse_args(shlex.split(command)))
    module, _, function = arguments.handler.partition(":")
    assert (ROOT / (module.replace(".", "/") + ".py")).is_file()
    assert function


def test_there_are_commands_to_test() -> None:
    assert len(COMMANDS) >= 10


def test_every_program_of_the_readme_is_one_that_the_install_gives() -> None:
    """A stranger has only `.venv` on which to call, and nothing of it on the path."""
    words = [
        line.split()[0]
        for block in re.findall(r"^```\n(.*?)^```", README, re.M | re.S)
        for line in block.splitlines()
        if line
    ]
    named = {word for word in words if word.startswith(".venv/bin/")}
    assert {Path(word).name for word in named} == {"uniform", "prefect"}
    assert all((Path(sys.executable).parent / Path(word).name).is_file() for word in named)
    assert not {"uniform", "prefect", "python", "pip"} & set(words)


def test_every_make_target_of_the_readme_exists_and_the_first_screen_names_one_command() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z-]+)", README, re.MULTILINE)) <= targets
    assert "make pipeline" in "\n".join(README.splitlines()[:15])
    assert {"setup", "pipeline", "test", "test-long", "check", "bench", "clean"} <= targets


@pytest.mark.parametrize("page", ["README.md", *(str(p.relative_to(ROOT)) for p in (ROOT / "docs").glob("*.md"))])
def test_every_link_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\((?!http)([^)#]+)", text):
        assert ((ROOT / page).parent / target).exists(), target


def test_every_deployment_names_a_flow_that_exists() -> None:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    for deployment in deployments:
        file, _, name = deployment["entrypoint"].partition(":")
        assert f"def {name}(" in (ROOT / file).read_text()
    names = {d["entrypoint"].partition(":")[2] for d in deployments}
    assert names == {"pipeline", "proof_of_seeds", "collect", "evaluate_newest", "paper_tables", *STAGES}


def test_the_table_of_stages_has_as_many_items_as_the_preset() -> None:
    config = build_run("tiny")
    [shown] = re.findall(r"^ingest +(\d+)", README, re.MULTILINE)
    assert config.instrument == config.data
    assert int(shown) == sum(1 for _ in config.data.items(config.spec))
