"""Which sample stands where in an endless training order: a pure function of the seed."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from uniform_core.seeds import numpy_rng

KEPT_EPOCHS = 3  # a batch touches two epochs, or more where it is larger than the data


class EpochOrder:
    """Positions 0, 1, 2, … of training, each with its sample; every epoch is a new permutation of all samples.

    Epochs follow one another without a gap, also inside a batch: no sample is dropped and none is padded.
    """

    def __init__(self, seed: int, *, samples: int) -> None:
        self._seed, self._samples = seed, samples
        self._permutations: OrderedDict[int, np.ndarray] = OrderedDict()

    def sample_at(self, position: int) -> int:
        """The index of the sample at a position of the whole run."""
        epoch, place = divmod(position, self._samples)
        return int(self._permutation(epoch)[place])

    def batch_positions(self, step: int, *, batch: int, rank: int = 0, world: int = 1) -> range:
        """The positions of one rank's share of a step: every `world`-th, so that any number of ranks covers them."""
        return range(step * batch + rank, (step + 1) * batch, world)

    def _permutation(self, epoch: int) -> np.ndarray:
        if epoch not in self._permutations:
            self._permutations[epoch] = numpy_rng("epoch", self._seed, epoch).permutation(self._samples)
            while len(self._permutations) > KEPT_EPOCHS:
                self._permutations.popitem(last=False)
        return self._permutations[epoch]
