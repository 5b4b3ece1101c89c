"""NumPy arrays in pickled weights: let through torch's restricted reader by name, and nothing else of NumPy.

Two of the published nets have them: the checkpoint of Cnn14 beside its weights, the PCA of VGGish as its weights.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from uniform_core.lazy import lazy

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")

_PLAIN = (np.float16, np.float32, np.float64, np.int8, np.int16, np.int32, np.int64, np.uint8, np.bool_)


def arrays_allowed(allowed: bool) -> AbstractContextManager[object]:
    """While it is open, torch's restricted reader makes arrays of plain numbers, where that is `allowed`."""
    if not allowed:
        return nullcontext()
    rebuild: Any = np._core.multiarray._reconstruct  # type: ignore[attr-defined]  # what every pickled array names
    known: list[Any] = [np.ndarray, np.dtype, *(type(np.dtype(kind)) for kind in _PLAIN)]
    # Its module was renamed in NumPy 2: files have either name.
    known += [(rebuild, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")]
    context: AbstractContextManager[object] = torch.serialization.safe_globals(known)
    return context


def as_tensor(value: object) -> object:
    """A tensor of an array of plain numbers; anything else as it is.

    >>> as_tensor(np.zeros(2, dtype=np.float32))
    tensor([0., 0.])
    >>> as_tensor(3)
    3
    """
    is_plain = isinstance(value, np.ndarray) and value.dtype.type in _PLAIN and value.dtype.isnative
    return torch.from_numpy(np.ascontiguousarray(value)) if is_plain else value
