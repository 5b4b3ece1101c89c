"""`uniform weights list|pull|verify|where`: public weights on this machine. None imports prefect, ray or torch."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from flows.cli.show import ProgressPrinter, print_json, size, table
from uniform_core.errors import ConfigError
from uniform_core.settings import load_settings
from uniform_core.weights.found import absent_files, folder_of, known_weights, licence_text
from uniform_core.weights.manifest import MANIFEST
from uniform_core.weights.pins import read_pins
from uniform_core.weights.pull import pull_weights
from uniform_core.weights.record import Weights
from uniform_core.weights.verify import names_here, verify_weights


def weights(arguments: argparse.Namespace) -> int:
    """List, get, verify or show the place of public weights."""
    return {"list": _list, "pull": _pull, "verify": _verify, "where": _where}[arguments.action](arguments)


def _list(arguments: argparse.Namespace) -> int:
    """Print every entry: from where, how large, under which licence, whether it is here, what uses it."""
    shown = [known_weights(name) for name in arguments.names or MANIFEST]
    if arguments.json:
        print_json([_as_json(entry) for entry in shown])
        return 0
    print(table([_as_row(entry) for entry in shown]))
    print(f"\nThey lie in {load_settings().weights_root}; `uniform weights pull NAME` gets them.")
    return 0


def _as_row(entry: Weights) -> dict[str, Any]:
    return {
        "name": entry.name,
        "from": entry.source,
        "files": len(entry.files),
        "size": ("" if entry.is_size_known else "over ") + size(entry.likely_bytes) if entry.likely_bytes else None,
        "licence": entry.licence,
        "commercial use": "allowed" if entry.is_commercial else "NO COMMERCIAL USE",
        "here": _here(entry),
        "used for": entry.used_for,
    }


def _here(entry: Weights) -> str:
    """Whether an entry is here, or how many of its files are."""
    count = len(entry.files) - len(absent_files(entry))
    return "yes" if count == len(entry.files) else f"{count} of {len(entry.files)}" if count else "no"


def _as_json(entry: Weights) -> dict[str, Any]:
    """An entry of the manifest, with what is here and what is pinned of it."""
    root, absent = folder_of(entry), {file.path for file in absent_files(entry)}
    pins = read_pins(root)
    files = [
        {
            **file.model_dump(),
            "is_here": file.path not in absent,
            "pinned_sha256": pins[file.path].sha256 if file.path in pins else None,
        }
        for file in entry.files
    ]
    return {**entry.model_dump(), "folder": root, "is_here": not absent, "files": files}


def _pull(arguments: argparse.Namespace) -> int:
    """Get weights, saying their licence first; print what came and what was here."""
    if not arguments.names or (arguments.given and len(arguments.names) > 1):
        raise ConfigError(
            "uniform weights pull",
            expected="one name, for files that you have" if arguments.given else "the name of some weights",
            found=", ".join(arguments.names) or "none",
            fix="`uniform weights list` shows the names.",
        )
    entries = [known_weights(name) for name in arguments.names]  # before the first gigabyte
    given = None if arguments.given is None else Path(arguments.given)
    rows = []
    for entry in entries:
        print(f"{entry.name} ({entry.source}): its licence is {licence_text(entry)}", file=sys.stderr)
        with ProgressPrinter() as progress:
            pulled = pull_weights(entry.name, given=given, on_progress=progress)
        rows += [{"weights": entry.name, **vars(one)} for one in pulled]
    if arguments.json:
        print_json(rows)
        return 0
    print(table([{**row, "size_bytes": size(row["size_bytes"]), "sha256": f"{row['sha256'][:16]}…"} for row in rows]))
    if all(row["state"] == "was here" for row in rows):
        print("\nnothing to do: all of it was here")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    """Read every file that is here, and print whether it is whole. Exit code 1 where one is not."""
    names = arguments.names or names_here()
    with ProgressPrinter() as progress:
        findings = verify_weights(names, on_progress=progress)
    rows = [vars(finding) for finding in findings]
    if arguments.json:
        print_json(rows)
    elif rows:
        for row in rows:
            print(f"{row['verdict']:<10} {row['name']}: {row['path']}  ({row['detail']})")
    else:
        print(f"no weights are in {load_settings().weights_root} yet")
    return 0 if all(finding.verdict == "whole" for finding in findings) else 1


def _where(arguments: argparse.Namespace) -> int:
    """Print the folder of each entry, here or not; without names the folder of all."""
    entries = [known_weights(name) for name in arguments.names]
    root = load_settings().weights_root
    if arguments.json:
        print_json([{"name": entry.name, "folder": folder_of(entry), "here": _here(entry)} for entry in entries])
    else:
        print("\n".join(str(folder_of(entry)) for entry in entries) or root)
    return 0
