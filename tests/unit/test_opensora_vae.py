"""Open-Sora's VAE as a codec: its shapes, its memory, and that it is the plain way through diffusers and chunks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_opensora_vae import tiny_network, tiny_opensora_vae
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from uniform_core.codecs import OpenSoraVaeConfig
from uniform_core.errors import ConfigError
from uniform_core.fingerprint import canonical_json
from uniform_core.seeds import torch_generator
from uniform_core.spec import AVSpec


def spec_of(frames: int, *, height: int = 16, width: int = 24) -> AVSpec:
    rates = {"video_rate_hz": 17, "audio_rate_hz": 1700, "hop": 10, "f_max_hz": 800.0}
    sizes = {"height_px": height, "width_px": width, "canonical_short_side_px": height}
    return AVSpec(duration_s=frames / 17, **rates, **sizes)


def pixels(batch: int, spec: AVSpec) -> Tensor:
    return torch.rand(batch, *spec.pixel_shape_CTHW, generator=torch_generator("pixels")) * 2 - 1


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> OpenSoraVaeConfig:
    return tiny_opensora_vae(tmp_path_factory.mktemp("weights"))


def with_(config: OpenSoraVaeConfig, **values: object) -> OpenSoraVaeConfig:
    return OpenSoraVaeConfig.model_validate(config.model_dump() | values)


@torch.no_grad()
def plain_latent(video_BCTHW: Tensor) -> Tensor:
    """What Open-Sora's code does, without samples: all frames, then chunks of 17, then shift and scale."""
    network = tiny_network()
    frames = video_BCTHW.transpose(1, 2).flatten(0, 1)
    means = network.spatial_vae.module.encode(frames).latent_dist.mean * 0.18215
    z = means.unflatten(0, (len(video_BCTHW), -1)).transpose(1, 2)
    parts = [network.temporal_vae.encode(chunk).mean_BCTHW for chunk in z.split(17, dim=2)]
    return (torch.cat(parts, dim=2) - network.shift) / network.scale


@torch.no_grad()
def plain_pixels(latent_BCTHW: Tensor, frames: int) -> Tensor:
    network = tiny_network()
    z = latent_BCTHW * network.scale + network.shift
    parts, left = [], frames
    for chunk in z.split(5, dim=2):
        parts.append(network.temporal_vae.decode(chunk, frames=min(17, left)))
        left -= 17
    frames_FCHW = torch.cat(parts, dim=2).transpose(1, 2).flatten(0, 1) / 0.18215
    decoded = network.spatial_vae.module.decode(frames_FCHW).sample
    return decoded.unflatten(0, (len(latent_BCTHW), -1)).transpose(1, 2).clamp(-1, 1)


@pytest.mark.parametrize("frames", [17, 39, 16])
def test_it_is_the_plain_way_through_diffusers_and_chunks(tiny: OpenSoraVaeConfig, frames: int) -> None:
    spec = spec_of(frames)
    codec, video = tiny.build(spec), pixels(2, spec)
    latent = codec.encode(video)
    assert latent.shape == (2, *tiny.latent_shape_CTHW(spec))
    torch.testing.assert_close(latent, plain_latent(video), atol=2e-5, rtol=1e-4)
    loud = latent * 20  # so that some pixels are beyond the range
    decoded = codec.decode(loud)
    assert decoded.shape == video.shape
    torch.testing.assert_close(decoded, plain_pixels(loud, frames), atol=2e-5, rtol=1e-4)
    assert decoded.abs().max() == 1.0


def test_a_clip_is_the_same_to_the_bit_in_any_batch_and_run(tiny: OpenSoraVaeConfig) -> None:
    spec = spec_of(20)
    codec, video = tiny.build(spec), pixels(2, spec)
    latent = codec.encode(video)
    assert torch.equal(latent, tiny.build(spec).encode(video))
    assert torch.equal(latent, torch.cat([codec.encode(video[:1]), codec.encode(video[1:])]))
    decoded = codec.decode(latent)
    assert torch.equal(decoded, torch.cat([codec.decode(latent[:1]), codec.decode(latent[1:])]))
    assert torch.equal(video, pixels(2, spec))


@pytest.mark.parametrize("way", [{"micro_batch": 1}, {"micro_batch": 100}, {"channels_last": True}])
def test_how_it_is_computed_changes_rounding_alone(tiny: OpenSoraVaeConfig, way: dict[str, object]) -> None:
    spec = spec_of(20)
    codec, other, video = tiny.build(spec), with_(tiny, **way).build(spec), pixels(1, spec)
    latent = codec.encode(video)
    torch.testing.assert_close(other.encode(video), latent, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(other.decode(latent), codec.decode(latent), atol=1e-5, rtol=1e-4)


def test_frames_go_through_the_spatial_part_a_micro_batch_at_a_time(tiny: OpenSoraVaeConfig) -> None:
    spec = spec_of(18)
    codec = with_(tiny, micro_batch=4).build(spec)
    seen: list[int] = []
    module = codec.network.spatial_vae.module
    for part in (module.encoder, module.decoder):
        part.register_forward_hook(lambda _part, inputs, _output: seen.append(len(inputs[0])))
    codec.decode(codec.encode(pixels(1, spec)))
    assert seen == 2 * [4, 4, 3, 3, 3, 1]


def test_bfloat16_computes_in_it_and_returns_float32(tiny: OpenSoraVaeConfig) -> None:
    spec = spec_of(17)
    exact, codec, video = tiny.build(spec), with_(tiny, dtype="bfloat16").build(spec), pixels(1, spec)
    latent = codec.encode(video)
    assert latent.dtype == codec.decode(latent).dtype == torch.float32
    assert {value.dtype for name, value in codec.network.state_dict().items() if "vae" in name} == {torch.bfloat16}
    error = (latent - exact.encode(video)).abs()
    assert 0 < error.max() < 0.05


def peak_bytes(work: Callable[[], Tensor]) -> tuple[int, Tensor]:
    """The most that was allocated at one time beside the result, and the result."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = work()
    live = most = 0
    for event in sorted(profiler.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            live += event.nbytes()
            most = max(most, live)
    assert live == result.nbytes  # every allocation was seen
    return most - result.nbytes, result


def test_memory_is_that_of_one_chunk_of_one_clip(tiny: OpenSoraVaeConfig) -> None:
    encoding, decoding = [], []
    for frames, batch in ((34, 1), (102, 1), (34, 2)):
        spec = spec_of(frames, height=32, width=32)
        codec, video = tiny.build(spec), pixels(batch, spec)
        most, latent = peak_bytes(lambda codec=codec, video=video: codec.encode(video))
        encoding.append(most)
        decoding.append(peak_bytes(lambda codec=codec, latent=latent: codec.decode(latent))[0])
    assert max(encoding) < 1.01 * min(encoding)
    assert max(decoding) < 1.01 * min(decoding)
    assert min(encoding) > 8 * 4 * 4 * 32 * 32  # a micro-batch at the widest place: it was measured


def test_latent_shapes() -> None:
    config = OpenSoraVaeConfig()
    paper = AVSpec(duration_s=4.0, video_rate_hz=17, height_px=256, width_px=256, canonical_short_side_px=360)
    assert config.latent_shape_CTHW(paper) == (4, 20, 32, 32)
    for frames in range(1, 120):
        expected = 5 * (frames // 17) + -(-(frames % 17) // 4)
        assert config.latent_shape_CTHW(spec_of(frames)) == (4, expected, 2, 3)
    with pytest.raises(ConfigError, match=r"multiples of 8; found 20 x 24.*each 17 give 5 latent frames"):
        config.latent_shape_CTHW(spec_of(17, height=20))


def test_a_latent_of_another_length_is_refused(tiny: OpenSoraVaeConfig) -> None:
    codec = tiny.build(spec_of(34))
    with pytest.raises(ConfigError, match="10 frames, which stand for 34 of the clip; found 5"):
        codec.decode(torch.zeros(1, 4, 5, 2, 3))


def test_fingerprint_has_what_changes_numbers(tiny: OpenSoraVaeConfig, tmp_path: Path) -> None:
    def text(config: OpenSoraVaeConfig) -> str:
        return canonical_json(config.fingerprint_params())

    speed = {"micro_batch": 7, "device": "cuda", "channels_last": True, "compiled": True}
    assert text(with_(tiny, **speed)) == text(tiny)
    elsewhere = tiny_opensora_vae(tmp_path)
    assert text(elsewhere) == text(tiny)
    assert str(tmp_path) not in text(elsewhere)
    assert text(with_(tiny, dtype="bfloat16")) != text(tiny)
    assert text(with_(tiny, temporal={**tiny.temporal.model_dump(), "chunk_frames": 9})) != text(tiny)
    (tmp_path / "model.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes() + b" ")
    assert text(elsewhere) != text(tiny)


def test_a_gpu_that_is_not_there_is_said(tiny: OpenSoraVaeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"expected a GPU that torch can use; found none\. Set device to auto or cpu"):
        with_(tiny, device="cuda").build(spec_of(17))
    assert with_(tiny, device="auto").build(spec_of(17)).network.scale.device.type == "cpu"


@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        ("spatial", {"widths": (6, 8)}, "must be multiples of groups"),
        ("temporal", {"filters": 6}, "must be multiples of groups"),
        ("temporal", {"halves_time": (True,)}, "halves_time has 1 values"),
    ],
)
def test_sizes_that_cannot_be_are_refused(part: str, values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        with_(OpenSoraVaeConfig.example(), **{part: values})


def test_compiling_is_asked_for_or_left_alone(tiny: OpenSoraVaeConfig) -> None:
    for compiled in (False, True):
        network = with_(tiny, compiled=compiled).build(spec_of(17)).network
        spatial, temporal = network.spatial_vae.module, network.temporal_vae
        parts = (spatial.encoder, spatial.decoder, temporal.encoder, temporal.decoder)
        assert [part._compiled_call_impl is not None for part in parts] == [compiled] * 4


COMPILED = """
import sys, torch
from uniform_core.codecs import OpenSoraVaeConfig
from uniform_core.spec import AVSpec
config, spec = OpenSoraVaeConfig.model_validate_json(sys.argv[1]), AVSpec.model_validate_json(sys.argv[2])
plain, codec = config.build(spec), config.model_copy(update={"compiled": True}).build(spec)
video = torch.linspace(-1, 1, 3 * 5 * 4 * 6).view(1, *spec.pixel_shape_CTHW)
latent = plain.encode(video)
torch.testing.assert_close(codec.encode(video), latent, atol=1e-5, rtol=1e-4)
torch.testing.assert_close(codec.decode(latent), plain.decode(latent), atol=1e-5, rtol=1e-4)
counters = torch._dynamo.utils.counters
print(counters["stats"]["unique_graphs"], sum(counters["graph_break"].values()))
"""


@pytest.mark.long
def test_compiled_it_gives_the_same(tmp_path: Path) -> None:
    """Of the smallest VAE that has all parts: the compiler takes its time. Shape checks, which it sees not, are off."""
    config = with_(
        OpenSoraVaeConfig.example(),
        spatial={"widths": (4, 4), "layers": 1, "groups": 2},
        temporal={"filters": 4, "multipliers": (1, 1), "halves_time": (True,), "res_blocks": 1, "groups": 2},
        micro_batch=17,
    )
    words = (tiny_opensora_vae(tmp_path, config).model_dump_json(), spec_of(5, height=4, width=6).model_dump_json())
    done = subprocess.run([sys.executable, "-c", COMPILED, *words], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["4", "0"]
