"""Features of original files, by the rules of named protocols: each once for a content, an extractor and a rule.

A reader decodes a file once for every rule; a worker holds the nets. What is there is not computed again, whatever
protocol it was computed for; what failed is in the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from tasks.commits import ItemRows
from tasks.context import Session, item_name
from tasks.pool import Part, PoolLimits, Read, Seen
from tasks.stage import CommitRule, Stage, StageSummary, run_stage
from tasks.workforce import workforce
from uniform_core.catalog.shards import ref_columns, write_shard
from uniform_core.corpus.fingerprints import originals_fingerprint
from uniform_core.errors import Rejection
from uniform_core.fingerprint import file_sha256, work_key
from uniform_core.media import Sandbox
from uniform_core.metrics.base import MetricConfig, Need
from uniform_core.metrics.layers import modality_of
from uniform_core.metrics.loading import Loading
from uniform_core.metrics.originals.extractors import Layers
from uniform_core.metrics.originals.handed import has_net, kept, looked
from uniform_core.metrics.originals.reader import Look, look_at
from uniform_core.metrics.originals.wanted import PublishedNets, extractor_named, looks_of

FILES_AT_ONCE = 4  # windows of large films are held: 16 frames of 1080p take 100 MB
COMMIT = CommitRule(rows=4096, seconds=10.0)
LEDGER = "features"  # the stage that failures are kept under
NAMES = ("work_key", "stage_fp", "content_sha256", "modality", "extractor", "extractor_fp", "layer", "protocol_part")
Place = tuple[str, str]  # extractor, protocol_part
Needed = tuple[Need, Loading | None]
Row = Mapping[str, Any]


def place_of(need: Need, loading: Loading) -> Place:
    """Where the features of a need are: whose they are, and by which rule of the stream that it looks at."""
    return need.extractor, loading.only(modality_of(need)).part_hash


def prints_of(metric: MetricConfig, fingerprints: Mapping[Place, str]) -> dict[str, str]:
    """The fingerprint of each extractor that a metric of a named protocol stands on, in the order of their names."""
    loading = metric.protocol.loading
    assert loading is not None, "metrics of named protocols say how files are read"
    return dict(sorted((need.extractor, fingerprints[place_of(need, loading)]) for need in metric.features))


@dataclass(frozen=True)
class Wanted:
    """What is wanted of original files: the looks by their place, and the layers of each."""

    looks: Mapping[Place, Look]
    layers: Mapping[Place, tuple[str, ...]]

    @classmethod
    def by(cls, metrics: Sequence[MetricConfig], nets: PublishedNets, *, further: Sequence[Needed] = ()) -> Wanted:
        """What metrics read, and `further` layers. Raises ConfigError for a metric of no named protocol."""
        looks = {(look.extractor.name, look.loading.part_hash): look for look in looks_of(metrics, nets)}
        layers: dict[Place, list[str]] = {place: [] for place in looks}
        for need, loading in (*((n, m.protocol.loading) for m in metrics for n in m.features), *further):
            assert loading is not None, "`looks_of` refuses a protocol that leaves it open"
            place = place_of(need, loading)
            if place not in looks:
                extractor = extractor_named(need.extractor, (need.layer,), nets)
                looks[place] = Look(extractor, loading.only(extractor.modality))
            if need.layer not in layers.setdefault(place, []):
                layers[place].append(need.layer)
        return cls(looks, {place: tuple(names) for place, names in layers.items()})

    @property
    def fingerprints(self) -> dict[Place, str]:
        """Those of the extractors, by place. Reads the sha256 of their weights."""
        return {place: look.extractor.fingerprint for place, look in self.looks.items()}

    @property
    def widest(self) -> int:
        """The most rows that a file can have."""
        return sum(map(len, self.layers.values()))


@dataclass(frozen=True)
class Original:
    """A file that is looked at, and from which places."""

    content_sha256: str
    path: Path
    places: frozenset[Place]


class OriginalReader:
    """Decodes files in the sandbox, each once for the rows of a batch that are about it."""

    def __init__(self, *, looks: Mapping[Place, Look]) -> None:
        self._looks = {place: kept(look) for place, look in looks.items()}
        self._sandbox = Sandbox()

    def read(self, batch: Sequence[Row]) -> list[Read | Rejection]:
        """What each row's extractor is to look at, or why there is nothing."""
        found: dict[tuple[str, Place], Layers | Rejection] = {}
        for content in dict.fromkeys(row["content_sha256"] for row in batch):
            own = [row for row in batch if row["content_sha256"] == content]
            found |= {(content, place): one for place, one in self._look(own).items()}
        counted: set[int] = set()
        return [_read(found[row["content_sha256"], _place(row)], counted) for row in batch]

    def close(self) -> None:
        """End the decoder."""
        self._sandbox.close()

    def _look(self, rows: Sequence[Row]) -> dict[Place, Layers | Rejection]:
        """What is seen in one file, by the places of its rows."""
        path, content = Path(rows[0]["path"]), rows[0]["content_sha256"]
        places = list(dict.fromkeys(map(_place, rows)))
        problem = _changed(path, content)
        if problem is not None:
            return dict.fromkeys(places, problem)
        looks = [self._looks[place] for place in places]
        return dict(zip(places, look_at(self._sandbox, path, looks, content_sha256=content), strict=True))


def _changed(path: Path, content: str) -> Rejection | None:
    """Why a file is not the one that was to be looked at; None where it is. Features are filed under its content."""
    try:
        found = file_sha256(path)
    except OSError as error:
        return Rejection("unreadable", f"a file expected; found {error.strerror or error}", terminal=False)
    if found == content:
        return None
    return Rejection("changed", f"sha256 {content[:12]}… expected, as before; found {found[:12]}…", terminal=False)


def _read(found: Layers | Rejection, counted: set[int]) -> Read | Rejection:
    """What is handed over; arrays that several rows share are counted once."""
    if isinstance(found, Rejection):
        return found
    fresh = {id(array): array.nbytes for array in found.values() if id(array) not in counted}
    counted |= fresh.keys()
    return Read(found, sum(fresh.values()))


def _place(row: Row) -> Place:
    return row["extractor"], row["protocol_part"]


class OriginalWorker:
    """Lets each net look at what was read for it, a clip at a time: no number depends on who its neighbours were."""

    def __init__(self, *, tensors_dir: str, looks: Mapping[Place, Look]) -> None:
        torch.set_num_threads(1)
        self._tensors_dir, self._looks = Path(tensors_dir), looks

    @torch.inference_mode()
    def process(self, batch: Sequence[Seen]) -> list[ItemRows | Rejection]:
        """The layer of each wanted (content, extractor, rule, layer)."""
        seen: dict[tuple[str, Place], Layers | Rejection] = {}
        arrays: dict[str, np.ndarray] = {}
        results: list[ItemRows | Rejection | None] = []
        for row, found in ((one.item, one.value) for one in batch):
            at = (row["content_sha256"], _place(row))
            if at not in seen:
                seen[at] = looked(self._looks[_place(row)].extractor, found)
            layers = seen[at]
            if isinstance(layers, Rejection):
                results.append(layers)
                continue
            arrays[row["work_key"]] = np.asarray(layers[row["layer"]])
            results.append(None)
        refs = write_shard(self._tensors_dir, "features", list(arrays.items()))
        return [
            ItemRows(
                rows={"features": [{name: one.item[name] for name in NAMES} | ref_columns(refs[one.item["work_key"]])]},
                bytes=arrays[one.item["work_key"]].nbytes,
            )
            if result is None
            else result
            for one, result in zip(batch, results, strict=True)
        ]


def run_originals(session: Session, files: Sequence[Original], wanted: Wanted) -> StageSummary:
    """See to it that every file has the layers that are wanted of it. What fails is counted, not raised."""
    nets = [look.extractor.config for look in wanted.looks.values() if has_net(look.extractor)]  # type: ignore[attr-defined]
    force = workforce(session.settings, *nets, chunk=wanted.widest)
    stage = Stage(
        name=LEDGER,
        table="features",
        worker=OriginalWorker,
        setup={"tensors_dir": str(session.settings.tensors_dir), "looks": wanted.looks},
        read_by=Part(OriginalReader, {"looks": wanted.looks}),
        readers=force.readers,
        workers=force.workers,
        resources=force.resources,
        batch=FILES_AT_ONCE * wanted.widest,
        describe=item_name,
        limits=PoolLimits(batch_limit_s=3600.0),
        commit=COMMIT,
    )
    return run_stage(
        stage,
        original_candidates(files, wanted),
        catalog=session.catalog,
        ray=session.ray,
        run_id=session.run_id,
        listener=session.listener,
    )


def original_candidates(files: Sequence[Original], wanted: Wanted) -> pa.Table:
    """One row for each content, extractor, rule and layer; the rows of a file stand together."""
    prints = wanted.fingerprints
    stages = {place: originals_fingerprint(look.loading) for place, look in wanted.looks.items()}
    rows = [
        {
            "work_key": feature_key(file.content_sha256, place, layer, fingerprint=prints[place]),
            "item": f"{file.path} {place[0]}/{layer}",
            "dataset": "",
            "path": str(file.path),
            "stage_fp": stages[place],
            "content_sha256": file.content_sha256,
            "modality": str(look.extractor.modality),
            "extractor": place[0],
            "extractor_fp": prints[place],
            "layer": layer,
            "protocol_part": place[1],
        }
        for file in files
        for place, look in wanted.looks.items()
        if place in file.places
        for layer in wanted.layers[place]
    ]
    names = ("work_key", "item", "dataset", "path", *NAMES[1:])
    return pa.Table.from_pylist(rows, schema=pa.schema([(name, pa.string()) for name in names]))


def feature_key(content_sha256: str, place: Place, layer: str, *, fingerprint: str) -> str:
    """The key of one layer of one content, by one extractor and one rule."""
    extractor, part = place
    return work_key(f"{extractor}/{layer}/{part}", stage_fp=fingerprint, source_sha256=content_sha256)
