"""Golden outputs of our own arithmetic and nets: a change of numbers asks for a bump of the version beside it."""

import numpy as np
import pytest

from uniform_core.metrics import METRICS, KernelConfig
from uniform_core.metrics.base import KNOWN, LABELS_OF, MetricConfig, Need
from uniform_core.metrics.features import FeatureSet
from uniform_core.metrics.recipes import VERSION, NetTraining
from uniform_core.metrics.train_nets import train_mel_net, train_sync_net, train_video_net
from uniform_core.metrics.trained import class_outputs, synchrony_embeddings

SHORT = NetTraining(steps=3, batch=8, traits=1.0, drift=0.2)
TWO = SHORT.model_copy(update={"members": 2})
# Version, value, and lower end of the interval of each member's example on the inputs below.
SCORES = {
    "attribute": (2, 0.6666666666666666, 0.4878005164454384),
    "av_align": (1, 0.10673437673437672, 0.06146822415176098),
    "class_accuracy": (1, 0.36666666666666664, 0.21873920806100708),
    "coverage": (1, 1.0, 0.8864866068260312),
    "diversity": (1, 0.769230769230769, None),
    "frechet": (1, 0.9538444443066911, 0.6367719348842135),
    "inception": (1, 1.171023483328884, 0.8700941956660472),
    "kernel": (1, 0.19775344883083212, 0.04286962989464774),
    "kernel by class": (1, 0.19294977865501783, 0.044254909407938886),
    "kl": (1, 0.010805708929117218, 0.008446992578183234),
    "loss_gap": (1, 2.658836648225688, None),
    "memorisation": (2, -2.6457513110645907, None),
    "onset_hits": (1, -0.010185185185185183, -0.06610750157139088),
    "synchrony": (1, 0.4222222222222222, 0.29803143214498196),
}
# VERSION of the nets, and one number of each after three steps.
NETS = (3, {"video": 0.76914, "mel": 0.76495, "sync": 0.086271})


def waves(n: int, *sizes: int) -> np.ndarray:
    """Numbers in [-1, 1] that need no generator: the same on every machine and in every version of NumPy."""
    count = n * int(np.prod(sizes))
    return np.sin(np.arange(count) ** 1.3 * 0.7).reshape(n, *sizes)


def values_of(need: Need, n: int) -> list[np.ndarray]:
    offset = 0.3 if need.side == "reference" else 0.0
    if need in LABELS_OF.values():
        return [np.array("abc"[i % 3]) for i in range(n)]
    if need.layer == "attributes":
        return [np.array('{"colour": "red"}' if i % 2 else '{"colour": "blue"}') for i in range(n)]
    if need.layer == "event_times_s":
        return list(np.sort(waves(n + 5, 4)[5:] + 1.0, axis=1))
    if need.extractor in KNOWN:
        return [np.array(value) for value in waves(n + (need.side == "held_out"), 1)[-n:, 0] + 2.0]
    if need.layer == "rate_hz":
        return [np.array(16.0)] * n
    if need.layer.startswith("onsets"):
        return list(np.sort(waves(n, 4) + 1.0, axis=1))
    width = {"flow": 32, "logits": 3, "audio_embedding": 7}.get(need.layer, 7)
    spread = waves(n + 5, width)[5:] if need.layer == "audio_embedding" else waves(n, width)
    return list(spread * (1.0 + offset) + offset + (need.layer == "flow"))


EXAMPLES = {m.kind: m for m in (member.example() for member in METRICS)}
EXAMPLES["kernel by class"] = KernelConfig.example().model_copy(update={"by_class": True})


@pytest.mark.parametrize(("name", "metric"), EXAMPLES.items(), ids=list(EXAMPLES))
def test_scores_are_those_of_their_version(name: str, metric: MetricConfig):
    keys = [f"{i:03d}" for i in range(30)]
    score = metric.score({need: FeatureSet.of(keys, values_of(need, 30)) for need in metric.needs})
    version, value, low = SCORES[name]
    assert metric.version == version
    assert score.value == pytest.approx(value, rel=1e-7), "bump `version` of this metric and renew its line"
    assert score.low == (low if low is None else pytest.approx(low, rel=1e-7, abs=1e-9))


def test_nets_are_those_of_their_version():
    """Loose: libraries and processors differ in the last digits, and three steps of training widen that a little."""
    clips = np.round((waves(12, 16, 16, 16, 3) + 1) * 127).astype(np.uint8)
    mels = (waves(12, 32, 16) * 3 - 6).astype(np.float32)
    labels = ["a", "b"] * 6
    features, _ = class_outputs(train_video_net(clips, labels, seed=0, training=TWO).module, clips)
    heard, _ = class_outputs(train_mel_net(mels, labels, seed=0, training=SHORT).module, mels)
    pictures, sounds = synchrony_embeddings(
        train_sync_net(clips, mels, labels, seed=0, training=SHORT).module, clips, mels
    )
    found = {
        "video": float(np.abs(features).mean()),
        "mel": float(np.abs(heard).mean()),
        "sync": float((pictures @ sounds.T).mean()),
    }
    version, told = NETS
    assert version == VERSION
    assert found == pytest.approx(told, rel=5e-3), "bump VERSION in metrics/recipes.py and renew these numbers"
