"""Which TorchScript file is run as a net, and with whose word. Nothing here needs torch.

A TorchScript file is a program. It runs only where the config allows its code and its sha256 is known: that of the
manifest, of the file as it first came (`uniform weights pull`), or of the config.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field

from uniform_core.errors import ConfigError
from uniform_core.lazy import lazy
from uniform_core.metrics.published.configs import PublishedConfig
from uniform_core.types import Count
from uniform_core.weights import find_weights
from uniform_core.weights.found import folder_of, is_path, known_weights
from uniform_core.weights.pins import expected_sha256, read_pins
from uniform_core.weights.script import require_permission

if TYPE_CHECKING:
    from uniform_core.metrics.published import torchscript
else:
    torchscript = lazy("uniform_core.metrics.published.torchscript")

SCRIPT_VERSION = 1
ScriptOutput = Literal["features", "probabilities"]
I3D_OPTIONS: Final = ("rescale", "resize", "return_features")


class ScriptConfig(PublishedConfig):
    """A video net in TorchScript: clips [B, 3, T, H, W] from 0 to 255 in, one row for each clip out."""

    allow_code: bool = False  # a person's word that the code in the file may run
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")  # of a file named by its path
    options: tuple[str, ...] = ()  # the arguments that it is given as True
    output: ScriptOutput = "features"
    least_frames: Count = 1

    def fingerprint_params(self) -> dict[str, Any]:
        net = {"net": "torchscript", "version": SCRIPT_VERSION, "sha256": pinned_sha256(self)}
        return {**net, "options": list(self.options), "output": self.output}

    def require_weights(self) -> None:
        require_permission(script_file(self), sha256=pinned_sha256(self), allow_code=self.allow_code)

    def build(self) -> torchscript.ScriptedNet:
        """The net. Raises ConfigError where its code is not allowed, its sha256 is not known, or is another."""
        return torchscript.load_scripted(self)


def i3d_torchscript(*, allow_code: bool, **more: Any) -> ScriptConfig:
    """StyleGAN-V's I3D-400, which scales and resizes by itself: 400 features, those before the softmax."""
    known = {"weights": "i3d-400-torchscript", "options": I3D_OPTIONS, "least_frames": 9, "allow_code": allow_code}
    return ScriptConfig.model_validate({**known, **more})


def c3d_ucf101(*, allow_code: bool, **more: Any) -> ScriptConfig:
    """StyleGAN-V's C3D of UCF-101, which the inception score of video stands on: 101 probabilities for 16 frames."""
    known = {"weights": "c3d-ucf101-torchscript", "output": "probabilities", "least_frames": 16}
    return ScriptConfig.model_validate({**known, "allow_code": allow_code, **more})


def pinned_sha256(config: ScriptConfig) -> str | None:
    """What the file must be: as the config says, as published, or as it first came; None where nobody said."""
    if config.sha256 is not None or is_path(config.weights):
        return config.sha256
    weights = known_weights(config.weights)
    return expected_sha256(weights.files[0], read_pins(folder_of(weights)))


def script_file(config: ScriptConfig) -> Path:
    """Its file. Raises ConfigError where it is not there, or one of several."""
    found = find_weights(config.weights)
    if len(found.files) != 1:
        raise ConfigError(
            f"weights {found.word}",
            expected="one TorchScript file",
            found=", ".join(sorted(found.files)[:8]) or "an empty folder",
            fix="Give the path of the file itself.",
        )
    return next(iter(found.files.values()))
