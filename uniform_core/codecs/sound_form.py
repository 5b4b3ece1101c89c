"""What an audio codec is shown of a sound: how loud, and in which form of log-mel.

Axes: B batch, N samples, T frames, F mel bins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from jaxtyping import Float

from uniform_core.codecs.mel import MelForm, log_mel
from uniform_core.lazy import lazy, lazy_name
from uniform_core.spec import AVSpec
from uniform_core.types import Frozen

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch")
    Tensor = lazy_name("torch", "Tensor")

VERSION = 1
QUIETEST_PEAK = 1e-3  # -60 dBFS


class SoundForm(Frozen):
    """Level and log-mel of a sound before it is encoded. Metrics do not use it: their protocols say their own.

    `peak_half` gives every clip the same peak of 0.5, which AudioLDM's VAE was trained on, and forgets its loudness.
    `mel` "inference" is cut to the spec's frames, and sounds half a hop early behind a vocoder of the `training` form.
    """

    level: Literal["as_is", "peak_half"] = "as_is"
    mel: MelForm = "training"

    def mel_of(self, waveform_BN: Float[Tensor, "B N"], spec: AVSpec) -> Float[Tensor, "B T F"]:
        """The log-mel that is encoded: a frame for each whole hop."""
        levelled_BN = peak_half(waveform_BN) if self.level == "peak_half" else waveform_BN
        mel_BTF = log_mel(levelled_BN, spec, form=self.mel)
        return mel_BTF[:, : waveform_BN.shape[1] // spec.hop].contiguous()

    def fingerprint_params(self) -> dict[str, Any]:
        """What differs from the default, with the version of this file; nothing where nothing does."""
        changed = self.model_dump(mode="json", exclude_defaults=True)
        return changed and {**changed, "version": VERSION}


def peak_half(waveform_BN: Float[Tensor, "B N"]) -> Float[Tensor, "B N"]:
    """Each waveform about its mean, with a peak of 0.5; one that stays below -60 dBFS, with or without its mean, as is.

    Silence is 0 / 0 by AudioLDM's own rule, and its noise as loud as speech.
    """
    centred_BN = waveform_BN - waveform_BN.mean(dim=1, keepdim=True)
    peak_B1 = centred_BN.abs().amax(dim=1, keepdim=True)
    is_quiet_B1 = torch.minimum(peak_B1, waveform_BN.abs().amax(dim=1, keepdim=True)) < QUIETEST_PEAK
    return torch.where(is_quiet_B1, waveform_BN, centred_BN / (peak_B1 + 1e-8) * 0.5)
