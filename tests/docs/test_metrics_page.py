"""docs/metrics.md names every metric of every protocol, by the hash that the code has."""

from __future__ import annotations

import re
from pathlib import Path

from uniform_core.metrics.protocols import PROTOCOLS

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
ROWS = dict(re.findall(r"^\| `([a-z0-9_.]+)` \|.*\| `([0-9a-f]{12})` \|$", PAGE, re.MULTILINE))


def test_the_page_has_the_metrics_and_the_hashes_of_the_code() -> None:
    assert {metric.name: metric.protocol_hash[:12] for named in PROTOCOLS.values() for metric in named.metrics} == ROWS


def test_the_page_has_a_heading_for_each_protocol() -> None:
    headings = " ".join(re.findall(r"^### (.*)$", PAGE, re.MULTILINE))
    assert [name for name in PROTOCOLS if f"`{name}`" not in headings] == []
