"""Features of original files as metrics are handed them: read from their shards when they are asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from tasks.context import Session
from tasks.originals import LEDGER, Original, Place, Wanted, feature_key, place_of
from uniform_core.catalog.shards import ShardReader, ref_of
from uniform_core.corpus.anybody.sides import contents_of
from uniform_core.corpus.controls import Clips
from uniform_core.metrics.base import Lacking, MetricConfig, Need, Side
from uniform_core.metrics.features import FeatureSet
from uniform_core.metrics.layers import modality_of
from uniform_core.metrics.loading import Loading

LAYERS_HELD = 4  # in memory at a time: metrics of one extractor stand together
ABSENT_WORDS = "the stream expected, no file of the clip has it"
Contents = Mapping[str, np.ndarray]


class OriginalStore:
    """The features that the catalog has of these files, a layer at a time; and why some have none."""

    def __init__(self, session: Session, files: Sequence[Original], wanted: Wanted) -> None:
        self._session, self._files, self._wanted = session, files, wanted
        self.fingerprints = wanted.fingerprints
        self._held: OrderedDict[tuple[Place, str], Contents] = OrderedDict()
        self._reasons: dict[Place, dict[str, str]] = {}

    def inputs(self, metric: MetricConfig, sides: Mapping[Side, Clips]) -> tuple[dict[Need, FeatureSet], Lacking]:
        """What a metric needs, in key order; and of each side and extractor the clips without features, and why."""
        loading = metric.protocol.loading
        assert loading is not None, "metrics of named protocols say how files are read"
        inputs: dict[Need, FeatureSet] = {}
        lacking: dict[tuple[Side, str], dict[str, str]] = {}
        for need in (*metric.needs, *metric.checked):
            contents = contents_of(sides[need.side], modality_of(need))
            inputs[need] = self.feature_set(contents, need, loading)
            missed = sorted(contents.keys() - set(inputs[need].keys))
            if missed:
                why = self._why_not(place_of(need, loading))
                lacking[need.side, need.extractor] = {key: why.get(contents[key], ABSENT_WORDS) for key in missed}
        return inputs, lacking

    def feature_set(self, contents: Mapping[str, str], need: Need, loading: Loading) -> FeatureSet:
        """A layer of items by key, `contents` those of the items; items without features are left out."""
        arrays = self._layer(place_of(need, loading), need.layer)
        found = {key: arrays[content] for key, content in contents.items() if content in arrays}
        return FeatureSet.of(list(found), list(found.values()))

    def _layer(self, place: Place, layer: str) -> Contents:
        """One layer of all files that have it, by content."""
        at = (place, layer)
        if at not in self._held:
            self._held[at] = self._read(place, layer)
            if len(self._held) > LAYERS_HELD:
                self._held.popitem(last=False)
        self._held.move_to_end(at)
        return self._held[at]

    def _read(self, place: Place, layer: str) -> Contents:
        keys = self._keys(place, layer)
        rows = self._session.catalog.query(
            "SELECT f.* FROM features f JOIN wanted w USING (work_key)", tables={"wanted": keys}
        ).to_pylist()
        with ShardReader(self._session.settings.tensors_dir) as reader:
            ordered = sorted(rows, key=lambda row: (row["shard"], row["row_group"], row["row_in_group"]))
            return {row["content_sha256"]: reader.read(ref_of(row)) for row in ordered}

    def _why_not(self, place: Place) -> Mapping[str, str]:
        """Why contents have no features by a place, as the ledger says."""
        if place not in self._reasons:
            keys = self._keys(place, self._wanted.layers[place][0])
            content_of = dict(zip(keys["work_key"].to_pylist(), keys["content_sha256"].to_pylist(), strict=True))
            failed = self._session.catalog.failed_items(stage=LEDGER, item_keys=list(content_of))
            self._reasons[place] = {content_of[row["item_key"]]: str(row["message"]) for row in failed}
        return self._reasons[place]

    def _keys(self, place: Place, layer: str) -> pa.Table:
        contents = [file.content_sha256 for file in self._files if place in file.places]
        keys = [feature_key(content, place, layer, fingerprint=self.fingerprints[place]) for content in contents]
        return pa.table({"work_key": pa.array(keys, pa.string()), "content_sha256": pa.array(contents, pa.string())})
