"""How long a statement that a person typed may take, and how much memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uniform_core.errors import CatalogError

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Bounds:
    """Seconds that statements of a session may take together, and bytes that DuckDB may hold."""

    seconds: float
    memory_bytes: int

    def memory_sql(self) -> str:
        """The statement that sets the bound of memory; before the configuration is locked."""
        return f"SET memory_limit = '{self.memory_bytes} bytes'"


@contextmanager
def bounded(con: duckdb.DuckDBPyConnection, bounds: Bounds) -> Iterator[None]:
    """The block's statements are interrupted when their time is over. Raises CatalogError then."""
    import duckdb

    timer = threading.Timer(bounds.seconds, con.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    except duckdb.InterruptException as error:
        raise CatalogError(
            "SQL", expected=f"an answer within {bounds.seconds:g} s", found="none yet", fix="Ask for less."
        ) from error
    finally:
        timer.cancel()
