"""Training of the small nets on the instrument split: seconds of one core, the same net for the same clips and seed.

Clips must come in one order (by key): the draw of batches is by position. Axes as in nets.py; N all clips.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from uniform_core.metrics.fitting import check_clips, fit, single_thread, split_by_class
from uniform_core.metrics.nets import (
    ClassNet,
    Committee,
    MelCommittee,
    SyncNet,
    VideoCommittee,
    initialise,
    new_net,
)
from uniform_core.metrics.pair_wins import pair_wins
from uniform_core.metrics.recipes import NetsConfig, NetTraining
from uniform_core.metrics.trained import TrainedNet, synchrony_embeddings
from uniform_core.metrics.traits import mel_traits, video_traits, within_classes
from uniform_core.metrics.wear import broken_mel, broken_video, worn_mel, worn_video
from uniform_core.progress import Listener, silent
from uniform_core.seeds import numpy_rng, torch_generator

RECIPES = NetsConfig()
AnyCommittee = TypeVar("AnyCommittee", bound=Committee)
SHIFTS = (0.06, 0.12, 0.25, 0.45)  # of the clip: how far sound is moved to make a wrong pair
WEAR_ALIKE = 4  # clips that are worn in one way
SHARPNESS = 10.0  # of the softmax over similarities in [-1, 1]


def train_video_net(
    clips: UInt8[np.ndarray, "N T H W 3"],
    labels: Sequence[str],
    *,
    seed: int,
    training: NetTraining = RECIPES.video,
    on_progress: Listener = silent,
) -> TrainedNet[VideoCommittee]:
    """Picture nets that tell the classes apart; metric `accuracy` is over the held-out share."""
    shape = {"classes": len(set(labels)), "members": training.members}
    nets = new_net(VideoCommittee, shape)
    return _train_committee("video", nets, shape, clips, labels, VIDEO_VARIATION, seed, training, on_progress)


def train_mel_net(
    mels: Float[np.ndarray, "N T F"],
    labels: Sequence[str],
    *,
    seed: int,
    training: NetTraining = RECIPES.mel,
    resound: Callable[[Tensor], Tensor] | None = None,
    on_progress: Listener = silent,
) -> TrainedNet[MelCommittee]:
    """Sound nets that tell the classes apart; metric `accuracy` is over the held-out share.

    `resound` gives the log-mels [N, T, F] of the sounds that a vocoder makes of log-mels. Worn clips go through it:
    what is judged has been a sound, and holes that wear tears are filled by then.
    """
    shape = {"classes": len(set(labels)), "members": training.members}
    nets = new_net(MelCommittee, shape)
    variation = MEL_VARIATION
    if resound is not None:
        variation = replace(variation, worn=lambda rng, part: resound(worn_mel(rng, part)))
    return _train_committee("mel", nets, shape, mels, labels, variation, seed, training, on_progress)


def train_sync_net(
    clips: UInt8[np.ndarray, "N T H W 3"],
    mels: Float[np.ndarray, "N t F"],
    labels: Sequence[str],
    *,
    seed: int,
    training: NetTraining = RECIPES.sync,
    on_progress: Listener = silent,
) -> TrainedNet[SyncNet]:
    """A SyncNet by InfoNCE against clips of the same class and against its own sound moved in time.

    Metrics, over the held-out share: `pair_wins`, and `shift_wins` against the own sound moved by an eighth.
    """
    check_clips("sync net", len(clips), labels=list(labels))
    _, frames, height, width, _ = clips.shape
    shape = {"frames": frames, "height": height, "width": width, "mel_frames": mels.shape[1], "mel_bins": mels.shape[2]}
    net = new_net(SyncNet, shape)
    kept, out = split_by_class(labels, held_out=training.held_out, seed=seed)
    group_N = torch.from_numpy(np.unique(np.array(labels), return_inverse=True)[1])
    video_N, mel_N = torch.from_numpy(clips), torch.from_numpy(mels).float()
    rng = numpy_rng("instrument.sync.batches", seed)

    def loss_of_step(_step: int) -> Tensor:
        some = torch.from_numpy(_balanced(rng, group_N[kept].numpy(), kept, batch=training.batch))
        seen_B = _mirrored(rng, video_N.index_select(0, some))
        video_B = seen_B.index_select(4, torch.from_numpy(rng.permutation(3)))
        return _contrast(net.video_steps(video_B), net.audio_steps(mel_N.index_select(0, some)), group_N[some], rng)

    with single_thread():
        initialise(net, torch_generator("instrument.sync.init", seed))
        fit(net, loss_of_step, training=training, stage="sync net", on_progress=on_progress)
        metrics = _sync_quality(net.eval(), clips[out], mels[out], [labels[i] for i in out]) if len(out) else {}
    return TrainedNet("sync", net, shape=shape, classes=tuple(sorted(set(labels))), metrics=metrics)


Vary = Callable[[np.random.Generator, Tensor], Tensor]


@dataclass(frozen=True)
class Variation:
    """What training does to clips: changes that leave them as good, that wear them, and that break them.

    `traits` gives the numbers in which they differ within their class, whatever `changed` does to them.
    """

    changed: Vary
    worn: Vary
    broken: Vary
    traits: Callable[[Tensor], Tensor]


def _train_committee(
    kind: str,
    nets: AnyCommittee,
    shape: dict[str, int],
    clips: np.ndarray,
    labels: Sequence[str],
    vary: Variation,
    seed: int,
    training: NetTraining,
    on_progress: Listener,
) -> TrainedNet[AnyCommittee]:
    check_clips(f"{kind} net", len(clips), labels=list(labels))
    kept, out = split_by_class(labels, held_out=training.held_out, seed=seed)
    classes = tuple(sorted(set(labels)))
    target_N = torch.tensor([classes.index(label) for label in labels])
    clips_N = torch.from_numpy(clips)
    with single_thread():
        for number, net in enumerate(nets.members):
            assert isinstance(net, ClassNet)
            stage = f"{kind} net {number + 1} of {len(nets.members)}"
            rng = numpy_rng(f"instrument.{kind}.batches", seed, number)
            initialise(net, torch_generator(f"instrument.{kind}.init", seed, number))
            loss_of_step = _class_loss(net, clips_N, target_N, kept, vary, rng=rng, training=training)
            fit(net, loss_of_step, training=training, stage=stage, on_progress=on_progress)
            net.eval()
            with torch.no_grad():
                parts = torch.split(clips_N[torch.from_numpy(kept)], 32)
                net.set_standard(torch.cat([net.raw_features(part) for part in parts]))
        with torch.no_grad():
            hits = [nets.looks(part)[1].argmax(dim=1) for part in torch.split(clips_N[torch.from_numpy(out)], 32)]
    metrics = {}
    if len(out):
        metrics = {"accuracy": float((torch.cat(hits) == target_N[out]).double().mean()), "held_out": float(len(out))}
    return TrainedNet(kind, nets.eval(), shape=shape, classes=classes, metrics=metrics)


def _class_loss(
    net: ClassNet,
    clips_N: Tensor,
    target_N: Tensor,
    kept: np.ndarray,
    vary: Variation,
    *,
    rng: np.random.Generator,
    training: NetTraining,
) -> Callable[[int], Tensor]:
    """The loss of a step: the class of clips, worn ones too, and of broken ones that they are; their traits; drift."""
    traits_NK = within_classes(vary.traits(clips_N), target_N)
    # Worn and broken once for each clip, not for each draw: they would cost more than the net.
    worn_N = torch.cat([vary.worn(rng, part) for part in torch.split(clips_N, WEAR_ALIKE)])
    broken_N = torch.cat([vary.broken(rng, part) for part in torch.split(clips_N, 4 * WEAR_ALIKE)])

    def loss_of_step(_step: int) -> Tensor:
        some = torch.from_numpy(_balanced(rng, target_N[kept].numpy(), kept, batch=training.batch))
        drawn = [kind_N.index_select(0, some) for kind_N in (clips_N, worn_N, broken_N)]
        raw_BD = net.raw_features(vary.changed(rng, torch.cat(drawn)))
        target_B = torch.cat([target_N[some], target_N[some], torch.full_like(some, net.classes)])
        clean_BD, worn_BD, _ = raw_BD.chunk(3)
        drift = (worn_BD - clean_BD).square().mean() / clean_BD.var(dim=0).mean().clamp(min=1e-3)
        classed = functional.cross_entropy(net.all_logits(raw_BD), target_B)
        told = functional.mse_loss(net.traits(torch.cat([clean_BD, worn_BD])), traits_NK[some].repeat(2, 1))
        return classed + training.traits * told + training.drift * drift

    return loss_of_step


def _balanced(rng: np.random.Generator, groups_M: np.ndarray, members_M: np.ndarray, *, batch: int) -> np.ndarray:
    """About `batch` clips, equally many of each class, none twice."""
    kinds = np.unique(groups_M)
    each = max(2, batch // len(kinds))
    draws = [rng.permutation(members_M[groups_M == kind])[:each] for kind in kinds]
    return np.concatenate(draws)


def _mirrored(rng: np.random.Generator, clips: Tensor) -> Tensor:
    """The whole batch left to right, or as it is: neither class nor time depends on it."""
    return clips.flip(3) if rng.random() < 0.5 else clips


def _louder_and_later(rng: np.random.Generator, mels: Tensor) -> Tensor:
    """Sound moved in time and in level (±8 dB): a class depends on neither."""
    moved = mels.roll(int(rng.integers(mels.shape[1])), dims=1)
    return moved + float(rng.uniform(-1.0, 1.0))


VIDEO_VARIATION = Variation(_mirrored, worn_video, broken_video, video_traits)
MEL_VARIATION = Variation(_louder_and_later, worn_mel, broken_mel, mel_traits)


def _contrast(video_BSD: Tensor, audio_BSD: Tensor, group_B: Tensor, rng: np.random.Generator) -> Tensor:
    """InfoNCE both ways; wrong pairs are of the same class, or the right pair out of step."""
    steps = video_BSD.shape[1]
    similarity_BB = torch.einsum("bsd,csd->bc", video_BSD, audio_BSD) / steps
    shifts = {max(1, round(part * steps)) * int(rng.choice([-1, 1])) for part in SHIFTS}
    moved_BJ = torch.stack([_agreement(video_BSD, audio_BSD.roll(shift, dims=1)) for shift in sorted(shifts)], dim=1)
    same_BB = SHARPNESS * similarity_BB.masked_fill(group_B[:, None] != group_B[None, :], -1e4)
    target_B = torch.arange(len(video_BSD))
    by_picture = functional.cross_entropy(torch.cat([same_BB, SHARPNESS * moved_BJ], dim=1), target_B)
    by_sound = functional.cross_entropy(torch.cat([same_BB.T, SHARPNESS * moved_BJ], dim=1), target_B)
    return 0.5 * (by_picture + by_sound)


def _agreement(video_BSD: Tensor, audio_BSD: Tensor) -> Tensor:
    return (video_BSD * audio_BSD).sum(dim=2).mean(dim=1)


def _sync_quality(net: SyncNet, clips: np.ndarray, mels: np.ndarray, labels: list[str]) -> dict[str, float]:
    video_ND, audio_ND = synchrony_embeddings(net, clips, mels)
    wins = pair_wins(video_ND @ audio_ND.T, labels)
    steps = clips.shape[1]
    turned = np.roll(audio_ND.reshape(len(clips), steps, -1), max(1, steps // 8), axis=1).reshape(len(clips), -1)
    own, moved = (video_ND * audio_ND).sum(axis=1), (video_ND * turned).sum(axis=1)
    metrics = {"shift_wins": float((own > moved).mean()), "held_out": float(len(clips))}
    return metrics | ({"pair_wins": wins.mean} if wins is not None else {})
