"""The golden values of public codes, each through the metric of the protocol that names it: no constant may be wrong.

The other parity tests are of the arithmetic; here ddof, eps, splits, seeds, subsets, scale, precision and rules are the
protocols' own. Tolerances are those of the READMEs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_data import golden_folders, numpy_arrays

from uniform_core.metrics.alignment import RULES, alignment, motion_peaks
from uniform_core.metrics.av_align import AvAlignConfig, onset_layer
from uniform_core.metrics.base import MetricConfig, Need, Score, Side
from uniform_core.metrics.features import FeatureSet
from uniform_core.metrics.kernel import KernelConfig
from uniform_core.metrics.motion import motion_trajectory
from uniform_core.metrics.onsets import onset_times, resample_for_onsets
from uniform_core.metrics.protocols import PROTOCOLS

# Checks beside the features that have nothing to say: a moving picture, an audible sound, one rate.
FINE = {"peak": 0.5, "movement": 100.0, "rate_hz": 25.0}


def metric_named(name: str) -> MetricConfig:
    return PROTOCOLS[name.rpartition(".")[2]].metric(name)


def set_of(rows: np.ndarray, *, pooled: bool = False) -> FeatureSet:
    """Rows as clips, in key order; with `pooled` as clips of one to three rows."""
    parts = list(rows) if not pooled else np.split(rows, np.arange(2, len(rows), 2))
    return FeatureSet.of([f"{index:06d}" for index in range(len(parts))], parts)


def scored(metric: MetricConfig, generated: np.ndarray, reference: np.ndarray | None = None) -> Score:
    pooled = bool(getattr(metric, "pooled", False))
    sets = {Side.GENERATED: set_of(generated, pooled=pooled)}
    if reference is not None:
        sets[Side.REFERENCE] = set_of(reference, pooled=pooled)
    inputs = {need: sets[need.side] for need in metric.needs}
    for need in metric.checked:
        keys = sets[need.side].keys
        inputs[need] = FeatureSet.of(keys, [np.array(FINE[need.layer])] * len(keys))
    return metric.score(inputs)


# Frechet: a metric of a protocol, the code whose value it must give, and its tolerance.
FRECHET = [
    ("fd.cnn14_16k.audioldm_eval", "audioldm_eval.calculate_fid", 1e-6),
    ("fad.vggish16k.audioldm_eval", "audioldm_eval.FrechetAudioDistance", 1e-6),
    ("fd.cnn14_16k.av_benchmark", "audioldm_eval.calculate_fid", 1e-6),
    ("fad.vggish16k.av_benchmark", "audioldm_eval.FrechetAudioDistance", 1e-6),
    ("fvd.i3d400.mmdiffusion", "mm_diffusion.frechet_distance", 2e-3),
    ("fvd.i3d400.mmdiffusion", "cdfvd.i3d.frechet_distance", 2e-3),
    ("fvd.i3d400.styleganv", "stylegan_v.FeatureStats+sqrtm", 1e-6),
    ("fvd.i3d400_torchscript.styleganv", "stylegan_v.FeatureStats+sqrtm", 1e-6),
    ("fvd.i3d400.uniform", "torch_fidelity.eigvals", 1e-6),
    ("fd.cnn14_16k.uniform", "torch_fidelity.eigvals", 1e-6),
    ("fad.vggish16k.uniform", "torch_fidelity.eigvals", 1e-6),
]


def require_frechet(metric: MetricConfig, folder: Path, code: str, *, tolerance: float) -> None:
    features, checked = numpy_arrays(folder / "features.npz"), 0
    metric = metric.model_copy(update={"groups": 0})  # the interval has its own tests, and costs forty distances
    for path in sorted(folder.glob("expected*.json")):
        for case, codes in json.loads(path.read_text()).items():
            if case.startswith("_"):
                continue
            score = scored(metric, features[f"{case}_gen"], features[f"{case}_ref"])
            loose = {"same", "dead"} if tolerance > 1e-6 else set()
            absolute = 1e-2 if case in loose else 1e-8
            assert score.value == pytest.approx(codes[code], rel=tolerance, abs=absolute), (path.name, case)
            checked += 1
    assert checked >= 5


@pytest.mark.parametrize("folder", golden_folders("frechet"), ids=lambda f: f.name)
@pytest.mark.parametrize(("name", "code", "tolerance"), FRECHET)
def test_frechet(folder: Path, name: str, code: str, tolerance: float) -> None:
    require_frechet(metric_named(name), folder, code, tolerance=tolerance)


# The distance of a kernel: full sets, or the published number of subsets at the golden data's size.
FULL = "mm_diffusion.polynomial_mmd_float64"
SUBSETS = re.compile(r"^audioldm_eval\.kid\(subsets=(\d+),subset_size=(\d+),seed=(\d+)\)$")
KERNEL = ["kvd.i3d400.mmdiffusion", "kvd.i3d400.uniform", "kid.cnn14_16k.audioldm_eval"]


def kernel_sets(folder: Path, case: str) -> tuple[np.ndarray, np.ndarray]:
    arrays = numpy_arrays(folder / "features.npz")
    generated, reference = arrays["gen"], arrays["ref"]
    if case == "identical":
        return reference, reference.copy()
    if case == "same_distribution":
        return generated[: len(reference)] + (reference.mean(axis=0) - generated.mean(axis=0)), reference
    return generated, reference


def require_kernel(metric: KernelConfig, folder: Path) -> None:
    checked = 0
    for case, codes in json.loads((folder / "expected.json").read_text()).items():
        if case.startswith("_"):
            continue
        sets, told, asked = kernel_sets(folder, case), codes[FULL], metric
        if metric.subsets is not None:
            code = next(name for name in codes if SUBSETS.match(name))
            told = codes[code]["kernel_inception_distance_mean"]
            count, size, seed = (int(word) for word in SUBSETS.findall(code)[0])
            assert (metric.subsets.count, metric.subsets.size, metric.subsets.seed) == (count, 1000, seed)
            asked = metric.model_copy(update={"subsets": metric.subsets.model_copy(update={"size": size})})
        assert scored(asked, *sets).value == pytest.approx(told, rel=1e-6), case
        checked += 1
    assert checked >= 3


@pytest.mark.parametrize("folder", golden_folders("kvd"), ids=lambda f: f.name)
@pytest.mark.parametrize("name", KERNEL)
def test_kernel(folder: Path, name: str) -> None:
    metric = metric_named(name)
    assert isinstance(metric, KernelConfig)
    require_kernel(metric, folder)


@pytest.mark.parametrize("folder", golden_folders("kvd"), ids=lambda f: f.name)
def test_mm_diffusion_in_float32_is_within_its_rounding(folder: Path) -> None:
    expected = json.loads((folder / "expected.json").read_text())
    for case in ("main", "same_distribution", "identical"):
        value = scored(metric_named("kvd.i3d400.mmdiffusion"), *kernel_sets(folder, case)).value
        assert value == pytest.approx(expected[case]["mm_diffusion.polynomial_mmd_float32"], rel=2e-5)


# Scores on probabilities: metric, where its value stands, how many classes.
PROBABILITIES = [
    ("is.cnn14_16k.audioldm_eval", ("isc_audioldm_eval_gen_splits10_shuffle_seed2020", "inception_score_mean"), 1e-9),
    ("is.cnn14_16k.av_benchmark", ("isc_audioldm_eval_gen_splits10_shuffle_seed2020", "inception_score_mean"), 1e-9),
    ("is.cnn14_16k.uniform", ("isc_audioldm_eval_gen_splits10_shuffle_seed2020", "inception_score_mean"), 1e-9),
    ("is.c3d_ucf101.styleganv", ("video_is_styleganv_isv_splits10_seed42_first101classes", "mean"), 1e-9),
    ("is.c3d_ucf101.uniform", ("video_is_styleganv_isv_splits10_seed42_first101classes", "mean"), 1e-9),
    ("kl.cnn14_16k.audioldm_eval", ("kl_audioldm_eval_float64", "kullback_leibler_divergence_softmax"), 1e-9),
    ("kl_sigmoid.cnn14_16k.audioldm_eval", ("kl_audioldm_eval_float64", "kullback_leibler_divergence_sigmoid"), 1e-9),
    ("kl.cnn14_16k.av_benchmark", ("kl_av_benchmark", "kl_softmax"), 1e-6),
    ("kl.cnn14_16k.uniform", ("crosscheck_kl_softmax_no_eps",), 1e-9),
]


def require_probabilities(metric: MetricConfig, folder: Path, place: tuple[str, ...], *, tolerance: float) -> None:
    logits = numpy_arrays(folder / "logits.npz")
    told: Any = json.loads((folder / "expected.json").read_text())
    for word in place:
        told = told[word]
    generated, reference = logits["gen"], logits["ref"]
    if metric.protocol.layer == "log_probabilities":
        generated = generated[:, :101].astype(np.float64)
        generated -= np.log(np.exp(generated).sum(axis=1, keepdims=True))
    sides = [need.side for need in metric.needs]
    score = scored(metric, generated, reference if Side.REFERENCE in sides else None)
    assert score.value == pytest.approx(told, rel=tolerance)


@pytest.mark.parametrize("folder", golden_folders("is_kl"), ids=lambda f: f.name)
@pytest.mark.parametrize(("name", "place", "tolerance"), PROBABILITIES)
def test_scores_on_probabilities(folder: Path, name: str, place: tuple[str, ...], tolerance: float) -> None:
    require_probabilities(metric_named(name), folder, place, tolerance=tolerance)


ALIGN = [
    ("av_align.farneback.tempotokens2025", "tempotokens_2025"),
    ("av_align.farneback.seeing_and_hearing", "seeing_and_hearing"),
    ("av_align.farneback.uniform", "tempotokens_2025"),
]


@cache
def flows(folder: Path) -> Mapping[str, np.ndarray]:
    clips = numpy_arrays(folder / "clips.npz")
    return {name.removesuffix("_video_rgb"): motion_trajectory(clips[name]) for name in clips if "_video_rgb" in name}


def clip_values(metric: AvAlignConfig, folder: Path) -> tuple[dict[str, float], dict[str, Any]]:
    """The value of each golden clip by the metric, the sound read by its rule, and what the folder says of it."""
    told = json.loads((folder / "expected.json").read_text())
    rate_hz, clips = float(told["_versions"]["fps"]), numpy_arrays(folder / "clips.npz")
    audio, layer = metric.protocol.loading and metric.protocol.loading.audio, metric.rule.onset_rate_hz
    onsets = {}
    for case in flows(folder):
        heard, heard_hz = clips[f"{case}_audio_16k"], 16_000
        if audio is not None and audio.rate_hz is not None:
            assert audio.resampler == "soxr_hq"
            heard, heard_hz = resample_for_onsets(heard, rate_hz=heard_hz, onset_rate_hz=audio.rate_hz)
        onsets[case] = onset_times(heard, rate_hz=heard_hz, onset_rate_hz=layer)
    cases = list(onsets)
    inputs = {
        Need(Side.GENERATED, "farneback", "flow"): FeatureSet.of(cases, [flows(folder)[case] for case in cases]),
        Need(Side.GENERATED, "farneback", "rate_hz"): FeatureSet.of(cases, [np.array(rate_hz)] * len(cases)),
        Need(Side.GENERATED, "librosa", onset_layer(layer)): FeatureSet.of(cases, [onsets[case] for case in cases]),
    }
    return metric.clip_values(inputs), {case: told[case] for case in cases}


@pytest.mark.parametrize("folder", golden_folders("avalign"), ids=lambda f: f.name)
@pytest.mark.parametrize(("name", "code"), ALIGN)
def test_av_align(folder: Path, name: str, code: str) -> None:
    metric = metric_named(name)
    assert isinstance(metric, AvAlignConfig)
    values, told = clip_values(metric, folder)
    scores = {case: codes[code]["score"] for case, codes in told.items()}
    assert values == pytest.approx(
        {case: score for case, score in scores.items() if score != "ZeroDivisionError"}, abs=1e-12
    )
    assert len(values) < len(scores), "a clip with neither onset nor peak is left out"


@pytest.mark.parametrize("folder", golden_folders("avalign"), ids=lambda f: f.name)
def test_the_rule_of_javisbench(folder: Path) -> None:
    """A rule without a protocol of its own: sound at the file's rate, and no division by zero."""
    values, told = clip_values(AvAlignConfig.of("javisbench", name="javisbench"), folder)
    assert values == pytest.approx({case: codes["javisbench_score"] for case, codes in told.items()}, abs=1e-12)


@pytest.mark.parametrize("folder", golden_folders("avalign"), ids=lambda f: f.name)
@pytest.mark.parametrize(("name", "code"), [*ALIGN, ("javisbench", "javisbench")])
def test_the_unit_cases_of_each_rule(folder: Path, name: str, code: str) -> None:
    rule = RULES[name] if name in RULES else metric_named(name).rule  # type: ignore[attr-defined]
    cases = json.loads((folder / "unit_cases.json").read_text())
    for case in cases["iou_cases"]:
        score = alignment(case["audio_peaks"], case["video_peaks"], rate_hz=case["fps"], rule=rule)
        assert score == (None if case[code] == "ZeroDivisionError" else pytest.approx(case[code], abs=1e-12)), case
    for case in cases["local_max_cases"] if name not in RULES else ():
        assert motion_peaks(np.array(case["flow"]), case["fps"], rule=rule) == pytest.approx(case[code], abs=1e-12)


def changed(name: str, **values: Any) -> Any:
    return metric_named(name).model_copy(update=values)


WRONG: dict[str, Callable[[], None]] = {
    "ddof": lambda: require_frechet(
        changed("fvd.i3d400.styleganv", ddof=1),
        golden_folders("frechet")[0],
        "stylegan_v.FeatureStats+sqrtm",
        tolerance=1e-6,
    ),
    "precision": lambda: require_frechet(
        changed("fd.cnn14_16k.uniform", protocol=metric_named("fvd.i3d400.mmdiffusion").protocol),
        golden_folders("frechet")[0],
        "torch_fidelity.eigvals",
        tolerance=1e-6,
    ),
    "scale": lambda: require_kernel(changed("kvd.i3d400.mmdiffusion", scale=1000.0), golden_folders("kvd")[0]),
    **{
        f"{name} {field}": lambda name=name, place=place, tolerance=tolerance, field=field, value=value: (
            require_probabilities(
                changed(name, **{field: value}), golden_folders("is_kl")[0], place, tolerance=tolerance
            )
        )
        for name, place, tolerance in PROBABILITIES
        for field, value in ((("splits", 9), ("seed", 1), ("eps", 1e-3)) if name.startswith("is") else (("eps", 1e-4),))
    },
}


@pytest.mark.parametrize("constant", WRONG)
def test_a_wrong_constant_is_found(constant: str) -> None:
    with pytest.raises(AssertionError):
        WRONG[constant]()


def test_a_wrong_rule_is_found() -> None:
    folder = golden_folders("avalign")[0]
    other = changed("av_align.farneback.seeing_and_hearing", rule=RULES["tempotokens2025"]).rule
    cases = json.loads((folder / "unit_cases.json").read_text())["iou_cases"]
    given = [
        (alignment(case["audio_peaks"], case["video_peaks"], rate_hz=case["fps"], rule=other), case) for case in cases
    ]
    assert any(score != case["seeing_and_hearing"] for score, case in given if score is not None)


def test_every_metric_of_a_protocol_is_covered() -> None:
    """By name here, or as the chance level of one that is."""
    covered = {name for name, *_ in (*FRECHET, *PROBABILITIES, *ALIGN)} | set(KERNEL)
    every = {metric.name for named in PROTOCOLS.values() for metric in named.metrics}
    assert {name for name in every if not name.startswith("av_align_chance.")} == covered
