"""The public files of the nets that published metrics stand on.

None of their sources is a repository of one maker with hashes beside the files. Sizes and sha256 are those that several
projects pin, which have nothing to do with each other, read for this project and never copied from a download of ours;
VGGish's two also begin as their names say. The rest is pinned at first sight.
"""

from __future__ import annotations

from typing import Final

from uniform_core.weights.record import Weights, WeightsFile

# Commercial use is not allowed where nobody who published a file said a licence: that is what the law makes of silence.
UNSTATED: Final = "none stated"

_VGGISH: Final = "https://github.com/harritaylor/torchvggish/releases/download/v0.1/"

EVALUATION: Final = (
    Weights(
        name="vggish",
        repo=None,
        files=(
            WeightsFile(
                path="vggish-10086976.pth",
                url=f"{_VGGISH}vggish-10086976.pth",
                size_bytes=288_567_937,
                sha256="10086976245803799d9194e9a73d9b6c1549c71d1b80106f5cade5608a561f4b",
            ),
        ),
        licence="Apache-2.0",
        is_commercial=True,
        used_for="metrics vggish16k",
    ),
    Weights(
        name="vggish-pca",
        repo=None,
        files=(
            WeightsFile(
                path="vggish_pca_params-970ea276.pth",
                url=f"{_VGGISH}vggish_pca_params-970ea276.pth",
                size_bytes=181_358,
                sha256_prefix="970ea276",
            ),
        ),
        licence="Apache-2.0",
        is_commercial=True,
        used_for="metrics vggish16k, layer pca",
    ),
    Weights(
        name="panns-cnn14-16k",
        repo=None,
        files=(
            WeightsFile(
                path="Cnn14_16k_mAP=0.438.pth",
                url="https://zenodo.org/records/3987831/files/Cnn14_16k_mAP%3D0.438.pth?download=1",
                size_bytes=358_668_570,
                sha256="e2ee543a27919542c2ea03eabaa70b24dcd4e6c8e05621de6b67a94e4c5058e6",
            ),
        ),
        licence="CC-BY-4.0",
        is_commercial=True,
        used_for="metrics cnn14_16k",
    ),
    # Not pytorch-i3d's rgb_imagenet.pt, which has the same names and was trained another time: FVD needs this one.
    Weights(
        name="i3d-400",
        repo=None,
        files=(
            WeightsFile(
                path="i3d_pretrained_400.pt",
                url="https://github.com/songweige/TATS/raw/main/tats/fvd/i3d_pretrained_400.pt",
                about_bytes=51 * 10**6,
            ),
        ),
        licence="Apache-2.0 (Kinetics-I3D; the torch port states none)",
        is_commercial=True,
        used_for="metrics i3d400",
    ),
    Weights(
        name="i3d-400-torchscript",
        repo="flateon/FVD-I3D-torchscript",
        revision="1c2d61711c52571ad617a1063e6fa691b212e184",
        files=(
            WeightsFile(
                path="i3d_torchscript.pt",
                size_bytes=51_235_320,
                sha256="bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2",
            ),
        ),
        licence=UNSTATED,
        is_commercial=False,
        used_for="metrics i3d400_torchscript, which runs its code",
    ),
    Weights(
        name="c3d-ucf101-torchscript",
        repo=None,
        files=(WeightsFile(path="c3d_ucf101.pt", url="https://www.dropbox.com/s/jxpu7avzdc9n97q/c3d_ucf101.pt?dl=1"),),
        licence=UNSTATED,
        is_commercial=False,
        used_for="metrics c3d_ucf101, which runs its code",
    ),
)
