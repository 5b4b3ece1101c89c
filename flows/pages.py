"""What our pages share: their text files, their templates, and the hashes that their policies name."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined


@cache
def own_text(package: str, name: str) -> str:
    """A text file of ours."""
    return (files(package) / name).read_text("utf-8")


@cache
def environment(*packages: str) -> Environment:
    """Where our templates are found, in the first of some packages that has one; all that they are given is escaped."""
    return Environment(
        loader=FunctionLoader(lambda name: _found(packages, name)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def policy_hash(text: str) -> str:
    """A page's policy names its own style and script by this, so that nothing else can ever run in it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _found(packages: tuple[str, ...], name: str) -> str | None:
    package = next((one for one in packages if (files(one) / name).is_file()), None)
    return None if package is None else own_text(package, name)
