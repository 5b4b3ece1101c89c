"""The nets that look: published ones with weights by the golden rule, tiny ones trained on takes of their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import published_weights
import torch

from ladder.takes import SPEC, clips_of
from uniform_core.codecs.mel import log_mel
from uniform_core.metrics.extractors import Extractor, Farneback, LibrosaOnsets, TinyMel, TinySync, TinyVideo
from uniform_core.metrics.originals.wanted import PublishedNets
from uniform_core.metrics.published.configs import Cnn14Config, I3dConfig, VggishConfig
from uniform_core.metrics.recipes import NetsConfig, NetTraining
from uniform_core.metrics.train_nets import train_mel_net, train_sync_net, train_video_net

ONSET_LAYERS = ("onsets_22050",)
RECIPES = NetsConfig(  # a third of the tiny preset's steps: half a minute for all three
    video=NetTraining(steps=48, batch=12, traits=1.0),
    mel=NetTraining(steps=120, batch=12, traits=0.5, drift=1.0),
    sync=NetTraining(steps=40, batch=18, rate=3e-3),
)
TRAINED_ON = 12  # takes of each class


def published_nets(folder: Path, *, only: frozenset[str] = frozenset({"vggish", "cnn14", "i3d"})) -> PublishedNets:
    """Those nets with weights that are written under `folder`; others are never asked."""
    made = {
        "vggish": lambda: VggishConfig(weights=str(published_weights.write_vggish(folder / "vggish")), device="cpu"),
        "cnn14": lambda: Cnn14Config(weights=str(published_weights.write_cnn14(folder / "cnn14")), device="cpu"),
        "i3d": lambda: I3dConfig(weights=str(published_weights.write_i3d(folder / "i3d")), device="cpu"),
    }
    return PublishedNets.model_validate({name: made[name]() for name in sorted(only)})


def tiny_extractors(recipes: NetsConfig = RECIPES, *, of_class: int = TRAINED_ON) -> Mapping[str, Extractor]:
    """The extractors of the tiny preset by name, their nets trained on so many takes of each class."""
    takes = clips_of("instrument", range(of_class))
    labels = [clip.label for clip in takes]
    frames = np.stack([clip.frames_THW3 for clip in takes])
    mels = log_mel(torch.from_numpy(np.stack([clip.waveform_N for clip in takes])), SPEC).numpy()
    extractors = (
        TinyVideo(train_video_net(frames, labels, seed=0, training=recipes.video)),
        TinyMel(train_mel_net(mels, labels, seed=0, training=recipes.mel)),
        TinySync(train_sync_net(frames, mels, labels, seed=0, training=recipes.sync)),
        Farneback(),
        LibrosaOnsets(ONSET_LAYERS),
    )
    return {extractor.name: extractor for extractor in extractors}
