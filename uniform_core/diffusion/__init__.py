"""Objectives and samplers. A new one is one file and one line here."""

from uniform_core.diffusion.ancestral import AncestralConfig as AncestralConfig
from uniform_core.diffusion.base import Denoiser as Denoiser
from uniform_core.diffusion.base import Objective as Objective
from uniform_core.diffusion.base import ObjectiveConfig as ObjectiveConfig
from uniform_core.diffusion.base import SamplerConfig as SamplerConfig
from uniform_core.diffusion.base import TrainingLoss as TrainingLoss
from uniform_core.diffusion.ddim import DdimConfig as DdimConfig
from uniform_core.diffusion.dpm_solver import DpmSolverConfig as DpmSolverConfig
from uniform_core.diffusion.euler import EulerConfig as EulerConfig
from uniform_core.diffusion.guidance import GuidanceConfig as GuidanceConfig
from uniform_core.diffusion.guidance import GuideScale as GuideScale
from uniform_core.diffusion.heun import HeunConfig as HeunConfig
from uniform_core.diffusion.iddpm import IddpmConfig as IddpmConfig
from uniform_core.diffusion.rectified_flow import RectifiedFlowConfig as RectifiedFlowConfig
from uniform_core.diffusion.sampling import sample as sample
from uniform_core.diffusion.sampling import sample_joint as sample_joint
from uniform_core.families import members_of, tagged_union

OBJECTIVES = members_of(globals(), ObjectiveConfig)
SAMPLERS = members_of(globals(), SamplerConfig)
AnyObjective = tagged_union(OBJECTIVES)
AnySampler = tagged_union(SAMPLERS)
