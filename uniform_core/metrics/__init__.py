"""The metrics: each a member, imported here. Nets and extractors stand in modules of their own (they need torch)."""

from uniform_core.families import members_of, tagged_union
from uniform_core.metrics.attributes import AttributeConfig as AttributeConfig
from uniform_core.metrics.av_align import AvAlignConfig as AvAlignConfig
from uniform_core.metrics.base import MetricConfig
from uniform_core.metrics.class_accuracy import ClassAccuracyConfig as ClassAccuracyConfig
from uniform_core.metrics.coverage import CoverageConfig as CoverageConfig
from uniform_core.metrics.diversity import DiversityConfig as DiversityConfig
from uniform_core.metrics.frechet import FrechetConfig as FrechetConfig
from uniform_core.metrics.inception import InceptionConfig as InceptionConfig
from uniform_core.metrics.kernel import KernelConfig as KernelConfig
from uniform_core.metrics.kl import KlConfig as KlConfig
from uniform_core.metrics.loss_gap import LossGapConfig as LossGapConfig
from uniform_core.metrics.memorisation import MemorisationConfig as MemorisationConfig
from uniform_core.metrics.onset_hits import OnsetHitsConfig as OnsetHitsConfig
from uniform_core.metrics.synchrony import SynchronyConfig as SynchronyConfig

METRICS = members_of(globals(), MetricConfig)
Metric = tagged_union(METRICS)
