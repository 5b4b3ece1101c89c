"""Modules that are imported when they are first used, so that quick commands can read configs without torch.

Files that a config is read from write, behind `if TYPE_CHECKING: … else: …`, `torch = lazy("torch")` for values and
`Tensor = lazy_name("torch", "Tensor")` for names that stand in annotations alone.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


class LazyModule(ModuleType):
    """Stands in for a module until one of its names is asked for."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)


def lazy(name: str) -> Any:
    """The module `name`: itself where it has been imported, else a stand-in.

    >>> lazy("fractions").Fraction(1, 2)
    Fraction(1, 2)
    """
    return sys.modules.get(name) or LazyModule(name)


def lazy_name(module: str, name: str) -> Any:
    """A name of a module, for annotations, which nobody evaluates unless the module is there; else a plain object.

    The tests do evaluate them (shapes are enforced there), and import torch first.
    """
    found = sys.modules.get(module)
    return object if found is None else getattr(found, name)
