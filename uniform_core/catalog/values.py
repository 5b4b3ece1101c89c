"""Which values a column takes: those of its own kind, so that nothing is cut, parsed or guessed on its way in.

Arrow alone would cut 1.5 to 1, read "abc" as three texts, and take a time without zone for UTC.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from numbers import Integral, Real
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as kinds


def takes_value(kind: pa.DataType, value: Any) -> bool:
    """Whether a column of this type takes this Python or NumPy value; None is left to NOT NULL.

    >>> takes_value(pa.int64(), 1.5), takes_value(pa.float64(), 1), takes_value(pa.int64(), True)
    (False, True, False)
    """
    if value is None:
        return True
    if kinds.is_list(kind):
        return isinstance(value, list | tuple | np.ndarray) and all(
            item is not None and takes_value(kind.value_type, item) for item in value
        )
    return _SCALARS[_family(kind)](value)


def takes_type(kind: pa.DataType, given: pa.DataType) -> bool:
    """Whether a column of this type takes an Arrow column of the given one.

    >>> takes_type(pa.string(), pa.large_string()), takes_type(pa.int64(), pa.string())
    (True, False)
    """
    if kinds.is_null(given):
        return True
    if kinds.is_dictionary(given):
        return takes_type(kind, given.value_type)
    if kinds.is_list(kind):
        lists = (kinds.is_list, kinds.is_large_list, kinds.is_fixed_size_list)
        return any(is_list(given) for is_list in lists) and takes_type(kind.value_type, given.value_type)
    wanted, found = _family(kind), _family(given)
    return wanted == found or (wanted == "float" and found == "integer")


def _family(kind: pa.DataType) -> str:
    if kinds.is_timestamp(kind) and kind.tz is not None:
        return "time"
    families: tuple[tuple[str, Callable[[pa.DataType], bool]], ...] = (
        ("text", kinds.is_string),
        ("text", kinds.is_large_string),
        ("text", kinds.is_string_view),
        ("integer", kinds.is_integer),
        ("float", kinds.is_floating),
        ("truth", kinds.is_boolean),
    )
    return next((name for name, is_one in families if is_one(kind)), str(kind))


def _is_number(value: Any, number: type) -> bool:
    return isinstance(value, number) and not isinstance(value, bool)


_SCALARS: dict[str, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "integer": lambda value: _is_number(value, Integral),
    "float": lambda value: _is_number(value, Real),
    "truth": lambda value: isinstance(value, bool | np.bool_),
    "time": lambda value: isinstance(value, datetime) and value.tzinfo is not None,
}
