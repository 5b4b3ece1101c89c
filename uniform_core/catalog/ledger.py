"""The failure ledger (`attempts`): what failed, what stands as failed, and what is asked for again."""

# ruff: noqa: S608  (names come from catalogs/ddl and from this package; values are parameters)
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from uniform_core.catalog.session import require_condition
from uniform_core.catalog.store import Clock, Store
from uniform_core.catalog.tables import KEY
from uniform_core.errors import CatalogError, Rejection
from uniform_core.fingerprint import digest

# What the ledger says last of each item of a stage; a request made at the same instant comes after the failure.
LAST: Final = """
SELECT * FROM attempts
QUALIFY row_number() OVER (PARTITION BY stage, item_key ORDER BY created_at DESC, event DESC, work_key) = 1
"""

_NOT_FETCHED: Final = "NOT (stage = 'fetch' AND item_key IN (SELECT work_key FROM stored.downloads))"
_LAST_WITH_TRIES: Final = f"""
SELECT a.*, t.tries FROM ({LAST}) a JOIN (
    SELECT stage, item_key, count(*) FILTER (WHERE event = 'failed') AS tries FROM attempts GROUP BY ALL
) t USING (stage, item_key)
"""


@dataclass(frozen=True)
class Failure:
    """One failed try. `item_key` is the work_key that the item's row would have had; `item` says it in words."""

    stage: str
    item_key: str
    item: str
    rejection: Rejection
    stage_fp: str
    run_id: str
    dataset: str = ""
    retry_at: datetime | None = None


def record_failures(store: Store, failures: Sequence[Failure | Mapping[str, Any]], *, clock: Clock) -> int:
    """How many failures were added to the ledger; whole rows of `attempts` are taken as they are."""
    now = clock()
    rows = [_event(f, n, now) if isinstance(f, Failure) else f for n, f in enumerate(failures)]
    return store.insert("attempts", rows)


def _event(failure: Failure, number: int, now: datetime) -> dict[str, Any]:
    rejection = failure.rejection
    said = [rejection.error_class, rejection.message, rejection.terminal]  # two events of one instant stay two
    if rejection.terminal and failure.retry_at is not None:
        raise CatalogError(
            f"{failure.stage} of {failure.item}",
            expected="no retry_at for a terminal failure",
            found=failure.retry_at.isoformat(),
            fix="Leave retry_at out, or make the rejection not terminal.",
        )
    return {
        KEY: digest(["failed", failure.stage, failure.item_key, failure.run_id, now.isoformat(), number, said]),
        "stage": failure.stage,
        "item_key": failure.item_key,
        "item": failure.item,
        "dataset": failure.dataset,
        "event": "failed",
        "error_class": rejection.error_class,
        "message": rejection.message,
        "is_terminal": rejection.terminal,
        "retry_at": failure.retry_at,
        "stage_fp": failure.stage_fp,
        "run_id": failure.run_id,
        "created_at": now,
    }


def failed_items(
    store: Store,
    *,
    stage: str | None = None,
    dataset: str | None = None,
    error_class: str | None = None,
    item_keys: Sequence[str] | None = None,
    where: str | None = None,
) -> list[dict[str, Any]]:
    """The rows of `attempts` of items whose last event is a failure, and which the given words select.

    A clip that was fetched after all stands as failed no more.

    `where` is a condition that a person typed, over the columns of `attempts` and `tries`, the failures of the item.
    Raises CatalogError for one that is not one condition, or that reads what was taken down.
    """
    asked = [
        (name, value)
        for name, value in (("stage", stage), ("dataset", dataset), ("error_class", error_class))
        if value is not None
    ]
    also = "".join(f" AND {name} = ?" for name, _ in asked)
    parameters: list[Any] = [value for _, value in asked]
    if item_keys is not None:
        also += " AND list_contains(?, item_key)"
        parameters.append(list(item_keys))
    if where is not None:
        also += f" AND list_contains(?, {KEY})"
        parameters.append(_selected(store, where))
    sql = f"SELECT * FROM ({LAST}) WHERE event = 'failed' AND {_NOT_FETCHED}{also}"
    rows: list[dict[str, Any]] = store.query(sql, parameters=parameters).to_pylist()
    return rows


def _selected(store: Store, where: str) -> list[str]:
    """The last failures that a person's condition selects: their own keys in the ledger."""
    require_condition(where)
    sql = f"SELECT {KEY} FROM ({_LAST_WITH_TRIES}) AS failures WHERE event = 'failed' AND (\n{where}\n)"
    keys: list[str] = store.query(sql, read_only_sql=True)[KEY].to_pylist()
    return keys


def request_retry(store: Store, failed: Sequence[Mapping[str, Any]], *, run_id: str, clock: Clock) -> int:
    """How many of these failures, as `failed_items` gives them, may now be tried again."""
    now = clock()
    requests = [
        {
            **row,
            KEY: digest(["retry_requested", row["stage"], row["item_key"], row[KEY]]),
            "event": "retry_requested",
            "is_terminal": False,
            "retry_at": None,
            "run_id": run_id,
            "created_at": max(now, row["created_at"]),
        }
        for row in failed
    ]
    return store.insert("attempts", requests)
