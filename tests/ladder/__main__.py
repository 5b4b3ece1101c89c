"""Climb the ladders, save the values, print the table: `python -m ladder --help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from ladder import page
from ladder.claims import rows
from ladder.climbing import Values, climb
from ladder.looking import Gallery
from ladder.nets import published_nets, tiny_extractors
from ladder.parts import PARTS, metrics_of
from ladder.takes import DATA, groups


def main() -> None:
    """Measure the parts that are asked for, one after the other; what is done is saved after each group."""
    parser = argparse.ArgumentParser(prog="python -m ladder")
    parser.add_argument("--part", choices=tuple(PARTS), action="append", help="measure these alone (default: all)")
    parser.add_argument("--markdown", action="store_true", help="print the table of what is saved; measure nothing")
    parser.add_argument("--values", type=Path, default=page.FILE)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    for part in () if chosen.markdown else chosen.part or tuple(PARTS):
        for number, values in enumerate(measured(part), start=1):
            page.write({**page.read(chosen.values), **page.saved(values)}, chosen.values)
            print(f"{part}: {number} of {PARTS[part].groups} groups", file=sys.stderr, flush=True)
    found = page.read(chosen.values)
    print(page.table(page.cells_of(found)))
    lacking = [metric.name for metric in rows() if metric.name not in found]
    print(f"not measured: {', '.join(lacking)}" if lacking else "every metric is measured", file=sys.stderr)


def measured(part: str) -> Iterator[Values]:
    """The values of the metrics of a part, after each of its groups."""
    metrics, size = metrics_of(part), PARTS[part]
    wanted = {"picture": frozenset({"i3d"}), "sound": frozenset({"vggish", "cnn14"})}.get(part, frozenset())
    with TemporaryDirectory() as work:
        nets = published_nets(Path(work), only=wanted)
        gallery = Gallery.of(metrics, nets, tiny_extractors() if part == "tiny" else {})
        some = groups(size.groups, of_class=size.of_class, labels=DATA.labels[: size.classes])
        yield from climb(metrics, gallery, list(some))


if __name__ == "__main__":
    main()
