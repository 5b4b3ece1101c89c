"""The small nets that tiny metrics stand on: a picture net, a sound net, and two towers for synchrony.

Axes: B clips, T frames, H height, W width, F mel bins, S synchrony steps, D features, K classes, C channels.
No dropout and no batch statistics: what a net says of a clip does not depend on the clips beside it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from uniform_core.metrics.traits import TRAITS

Net = TypeVar("Net", bound=nn.Module)
FEATURES = 32  # of a clip; where a committee looks, they are shared out among its members
LIMIT = 5.0  # standard deviations beyond which a feature is bent, so that one outlier does not make the distance
LOOK_PX = 32  # pictures are shrunk to at most this side: the nets look at no more


class ClassNet(nn.Module):
    """A classifier whose last hidden layer, standardised by its training clips, is a feature space."""

    def __init__(self, *, hidden: int, classes: int, features: int) -> None:
        super().__init__()
        self.to_features = nn.Linear(hidden, features)
        self.classes = classes
        self.to_logits = nn.Linear(features, classes + 1)  # the last: broken, not a clip of any class
        self.to_traits = nn.Linear(features, TRAITS)
        self.register_buffer("mean_D", torch.zeros(features))
        self.register_buffer("scale_D", torch.ones(features))
        self.mean_D: Tensor
        self.scale_D: Tensor

    @abstractmethod
    def hidden(self, clips: Tensor) -> Tensor:
        """One hidden vector for each clip."""

    def raw_features(self, clips: Tensor) -> Tensor:
        """The last hidden layer as it is, [B, D]."""
        return self.to_features(self.hidden(clips))  # type: ignore[no-any-return]

    def all_logits(self, raw_BD: Tensor) -> Tensor:
        """Logits of the classes, and of being broken, of raw features, [B, K + 1]."""
        return self.to_logits(functional.gelu(raw_BD))  # type: ignore[no-any-return]

    def traits(self, raw_BD: Tensor) -> Tensor:
        """What the clips are like within their class, [B, TRAITS]."""
        return self.to_traits(functional.gelu(raw_BD))  # type: ignore[no-any-return]

    def logits(self, raw_BD: Tensor) -> Tensor:
        """Class logits of raw features, [B, K]."""
        return self.all_logits(raw_BD)[:, : self.classes]

    def features(self, raw_BD: Tensor) -> Tensor:
        """Features of unit variance over the training clips, bent smoothly into ±LIMIT."""
        standard_BD = (raw_BD - self.mean_D) / self.scale_D
        return LIMIT * torch.tanh(standard_BD / LIMIT)

    def forward(self, clips: Tensor) -> Tensor:
        return self.all_logits(self.raw_features(clips))

    def set_standard(self, raw_ND: Tensor) -> None:
        """Take mean and spread from the training clips; a nearly constant feature is not blown up."""
        spread_D = raw_ND.std(dim=0)
        self.mean_D.copy_(raw_ND.mean(dim=0))
        self.scale_D.copy_(spread_D.clamp(min=0.1 * float(spread_D.mean()) + 1e-6))


class VideoNet(ClassNet):
    """Frames uint8 [B, T, H, W, 3] to features and logits, by convolutions over time and space."""

    def __init__(self, *, classes: int, features: int = FEATURES) -> None:
        super().__init__(hidden=2 * 48, classes=classes, features=features)
        self.stem = nn.Conv3d(6, 24, (2, 4, 4), stride=(2, 4, 4))
        self.middle = nn.Conv3d(24, 48, 3, stride=(1, 2, 2), padding=1)
        self.last = nn.Conv3d(48, 48, (3, 1, 1), stride=(2, 1, 1), padding=(1, 0, 0))
        self.norms = nn.ModuleList([nn.GroupNorm(4, 24), nn.GroupNorm(4, 48), nn.GroupNorm(4, 48)])

    def hidden(self, clips: UInt8[Tensor, "B T H W 3"]) -> Tensor:
        x = look_with_motion(clips)
        for conv, norm in zip((self.stem, self.middle, self.last), self.norms, strict=True):
            x = functional.gelu(norm(conv(x)))
        return torch.cat([x.mean(dim=(2, 3, 4)), x.amax(dim=(2, 3, 4))], dim=1)


class MelNet(ClassNet):
    """Log-mel [B, T, F] to features and logits, by convolutions over time and frequency."""

    def __init__(self, *, classes: int, features: int = FEATURES) -> None:
        super().__init__(hidden=2 * 48, classes=classes, features=features)
        self.stem = nn.Conv2d(1, 24, (8, 4), stride=(4, 4), padding=(2, 0))
        self.middle = nn.Conv2d(24, 48, 3, stride=2, padding=1)
        self.last = nn.Conv2d(48, 48, 3, stride=(2, 1), padding=1)
        self.norms = nn.ModuleList([nn.GroupNorm(4, 24), nn.GroupNorm(4, 48), nn.GroupNorm(4, 48)])

    def hidden(self, clips: Float[Tensor, "B T F"]) -> Tensor:
        x = scaled_mel(clips).unsqueeze(1)
        for conv, norm in zip((self.stem, self.middle, self.last), self.norms, strict=True):
            x = functional.gelu(norm(conv(x)))
        return torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)


class Committee(nn.Module):
    """Class nets of one kind that were trained apart: their features side by side, the mean of what they answer.

    What one small net makes of the same clips depends on its seed by a third; of two by less (docs/experiments.md).
    """

    def __init__(self, members: Sequence[ClassNet]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def looks(self, clips: Tensor) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B K"]]:
        """Standardised features and class logits of clips."""
        features, logits = [], []
        for member in self._nets():
            raw_BD = member.raw_features(clips)
            features.append(member.features(raw_BD))
            logits.append(member.logits(raw_BD))
        return torch.cat(features, dim=1), torch.stack(logits).mean(dim=0)

    def _nets(self) -> Iterator[ClassNet]:
        for member in self.members:
            assert isinstance(member, ClassNet)
            yield member


class VideoCommittee(Committee):
    """Of picture nets."""

    def __init__(self, *, classes: int, members: int) -> None:
        super().__init__([VideoNet(classes=classes, features=FEATURES // members) for _ in range(members)])


class MelCommittee(Committee):
    """Of sound nets."""

    def __init__(self, *, classes: int, members: int) -> None:
        super().__init__([MelNet(classes=classes, features=FEATURES // members) for _ in range(members)])


class SyncNet(nn.Module):
    """Two towers that agree where picture and sound belong together in time.

    Each clip is S steps (one for each frame) of unit vectors in each tower, divided by √S when flattened: the dot
    product of two clips is their mean agreement over time, in [−1, 1].
    """

    def __init__(self, *, frames: int, height: int, width: int, mel_frames: int, mel_bins: int) -> None:
        super().__init__()
        self.frames = frames
        rows, columns = (-(-(min(LOOK_PX, side) // 4) // 2) for side in (height, width))
        stride = max(1, mel_frames // (2 * frames))
        self.look = nn.Conv3d(6, 24, (3, 4, 4), stride=(1, 4, 4), padding=(1, 0, 0))
        self.see = nn.Conv3d(24, 32, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
        self.watch = nn.Linear(32 * rows * columns, 48)
        self.follow = nn.Conv1d(48, 48, 5, padding=2)
        self.to_video = nn.Conv1d(48, FEATURES, 5, padding=2)
        self.hear = nn.Conv1d(2 * mel_bins, 48, stride + 2, stride=stride, padding=1)
        self.listen = nn.Conv1d(48, 48, 5, padding=2)
        self.to_audio = nn.Conv1d(48, FEATURES, 5, padding=2)
        self.norms = nn.ModuleList([nn.GroupNorm(4, 24), nn.GroupNorm(4, 32), nn.GroupNorm(4, 48)])

    def video_steps(self, clips: UInt8[Tensor, "B T H W 3"]) -> Float[Tensor, "B S D"]:
        """Unit vectors of the picture."""
        x = functional.gelu(self.norms[0](self.look(look_with_motion(clips))))
        x = functional.gelu(self.norms[1](self.see(x)))
        x = functional.gelu(self.watch(x.transpose(1, 2).flatten(2))).transpose(1, 2)
        x = x + functional.gelu(self.follow(x))
        return functional.normalize(self.to_video(x).transpose(1, 2), dim=2)

    def audio_steps(self, mel_BTF: Float[Tensor, "B T F"]) -> Float[Tensor, "B S D"]:
        """Unit vectors of the sound, on the time grid of the picture."""
        mel_BFT = scaled_mel(mel_BTF).transpose(1, 2)
        rise_BFT = functional.pad(mel_BFT[:, :, 1:] - mel_BFT[:, :, :-1], (1, 0))
        x = functional.gelu(self.norms[2](self.hear(torch.cat([mel_BFT, rise_BFT], dim=1))))
        x = functional.adaptive_avg_pool1d(x, self.frames)
        x = x + functional.gelu(self.listen(x))
        return functional.normalize(self.to_audio(x).transpose(1, 2), dim=2)


def look(clips: UInt8[Tensor, "B T H W 3"]) -> Float[Tensor, "B 3 T h w"]:
    """Pixels in [-1, 1], at most LOOK_PX a side."""
    video_BCTHW = clips.permute(0, 4, 1, 2, 3).contiguous().float().div_(127.5).sub_(1.0)
    height, width = (min(LOOK_PX, side) for side in video_BCTHW.shape[3:])
    if (height, width) == tuple(video_BCTHW.shape[3:]):
        return video_BCTHW
    return functional.adaptive_avg_pool3d(video_BCTHW, (video_BCTHW.shape[2], height, width))


def look_with_motion(clips: UInt8[Tensor, "B T H W 3"]) -> Float[Tensor, "B 6 T h w"]:
    """Pixels as `look` gives them, and their change since the frame before."""
    video_BCTHW = look(clips)
    both = video_BCTHW.new_empty(len(clips), 6, *video_BCTHW.shape[2:])
    both[:, :3] = video_BCTHW
    both[:, 3:, 0] = 0.0
    torch.sub(video_BCTHW[:, :, 1:], video_BCTHW[:, :, :-1], out=both[:, 3:, 1:])
    return both


def scaled_mel(mel_BTF: Tensor) -> Tensor:
    """Log-mel (natural log, floored at log 1e-5 = −11.5) brought to about [-1, 1]."""
    return (mel_BTF + 6.0) / 6.0


def new_net(kind: type[Net], shape: Mapping[str, int]) -> Net:
    """A net of this shape, its weights yet to be set; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        return kind(**shape)


def initialise(net: nn.Module, generator: torch.Generator) -> None:
    """Set every parameter from the generator: uniform in ±1/√fan_in, norms at identity, in order of their names."""
    norms = {f"{name}." for name, module in net.named_modules() if isinstance(module, nn.GroupNorm)}
    fan_in = 1
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if any(name.startswith(norm) for norm in norms):
                parameter.fill_(1.0 if name.endswith("weight") else 0.0)
                continue
            if parameter.dim() > 1:
                fan_in = parameter[0].numel()  # a bias follows its weight, and has its bound
            parameter.uniform_(-(fan_in**-0.5), fan_in**-0.5, generator=generator)
