"""Our own text files and templates."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined


@cache
def own_text(package: str, name: str) -> str:
    """A text file of ours."""
    return (files(package) / name).read_text("utf-8")


@cache
def environment() -> Environment:
    """Where our templates are found; everything that they are given is escaped."""
    return Environment(
        loader=FunctionLoader(lambda name: own_text("flows.browse", name)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
