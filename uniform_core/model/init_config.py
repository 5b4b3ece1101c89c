"""From which weights a model starts."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from uniform_core.files import expanded
from uniform_core.types import Frozen
from uniform_core.weights import weights_digest
from uniform_core.weights.found import is_path

InitSource = Literal["random", "pixart", "opensora_v1_2", "export"]


class InitConfig(Frozen):
    """The weights that a training starts from; strict: what does not fit is an error, never a random start.

    `pixart` takes PixArt-α or -Σ (XL/2), as its `.pth` or as diffusers saved it: the spatial blocks and what stands
    around them; temporal blocks start silent. `opensora_v1_2` takes all of STDiT3 (hpcai-tech/OpenSora-STDiT-v3).
    `export` takes a model folder of this program. `weights` is a name that `uniform weights list` knows, or a path.
    """

    source: InitSource = "random"
    weights: str | None = None

    @model_validator(mode="after")
    def _weights_are_named(self) -> InitConfig:
        if self.source == "random" and self.weights is not None:
            raise ValueError(
                f"weights {self.weights!r} are not read by source random: name their source, or no weights"
            )
        if self.source != "random" and self.weights is None:
            raise ValueError(f"source {self.source} needs weights: a name of `uniform weights list`, or a path")
        return self

    def fingerprint_params(self) -> dict[str, Any]:
        """The source and what its weights are, wherever they lie; None of weights that are not there yet."""
        digest = None if self.weights is None else weights_digest(self.weights)
        return {"source": self.source, "weights": digest}

    def located(self) -> InitConfig:
        """The same with a path from the root, for processes that work in another folder."""
        if self.weights is None or not is_path(self.weights):
            return self
        return self.model_copy(update={"weights": str(expanded(self.weights).absolute())})
