"""DuckDB in memory: one instance a process, an empty database in it for each use."""

from __future__ import annotations

import atexit
import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import duckdb

LOOK_MEMORY: Final = "1200MiB"
"""What a command that only looks may take: with Python, Arrow and a result 2 GiB. What needs more goes to disk."""


def bound_memory(limit: str = LOOK_MEMORY) -> None:
    """From now on the sessions that this process shares hold no more than this, all together."""
    with memory_connection() as con:
        con.execute(f"SET memory_limit = '{limit}'")


@contextmanager
def memory_connection(*, own: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to an empty database in memory, in UTC; with `own`, to an instance that nobody shares."""
    if own:
        with _instance() as con:
            con.execute("SET TimeZone = 'UTC'")
            yield con
        return
    shared, name = _shared_instance(os.getpid()), f"session_{uuid.uuid4().hex}"
    try:
        with shared.cursor() as con:
            con.execute(f"SET TimeZone = 'UTC'; ATTACH ':memory:' AS {name}; USE {name}")
            yield con
    finally:  # from another connection: this one may have been left with a result half read
        with shared.cursor() as other:
            other.execute(f"DETACH DATABASE IF EXISTS {name}")


@lru_cache(maxsize=1)
def _shared_instance(_pid: int) -> duckdb.DuckDBPyConnection:
    """The instance of a process (a fork makes its own): opening one costs 30 ms, a database within it 1 ms."""
    atexit.register(_shared_instance.cache_clear)  # an instance that outlives the interpreter is reported as leaked
    return _instance()


def _instance() -> duckdb.DuckDBPyConnection:
    """A DuckDB that never takes a Python variable for a table, and spills large sorts to the temporary folder."""
    import duckdb

    return duckdb.connect(config={"python_enable_replacements": "false", "temp_directory": _spill_folder()})


def _spill_folder() -> str:
    """Where large sorts go; nowhere (an empty name) where the disk is so full that no folder can be written."""
    try:
        return str(Path(tempfile.gettempdir()) / f"uniform-duckdb-{os.getpid()}")
    except FileNotFoundError:
        return ""
