"""Public weights: what there is, where it lies on this machine, and whether it is what it should be."""

from uniform_core.weights.found import FoundWeights as FoundWeights
from uniform_core.weights.found import find_weights as find_weights
from uniform_core.weights.found import weights_digest as weights_digest
from uniform_core.weights.manifest import MANIFEST as MANIFEST
from uniform_core.weights.record import Weights as Weights
from uniform_core.weights.record import WeightsFile as WeightsFile
