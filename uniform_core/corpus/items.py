"""An item of a dataset as JSON: how it goes to workers. They import this, and none of what composes a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from uniform_core.types import SourceItem, Window


def item_json(item: SourceItem) -> dict[str, Any]:
    """The item as JSON-able values; `item_from_json` is the inverse."""
    values = asdict(item) | {"attributes": dict(item.attributes)}
    values["path"] = None if item.path is None else str(item.path)
    return values


def item_from_json(values: Mapping[str, Any]) -> SourceItem:
    """The item of `item_json`."""
    windows, span, events = values["windows"], values["span"], values["event_times_s"]
    return SourceItem(
        **{
            name: values[name]
            for name in ("dataset", "source_id", "split", "label", "caption", "video_id", "attributes")
        },
        path=None if values["path"] is None else Path(values["path"]),
        span=None if span is None else Window(**span),
        windows=None if windows is None else tuple(Window(**window) for window in windows),
        event_times_s=None if events is None else tuple(events),
    )
