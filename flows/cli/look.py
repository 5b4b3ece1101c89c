"""Commands that look and change nothing: status, query, doctor. None imports prefect, ray or torch."""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flows.cli.show import print_json, row_limit, size, table
from uniform_core.catalog import Catalog
from uniform_core.catalog.catalog import query_names
from uniform_core.catalog.memory import bound_memory
from uniform_core.errors import CatalogError, ConfigError
from uniform_core.settings import load_settings

if TYPE_CHECKING:
    import pyarrow as pa


def status(arguments: argparse.Namespace) -> int:
    """Print rows, bytes and failures of each table, and the models."""
    bound_memory()
    settings = load_settings()
    catalog = Catalog.open(settings)
    found = {name: catalog.named_rows(query) for name, query in STATUS.items()}
    versions = catalog.versions()
    if arguments.json:
        print_json({"home": str(settings.home), **found, "versions": versions})
        return 0
    print(f"home  {settings.home}\n")
    print(table([_status_row(row, versions) for row in found["tables"]]))
    print("\nmodels\n" + table(found["models"]) if found["models"] else "\nno model yet")
    print("\nfailures\n" + table(found["failures"]) if found["failures"] else "\nno failures")
    return 0


STATUS = {"tables": "status", "failures": "failures_by_class", "models": "models"}  # and the queries that they are


def _status_row(row: Mapping[str, Any], versions: Mapping[str, int]) -> dict[str, Any]:
    """A table for a person: its media in words, and no version where nothing was ever written."""
    version = versions.get(row["table_name"], -1)
    return {
        "table": row["table_name"],
        "rows": row["rows"],
        "media": None if row["bytes"] is None else size(row["bytes"]),
        "last written, UTC": row["last_write"],
        "version": version if version >= 0 else None,
    }


def query(arguments: argparse.Namespace) -> int:
    """Print the rows of one SELECT; without one, the tables with what each column means."""
    catalog = Catalog.open(load_settings())
    limit = row_limit(arguments.limit, json=arguments.json)
    one_more = None if limit is None else limit + 1  # which tells that there are more
    if arguments.sql is None:
        limit = None if arguments.limit is None else limit
        columns = ["table", "column", "type", "meaning"]
        found = [row for name in catalog.table_names for row in catalog.describe(name)]
    else:
        rows = _selected(catalog, arguments.sql, max_rows=one_more)
        columns, found = rows.column_names, rows.to_pylist()
    shown = found[:limit]
    if arguments.json:
        print_json(shown)
        return 0
    print(table(shown, columns))
    if len(shown) < len(found):
        print("… and more rows: --limit 0 prints all")
    return 0


def _selected(catalog: Catalog, sql: str, *, max_rows: int | None) -> pa.Table:
    """What a person's SELECT returns, or a query of ours by its name.

    Raises ConfigError for SQL that is wrong: it is a word of the call.
    """
    if sql in query_names():
        named = catalog.named_query(sql)
        return named if max_rows is None else named.slice(0, max_rows)
    try:
        rows = catalog.query(sql, read_only_sql=True, max_rows=max_rows)
    except CatalogError as error:
        if error.item != "SQL":
            raise
        raise ConfigError(error.item, expected=error.expected, found=error.found, fix=error.fix) from error
    return rows.rename_columns(_apart(rows.column_names))


def _apart(names: Sequence[str]) -> list[str]:
    """The names of columns, those that a name before has taken with a number: two tables may both have a `path`."""
    apart: list[str] = []
    for name in names:
        numbered = (name if n == 1 else f"{name}_{n}" for n in itertools.count(1))
        apart.append(next(free for free in numbered if free not in apart))
    return apart


def doctor(arguments: argparse.Namespace) -> int:
    """Print what the machine has and what is wrong; 1 where something will stop a run."""
    checks = [*_machine_checks(), *_package_checks()]
    if arguments.json:
        print_json(checks)
    else:
        print(table(checks, ("check", "found", "verdict")))
    return 1 if any(check["verdict"] != "ok" for check in checks) else 0


def _machine_checks() -> list[dict[str, Any]]:
    settings = load_settings()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    place = next(p for p in (settings.home, *settings.home.parents) if p.exists())
    can_write = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    free = shutil.disk_usage(place).free
    shm = shutil.disk_usage("/dev/shm").free if os.path.isdir("/dev/shm") else 0  # noqa: PTH112, S108
    python = ".".join(map(str, sys.version_info[:3]))
    return [
        _check("python", python, sys.version_info >= (3, 11), "3.11 or newer is needed"),
        _check("cores", str(settings.worker_cpus), settings.worker_cpus >= 2, "two cores are needed for two trainers"),
        _check("free memory", size(memory), memory > 4 << 30, "4 GiB are needed for the tiny preset"),
        _check(f"free disk at {place}", size(free), free > 2 << 30, "2 GiB are needed for the tiny preset"),
        _check("home is writable", str(place), can_write, "set UNIFORM_HOME to a writable folder"),
        _check("shared memory", size(shm), shm > 256 << 20, "Ray keeps its objects in /dev/shm: 256 MiB are needed"),
    ]


CEILINGS = {"fastapi": (0, 151), "sqlalchemy": (2, 1)}  # above these Prefect 3.8 breaks, the second one silently
NEEDED = ("torch", "torchaudio", "ray", "prefect", "mlflow", "deltalake", "duckdb", "pyarrow", "av", "transformers")


def _package_checks() -> list[dict[str, Any]]:
    checks = []
    for name in (*NEEDED, *CEILINGS):
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            checks.append(_check(name, "missing", False, "run `make setup`"))
            continue
        parts = tuple(int(part) for part in version.split("+")[0].split(".")[:2] if part.isdigit())
        ceiling = CEILINGS.get(name)
        words = (
            "" if ceiling is None else f"below {ceiling[0]}.{ceiling[1]} is needed: newer ones break Prefect's flows"
        )
        checks.append(_check(name, version, ceiling is None or parts < ceiling, words + "; run `make setup`"))
    return checks


def _check(name: str, found: str, good: bool, otherwise: str) -> dict[str, Any]:
    return {"check": name, "found": found, "verdict": "ok" if good else otherwise}
