"""`uniform protocols list|show`: how the numbers of a name are made. Imports neither prefect, ray nor torch."""

from __future__ import annotations

import argparse
from typing import Any

from flows.cli.show import print_json, table
from uniform_core.errors import ConfigError
from uniform_core.metrics.base import MetricConfig
from uniform_core.metrics.loading import AudioLoading, Loading, VideoLoading
from uniform_core.metrics.protocols import PROTOCOLS, ProtocolSet, protocol_named

# Of a metric's config, what the columns before it say already.
TOLD = ("kind", "protocol")


def protocols(arguments: argparse.Namespace) -> int:
    """List the named protocols, or show what one of them is to the last constant."""
    names = arguments.names
    if arguments.action == "list":
        if names:
            raise ConfigError("names", expected="none with list", found=", ".join(names), fix="Use `show NAME`.")
        return _list(as_json=arguments.json)
    if not names:
        known = ", ".join(PROTOCOLS)
        raise ConfigError("names", expected=f"the name of a protocol: {known}", found="none", fix="Name one of these.")
    shown = [protocol_named(name) for name in names]
    if arguments.json:
        print_json([as_json(named) for named in shown])
        return 0
    print("\n\n".join(as_text(named) for named in shown))
    return 0


def _list(*, as_json: bool) -> int:
    rows = [
        {"name": named.name, "hash": named.hash, "metrics": [m.name for m in named.metrics], "about": named.about}
        for named in PROTOCOLS.values()
    ]
    if as_json:
        print_json(rows)
        return 0
    words = {"metrics": lambda names: ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))}
    print(table([{key: words.get(key, str)(value) for key, value in row.items() if key != "hash"} for row in rows]))
    print("\n`uniform protocols show NAME` says every constant, and what a protocol lacks.")
    return 0


def as_json(named: ProtocolSet) -> dict[str, Any]:
    """A protocol as one JSON value: each metric's config is what its hash is of."""
    return {
        "name": named.name,
        "hash": named.hash,
        "about": named.about,
        "source": named.source,
        "metrics": [
            {"name": metric.name, "hash": metric.protocol_hash, "config": metric.model_dump(mode="json")}
            for metric in named.metrics
        ],
        "missing": [{"metric": gap.metric, "reason": gap.reason} for gap in named.missing],
        "notes": list(named.notes),
    }


def as_text(named: ProtocolSet) -> str:
    """A protocol as text for people."""
    parts = [
        f"{named.name}: {named.about}",
        f"from {named.source}; hash {named.hash}",
        "",
        table([metric_row(metric) for metric in named.metrics]),
        "",
        *dict.fromkeys(line for metric in named.metrics for line in loading_lines(metric.protocol.loading)),
    ]
    if named.missing:
        parts += ["", "not made here:", *(f"  {gap.metric}: {gap.reason}" for gap in named.missing)]
    if named.notes:
        parts += ["", *(f"- {note}" for note in named.notes)]
    return "\n".join(parts)


def metric_row(metric: MetricConfig) -> dict[str, Any]:
    """A metric as a row: what looks, and the constants of the reduction."""
    protocol, config = metric.protocol, metric.model_dump(mode="json")
    constants = {name: value for name, value in config.items() if name not in TOLD}
    return {
        "metric": metric.name,
        "layer": protocol.layer,
        "clips a side": protocol.items,
        "precision": protocol.precision,
        "constants": ", ".join(f"{name} {_word(value)}" for name, value in constants.items()),
        "hash": metric.protocol_hash[:12],
    }


def loading_lines(loading: Loading | None) -> list[str]:
    """How files are read, one line a stream; what a rule leaves as the file has it is not said."""
    if loading is None:
        return []
    part = [f"from {loading.start_s:g} s on"] if loading.start_s else []
    part += [f"{loading.window_s:g} s"] if loading.window_s else []
    streams: tuple[tuple[str, VideoLoading | AudioLoading | None], ...] = (
        ("picture", loading.video),
        ("sound", loading.audio),
    )
    return [
        f"{name}: "
        + ", ".join([*part, *(f"{field} {value}" for field, value in _said(rule))] or ["as the file has it"])
        for name, rule in streams
        if rule is not None
    ]


def _said(rule: VideoLoading | AudioLoading) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in rule.model_dump(mode="json").items() if value not in (None, "none", False)]


def _word(value: Any) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {part}" for name, part in value.items()) + ")"
    return "none" if value is None else str(value)
