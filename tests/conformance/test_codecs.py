"""What every codec and vocoder promises. A new member is tested the moment `uniform_core.codecs` imports it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from tiny_audioldm_vae import tiny_audioldm_vae
from tiny_hifigan import tiny_hifigan
from tiny_opensora_vae import tiny_opensora_vae

from uniform_core import codecs
from uniform_core.codecs import AudioCodecConfig, VideoCodecConfig, VocoderConfig
from uniform_core.codecs.mel import LOG_MEL_FLOOR, log_mel
from uniform_core.families import Member
from uniform_core.fingerprint import canonical_json
from uniform_core.seeds import torch_generator
from uniform_core.spec import AVSpec

SPEC = AVSpec(duration_s=2.0, video_rate_hz=16, height_px=32, width_px=32, canonical_short_side_px=32, hop=250)
UNIONS = (
    (codecs.VIDEO_CODECS, codecs.AnyVideoCodec),
    (codecs.AUDIO_CODECS, codecs.AnyAudioCodec),
    (codecs.VOCODERS, codecs.AnyVocoder),
)
# Members that need weights: a miniature by the real class, in the real format, saved in a folder.
MINIATURES: dict[str, Callable[[Path], Member]] = {
    "audioldm_vae": tiny_audioldm_vae,
    "hifigan": tiny_hifigan,
    "opensora_vae": tiny_opensora_vae,
}


def kind_of(member: type[Member]) -> str:
    return str(member.model_fields["kind"].default)


def example_of(member: type[Member], folder: Path) -> Member:
    miniature = MINIATURES.get(kind_of(member))
    return member.example() if miniature is None else miniature(folder)


@pytest.fixture(params=codecs.VIDEO_CODECS, ids=kind_of)
def video(request: pytest.FixtureRequest, tmp_path: Path) -> VideoCodecConfig:
    return example_of(request.param, tmp_path)


@pytest.fixture(params=codecs.AUDIO_CODECS, ids=kind_of)
def audio(request: pytest.FixtureRequest, tmp_path: Path) -> AudioCodecConfig:
    return example_of(request.param, tmp_path)


@pytest.fixture(params=codecs.VOCODERS, ids=kind_of)
def vocoder(request: pytest.FixtureRequest, tmp_path: Path) -> VocoderConfig:
    return example_of(request.param, tmp_path)


def pixels(batch: int) -> torch.Tensor:
    return torch.rand(batch, *SPEC.pixel_shape_CTHW, generator=torch_generator("pixels")) * 2 - 1


def mels(batch: int) -> torch.Tensor:
    return log_mel(torch.randn(batch, SPEC.samples, generator=torch_generator("sound")) * 0.1, SPEC)


def test_video_latent_has_the_promised_shape_and_pixels_their_range(video: VideoCodecConfig):
    codec = video.build(SPEC)
    latent = codec.encode(pixels(2))
    assert latent.shape == (2, *video.latent_shape_CTHW(SPEC))
    decoded = codec.decode(latent * 10)
    assert decoded.shape == (2, *SPEC.pixel_shape_CTHW)
    assert decoded.abs().max() <= 1.0


def test_video_codec_is_deterministic_and_blind_to_the_batch(video: VideoCodecConfig):
    codec, clips = video.build(SPEC), pixels(3)
    together = codec.encode(clips)
    torch.testing.assert_close(together, video.build(SPEC).encode(clips), rtol=0, atol=0)
    torch.testing.assert_close(codec.encode(clips[1:2]), together[1:2], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(codec.decode(together[1:2]), codec.decode(together)[1:2], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("member", [m for m in codecs.VIDEO_CODECS if kind_of(m) not in MINIATURES], ids=kind_of)
def test_a_flat_picture_comes_back(member: type[VideoCodecConfig]):
    """Of codecs without weights: drawn ones bring nothing back."""
    codec = member.example().build(SPEC)
    grey = torch.full((1, *SPEC.pixel_shape_CTHW), 0.25)
    assert (codec.decode(codec.encode(grey)) - grey).abs().mean() < 0.1


def test_audio_latent_has_the_promised_shape_and_mels_their_floor(audio: AudioCodecConfig):
    codec = audio.build(SPEC)
    latent = codec.encode(mels(2))
    assert latent.shape == (2, *audio.latent_shape_CTF(SPEC))
    decoded = codec.decode(latent * 10)
    assert decoded.shape == (2, *SPEC.mel_shape_TF)
    assert decoded.min() >= LOG_MEL_FLOOR


def test_audio_codec_is_deterministic_and_blind_to_the_batch(audio: AudioCodecConfig):
    codec, mel = audio.build(SPEC), mels(3)
    together = codec.encode(mel)
    torch.testing.assert_close(together, audio.build(SPEC).encode(mel), rtol=0, atol=0)
    torch.testing.assert_close(codec.encode(mel[1:2]), together[1:2], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(codec.decode(together[1:2]), codec.decode(together)[1:2], rtol=1e-4, atol=1e-4)


def test_silence_comes_back(audio: AudioCodecConfig):
    codec = audio.build(SPEC)
    silence = torch.full((1, *SPEC.mel_shape_TF), LOG_MEL_FLOOR)
    assert (codec.decode(codec.encode(silence)) - silence).abs().mean() < 0.5


def test_vocoder_gives_exactly_the_samples_of_the_frames(vocoder: VocoderConfig):
    synthesiser = vocoder.build(SPEC)
    for frames in (SPEC.mel_frames, 7):
        waveform = synthesiser.synthesise(mels(2)[:, :frames])
        assert waveform.shape == (2, frames * SPEC.hop)
        assert waveform.dtype == torch.float32


def test_vocoder_is_deterministic_and_blind_to_the_batch(vocoder: VocoderConfig):
    synthesiser, mel = vocoder.build(SPEC), mels(2)
    together = synthesiser.synthesise(mel)
    assert torch.equal(synthesiser.synthesise(mel), together)
    torch.testing.assert_close(synthesiser.synthesise(mel[1:2]), together[1:2], rtol=1e-3, atol=1e-3)


def test_vocoder_stays_in_range_and_silence_stays_silent(vocoder: VocoderConfig):
    synthesiser = vocoder.build(SPEC)
    loud = torch.full((1, 16, SPEC.n_mels), 3.0)
    waveform = synthesiser.synthesise(loud)
    assert torch.isfinite(waveform).all()
    assert waveform.abs().max() <= 1.0
    silent = synthesiser.synthesise(torch.full((1, 16, SPEC.n_mels), LOG_MEL_FLOOR))
    assert silent.abs().max() < 1e-2


@pytest.mark.parametrize(("member", "union"), [(m, union) for members, union in UNIONS for m in members])
def test_config_survives_json_and_refuses_unknown_keys(member: type[Member], union: object, tmp_path: Path):
    config = example_of(member, tmp_path)
    again = TypeAdapter(union).validate_json(config.model_dump_json())
    assert type(again) is member
    assert again == config
    assert canonical_json(again.fingerprint_params()) == canonical_json(config.fingerprint_params())
    with pytest.raises(ValidationError, match="no_such_key"):
        member.model_validate({**config.model_dump(), "no_such_key": 1})
