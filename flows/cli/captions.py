"""The command about captions: build them, list whose there are, show those of a clip. Only building needs torch."""

from __future__ import annotations

import argparse
from collections import defaultdict
from typing import Any

from flows.cli.show import print_json, table
from uniform_core.catalog import Catalog
from uniform_core.errors import ConfigError
from uniform_core.settings import load_settings

CORPORA = """
    SELECT captioner, captioner_revision, stage_fp, status, count(*) AS captions,
           list(DISTINCT text_hash) FILTER (WHERE text_hash IS NOT NULL) AS texts,
           strftime(max(created_at), '%Y-%m-%d %H:%M:%S') AS last_write
    FROM captions GROUP BY ALL ORDER BY last_write, captioner, captioner_revision, stage_fp, status
"""
CLIPS = """
    SELECT DISTINCT clip_id, dataset, source_id, start_ms, end_ms, label FROM clips
    WHERE starts_with(clip_id, ?) ORDER BY clip_id
"""
OF_CLIP = """
    SELECT c.captioner, c.captioner_revision, c.status, t.text, c.stage_fp,
           strftime(c.created_at, '%Y-%m-%d %H:%M:%S') AS written
    FROM captions c LEFT JOIN caption_texts t USING (text_hash)
    WHERE c.clip_id = ? ORDER BY c.created_at, c.captioner, c.work_key
"""


def captions(arguments: argparse.Namespace) -> int:
    """Build, list or show. Raises ConfigError for a clip that is missing, unknown or not the only one."""
    if arguments.action == "build":
        from flows.cli.work import stage

        return stage(arguments)
    catalog = Catalog.open(load_settings())
    return _list(catalog, arguments) if arguments.action == "list" else _show(catalog, arguments)


def _list(catalog: Catalog, arguments: argparse.Namespace) -> int:
    rows = corpora(catalog)
    if arguments.json:
        print_json(rows)
        return 0
    shown = [
        {
            "captioner": row["captioner"],
            "revision": row["revision"],
            "captions": row["captions"],
            "by status": ", ".join(f"{count} {status}" for status, count in row["by_status"].items()),
            "texts": row["distinct_texts"],
            "last written": row["last_write"],
            "fingerprint": row["stage_fp"][:12],
        }
        for row in rows
    ]
    print(table(shown))
    return 0


def corpora(catalog: Catalog) -> list[dict[str, Any]]:
    """One row for each way of captioning (captioner, revision, fingerprint), the one written last at the end."""
    groups: defaultdict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in catalog.rows(CORPORA):
        groups[row["captioner"], row["captioner_revision"], row["stage_fp"]].append(row)
    rows = [
        {
            "captioner": captioner,
            "revision": revision,
            "stage_fp": stage_fp,
            "captions": sum(part["captions"] for part in parts),
            "by_status": {part["status"]: part["captions"] for part in parts},
            "distinct_texts": len({text for part in parts for text in part["texts"] or ()}),
            "last_write": max(part["last_write"] for part in parts),
        }
        for (captioner, revision, stage_fp), parts in groups.items()
    ]
    return sorted(rows, key=lambda row: row["last_write"])


def _show(catalog: Catalog, arguments: argparse.Namespace) -> int:
    clip = one_clip(catalog, arguments.clip)
    said = catalog.rows(OF_CLIP, parameters=[clip["clip_id"]])
    if arguments.json:
        print_json({**clip, "captions": said})
        return 0
    span = f"{clip['start_ms'] / 1000:g}-{clip['end_ms'] / 1000:g} s"
    print(f"{clip['clip_id']}  {clip['dataset']}/{clip['source_id']} {span}, class {clip['label'] or '–'}\n")
    print(table(said, ("captioner", "captioner_revision", "status", "written")))
    for row in said:
        print(f"\n{row['captioner']} {row['captioner_revision']}: {_plain(row['text'])}")
    return 0


def _plain(text: str | None) -> str:
    """A text on one line without control characters: captions come from strangers, and terminals obey."""
    return "(no text)" if text is None else "".join(c if c.isprintable() else " " for c in text)


def one_clip(catalog: Catalog, beginning: str | None) -> dict[str, Any]:
    """The clip whose id begins so. Raises ConfigError where there is none, or more than one."""
    if not beginning:
        raise ConfigError(
            "uniform captions show", expected="a clip id, or the beginning of one", found="none", fix=HOW_TO_LIST
        )
    found = catalog.rows(CLIPS, parameters=[beginning])
    ids = sorted({row["clip_id"] for row in found})
    if len(ids) != 1:
        some = ", ".join(clip_id[:16] for clip_id in ids[:5]) + (", …" if len(ids) > 5 else "")
        raise ConfigError(
            f"clip {beginning}",
            expected="the beginning of one clip's id",
            found=f"{len(ids)} that begin so: {some}" if ids else "none that begins so",
            fix="Give more of the id." if ids else HOW_TO_LIST,
        )
    return found[0]


HOW_TO_LIST = '`uniform query "SELECT clip_id, source_id FROM clips"` lists them.'
