"""The page itself: a template, one style sheet and one small script, all inside one file that asks for nothing else."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from flows.cli.show import seconds, size
from flows.pages import environment, own_text, policy_hash
from flows.report.axes import number
from flows.report.data import ReportData, ScoreColumn
from flows.report.files import report_path
from flows.report.gather import gather
from flows.report.words import CONTROLS, RULES, SYSTEMS, TASKS, described
from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.evaluation import evaluation_digest
from uniform_core.files import write_text
from uniform_core.metrics.direction import better
from uniform_core.settings import Settings


def write_report(
    settings: Settings,
    catalog: Catalog,
    config: RunConfig,
    *,
    model_id: str,
    summaries: Sequence[Mapping[str, Any]] | None = None,
) -> Path:
    """The page at `report_path`, and the same as `reports/index.html`.

    `summaries` are what the stages of a run did (`StageSummary.as_dict`). Raises WorkFailedError where there is no
    such model, StorageError where the page cannot be written.
    """
    page = render(gather(settings, catalog, config, model_id=model_id, summaries=summaries))
    stands_on = evaluation_digest(catalog, config, model_id=model_id)
    path = report_path(settings, config, model_id=model_id, stands_on=stands_on)
    for place in (path, settings.reports_dir / "index.html"):
        write_text(place, page)
    return path


def render(data: ReportData) -> str:
    """The page as text. Everything in `data` is escaped."""
    style, script = (own_text("flows.report", name) for name in ("page.css", "page.js"))
    return (
        report_templates("flows.report")
        .get_template("page.html.j2")
        .render(
            data=data,
            systems=SYSTEMS,
            tasks=TASKS,
            rules=RULES,
            controls=CONTROLS,
            style=Markup(style),  # noqa: S704  (our own file, not what a run brought)
            script=Markup(script),  # noqa: S704
            style_hash=policy_hash(style),
            script_hash=policy_hash(script),
        )
    )


def report_templates(*packages: str) -> Environment:
    """The templates of some packages, with the words and numbers that those of the report use."""
    made = environment(*packages)
    made.filters |= {"number": number, "size": size, "seconds": seconds, "first_upper": _first_upper}
    made.globals |= {"better": better, "described": described, "groups": _groups, "breakable": _breakable}
    return made


def _groups(columns: Sequence[ScoreColumn]) -> list[tuple[str, int]]:
    """The systems of a table's columns in their order, each with how many columns it has."""
    return [(system, len(list(group))) for system, group in itertools.groupby(columns, key=lambda c: c.system)]


def _breakable(name: str) -> Markup:
    """A name that a narrow column may break after a dot or a low line."""
    return Markup("").join(part + Markup("<wbr>") if part in (".", "_") else part for part in re.split(r"([._])", name))


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]
