"""Single metrics: what they say in cases whose answer is known."""

import json

import numpy as np
import pytest
from pydantic import ValidationError

from uniform_core.build import build_run
from uniform_core.corpus.fingerprints import features_fingerprint
from uniform_core.errors import ConfigError
from uniform_core.metrics import (
    AvAlignConfig,
    ClassAccuracyConfig,
    FrechetConfig,
    InceptionConfig,
    KernelConfig,
    KlConfig,
    SynchronyConfig,
)
from uniform_core.metrics.base import LABELS, LABELS_OF, SIDES, MetricConfig, Need, Score, Side
from uniform_core.metrics.extractors import (
    EvalBatch,
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
from uniform_core.metrics.gaussian import frechet_from_features
from uniform_core.metrics.kernel import Subsets
from uniform_core.metrics.layers import LAYERS, why_unknown
from uniform_core.metrics.nets import MelCommittee, SyncNet, VideoCommittee, new_net
from uniform_core.metrics.protocol import Loading, Protocol
from uniform_core.metrics.strata import strata_of
from uniform_core.metrics.tiny import tiny_metrics
from uniform_core.metrics.trained import TrainedNet
from uniform_core.spec import AVSpec

GENERATED = Need(Side.GENERATED, "example", "features")
REFERENCE = Need(Side.REFERENCE, "example", "features")


def named(values: object, *, start: int = 0) -> FeatureSet:
    rows = list(values)  # type: ignore[call-overload]
    return FeatureSet.of([f"{start + i:04d}" for i in range(len(rows))], rows)


def two_sets(generated: np.ndarray, reference: np.ndarray) -> dict[Need, FeatureSet]:
    return {GENERATED: named(generated), REFERENCE: named(reference)}


def test_frechet_of_shifted_sets_is_the_squared_shift():
    rows = np.random.default_rng(0).normal(size=(400, 3))
    score = FrechetConfig.example().score(two_sets(rows + np.array([1.0, 2.0, 0.0]), rows))
    assert score.value == pytest.approx(5.0, abs=1e-9)
    assert score.low is not None
    assert 4.0 < score.low < 5.0


def test_frechet_of_few_items_warns_and_one_item_has_no_score():
    rows = np.random.default_rng(0).normal(size=(20, 32))
    few = FrechetConfig.example().score(two_sets(rows, rows + 1.0))
    assert few.value == pytest.approx(32.0)
    assert any("sample size" in warning for warning in few.warnings)
    lonely = FrechetConfig.example().score(two_sets(rows[:1], rows))
    assert lonely.value is None
    assert lonely.reason == "1 generated items where at least 2 are needed"


def test_frechet_without_groups_has_no_interval():
    rows = np.random.default_rng(0).normal(size=(50, 3))
    config = FrechetConfig(protocol=Protocol(name="example", extractor="example"), groups=0)
    score = config.score(two_sets(rows, rows + 1.0))
    assert score.value is not None
    assert (score.low, score.high) == (None, None)


@pytest.mark.parametrize(("n", "groups"), [(2, 20), (3, 2)])
def test_frechet_of_too_few_for_a_group_to_be_left_out_has_no_interval(n: int, groups: int):
    config = FrechetConfig(protocol=Protocol(name="example", extractor="example"), groups=groups)
    rows = np.random.default_rng(0).normal(size=(n, 8))
    score = config.score(two_sets(rows, rows + 1.0))
    assert score.value == pytest.approx(8.0)
    assert (score.low, score.high) == (None, None)


def test_frechet_of_one_row_is_refused_and_not_a_nan():
    rows = np.random.default_rng(0).normal(size=(5, 8))
    for first, second in ((rows[:1], rows), (rows, rows[:1])):
        with pytest.raises(ValueError, match="more than 1 items, found 1"):
            frechet_from_features(first, second)
    assert frechet_from_features(rows[:1], rows[:1] + 1.0, ddof=0) == pytest.approx(8.0)


def test_jackknife_interval_covers_the_distance_of_the_populations():
    """Two Gaussians two units apart: d² = 4 plus a small bias of n; 95 % intervals should miss rarely."""
    rng = np.random.default_rng(0)
    misses = 0
    for _ in range(40):
        generated, reference = rng.normal(size=(200, 2)), rng.normal(size=(200, 2)) + np.array([2.0, 0.0])
        score = FrechetConfig.example().score(two_sets(generated, reference))
        misses += not score.low <= 4.02 <= score.high
    assert misses <= 6


def test_jackknife_interval_is_of_distances_at_this_n_and_says_nothing_of_endless_ones():
    """Two samples of one population in 32 dimensions: intervals hold the mean of such distances, and never zero."""
    scores = []
    for seed in range(24):
        rng = np.random.default_rng(seed)
        scores.append(FrechetConfig.example().score(two_sets(rng.normal(size=(192, 32)), rng.normal(size=(192, 32)))))
    expected = np.mean([score.value for score in scores])
    assert expected > 2.0
    assert sum(score.low <= expected <= score.high for score in scores) >= 21
    assert all(score.low > 0.5 * expected for score in scores)


def test_features_of_two_widths_are_a_reason():
    inputs = two_sets(np.ones((5, 3)), np.ones((5, 4)))
    for metric in (FrechetConfig.example(), KernelConfig.example()):
        reason = metric.score(inputs).reason
        assert reason
        assert "3" in reason
        assert "4" in reason


def test_kernel_distance_of_a_set_with_itself_is_below_zero():
    rows = np.random.default_rng(0).normal(size=(50, 8))
    assert KernelConfig.example().score(two_sets(rows, rows)).value < 0


def balanced(rng: np.random.Generator, *, each: int, classes: int = 4) -> tuple[np.ndarray, list[np.ndarray]]:
    """Clips of classes that lie far apart, the same number of each."""
    labels = np.arange(classes).repeat(each)
    centres = 3.0 * np.eye(classes, 6)
    return centres[labels] + rng.normal(size=(len(labels), 6)), [np.array(f"class {label}") for label in labels]


def test_kernel_by_class_is_unbiased_where_classes_have_equal_numbers():
    """Two samples of one population, each class with eight clips: zero on average, where independence says less."""
    protocol = Protocol(name="example", extractor="example")
    found: dict[bool, list[Score]] = {True: [], False: []}
    for seed in range(150):
        rng = np.random.default_rng(seed)
        (first, labels), (second, _) = balanced(rng, each=8), balanced(rng, each=8)
        inputs = two_sets(first, second) | {need: named(labels) for need in LABELS_OF.values()}
        for by_class, scores in found.items():
            scores.append(KernelConfig(protocol=protocol, by_class=by_class).score(inputs))
    mean = {by_class: np.mean([score.value for score in scores]) for by_class, scores in found.items()}
    error = {by_class: np.std([score.value for score in scores]) / np.sqrt(150) for by_class, scores in found.items()}
    assert abs(mean[True]) < 3 * error[True]
    assert mean[False] < -10 * error[False]
    covered = np.mean([score.low <= 0.0 <= score.high for score in found[True]])
    assert covered >= 0.88


def test_kernel_by_class_of_unlabelled_or_lonely_clips_is_the_plain_one():
    rng = np.random.default_rng(0)
    inputs = two_sets(rng.normal(size=(20, 3)), rng.normal(size=(15, 3)))
    plain = KernelConfig.example().score(inputs)
    by_class = KernelConfig.example().model_copy(update={"by_class": True})
    for name in ("one class", "clip {}"):
        labels = {
            need: named(
                [np.array(name.format(index)) for index in range(len(inputs[Need(side, "example", "features")]))]
            )
            for side in SIDES
            for need in [LABELS_OF[side]]
        }
        score = by_class.score(inputs | labels)
        assert (score.value, score.low) == (pytest.approx(plain.value), pytest.approx(plain.low))


def test_classes_of_too_few_clips_are_one_stratum():
    assert strata_of("aaabbb").tolist() == [0, 0, 0, 1, 1, 1]
    assert strata_of("aaabcd").tolist() == [1, 1, 1, 0, 0, 0]
    assert strata_of("aaaabbbc").tolist() == [1, 1, 1, 1, 0, 0, 0, 0], "one clip alone joins the smallest class"
    assert strata_of("ab").tolist() == [0, 0]


def test_kernel_by_class_has_no_subsets():
    with pytest.raises(ValidationError, match="by_class"):
        KernelConfig(protocol=Protocol(name="example", extractor="example"), by_class=True, subsets=Subsets())


def test_kernel_subsets_agree_with_all_items_and_scale():
    rng = np.random.default_rng(0)
    inputs = two_sets(rng.normal(size=(200, 8)) + 0.5, rng.normal(size=(150, 8)))
    protocol = Protocol(name="example", extractor="example")
    whole = KernelConfig(protocol=protocol).score(inputs)
    drawn = KernelConfig(protocol=protocol, subsets=Subsets(count=200, size=80), scale=1000.0).score(inputs)
    assert drawn.value == pytest.approx(1000 * whole.value, rel=0.1)
    assert drawn.low < 1000 * whole.value < drawn.high
    small = KernelConfig(protocol=protocol, subsets=Subsets(size=151)).score(inputs)
    assert small.value is None
    assert "151" in (small.reason or "")


def test_inception_score_lies_between_one_and_the_number_of_classes():
    need = Need(Side.GENERATED, "example", "logits")
    config = InceptionConfig(protocol=Protocol(name="example", extractor="example", layer="logits"), splits=1)
    sure = 50.0 * np.eye(5)[np.arange(40) % 5]
    assert config.score({need: named(sure)}).value == pytest.approx(5.0)
    assert config.score({need: named(np.zeros((40, 5)))}).value == pytest.approx(1.0)
    too_many = InceptionConfig(protocol=config.protocol, splits=41).score({need: named(sure)})
    assert too_many.value is None


def test_kl_pairs_by_key_and_says_who_is_missing():
    config = KlConfig.example()
    generated, reference = config.needs
    logits = np.random.default_rng(0).normal(size=(10, 4))
    assert config.score({generated: named(logits), reference: named(logits)}).value == pytest.approx(0.0, abs=1e-12)
    late = {generated: named(logits, start=1), reference: named(logits)}
    refused = config.score(late)
    assert refused.value is None
    assert "0010" in (refused.reason or "")
    lenient = config.model_copy(update={"min_matched": 0.9}).score(late)
    assert lenient.n_generated == lenient.n_reference == 9
    assert lenient.warnings


def test_class_accuracy_counts_known_classes_only():
    config = ClassAccuracyConfig.example()
    logits = np.eye(3)[[0, 1, 2, 0]]
    labels = [np.array(label) for label in ("a", "b", "a", "violin")]
    score = config.score({config.needs[0]: named(logits), LABELS: named(labels)})
    assert score.value == pytest.approx(2 / 3)
    assert score.n_generated == 3
    assert "1 clips" in score.warnings[0]
    foreign = config.score({config.needs[0]: named(logits), LABELS: named([np.array("violin")] * 4)})
    assert foreign.value is None
    assert "a, b, c" in (foreign.reason or "")


def synchrony_inputs(video: np.ndarray, audio: np.ndarray, labels: list[str]) -> tuple[MetricConfig, dict]:
    config = SynchronyConfig.example()
    values = (video, audio, [np.array(label) for label in labels])
    return config, {need: named(rows) for need, rows in zip(config.needs, values, strict=True)}


def test_synchrony_is_one_for_own_partners_half_for_chance_none_without_partners():
    rng = np.random.default_rng(0)
    video = rng.normal(size=(60, 16))
    video /= np.linalg.norm(video, axis=1, keepdims=True)
    labels = ["a", "b"] * 30
    perfect = SynchronyConfig.score(*synchrony_inputs(video, video, labels))
    assert perfect.value == 1.0
    assert 0.9 < perfect.low < 1.0  # sixty wins are no proof of certainty
    chance = SynchronyConfig.score(*synchrony_inputs(video, rng.normal(size=(60, 16)), labels))
    assert chance.low < 0.5 < chance.high
    alone = SynchronyConfig.score(*synchrony_inputs(video, video, [str(i) for i in range(60)]))
    assert alone.value is None
    tied = SynchronyConfig.score(*synchrony_inputs(np.ones((6, 2)), np.ones((6, 2)), ["a"] * 6))
    assert tied.value == 0.5


def test_synchrony_compares_within_the_class_only():
    """Sounds of the other class fit better, and must not count."""
    video, foreign = np.eye(4)[:2], np.full((2, 4), 9.0)
    config, inputs = synchrony_inputs(np.vstack([video, foreign]), np.vstack([video, foreign]), ["a", "a", "b", "b"])
    assert config.clip_values(inputs) == {"0000": 1.0, "0001": 1.0, "0002": 0.5, "0003": 0.5}


def align_inputs(config: AvAlignConfig, flows: list, onsets: list) -> dict[Need, FeatureSet]:
    rates = [np.array(10.0)] * len(flows)
    values = (flows, rates, onsets)
    return {need: named(rows) for need, rows in zip(config.needs, values, strict=True)}


def peaks_at(*frames: int) -> np.ndarray:
    flow = np.zeros(20, dtype=np.float32)
    flow[list(frames)] = 2.0
    return flow


def test_av_align_of_empty_clips_is_null_with_a_reason_and_counts_the_others():
    config = AvAlignConfig.example()
    still, silent = np.zeros(20, dtype=np.float32), np.zeros(0)
    nothing = config.score(align_inputs(config, [still, still], [silent, silent]))
    assert nothing.value is None
    assert nothing.reason == "none of 2 clips has an onset of sound or a peak of motion"
    some = config.score(align_inputs(config, [still, peaks_at(5, 10)], [silent, np.array([0.5, 1.0])]))
    assert some.value == 1.0
    assert some.n_generated == 1
    assert some.warnings


def test_av_align_chance_borrows_the_sound_of_others():
    own = AvAlignConfig.of("tempotokens2025", name="tempotokens2025", loading=Loading())
    chance = AvAlignConfig.of("tempotokens2025", name="tempotokens2025", loading=Loading(), partner="others")
    flows = [peaks_at(3), peaks_at(9), peaks_at(15)]
    onsets = [np.array([0.3]), np.array([0.9]), np.array([1.5])]
    inputs = align_inputs(own, flows, onsets)
    assert own.score(inputs).value == 1.0
    assert chance.score(inputs).value == 0.0
    assert chance.name == "av_align_chance.farneback.tempotokens2025"
    alone = chance.score(align_inputs(own, flows[:1], onsets[:1]))
    assert alone.value is None


def test_protocol_tells_when_there_are_too_few_and_refuses_odd_names():
    rows = np.random.default_rng(0).normal(size=(50, 3))
    asks = FrechetConfig(protocol=Protocol(name="example", extractor="example", items=2048))
    assert asks.score(two_sets(rows, rows)).warnings[0] == "50 generated items where the protocol asks for 2048"
    for name in ("a.b", "a@b", "A", ""):
        with pytest.raises(ValidationError):
            Protocol(name=name, extractor="example")


def test_hashes_depend_on_what_changes_numbers():
    base = FrechetConfig.example()
    assert base.protocol_hash != base.model_copy(update={"ddof": 0}).protocol_hash
    spec = AVSpec(duration_s=2, video_rate_hz=16, height_px=32, width_px=32, canonical_short_side_px=32, hop=250)
    crop, squash = (Loading.of_spec(spec, resize=rule) for rule in ("crop", "squash"))
    assert crop.part_hash != squash.part_hash


def test_the_tiny_set_has_unique_names_under_one_loading():
    metrics = tiny_metrics(classes=("a", "b"))
    names = [metric.name for metric in metrics]
    assert len(set(names)) == len(names)
    assert {"fvd.tinyvideo.uniform_tiny", "fad.tinymel.uniform_tiny", "synchrony.tinysync.uniform_tiny"} <= set(names)
    assert {metric.protocol.loading for metric in metrics} == {None}
    aligned = {name.partition(".")[2] for name in names if name.startswith("av_align.")}
    assert len(aligned) == 2
    assert aligned == {name.partition(".")[2] for name in names if name.startswith("av_align_chance.")}


def test_another_spec_is_another_protocol_and_a_loading_that_nobody_follows_is_refused():
    plain, longer = build_run("nano"), build_run("nano", overrides=["spec.duration_s=2.0", "data.short_s=2.2"])
    for config in (plain, longer):
        assert {metric.protocol.loading for metric in config.metrics} == {Loading.of_spec(config.spec, resize="crop")}
    assert not {m.protocol_hash for m in plain.metrics} & {m.protocol_hash for m in longer.metrics}
    native = FrechetConfig(protocol=Protocol(name="native", extractor="tinyvideo", loading=Loading())).model_dump_json()
    with pytest.raises(ConfigError, match="loading must be null"):
        build_run("nano", overrides=[f"evaluate.metrics=[{native}]"])


@pytest.mark.parametrize(
    "change",
    [
        *("resize=squash", "evaluate.split=instrument", "evaluate.clips_per_task=3"),
        *("evaluate.reference_split=instrument", "evaluate.reference_clips=5"),
    ],
)
def test_other_clips_on_a_side_or_another_way_to_read_them_are_other_protocols(change: str):
    plain, changed = build_run("nano"), build_run("nano", overrides=[change])
    assert not {m.protocol_hash for m in plain.metrics} & {m.protocol_hash for m in changed.metrics}
    is_read_otherwise = change == "resize=squash"
    assert (features_fingerprint(plain) != features_fingerprint(changed)) == is_read_otherwise
    assert (changed.terms.loading.video.resize == "squash") == is_read_otherwise


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("train_split=trian", "train_split 'trian' must be one of train, held_out, instrument"),
        ("evaluate.reference_split=tran", "evaluate.reference_split 'tran' must be one of"),
        ("train_split=held_out", "evaluate.split 'held_out' must not be train_split"),
        ("evaluate.reference_split=held_out", "reference_split 'held_out' must not be split"),
        ('evaluate.tasks=["v2a","t2av","v2a"]', "tasks names v2a twice"),
        (
            "evaluate.metrics=" + json.dumps(2 * [FrechetConfig.example().model_dump(mode="json")]),
            "metrics names fvd.example.example twice",
        ),
    ],
)
def test_what_would_score_memory_or_count_twice_is_refused(change: str, said: str):
    with pytest.raises(ConfigError, match=said):
        build_run("nano", overrides=[change])


@pytest.mark.parametrize(
    ("extractor", "layer", "said"),
    [
        ("i3d400", "features", "extractor 'i3d400' is none of tinyvideo, tinymel"),
        ("tinyvideo", "nope", "extractor 'tinyvideo' has no layer 'nope', but features, logits"),
        ("librosa", "onsets_0", "has no layer 'onsets_0'"),
    ],
)
def test_a_metric_of_what_no_extractor_gives_is_refused_before_any_work(extractor: str, layer: str, said: str):
    metric = FrechetConfig(protocol=Protocol(name="new", extractor=extractor, layer=layer)).model_dump_json()
    with pytest.raises(ConfigError, match=said):
        build_run("nano", overrides=[f"evaluate.metrics=[{metric}]"])


def test_known_layers_are_those_that_the_extractors_give():
    frames, mel, sound = np.zeros((1, 8, 32, 32, 3), np.uint8), np.zeros((1, 96, 64)), np.zeros((1, 8000))
    batch = EvalBatch(frames, mel.astype(np.float32), sound.astype(np.float32), 16, 16_000)
    shape = {"frames": 8, "height": 32, "width": 32, "mel_frames": 96, "mel_bins": 64}
    two = {"classes": 2, "members": 2}
    nets = [("video", VideoCommittee, two), ("mel", MelCommittee, two), ("sync", SyncNet, shape)]
    video, mel, sync = (TrainedNet(kind, new_net(net, of), of, ("a", "b"), {}) for kind, net, of in nets)
    every = (
        TinyVideo(video),
        TinyMel(mel),
        TinySync(sync),
        Farneback(),
        Gauge(),
        VideoSketch(),
        MelSketch(),
        LibrosaOnsets(("onsets_native", "onsets_8000")),
    )
    assert {extractor.name for extractor in every} == set(LAYERS)
    for extractor in every:
        given = extractor.extract(batch)
        assert len(given) == len(LAYERS[extractor.name])
        for layer in given:
            assert why_unknown(Need(Side.GENERATED, extractor.name, layer)) is None


def test_a_reference_that_the_run_does_not_have_is_refused():
    choice = {"split": "elsewhere", "clips": 5}
    metric = FrechetConfig(protocol=Protocol(name="named", extractor="tinyvideo", reference=choice)).model_dump_json()
    with pytest.raises(ConfigError, match="reference must be null, or what the run has"):
        build_run("nano", overrides=[f"evaluate.metrics=[{metric}]"])


def test_onsets_are_found_at_every_rate_that_a_metric_asks_for():
    layers = ("onsets_22050", "onsets_native", "onsets_8000")
    sound = np.zeros((1, 16_000), np.float32)
    sound[0, 8_000:8_400] = 0.5
    batch = EvalBatch(np.zeros((1, 8, 4, 4, 3), np.uint8), np.zeros((1, 8, 4), np.float32), sound, 8, 16_000)
    found = LibrosaOnsets(layers).extract(batch)
    assert tuple(found) == layers
    for (times,) in found.values():
        assert times[0] == pytest.approx(0.5, abs=0.1)
    javis = AvAlignConfig.of("javisbench", name="javisbench_tiny")
    assert {need.layer for need in javis.needs if need.extractor == "librosa"} <= set(layers)


def test_a_feature_set_refuses_what_it_cannot_pair():
    with pytest.raises(ConfigError, match="twice"):
        FeatureSet.of(["a", "a"], [np.ones(2), np.ones(2)])
    with pytest.raises(ConfigError, match="one for each"):
        FeatureSet.of(["a"], [])
    with pytest.raises(ConfigError, match="one size"):
        FeatureSet.of(["a", "b"], [np.ones(2), np.ones(3)]).matrix_ND()


def test_a_score_has_a_value_or_a_reason():
    common = {"low": None, "high": None, "n_generated": 0, "n_reference": 0, "protocol": "p", "protocol_hash": "0" * 32}
    for value, reason in ((None, None), (1.0, "both")):
        with pytest.raises(ValueError, match="a value or a reason"):
            Score("m.e.p", value, reason=reason, **common)
