"""Entries of the manifest that tests make, served by `weights_server`; and the command line with them, as a process.

python tests/weights_entries.py '[{"name": …}]' pull NAME
"""

from __future__ import annotations

import json
import sys
from typing import Any

from uniform_core.weights.manifest import MANIFEST
from uniform_core.weights.record import Weights, WeightsFile


def made_up(*files: WeightsFile, name: str = "made-up", repo: str | None = "maker/made-up", **more: Any) -> Weights:
    """An entry of a model that nobody has; its licence forbids commercial use unless told."""
    known = {"licence": "CC-BY-NC-4.0", "is_commercial": False, "used_for": "tests", **more}
    return Weights(name=name, repo=repo, files=files, **known)


if __name__ == "__main__":
    from flows.cli.main import main

    MANIFEST.update({entry["name"]: Weights(**entry) for entry in json.loads(sys.argv[1])})  # type: ignore[attr-defined]
    sys.exit(main(["weights", *sys.argv[2:]]))
