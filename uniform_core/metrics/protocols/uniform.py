"""`uniform`: the protocol that this project recommends, and why each of its constants is what it is.

Sound. All of a clip is heard (a window would hide what a system does later), as the mean of its channels (a first
channel alone is not what people hear), without DC (which VGGish's lowest bands feel), brought to 16 kHz by torchaudio's
default kernel (as both public suites do: FD on PANNs moves by up to 30 with the resampler), neither padded nor made
louder (both shift distances against raw references). FAD pools VGGish's rows without PCA or the last ReLU; covariances
divide by n − 1; everything is reduced in float64. KL is exact, without an eps inside its logarithm.

Picture. FVD and KVD take 16 frames at 10 fps, a rate that files of 17, 24 and 30 fps can be brought to without making
frames up, from a random place (first frames are often still or black), the short side to 224 and the middle of the rest
(a squash changes how things move), from the original size and not by way of 64x64 (which hides what a larger picture
has wrong). Distances are unbiased or have an interval, and say when they mostly tell the number of clips.

Both. AV-align takes each file's own frame rate, since its window of a match is one frame, and prints its chance level
beside it; the short side is 256 px, since its least motion is in pixels; sound starts with the picture, as a player
shows it; each peak of motion is matched once, so that it cannot exceed 1.
"""

from __future__ import annotations

from uniform_core.metrics.frechet import FrechetConfig
from uniform_core.metrics.inception import InceptionConfig
from uniform_core.metrics.kernel import KernelConfig
from uniform_core.metrics.kl import KlConfig
from uniform_core.metrics.loading import AudioLoading, Loading, VideoLoading
from uniform_core.metrics.protocols.av_align import align_metrics
from uniform_core.metrics.protocols.base import ProtocolSet, picture_protocol, sound_protocol

NAME = "uniform"
ITEMS = 2048
SOUND = Loading(
    audio=AudioLoading(channels="mean", remove_dc=True, resampler="torchaudio", rate_hz=16_000), reader="streamed"
)
PICTURE = Loading(
    video=VideoLoading(rate_hz=10, rate_rule="floor_index", window_frames=16, window="random", window_seed=0),
    reader="streamed",
)
BOTH = Loading(
    video=VideoLoading(resize="short_side", short_side_px=256, interpolation="area"),
    audio=AudioLoading(channels="mean", resampler="soxr_hq", rate_hz=22_050, starts="picture"),
    reader="streamed",
)
CNN14 = sound_protocol(NAME, "cnn14_16k", "features", SOUND, items=ITEMS)
LOGITS = sound_protocol(NAME, "cnn14_16k", "logits", SOUND, items=ITEMS)
I3D = picture_protocol(NAME, "i3d400", "logits_crop", PICTURE, items=ITEMS)

UNIFORM = ProtocolSet(
    name=NAME,
    about="The recommended one: all of the clip, native aspect, float64, exact KL, AV-align with its chance level",
    source="this project: docs/metrics.md says why each constant is what it is",
    metrics=(
        FrechetConfig(protocol=I3D, word="fvd", ddof=1),
        KernelConfig(protocol=I3D, word="kvd"),
        InceptionConfig(
            protocol=picture_protocol(NAME, "c3d_ucf101", "log_probabilities", PICTURE, items=ITEMS), splits=10, seed=42
        ),
        FrechetConfig(
            protocol=sound_protocol(NAME, "vggish16k", "features", SOUND, items=ITEMS), word="fad", ddof=1, pooled=True
        ),
        FrechetConfig(protocol=CNN14, word="fd", ddof=1),
        InceptionConfig(protocol=LOGITS, splits=10, seed=2020),
        KlConfig(protocol=LOGITS, activation="softmax", eps=0.0),
        *align_metrics("tempotokens2025", name=NAME, loading=BOTH),
    ),
    notes=("The inception score of pictures stands on classes of UCF-101: of other content it says little.",),
)
