"""Features: what every extractor sees in every file of an evaluation, once for each content, in tensor shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from tasks.commits import ItemRows
from tasks.context import RunContext, item_name
from tasks.instruments import load_instruments
from tasks.pool import Part, PoolLimits, Read, Seen
from tasks.stage import CommitRule, Stage, StageSummary, run_stage
from tasks.workforce import workforce
from uniform_core.catalog.shards import ShardReader, ref_columns, ref_of, write_shard
from uniform_core.codecs.mel import log_mel
from uniform_core.config import RunConfig
from uniform_core.corpus.fingerprints import features_fingerprint
from uniform_core.errors import Rejection
from uniform_core.fingerprint import work_key
from uniform_core.media import DecodeRule, Sandbox
from uniform_core.metrics.extractors import (
    EvalBatch,
    Extractor,
    Farneback,
    Gauge,
    LibrosaOnsets,
    MelSketch,
    TinyMel,
    TinySync,
    TinyVideo,
    VideoSketch,
)
from uniform_core.metrics.features import FeatureSet
from uniform_core.metrics.trained import TrainedNet, load_net

FILES_AT_ONCE = 16


def extractors_of(nets: Mapping[str, TrainedNet[Any]], wanted: Mapping[str, Sequence[str]]) -> dict[str, Extractor]:
    """The extractors that are wanted, by name; `wanted` names the layers of each."""
    known = (
        TinyVideo(nets["video"]),
        TinyMel(nets["mel"]),
        TinySync(nets["sync"]),
        Farneback(),
        Gauge(),
        VideoSketch(),
        MelSketch(),
        LibrosaOnsets(tuple(wanted.get(LibrosaOnsets.name, ()))),
    )
    return {extractor.name: extractor for extractor in known if extractor.name in wanted}


@dataclass(frozen=True)
class LookedAt:
    """A file whose features are wanted: its content, and where it lies (relative to the root's media/)."""

    content_sha256: str
    path: str


class FileReader:
    """Decodes files in the sandbox, each once for the rows of a batch that are about it."""

    def __init__(self, *, config_json: str, media_dir: str) -> None:
        self._config = RunConfig.model_validate_json(config_json)
        self._media_dir, self._sandbox = Path(media_dir), Sandbox()

    def read(self, batch: Sequence[Mapping[str, Any]]) -> list[Read | Rejection]:
        """The clip of each row, or why the file could not be read."""
        clips: dict[str, Read | Rejection] = {}
        results = []
        for path in (row["path"] for row in batch):
            if path not in clips:
                results.append(self._read(path))
                clips[path] = _again(results[-1])
            else:
                results.append(clips[path])
        return results

    def close(self) -> None:
        """End the decoder."""
        self._sandbox.close()

    def _read(self, path: str) -> Read | Rejection:
        clip = self._decode(path)
        if isinstance(clip, Rejection):
            return clip
        return Read(clip, clip.frames_BTHW3.nbytes + clip.mel_BTF.nbytes + clip.waveform_BN.nbytes)

    def _decode(self, path: str) -> EvalBatch | Rejection:
        """The clip as the protocol loads it: rate, size and length of the spec; sound that ends early is padded."""
        spec = self._config.spec
        rule = DecodeRule(
            rate_hz=spec.video_rate_hz,
            size_px=(spec.height_px, spec.width_px),
            resize=self._config.resize,  # as `terms` says it
            interpolation="area",
            audio_rate_hz=spec.audio_rate_hz,
            duration_s=spec.duration_s,
        )
        media = self._sandbox.decode(self._media_dir / path, rule)
        if isinstance(media, Rejection):
            return media
        assert media.frames_THWC is not None, "the rule asks for both streams"
        assert media.waveform_N is not None, "the rule asks for both streams"
        if len(media.frames_THWC) < spec.frames:
            return Rejection("too_short", f"expected {spec.frames} frames; found {len(media.frames_THWC)}")
        waveform_N = np.zeros(spec.samples, np.float32)
        heard = media.waveform_N[: spec.samples]
        waveform_N[: len(heard)] = heard
        mel_BTF = log_mel(torch.from_numpy(waveform_N)[None], spec).numpy()
        frames_BTHW3 = media.frames_THWC[None, : spec.frames]
        return EvalBatch(frames_BTHW3, mel_BTF, waveform_N[None], spec.video_rate_hz, spec.audio_rate_hz)


def _again(read: Read | Rejection) -> Read | Rejection:
    """The same for a further row of its batch: it takes no further room."""
    return read if isinstance(read, Rejection) else replace(read, bytes=0)


class FeatureWorker:
    """Lets every extractor that is wanted look at what was read of a file."""

    def __init__(
        self,
        *,
        tensors_dir: str,
        net_dirs: Mapping[str, str],
        wanted: Mapping[str, Sequence[str]],
    ) -> None:
        torch.set_num_threads(1)
        self._tensors_dir = Path(tensors_dir)
        nets = {kind: load_net(Path(folder)) for kind, folder in net_dirs.items()}
        self._extractors = extractors_of(nets, wanted)

    def process(self, batch: Sequence[Seen]) -> list[ItemRows]:
        """The features of each wanted (file, extractor, layer)."""
        looks: dict[tuple[str, str], Mapping[str, Sequence[np.ndarray]]] = {}
        arrays: dict[str, np.ndarray] = {}
        for row, clip in ((seen.item, seen.value) for seen in batch):
            look = (row["path"], row["extractor"])
            if look not in looks:
                looks[look] = self._extractors[row["extractor"]].extract(clip)
            arrays[row["work_key"]] = np.asarray(looks[look][row["layer"]][0])
        refs = write_shard(self._tensors_dir, "features", list(arrays.items()))
        return [
            ItemRows(
                rows={"features": [{name: row[name] for name in ROW_NAMES} | ref_columns(refs[row["work_key"]])]},
                bytes=arrays[row["work_key"]].nbytes,
            )
            for row in (seen.item for seen in batch)
        ]


ROW_NAMES = (
    "work_key",
    "stage_fp",
    "content_sha256",
    "modality",
    "extractor",
    "extractor_fp",
    "layer",
    "protocol_part",
)


def run_features(context: RunContext, files: Sequence[LookedAt], wanted: Mapping[str, Sequence[str]]) -> StageSummary:
    """See to it that every file has the layers that `wanted` names by extractor."""
    net_dirs = {kind: str(folder) for kind, folder in load_instruments(context).folders.items()}
    layers = sum(map(len, wanted.values()))  # of a file: its rows stand together, so that it is decoded once
    force = workforce(context.settings, chunk=FILES_AT_ONCE // 4 * layers)
    stage = Stage(
        name="features",
        table="features",
        stage_fp=features_fingerprint(context.config),
        worker=FeatureWorker,
        setup={"tensors_dir": str(context.settings.tensors_dir), "net_dirs": net_dirs, "wanted": wanted},
        read_by=Part(
            FileReader,
            {"config_json": context.config.model_dump_json(), "media_dir": str(context.settings.media_dir)},
        ),
        readers=force.readers,
        workers=force.workers,
        resources=force.resources,
        batch=FILES_AT_ONCE * layers,
        describe=item_name,
        limits=PoolLimits(batch_limit_s=3600.0),
        commit=CommitRule(rows=4096, seconds=30.0),
    )
    return run_stage(
        stage,
        feature_candidates(context, files, wanted),
        catalog=context.catalog,
        ray=context.ray,
        run_id=context.run_id,
        listener=context.listener,
    )


def feature_candidates(context: RunContext, files: Sequence[LookedAt], wanted: Mapping[str, Sequence[str]]) -> pa.Table:
    """One row for each file, extractor and layer; the rows of a file stand together."""
    part, stage_fp = context.config.terms.loading.part_hash, features_fingerprint(context.config)
    # Once for each: the fingerprint of a net reads every weight.
    extractors = [(e, e.fingerprint) for e in extractors_of(load_instruments(context).nets, wanted).values()]
    rows = [
        {
            "work_key": work_key(
                f"{extractor.name}/{layer}/{stage_fp}", stage_fp=fingerprint, source_sha256=file.content_sha256
            ),
            "item": f"{file.path} {extractor.name}/{layer}",
            "dataset": "",
            "stage_fp": stage_fp,
            "content_sha256": file.content_sha256,
            "path": file.path,
            "modality": extractor.modality,
            "extractor": extractor.name,
            "extractor_fp": fingerprint,
            "layer": layer,
            "protocol_part": part,
        }
        for file in files
        for extractor, fingerprint in extractors
        for layer in wanted[extractor.name]
    ]
    names = ("work_key", "item", "dataset", "path", *ROW_NAMES[1:])
    return pa.Table.from_pylist(rows, schema=pa.schema([(name, pa.string()) for name in names]))


class FeatureStore:
    """The features of an evaluation, read from the catalog once; `fingerprints` are those of the extractors."""

    def __init__(self, context: RunContext, files: Sequence[LookedAt], wanted: Mapping[str, Sequence[str]]) -> None:
        keys = feature_candidates(context, files, wanted)
        self.fingerprints: Mapping[str, str] = dict(
            zip(keys["extractor"].to_pylist(), keys["extractor_fp"].to_pylist(), strict=True)
        )
        rows = context.catalog.query(
            "SELECT f.* FROM features f JOIN wanted w USING (work_key)", tables={"wanted": keys.select(["work_key"])}
        ).to_pylist()
        reader = ShardReader(context.settings.tensors_dir)
        ordered = sorted(rows, key=lambda row: (row["shard"], row["row_group"], row["row_in_group"]))
        self._arrays = {
            (row["content_sha256"], row["extractor"], row["layer"]): reader.read(ref_of(row)) for row in ordered
        }

    def feature_set(self, contents: Mapping[str, str], *, extractor: str, layer: str) -> FeatureSet:
        """The features of items by key; `contents` gives each item's content. Items without features are left out."""
        found = {key: self._arrays.get((sha256, extractor, layer)) for key, sha256 in contents.items()}
        kept = {key: array for key, array in found.items() if array is not None}
        return FeatureSet.of(list(kept), list(kept.values()))
