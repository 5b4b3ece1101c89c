"""`uniform captions export`: a corpus as files for others."""

from __future__ import annotations

import argparse
from pathlib import Path

from flows.cli.captions_corpora import one_name
from flows.cli.show import ProgressPrinter, print_json, size
from uniform_core.catalog import Catalog
from uniform_core.corpus.caption_versions import corpus_version
from uniform_core.errors import ConfigError
from uniform_core.files import expanded
from uniform_core.settings import load_settings


def export(arguments: argparse.Namespace) -> int:
    """Write the files, or go on where an export that was killed stopped. Raises what `write_export` raises."""
    from uniform_core.corpus.exports.source import export_rows, prompts_of
    from uniform_core.corpus.exports.write import Exported, write_export

    if not arguments.to:
        raise ConfigError("uniform captions export", expected="--to DIR", found="no folder", fix="Name a folder.")
    settings = load_settings()
    catalog = Catalog.open(settings)
    corpus = corpus_version(catalog, one_name(arguments))
    folder = expanded(arguments.to).resolve()
    exported = Exported(
        corpus=corpus.corpus,
        version=corpus.version,
        content_digest=corpus.content_digest,
        captions=corpus.clips,
        form=arguments.form,
        tombstones=catalog.versions(["tombstones"])["tombstones"],
    )
    with ProgressPrinter() as printer:
        marker = write_export(
            folder,
            export_rows(catalog, corpus),
            exported,
            media=settings.media_dir,
            prompts=lambda hashes: prompts_of(catalog, hashes),
            listener=printer,
        )
    _say(folder, exported.captions, marker, json=arguments.json)
    return 0


def _say(folder: Path, captions: int, marker: dict[str, dict[str, int]], *, json: bool) -> None:
    if json:
        print_json({"folder": str(folder), "captions": captions, "files": marker})
        return
    total = sum(facts["bytes"] for facts in marker.values())
    print(f"{captions:,} captions in {len(marker)} files, {size(total)}: {folder}")
