"""The command about captions: build them, list whose there are, show those of a clip. Only building needs torch.

What it does with corpora of them is in `captions_corpora`.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from flows.cli.captions_words import HANDLERS
from flows.cli.show import print_json, table
from uniform_core.catalog import Catalog
from uniform_core.catalog.memory import bound_memory
from uniform_core.corpus.caption_policy_check import require_captioners
from uniform_core.corpus.caption_versions import corpus_versions
from uniform_core.errors import ConfigError
from uniform_core.settings import load_settings

CORPORA = """
    SELECT captioner, captioner_revision, stage_fp, status, count(*) AS captions, count(DISTINCT text_hash) AS texts,
           strftime(max(created_at), '%Y-%m-%d %H:%M:%S') AS last_write
    FROM captions GROUP BY GROUPING SETS (
        (captioner, captioner_revision, stage_fp), (captioner, captioner_revision, stage_fp, status)
    ) ORDER BY last_write, captioner, captioner_revision, stage_fp, status
"""
CLIPS = """
    SELECT DISTINCT clip_id, dataset, source_id, start_ms, end_ms, label FROM clips
    WHERE starts_with(clip_id, ?) ORDER BY clip_id
"""
OF_CLIP = """
    SELECT c.captioner, c.captioner_revision, c.status, c.flags, c.tries, c.seed, c.n_words, t.text, c.stage_fp,
           strftime(c.created_at, '%Y-%m-%d %H:%M:%S') AS written
    FROM captions c LEFT JOIN caption_texts t USING (text_hash)
    WHERE c.clip_id = ? ORDER BY c.created_at, c.captioner, c.work_key
"""


def captions(arguments: argparse.Namespace) -> int:
    """Do what the action says. Raises ConfigError for names that are missing or wrong."""
    if arguments.action != "build":
        bound_memory()
    module, _, function = HANDLERS[arguments.action].partition(":")
    result: int = getattr(import_module(module), function)(arguments)
    return result


def build(arguments: argparse.Namespace) -> int:
    """Caption what is left to caption; then, where a corpus is named, make a version of it."""
    from flows.cli.captions_corpora import select_only, then_version, wanted_of

    wanted = wanted_of(arguments)
    if wanted is not None and wanted.select_only:
        return select_only(arguments, wanted)
    if wanted is not None and wanted.policy is not None:  # a wrong name is told before hours of captioning
        require_captioners(Catalog.open(load_settings()), wanted.policy)
    from flows.cli.work import stage

    # Captioning asks no corpus: one that is built for the first time may be named in the words of the run.
    arguments.overrides = [word for word in arguments.overrides if word.partition("=")[0] != "corpus"]
    return stage(arguments, afterwards=None if wanted is None else then_version(wanted))


def listed(arguments: argparse.Namespace) -> int:
    """Whose captions there are, and which corpora."""
    catalog = Catalog.open(load_settings())
    versions = [one.as_dict() for one in corpus_versions(catalog)]
    if arguments.corpora:
        print_json(versions) if arguments.json else print(versions_table(versions))
        return 0
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
    print(table(shown) + (f"\n\n{versions_table(versions)}" if versions else ""))
    return 0


def versions_table(versions: Sequence[Mapping[str, Any]]) -> str:
    """Versions of corpora, the active ones marked."""
    return table(
        [
            {
                "corpus": row["name"],
                "active": row["is_active"],
                "clips": row["clips"],
                "texts": row["texts"],
                "flagged": row["flagged"],
                "by selector": ", ".join(
                    f"{count} {selector['captioner']}"
                    for count, selector in zip(row["by_selector"], row["policy"]["selectors"], strict=True)
                ),
                "built": row["created_at"][:19].replace("T", " "),
            }
            for row in versions
        ]
    )


def corpora(catalog: Catalog) -> list[dict[str, Any]]:
    """One row for each way of captioning (captioner, revision, fingerprint), the one written last at the end."""
    groups: defaultdict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in catalog.rows(CORPORA):
        groups[row["captioner"], row["captioner_revision"], row["stage_fp"]].append(row)
    rows = []
    for (captioner, revision, stage_fp), parts in groups.items():
        [whole] = (part for part in parts if part["status"] is None)  # of all statuses
        rows.append(
            {
                "captioner": captioner,
                "revision": revision,
                "stage_fp": stage_fp,
                "captions": whole["captions"],
                "by_status": {part["status"]: part["captions"] for part in parts if part is not whole},
                "distinct_texts": whole["texts"],
                "last_write": whole["last_write"],
            }
        )
    return sorted(rows, key=lambda row: row["last_write"])


def show(arguments: argparse.Namespace) -> int:
    """All that was said of one clip; or what a corpus is."""
    if arguments.corpus is not None:
        from flows.cli.captions_corpora import show_corpus

        return show_corpus(arguments)
    catalog = Catalog.open(load_settings())
    clip = one_clip(catalog, arguments.names[0] if len(arguments.names) == 1 else None)
    said = catalog.rows(OF_CLIP, parameters=[clip["clip_id"]])
    if arguments.json:
        print_json({**clip, "captions": said})
        return 0
    span = f"{clip['start_ms'] / 1000:g}-{clip['end_ms'] / 1000:g} s"
    print(f"{clip['clip_id']}  {clip['dataset']}/{clip['source_id']} {span}, class {clip['label'] or '–'}\n")
    rows = [row | {"flags": None if row["flags"] is None else ", ".join(row["flags"])} for row in said]
    print(table(rows, ("captioner", "captioner_revision", "status", "flags", "tries", "n_words", "written")))
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
            "uniform captions show",
            expected="a clip id, or the beginning of one",
            found="none, or several",
            fix=HOW_TO_LIST,
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
