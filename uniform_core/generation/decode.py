"""Raw latents → frames and sound, by the codecs that made them; and media → raw latents, for a person's own files.

Axes: B batch, C channels, T time, H height, W width, F latent mel bins, N audio samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from uniform_core.codecs import AudioCodec, SoundForm, VideoCodec, Vocoder
from uniform_core.errors import ConfigError
from uniform_core.generation.requests import GeneratedClip, Given
from uniform_core.spec import AVSpec
from uniform_core.types import Modality


class MediaCodecs:
    """The codecs of both modalities and the vocoder, as one way from media to raw latents and back.

    `sound` is how the audio codec is shown a sound: as it was when the latents were made that the model knows.
    """

    def __init__(
        self,
        spec: AVSpec,
        *,
        video: VideoCodec,
        audio: AudioCodec,
        vocoder: Vocoder,
        sound: SoundForm = SoundForm(),  # noqa: B008  (frozen)
    ) -> None:
        self.spec, self._video, self._audio, self._vocoder, self._sound = spec, video, audio, vocoder, sound

    @torch.inference_mode()
    def decode_video(self, raw_BCTHW: Float[Tensor, "B C t h w"]) -> list[np.ndarray]:
        """Frames of each clip, uint8 [T, H, W, 3]."""
        pixels_BCTHW = self._video.decode(raw_BCTHW)
        levels = ((pixels_BCTHW.float() + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return list(rearrange(levels, "b c t h w -> b t h w c").cpu().contiguous().numpy())

    @torch.inference_mode()
    def decode_audio(self, raw_BCTF: Float[Tensor, "B C t f"]) -> list[np.ndarray]:
        """Waveform of each clip, float32 [N] in [-1, 1]."""
        waveforms_BN = self._vocoder.synthesise(self._audio.decode(raw_BCTF))
        return list(waveforms_BN.float().clamp(-1.0, 1.0).cpu().contiguous().numpy())

    @torch.inference_mode()
    def give_video(self, frames_THWC: np.ndarray) -> Given:
        """A given video of exactly the spec's frames and size. Raises ConfigError for others."""
        spec = self.spec
        expected = (spec.frames, spec.height_px, spec.width_px, 3)
        _check_shape("given video", frames_THWC, expected)
        pixels = torch.from_numpy(np.array(frames_THWC)).to(torch.float32) / 127.5 - 1.0
        return Given(Modality.VIDEO, self._video.encode(rearrange(pixels, "t h w c -> 1 c t h w"))[0], frames_THWC)

    @torch.inference_mode()
    def give_audio(self, waveform_N: np.ndarray) -> Given:
        """A given sound of exactly the spec's samples. Raises ConfigError for others."""
        _check_shape("given sound", waveform_N, (self.spec.samples,))
        waveform_1N = torch.from_numpy(np.array(waveform_N, dtype=np.float32))[None]
        mel_BTF = self._sound.mel_of(waveform_1N, self.spec)
        return Given(Modality.AUDIO, self._audio.encode(mel_BTF)[0], waveform_N)

    def round_trip(
        self,
        request_ids: Sequence[str],
        *,
        video_raw_BCTHW: Float[Tensor, "B C t h w"],
        audio_raw_BCTF: Float[Tensor, "B D s f"],
    ) -> list[GeneratedClip]:
        """The baseline `codec_round_trip`: real raw latents decoded, the best that any model of them could do."""
        parts = zip(request_ids, self.decode_video(video_raw_BCTHW), self.decode_audio(audio_raw_BCTF), strict=True)
        return [GeneratedClip(request_id, video, waveform) for request_id, video, waveform in parts]


def _check_shape(item: str, array: np.ndarray, expected: tuple[int, ...]) -> None:
    if array.shape != expected:
        raise ConfigError(
            item, expected=f"shape {expected}", found=f"{array.shape}", fix="Make a canonical clip of the file first."
        )
