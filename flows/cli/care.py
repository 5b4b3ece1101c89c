"""Commands that care for the catalog: failures, verify, compact, vacuum, history, bury."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from flows.cli.show import print_json, row_limit, table
from uniform_core.catalog import REPAIRABLE, Catalog, Selection
from uniform_core.catalog.store import utc_now
from uniform_core.errors import CatalogError, ConfigError
from uniform_core.settings import load_settings

WHOLE = "every row's bytes are there, whole, with the right hash"


def failures(arguments: argparse.Namespace) -> int:
    """List what failed, or append a request to try it again."""
    catalog = Catalog.open(load_settings())
    words: Selection = {
        "stage": arguments.stage,
        "error_class": arguments.error_class,
        "dataset": arguments.dataset,
        "where": arguments.where,
    }
    with condition_told():
        selected = catalog.failed_items(**words)
    if arguments.action == "retry":
        return _retry(catalog, selected, arguments)
    wanted = {(row["stage"], row["item_key"]) for row in selected}
    rows = [row for row in catalog.named_rows("failures") if (row["stage"], row["item_key"]) in wanted]
    shown = rows[: row_limit(arguments.limit, json=arguments.json)]
    if arguments.json:
        print_json(shown)
        return 0
    print(table(shown, ("stage", "item", "error_class", "is_terminal", "tries", "message")))
    if len(shown) < len(rows):
        print(f"… {len(rows) - len(shown)} more rows: --limit 0 prints all")
    return 0


def _retry(catalog: Catalog, selected: Sequence[Mapping[str, Any]], arguments: argparse.Namespace) -> int:
    """Ask for another try of what is due; videos that are gone are, some months after they were last looked at."""
    from uniform_core.corpus.fetching import recheck_at  # here: other commands of this file need no config

    now = utc_now()
    whens = [None if arguments.early else recheck_at(row) for row in selected]
    due = [row for row, when in zip(selected, whens, strict=True) if when is None or when <= now]
    later = [when for when in whens if when is not None and when > now]
    early = len(later)
    count = len(due) if arguments.dry_run else catalog.retry(due, run_id="command line")
    if arguments.json:
        said = {"would_request" if arguments.dry_run else "requested": count, "not_due": early}
        print_json({**said, "next_due": min(later, default=None)})
        return 0
    print(f"{count} items {'would' if arguments.dry_run else 'will'} be tried again")
    if early:
        print(
            f"{early} stay as they are: videos that are gone are not due for another look yet, the first of them on "
            f"{min(later):%Y-%m-%d} (--early asks anyway)"
        )
    return 0


@contextlib.contextmanager
def condition_told() -> Iterator[None]:
    """SQL that is wrong is a wrong word of the call: ConfigError."""
    try:
        yield
    except CatalogError as error:
        if error.item != "SQL":
            raise
        raise ConfigError("--where", expected=error.expected, found=error.found, fix=error.fix) from error


def catalog(arguments: argparse.Namespace) -> int:
    """Verify, compact, vacuum, show the history of, or take sources out of the catalog."""
    opened = Catalog.open(load_settings())
    return {"verify": _verify, "compact": _compact, "vacuum": _vacuum, "history": _history, "bury": _bury}[
        arguments.action
    ](opened, arguments)


def _verify(opened: Catalog, arguments: argparse.Namespace) -> int:
    findings = opened.verify()
    rows = [finding.as_dict() for finding in findings]
    print_json(rows) if arguments.json else print(table(rows) if rows else WHOLE)
    left = [finding for finding in findings if not (arguments.repair and finding.check in REPAIRABLE)]
    if arguments.repair:
        gone = ", ".join(f"{count} of {name}" for name, count in opened.repair(findings).items()) or "none"
        print(f"rows taken out, for the next run to make again: {gone}", file=sys.stderr)
    return 1 if left else 0


def _compact(opened: Catalog, arguments: argparse.Namespace) -> int:
    done = opened.compact(arguments.table)
    print_json(done) if arguments.json else print(
        table([{"table": name, "files merged": n} for name, n in done.items()])
    )
    return 0


def _vacuum(opened: Catalog, arguments: argparse.Namespace) -> int:
    """Finish takedowns that were cut short, delete table files that nothing needs, and shards that no row names."""
    purged = opened.purge()
    keep = timedelta(hours=arguments.keep_hours)
    counts = {
        "takedowns finished, files": purged.media_files + purged.tensors,
        "table files": len(opened.vacuum(keep)),
        "tensor shards and media": len(opened.collect_orphans(max(keep, timedelta(hours=24)))),
    }
    print_json(counts) if arguments.json else print(table([{"what": k, "deleted": v} for k, v in counts.items()]))
    return 0


def _history(opened: Catalog, arguments: argparse.Namespace) -> int:
    names = [arguments.table] if arguments.table else list(opened.versions())
    rows = [{"table": name, **entry} for name in names for entry in opened.history(name)]
    print_json(rows) if arguments.json else print(table(rows))
    return 0


def _bury(opened: Catalog, arguments: argparse.Namespace) -> int:
    sources, videos = arguments.source, arguments.video
    if not arguments.reason or bool(sources) == bool(videos) or (sources and not arguments.dataset):
        raise ConfigError(
            "catalog bury",
            expected="--reason WORDS, and --dataset NAME with --source ID (once or more), or --video ID (once or more)",
            found="not all of them, or sources and videos in one call",
            fix="A takedown says what is taken down, and why.",
        )
    if videos:
        unseen = opened.unseen_videos(videos, dataset=arguments.dataset)
        burial = opened.bury_videos(videos, dataset=arguments.dataset, reason=arguments.reason, run_id="command line")
        if unseen:
            told = ", ".join(unseen[:5]) + (", …" if unseen[5:] else "")
            print(f"nothing was fetched of {told}: no file had to go, and none will come", file=sys.stderr)
    else:
        burial = opened.bury(arguments.dataset, sources, reason=arguments.reason, run_id="command line")
    purged = burial.as_dict()
    print_json(purged) if arguments.json else print(table([{"what": k, "count": v} for k, v in purged.items()]))
    return 0
