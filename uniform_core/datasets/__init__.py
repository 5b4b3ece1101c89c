"""Datasets. A new one is a new file and one import line here."""

from uniform_core.datasets.base import DatasetConfig as DatasetConfig
from uniform_core.datasets.folder import FolderConfig as FolderConfig
from uniform_core.datasets.procedural import ProceduralConfig as ProceduralConfig
from uniform_core.families import members_of, tagged_union

MEMBERS = members_of(globals(), DatasetConfig)
AnyDataset = tagged_union(MEMBERS)
