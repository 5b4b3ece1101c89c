"""The command that puts runs beside each other. Without `--page` it imports neither prefect, ray nor torch."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from flows.cli.show import print_json
from flows.compare.find import contenders
from flows.compare.text import comparison_json, comparison_text, ends
from uniform_core.catalog import Catalog
from uniform_core.corpus.comparison import Comparison, compare
from uniform_core.errors import WorkFailedError
from uniform_core.files import expanded, write_text
from uniform_core.settings import load_settings


def compare_runs(arguments: argparse.Namespace) -> int:
    """Print what became of the first run's numbers in each other one; with `--page`, write the page too.

    Raises ConfigError for runs that are not known, fewer than two, or the same; WorkFailedError where no score is
    comparable.
    """
    settings = load_settings()
    catalog = Catalog.open(settings)
    base, *others = contenders(settings, catalog, arguments.names)
    comparisons = [compare(catalog, base, other) for other in others]
    _require_something(comparisons)
    labels = _labels(catalog, comparisons, top=arguments.top)
    page = None if arguments.page is None else _page(catalog, comparisons, expanded(arguments.page), top=arguments.top)
    if arguments.json:
        beside = {} if page is None else {"page": str(page)}
        print_json(comparison_json(comparisons, labels, top=arguments.top) | beside)
        return 0
    print(comparison_text(comparisons, labels, top=arguments.top))
    if page is not None:
        print(f"\n{page}")
    return 0


def _require_something(comparisons: Sequence[Comparison]) -> None:
    """Raises WorkFailedError where none of the runs has a number that can be compared."""
    if any(found.scores for found in comparisons):
        return
    reasons = dict.fromkeys(one.reason for found in comparisons for one in found.incomparable)
    raise WorkFailedError(
        "uniform compare " + " ".join(one.name for one in (comparisons[0].base, *(c.other for c in comparisons))),
        expected="at least one score that both have under one protocol, on the same clips",
        found="; ".join(list(reasons)[:3]) + ("; …" if len(reasons) > 3 else ""),
        fix="Evaluate both with the same preset's `evaluate` settings, on the same data.",
    )


def _labels(catalog: Catalog, comparisons: Sequence[Comparison], *, top: int) -> dict[str, str]:
    """The classes of the clips that are shown."""
    import pyarrow as pa

    shown = {change.clip_id for found in comparisons for changes in ends(found, top=top) for change in changes}
    wanted = pa.table({"clip_id": pa.array(sorted(shown), pa.string())})
    rows = catalog.rows(
        "SELECT clip_id, any_value(label) AS label FROM clips SEMI JOIN wanted USING (clip_id) GROUP BY clip_id",
        tables={"wanted": wanted},
    )
    return {row["clip_id"]: row["label"] or "" for row in rows}


def _page(catalog: Catalog, comparisons: Sequence[Comparison], place: Path, *, top: int) -> Path:
    from flows.compare.page import gather_page, render_page  # here: films need torch, and numbers should not wait

    path = place.resolve()
    write_text(path, render_page(gather_page(catalog, comparisons, top=top)))
    return path
