"""The scores of a call that are there already: found without a look at any feature."""

from __future__ import annotations

from typing import Any

from tasks.anybody import stage_of
from tasks.originals import Wanted, place_of
from uniform_core.catalog import Catalog
from uniform_core.corpus.anybody.call import Call
from uniform_core.corpus.anybody.sides import judged
from uniform_core.fingerprint import canonical_json
from uniform_core.metrics.base import MetricConfig

_NEWEST = """
SELECT * FROM scores WHERE system = ? AND stage_fp = ?
QUALIFY row_number() OVER (PARTITION BY name, protocol_hash, extractors ORDER BY created_at DESC, work_key) = 1
"""


def kept_rows(catalog: Catalog, call: Call) -> list[tuple[MetricConfig, dict[str, Any] | None]]:
    """The newest row of `scores` of each metric of a call, of its system by these weights; None where there is none."""
    own = judged(call.system, call.generated, call.reference)
    rows = catalog.rows(_NEWEST, parameters=[call.system, stage_of(own, str(call.task))])
    by_kind = {(row["name"], row["protocol_hash"], row["extractors"]): row for row in rows}
    looks = Wanted.by(call.asked.metrics, call.nets).looks
    kept = []
    for metric in call.asked.metrics:
        loading = metric.protocol.loading
        assert loading is not None, "metrics of named protocols say how files are read"
        prints = {need.extractor: looks[place_of(need, loading)].extractor.fingerprint for need in metric.features}
        kind = (metric.name, metric.protocol_hash, canonical_json(dict(sorted(prints.items()))))
        kept.append((metric, by_kind.get(kind)))
    return kept
