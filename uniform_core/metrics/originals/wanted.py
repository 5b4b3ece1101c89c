"""What metrics of named protocols need of original files: which extractors look, by which rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from uniform_core.errors import ConfigError
from uniform_core.metrics.base import MetricConfig
from uniform_core.metrics.layers import ORIGINAL_LAYERS, why_unknown
from uniform_core.metrics.originals.extractors import (
    Cnn14At16k,
    I3d400,
    OriginalExtractor,
    ScriptedC3d,
    ScriptedI3d,
    StreamedFarneback,
    StreamedOnsets,
    Vggish16k,
)
from uniform_core.metrics.originals.reader import Look
from uniform_core.metrics.published.configs import Cnn14Config, I3dConfig, VggishConfig
from uniform_core.metrics.published.scripted import ScriptConfig, c3d_ucf101, i3d_torchscript
from uniform_core.types import Frozen

CHECK_LAYERS = ("rate_hz", "movement", "peak")  # which every extractor of the kind gives beside what is asked for


class PublishedNets(Frozen):
    """The nets behind the extractors, with their weights. TorchScript files run code: only with a person's word."""

    vggish: VggishConfig = VggishConfig()
    cnn14: Cnn14Config = Cnn14Config()
    i3d: I3dConfig = I3dConfig()
    i3d_torchscript: ScriptConfig = i3d_torchscript(allow_code=False)
    c3d: ScriptConfig = c3d_ucf101(allow_code=False)


def looks_of(metrics: Sequence[MetricConfig], nets: PublishedNets) -> tuple[Look, ...]:
    """Each extractor once for each rule that some metric reads its stream by, with every layer that is asked of it.

    Nets are loaded when they first look. Raises ConfigError for a metric whose protocol leaves the loading open, or
    whose extractor looks at no original files.
    """
    layers: dict[tuple[str, str], list[str]] = {}
    looks: dict[tuple[str, str], Look] = {}
    for metric in metrics:
        loading = metric.protocol.loading
        if loading is None or loading.reader != "streamed":
            raise ConfigError(
                metric.name,
                expected="a protocol that says how original files are read",
                found="none" if loading is None else f"reader {loading.reader}",
                fix="Take one of `uniform protocols list`.",
            )
        for need in metric.features:
            if (problem := why_unknown(need, ORIGINAL_LAYERS)) is not None:
                fix = "Score such a metric in a run of its own preset."
                raise ConfigError(metric.name, expected="layers that original files give", found=problem, fix=fix)
            extractor = extractor_named(need.extractor, (), nets)
            part = loading.only(extractor.modality)
            place = (need.extractor, part.part_hash)
            if need.layer not in (*CHECK_LAYERS, *layers.setdefault(place, [])):
                layers[place].append(need.layer)
            looks[place] = Look(extractor_named(need.extractor, tuple(layers[place]), nets), part)
    return tuple(looks.values())


def extractor_named(name: str, layers: tuple[str, ...], nets: PublishedNets) -> OriginalExtractor:
    """The extractor of a name of `ORIGINAL_LAYERS`, for these layers."""
    made: Mapping[str, Callable[[], OriginalExtractor]] = {
        "farneback": StreamedFarneback,
        "librosa": lambda: StreamedOnsets(layers),
        "vggish16k": lambda: Vggish16k(nets.vggish),
        "cnn14_16k": lambda: Cnn14At16k(nets.cnn14),
        "i3d400": lambda: I3d400(nets.i3d, layers),
        "i3d400_torchscript": lambda: ScriptedI3d(nets.i3d_torchscript),
        "c3d_ucf101": lambda: ScriptedC3d(nets.c3d),
    }
    return made[name]()
