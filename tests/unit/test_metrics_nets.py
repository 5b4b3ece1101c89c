"""The small nets: they learn toy clips, repeat themselves to the bit, and come back from disk as they were."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist

from uniform_core.build import build_run
from uniform_core.corpus.fingerprints import instruments_fingerprint
from uniform_core.errors import ConfigError, IntegrityError
from uniform_core.metrics.extractors import EvalBatch, Farneback, LibrosaOnsets, TinyMel, TinySync, TinyVideo
from uniform_core.metrics.nets import LIMIT
from uniform_core.metrics.pair_wins import pair_wins
from uniform_core.metrics.recipes import NetsConfig, NetTraining
from uniform_core.metrics.train_nets import train_mel_net, train_sync_net, train_video_net
from uniform_core.metrics.trained import (
    WEIGHTS,
    TrainedNet,
    class_outputs,
    load_net,
    save_net,
    synchrony_embeddings,
)
from uniform_core.metrics.wear import worn_mel

FRAMES, SIDE, MEL_FRAMES, BINS = 16, 16, 64, 16
CLASSES = ("left", "right")
SHORT = NetTraining(steps=30, batch=8)


class Toy(NamedTuple):
    """Squares that blink where their class says, with a tone at each blink in the band of their class."""

    clips: np.ndarray
    mels: np.ndarray
    labels: list[str]


def toy(n: int, *, seed: int) -> Toy:
    rng = np.random.default_rng(seed)
    clips = rng.integers(0, 30, (n, FRAMES, SIDE, SIDE, 3)).astype(np.uint8)
    mels = rng.normal(-9.0, 0.3, (n, MEL_FRAMES, BINS)).astype(np.float32)
    labels = [CLASSES[i % 2] for i in range(n)]
    for i in range(n):
        for frame in rng.choice(np.arange(0, FRAMES - 1, 2), size=4, replace=False):
            rows = slice(2, 7) if i % 2 else slice(9, 14)
            clips[i, frame, rows, 4:12] = 230
            mels[i, 4 * frame : 4 * frame + 4, (slice(2, 6) if i % 2 else slice(9, 13))] += 7.0
    return Toy(clips, mels, labels)


TRAIN, TEST = toy(48, seed=1), toy(32, seed=2)


@pytest.fixture(scope="module")
def video_net() -> TrainedNet:
    return train_video_net(TRAIN.clips, TRAIN.labels, seed=0, training=SHORT)


@pytest.fixture(scope="module")
def mel_net() -> TrainedNet:
    return train_mel_net(TRAIN.mels, TRAIN.labels, seed=0, training=SHORT)


@pytest.fixture(scope="module")
def sync_net() -> TrainedNet:
    return train_sync_net(TRAIN.clips, TRAIN.mels, TRAIN.labels, seed=0, training=NetTraining(steps=40, batch=16))


def share_right(net: TrainedNet, clips: np.ndarray, labels: list[str]) -> float:
    _, logits = class_outputs(net.module, clips)
    return float(np.mean([net.classes[seen] == label for seen, label in zip(logits.argmax(1), labels, strict=True)]))


def test_class_nets_tell_new_clips_apart(video_net: TrainedNet, mel_net: TrainedNet):
    assert video_net.classes == mel_net.classes == CLASSES
    assert share_right(video_net, TEST.clips, TEST.labels) >= 0.9
    assert share_right(mel_net, TEST.mels, TEST.labels) >= 0.9
    for net in (video_net, mel_net):
        assert 0.9 <= net.metrics["accuracy"] <= 1.0
        assert net.metrics["held_out"] == 10  # a fifth of 24, of each of two classes


def test_features_are_standardised_and_bounded(video_net: TrainedNet):
    features, logits = class_outputs(video_net.module, TRAIN.clips)
    assert features.shape == (48, 32)
    assert logits.shape == (48, 2)
    assert np.abs(features.mean(axis=0)).max() < 0.5
    assert 0.5 < np.median(features.std(axis=0)) < 1.2
    wild, _ = class_outputs(
        video_net.module, np.random.default_rng(0).integers(0, 256, TEST.clips.shape, dtype=np.uint8)
    )
    assert np.abs(wild).max() <= LIMIT


def test_members_of_a_committee_are_trained_apart_and_look_side_by_side():
    training = SHORT.model_copy(update={"members": 2, "steps": 6})
    both = train_video_net(TRAIN.clips, TRAIN.labels, seed=0, training=training).module
    alone = train_video_net(TRAIN.clips, TRAIN.labels, seed=0, training=training.model_copy(update={"members": 1}))
    first, second = both.members
    assert first.to_features.out_features == second.to_features.out_features == 16
    assert alone.module.members[0].to_features.out_features == 32
    assert not torch.equal(first.stem.weight, second.stem.weight)
    clips = torch.from_numpy(TEST.clips[:3])
    with torch.no_grad():
        features, logits = both.looks(clips)
        raws = [member.raw_features(clips) for member in both.members]
        apart = [(member.features(raw), member.logits(raw)) for member, raw in zip(both.members, raws, strict=True)]
    assert torch.equal(features, torch.cat([apart[0][0], apart[1][0]], dim=1))
    assert torch.equal(logits, (apart[0][1] + apart[1][1]) / 2)
    with pytest.raises(ValueError, match="only class nets look together"):
        NetsConfig(sync=NetTraining(steps=4, members=2))


def test_synchrony_net_finds_the_partner_and_hears_a_shift(sync_net: TrainedNet):
    pictures, sounds = synchrony_embeddings(sync_net.module, TEST.clips, TEST.mels)
    assert (pictures**2).sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    wins = pair_wins(pictures @ sounds.T, TEST.labels)
    assert wins.mean > 0.8
    late = np.roll(TEST.mels, 12, axis=1)
    _, late_sounds = synchrony_embeddings(sync_net.module, TEST.clips, late)
    assert ((pictures * sounds).sum(1) > (pictures * late_sounds).sum(1)).mean() > 0.8
    assert sync_net.metrics["pair_wins"] > 0.7
    assert sync_net.metrics["shift_wins"] > 0.7


def test_the_same_clips_and_seed_give_the_same_net_whatever_the_threads(mel_net: TrainedNet):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        again = train_mel_net(TRAIN.mels, TRAIN.labels, seed=0, training=SHORT)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert again.fingerprint == mel_net.fingerprint
    assert again.metrics == mel_net.metrics


def test_worn_clips_and_no_others_are_heard_again() -> None:
    heard: list[torch.Tensor] = []

    def resound(mels_NTF: torch.Tensor) -> torch.Tensor:
        heard.append(mels_NTF)
        return mels_NTF.clamp(min=-4.0)

    training = NetTraining(steps=2, batch=8)
    net = train_mel_net(TRAIN.mels, TRAIN.labels, seed=0, training=training, resound=resound)
    assert net.fingerprint != train_mel_net(TRAIN.mels, TRAIN.labels, seed=0, training=training).fingerprint
    worn = torch.cat(heard)
    assert worn.shape == TRAIN.mels.shape
    moved = (worn - torch.from_numpy(TRAIN.mels)).abs().mean(dim=(1, 2))
    assert (moved > 0).all()  # each has been worn before


def test_the_weight_of_drift_teaches_a_net_to_overlook_wear() -> None:
    worn = worn_mel(np.random.default_rng(0), torch.from_numpy(TEST.mels)).numpy()
    moved = []
    for drift in (0.0, 3.0):
        net = train_mel_net(TRAIN.mels, TRAIN.labels, seed=0, training=SHORT.model_copy(update={"drift": drift}))
        (clean, _), (seen, _) = class_outputs(net.module, TEST.mels), class_outputs(net.module, worn)
        moved.append(float(np.square(seen - clean).mean() / clean.var(axis=0).mean()))
    assert moved[1] < 0.5 * moved[0]


def spread_over_classes(net: TrainedNet) -> float:
    """Distance within a class over distance between all clips, of the features of new clips."""
    features, _ = class_outputs(net.module, TEST.mels)
    within = np.mean([pdist(features[i::2]).mean() for i in range(2)])
    return float(within / pdist(features).mean())


def test_traits_keep_clips_of_one_class_apart() -> None:
    plain, told = (
        train_mel_net(TRAIN.mels, TRAIN.labels, seed=0, training=SHORT.model_copy(update={"traits": weight}))
        for weight in (0.0, 3.0)
    )
    assert spread_over_classes(told) > 1.1 * spread_over_classes(plain)
    assert share_right(told, TEST.mels, TEST.labels) >= 0.9


def test_another_seed_gives_another_net_and_no_global_state_moves():
    training = NetTraining(steps=2, batch=8)
    before = torch.get_rng_state()
    first = train_mel_net(TRAIN.mels, TRAIN.labels, seed=0, training=training)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    second = train_mel_net(TRAIN.mels, TRAIN.labels, seed=0, training=training)
    other = train_mel_net(TRAIN.mels, TRAIN.labels, seed=1, training=training)
    assert first.fingerprint == second.fingerprint != other.fingerprint


def test_a_clips_features_do_not_depend_on_its_neighbours(video_net: TrainedNet, sync_net: TrainedNet):
    whole, _ = class_outputs(video_net.module, TEST.clips)
    part, _ = class_outputs(video_net.module, TEST.clips[5:8])
    assert (whole[5:8] == part).all()
    pictures, sounds = synchrony_embeddings(sync_net.module, TEST.clips, TEST.mels)
    picture, sound = synchrony_embeddings(sync_net.module, TEST.clips[5:6], TEST.mels[5:6])
    assert (pictures[5:6] == picture).all()
    assert (sounds[5:6] == sound).all()


@pytest.mark.parametrize("kind", ["video_net", "mel_net", "sync_net"])
def test_a_saved_net_is_the_net_that_was_saved(kind: str, tmp_path: Path, request: pytest.FixtureRequest):
    net: TrainedNet = request.getfixturevalue(kind)
    save_net(net, tmp_path / "nets" / net.kind)
    loaded = load_net(tmp_path / "nets" / net.kind)
    assert loaded.fingerprint == net.fingerprint
    assert loaded.classes == net.classes
    assert loaded.metrics == net.metrics
    assert sorted(path.name for path in (tmp_path / "nets").iterdir()) == [net.kind]
    save_net(net, tmp_path / "nets" / net.kind)  # again, over what is there


def test_a_damaged_net_is_refused(mel_net: TrainedNet, tmp_path: Path):
    save_net(mel_net, tmp_path / "mel")
    card = tmp_path / "mel" / "net.json"
    told = json.loads(card.read_text())
    card.write_text(json.dumps({**told, "fingerprint": "0" * 32}))
    with pytest.raises(IntegrityError, match="trained again"):
        load_net(tmp_path / "mel")
    for hurt in (lambda: card.write_text("{"), lambda: (tmp_path / "mel" / WEIGHTS).write_bytes(b"no"), card.unlink):
        hurt()
        with pytest.raises(IntegrityError, match="verify --repair"):
            load_net(tmp_path / "mel")
        save_net(mel_net, tmp_path / "mel")


def test_a_net_is_made_anew_for_its_own_recipe_and_no_other():
    def of(*overrides: str) -> dict[str, str]:
        config = build_run("nano", overrides=overrides)
        return {kind: instruments_fingerprint(config, kind) for kind in ("video", "mel", "sync")}

    base = of()
    assert len(set(base.values())) == 3
    assert {kind for kind, fp in of("evaluate.nets.mel.steps=5").items() if fp != base[kind]} == {"mel"}
    assert not set(of("evaluate.seed=1").values()) & set(base.values())


def test_clips_that_cannot_train_a_net_are_an_error_of_the_call():
    with pytest.raises(ConfigError, match="one for each"):
        train_mel_net(TRAIN.mels, TRAIN.labels[:-1], seed=0, training=SHORT)
    with pytest.raises(ConfigError, match="one clip of odd"):
        train_mel_net(TRAIN.mels, [*TRAIN.labels[:-1], "odd"], seed=0, training=SHORT)


def test_extractors_give_every_layer_for_every_clip(video_net: TrainedNet, mel_net: TrainedNet, sync_net: TrainedNet):
    batch = EvalBatch(
        frames_BTHW3=TEST.clips[:3],
        mel_BTF=TEST.mels[:3],
        waveform_BN=np.zeros((3, 16_000), dtype=np.float32),
        video_rate_hz=16.0,
        audio_rate_hz=16_000,
    )
    layers = [
        (TinyVideo(video_net), {"features": (32,), "logits": (2,)}),
        (TinyMel(mel_net), {"features": (32,), "logits": (2,)}),
        (TinySync(sync_net), {"video_embedding": (FRAMES * 32,), "audio_embedding": (FRAMES * 32,)}),
        (Farneback(), {"flow": (FRAMES,), "rate_hz": ()}),
        (LibrosaOnsets(("onsets_22050", "onsets_native")), {"onsets_22050": (0,), "onsets_native": (0,)}),
    ]
    for extractor, shapes in layers:
        found = extractor.extract(batch)
        assert {layer: value[0].shape for layer, value in found.items()} == shapes
        assert {len(value) for value in found.values()} == {3}
        assert len(extractor.fingerprint) == 32
    assert len({extractor.fingerprint for extractor, _ in layers}) == len(layers)
