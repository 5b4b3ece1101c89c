"""A family is a set of config classes told apart by `kind`; its members are what its `__init__.py` imports."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Annotated, Any, Self, Union

from pydantic import Field

from uniform_core.types import Frozen


class Member(Frozen):
    """The config of one member of a family. A concrete class narrows `kind` to a Literal with a default."""

    kind: str

    @classmethod
    def example(cls) -> Self:
        """A small valid config, which the family's conformance suite builds and exercises."""
        return cls.model_validate({})

    def fingerprint_params(self) -> dict[str, Any]:
        """What enters the stage fingerprint: every value that changes numbers, no place where things live."""
        return self.model_dump(mode="json")

    def weight_facts(self) -> dict[str, Any]:
        """What the member's weights say beyond its config, by name; nothing of one without weights.

        Raises ConfigError where they are not there, or have not the names and shapes of this config. Their numbers are
        not read: that is for `build`.
        """
        return {}


def members_of(namespace: Mapping[str, Any], base: type[Member]) -> tuple[type[Member], ...]:
    """The concrete subclasses of `base` that a module has imported, in order of their `kind`."""
    found = {
        value.model_fields["kind"].default: value
        for value in namespace.values()
        if inspect.isclass(value) and issubclass(value, base) and value is not base and not inspect.isabstract(value)
    }
    return tuple(found[kind] for kind in sorted(found))


def tagged_union(members: tuple[type[Member], ...]) -> Any:
    """The pydantic type that accepts any of the members, told apart by `kind`."""
    if len(members) == 1:
        return members[0]
    return Annotated[Union[members], Field(discriminator="kind")]  # noqa: UP007  (a tuple made at import)
