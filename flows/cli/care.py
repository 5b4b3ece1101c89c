"""Commands that care for the catalog: failures, verify, compact, vacuum, history, bury."""

from __future__ import annotations

import argparse
import sys
from datetime import timedelta

from flows.cli.show import print_json, row_limit, table
from uniform_core.catalog import REPAIRABLE, Catalog
from uniform_core.errors import ConfigError
from uniform_core.settings import load_settings

WHOLE = "every row's bytes are there, whole, with the right hash"


def failures(arguments: argparse.Namespace) -> int:
    """List what failed, or append a request to try it again."""
    catalog = Catalog.open(load_settings())
    wanted = {"stage": arguments.stage, "error_class": arguments.error_class, "dataset": arguments.dataset}
    if arguments.action == "retry":
        count = catalog.request_retry(**wanted, run_id="command line")
        print_json({"requested": count}) if arguments.json else print(f"{count} items will be tried again")
        return 0
    rows = [
        row
        for row in catalog.named_rows("failures")
        if all(value is None or row[name] == value for name, value in wanted.items())
    ]
    shown = rows[: row_limit(arguments.limit, json=arguments.json)]
    if arguments.json:
        print_json(shown)
        return 0
    print(table(shown, ("stage", "item", "error_class", "is_terminal", "tries", "message")))
    if len(shown) < len(rows):
        print(f"… {len(rows) - len(shown)} more rows: --limit 0 prints all")
    return 0


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
    if not (arguments.dataset and arguments.source and arguments.reason):
        raise ConfigError(
            "catalog bury",
            expected="--dataset NAME, --source ID (once or more) and --reason WORDS",
            found="not all of them",
            fix="A takedown says what is taken down, and why.",
        )
    purged = opened.bury(arguments.dataset, arguments.source, reason=arguments.reason, run_id="command line").as_dict()
    print_json(purged) if arguments.json else print(table([{"what": k, "count": v} for k, v in purged.items()]))
    return 0
