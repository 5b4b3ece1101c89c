"""Which published net, with which weights, on which device. Nothing here needs torch."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Literal

from uniform_core.devices import Device
from uniform_core.fingerprint import digest
from uniform_core.lazy import lazy
from uniform_core.types import Frozen, PositiveFloat
from uniform_core.weights import weights_digest

if TYPE_CHECKING:
    from uniform_core.metrics.published import cnn14, i3d, vggish
else:
    cnn14 = lazy("uniform_core.metrics.published.cnn14")
    i3d = lazy("uniform_core.metrics.published.i3d")
    vggish = lazy("uniform_core.metrics.published.vggish")

VGGISH_VERSION, CNN14_VERSION, I3D_VERSION = 1, 1, 1
VggishLayer = Literal["linear", "relu", "pca"]


class PublishedConfig(Frozen):
    """A net that others trained. `weights`: a name of the manifest, or the path of a file or folder."""

    weights: str
    device: Device = "auto"

    @abstractmethod
    def fingerprint_params(self) -> dict[str, Any]:
        """What decides the numbers: the weights by their content, and parameters; not the device."""

    @property
    def fingerprint(self) -> str:
        """32 hex digits of `fingerprint_params`. Raises ConfigError where weights cannot be read."""
        return digest(["published", self.fingerprint_params()])

    @abstractmethod
    def require_weights(self) -> None:
        """The weights are there and have our names and shapes. Raises ConfigError; reads no numbers."""


class VggishConfig(PublishedConfig):
    """VGGish 16 kHz. `layer`: the last linear layer (what FAD stands on), behind its ReLU, or whitened by the PCA."""

    weights: str = "vggish"
    layer: VggishLayer = "linear"
    pca_weights: str = "vggish-pca"  # read for the layer pca alone

    def fingerprint_params(self) -> dict[str, Any]:
        pca = {"pca": weights_digest(self.pca_weights)} if self.layer == "pca" else {}
        weights = weights_digest(self.weights)
        return {"net": "vggish", "version": VGGISH_VERSION, "weights": weights, "layer": self.layer, **pca}

    def require_weights(self) -> None:
        vggish.require_network(self)

    def build(self) -> vggish.Vggish:
        """The net. Raises ConfigError where its weights are not there, or not these."""
        return vggish.load_vggish(self)


class Cnn14Config(PublishedConfig):
    """PANNs Cnn14 at 16 kHz."""

    weights: str = "panns-cnn14-16k"

    def fingerprint_params(self) -> dict[str, Any]:
        return {"net": "cnn14_16k", "version": CNN14_VERSION, "weights": weights_digest(self.weights)}

    def require_weights(self) -> None:
        cnn14.require_network(self)

    def build(self) -> cnn14.Cnn14:
        """The net. Raises ConfigError where its weights are not there, or not these."""
        return cnn14.load_cnn14(self)


class I3dConfig(PublishedConfig):
    """I3D of Kinetics-400. `batch_norm_eps`: 1e-5 in every FVD that runs on torch, 1e-3 in pytorch-i3d."""

    weights: str = "i3d-400"
    batch_norm_eps: PositiveFloat = 1e-5

    def fingerprint_params(self) -> dict[str, Any]:
        weights = weights_digest(self.weights)
        return {"net": "i3d_400", "version": I3D_VERSION, "weights": weights, "batch_norm_eps": self.batch_norm_eps}

    def require_weights(self) -> None:
        i3d.require_network(self)

    def build(self) -> i3d.I3d:
        """The net. Raises ConfigError where its weights are not there, or not these."""
        return i3d.load_i3d(self)
