"""The scores of a call that are there already: found without a look at any feature."""

from __future__ import annotations

from typing import Any

from tasks.anybody import stage_of
from tasks.originals import Wanted, prints_of
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
    fingerprints = Wanted.by(call.asked.metrics, call.nets).fingerprints
    kinds = (
        (metric, (metric.name, metric.protocol_hash, canonical_json(prints_of(metric, fingerprints))))
        for metric in call.asked.metrics
    )
    return [(metric, by_kind.get(kind)) for metric, kind in kinds]
