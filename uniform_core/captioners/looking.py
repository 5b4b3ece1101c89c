"""Captioners that look at frames in batches: what is wrong with one clip is told from what is wrong with the captioner.

A batch that fails is halved until one clip stands alone. Where a black clip then fails as well, the captioner is broken
and its error is raised; else the error is that clip's, and all others have their captions.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace

from uniform_core.captioners.base import Captioner, CaptionerConfig, CaptionInput, CaptionResult
from uniform_core.captioners.frames import frames_problem, probe
from uniform_core.errors import UniformError

PROBE_FRAMES = 64  # of the clip of which a probe shows some


class LookingCaptioner(Captioner):
    """A captioner that says something of batches of clips, each with as many frames as the config asks for."""

    def __init__(self, config: CaptionerConfig) -> None:
        self._frames, self._batch = config.frames, config.batch_clips
        self._probe = probe(config.pick_frames(PROBE_FRAMES), clip_frames=PROBE_FRAMES)

    @abstractmethod
    def say(self, batch: Sequence[CaptionInput], *, seed: int) -> list[CaptionResult]:
        """One result for each clip, in order. Whatever it raises is looked into: see the module."""

    def caption(self, inputs: Sequence[CaptionInput], *, seed: int = 0) -> list[CaptionResult]:
        problems = {place: frames_problem(item, frames=self._frames) for place, item in enumerate(inputs)}
        good = [place for place, problem in problems.items() if problem is None]
        said: dict[int, CaptionResult] = {}
        for start in range(0, len(good), self._batch):
            places = good[start : start + self._batch]
            said |= dict(zip(places, self._said([inputs[place] for place in places], seed), strict=True))
        return [
            said[place]
            if problem is None
            else CaptionResult("error", message=f"{inputs[place].clip_id}: {problem}", seed=seed)
            for place, problem in problems.items()
        ]

    def _said(self, batch: Sequence[CaptionInput], seed: int) -> list[CaptionResult]:
        try:
            return [replace(result, seed=seed) for result in self.say(batch, seed=seed)]
        except UniformError:
            raise
        except Exception as error:
            if len(batch) == 1 and is_out_of_memory(error):
                raise
            if len(batch) == 1:
                return [self._blamed(batch[0], error, seed)]
        half = len(batch) // 2
        return [*self._said(batch[:half], seed), *self._said(batch[half:], seed)]

    def _blamed(self, item: CaptionInput, error: Exception, seed: int) -> CaptionResult:
        """The error as the result of its clip; raised where a black clip has one too: then it is the captioner's."""
        try:
            self.say([self._probe], seed=0)
        except Exception:
            raise error from None
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        return CaptionResult("error", message=f"{item.clip_id}: {said}", seed=seed)


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out, of the machine or of a GPU (torch's own class is not imported for it)."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
