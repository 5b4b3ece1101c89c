"""What an audio codec is shown of a sound: level, form of the mel, and that every place that encodes shows the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from media_files import write

from tasks.clip_reader import ClipReader
from tasks.encode import EncodeWorker
from tasks.pool import Seen
from tasks.sample import media_codecs
from uniform_core.build import build_run
from uniform_core.catalog.shards import ShardReader, ref_of
from uniform_core.codecs import SoundForm
from uniform_core.codecs.mel import log_mel
from uniform_core.codecs.sound_form import QUIETEST_PEAK, peak_half
from uniform_core.config import RunConfig
from uniform_core.corpus.fingerprints import VERSIONS, encode_fingerprint, train_fingerprint
from uniform_core.fingerprint import stage_fingerprint
from uniform_core.media import CanonicalForm, CanonicalReader, CutRule, Sandbox
from uniform_core.seeds import torch_generator
from uniform_core.spec import AVSpec
from uniform_core.types import Modality

SPEC = AVSpec(duration_s=1.5, video_rate_hz=16, height_px=32, width_px=32, canonical_short_side_px=32, hop=250)
CHANGES = ("sound.level=peak_half", "sound.mel=inference")


def noise(batch: int = 1, *, peak: float = 0.1) -> torch.Tensor:
    waveform_BN = torch.randn(batch, SPEC.samples, generator=torch_generator("test.sound"))
    return waveform_BN / waveform_BN.abs().amax(dim=1, keepdim=True) * peak


def run_of(*changes: str) -> RunConfig:
    return build_run("nano", overrides=changes)


def test_a_peak_of_a_half_whatever_the_loudness_and_the_offset() -> None:
    waveform_BN = noise(2)
    levelled_BN = peak_half(torch.cat([waveform_BN, waveform_BN * 5 + 0.2]))
    torch.testing.assert_close(levelled_BN.abs().amax(dim=1), torch.full((4,), 0.5), rtol=1e-5, atol=0)
    torch.testing.assert_close(levelled_BN[:2], levelled_BN[2:], rtol=0, atol=1e-5)
    torch.testing.assert_close(levelled_BN.mean(dim=1), torch.zeros(4), rtol=0, atol=1e-6)


@pytest.mark.parametrize("offset", [0.0, 5e-4, 0.3])
def test_what_stays_below_the_floor_is_left_alone(offset: float) -> None:
    quiet_BN = noise(peak=0.4 * QUIETEST_PEAK) + offset
    assert torch.equal(peak_half(quiet_BN), quiet_BN)
    silence_BN = torch.full((1, SPEC.samples), offset)
    assert torch.equal(peak_half(silence_BN), silence_BN)


def test_the_floor_is_at_minus_60_dbfs_and_one_clip_is_not_anothers() -> None:
    both_BN = torch.cat([noise(peak=0.97e-3), noise(peak=1.05e-3)])
    levelled_BN = peak_half(both_BN)
    assert torch.equal(levelled_BN[0], both_BN[0])
    assert levelled_BN[1].abs().max() == pytest.approx(0.5, rel=1e-4)


def test_the_default_is_the_training_mel_of_the_sound_as_it_is() -> None:
    assert torch.equal(SoundForm().mel_of(noise(2), SPEC), log_mel(noise(2), SPEC))


@pytest.mark.parametrize("mel", ["training", "inference"])
@pytest.mark.parametrize("level", ["as_is", "peak_half"])
def test_every_form_has_the_specs_frames(level: str, mel: str) -> None:
    form = SoundForm.model_validate({"level": level, "mel": mel})
    mel_BTF = form.mel_of(noise(2), SPEC)
    assert mel_BTF.shape == (2, *SPEC.mel_shape_TF)
    waveform_BN = peak_half(noise(2)) if level == "peak_half" else noise(2)
    assert torch.equal(mel_BTF, log_mel(waveform_BN, SPEC, form=form.mel)[:, : SPEC.mel_frames])


def test_frames_of_the_inference_form_are_half_a_hop_earlier() -> None:
    click_BN = torch.zeros(1, SPEC.samples)
    click_BN[0, 40 * SPEC.hop] = 1.0
    training, inference = (log_mel(click_BN, SPEC, form=form)[0].mean(dim=1) for form in ("training", "inference"))
    assert inference.argmax() == 40
    torch.testing.assert_close(inference[39], inference[41], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(training[39], training[40], rtol=1e-4, atol=1e-4)
    assert len(inference) == len(training) + 1


def test_the_default_leaves_fingerprints_as_they_were() -> None:
    config = run_of()
    codec, spec = config.audio_codec.fingerprint_params(), config.spec.model_dump(mode="json")
    before = {"modality": Modality.AUDIO, "codec": codec, "spec": spec}
    assert encode_fingerprint(config, Modality.AUDIO) == stage_fingerprint(
        "encode", version=VERSIONS["encode"], params=before
    )


def test_another_form_is_another_audio_latent_and_another_training_but_no_other_video_latent() -> None:
    configs = [run_of(), *(run_of(change) for change in CHANGES), run_of(*CHANGES)]
    assert len({encode_fingerprint(config, Modality.AUDIO) for config in configs}) == 4
    assert len({train_fingerprint(config) for config in configs}) == 4
    assert len({encode_fingerprint(config, Modality.VIDEO) for config in configs}) == 1


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A canonical clip of nano's spec with sound."""
    folder, spec = tmp_path_factory.mktemp("clip"), run_of().spec
    with Sandbox() as sandbox:
        [row, *_] = sandbox.canonicalise(
            write(folder / "a.mp4"),
            None,
            cut=CutRule(spec.duration_s, spec.duration_s),
            form=CanonicalForm.of(spec),
            out_dir=folder,
            names=lambda _: "c.mp4",
        )
    return row.path  # type: ignore[union-attr]


@pytest.mark.parametrize("changes", [(), CHANGES], ids=["default", "changed"])
def test_stored_latents_and_those_of_a_persons_file_are_of_the_same_form(
    changes: tuple[str, ...], clip: Path, tmp_path: Path
) -> None:
    config = run_of(*changes)
    reader = ClipReader(config_json=config.model_dump_json(), media_dir=str(clip.parent))
    worker = EncodeWorker(config_json=config.model_dump_json(), tensors_dir=str(tmp_path / "tensors"))
    names = ("work_key", "stage_fp", "clip_id", "clip_sha256")
    row = {**dict.fromkeys(names, "0" * 32), "path": clip.name, "modality": "audio"}
    [read] = reader.read([row])
    (made,) = worker.process([Seen(row, read.value)])  # type: ignore[union-attr]
    stored = ShardReader(tmp_path / "tensors").read(ref_of(made.rows["latents"][0]))  # type: ignore[union-attr]
    waveform_N = CanonicalReader().sound(clip)
    given = media_codecs(config).give_audio(waveform_N).raw
    torch.testing.assert_close(torch.from_numpy(stored), given, rtol=0, atol=1e-5)
    shown = config.sound.mel_of(torch.from_numpy(waveform_N)[None], config.spec)
    torch.testing.assert_close(given, config.audio_codec.build(config.spec).encode(shown)[0], rtol=0, atol=1e-5)
    assert changes == () or not torch.allclose(given, media_codecs(run_of()).give_audio(waveform_N).raw, atol=0.1)
