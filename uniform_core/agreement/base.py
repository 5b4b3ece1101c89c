"""What a scorer of agreement is: a text and what is known of its clip in, one number out. Axes: T frames, H, W, C."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from uniform_core.families import Member


@dataclass(frozen=True)
class AgreementInput:
    """A caption, the class of its clip, and the frames that its captioner looked at (uint8), where it looked at any."""

    text: str
    label: str | None
    frames_THWC: np.ndarray | None = None


class AgreementScorer(ABC):
    """A scorer ready to work: loaded once per worker."""

    @abstractmethod
    def score(self, inputs: Sequence[AgreementInput]) -> list[float | None]:
        """How far each text is of its clip, in order: finite, the more the better; None where that cannot be told.

        A score does not depend on the others of its call.
        """


class AgreementConfig(Member):
    """Which scorer. Its numbers compare with those of the same kind and revision alone."""

    @property
    @abstractmethod
    def revision(self) -> str:
        """Model id and revision, or the version of the rule."""

    @abstractmethod
    def build(self) -> AgreementScorer:
        """The scorer, loaded."""
