"""Datasets. A new one is a new file and one import line here."""

from uniform_core.datasets.aistpp import AistppConfig as AistppConfig
from uniform_core.datasets.audioset import AudioSetConfig as AudioSetConfig
from uniform_core.datasets.base import DatasetConfig as DatasetConfig
from uniform_core.datasets.folder import FolderConfig as FolderConfig
from uniform_core.datasets.index import IndexDataset as IndexDataset
from uniform_core.datasets.landscape import LandscapeConfig as LandscapeConfig
from uniform_core.datasets.procedural import ProceduralConfig as ProceduralConfig
from uniform_core.datasets.union import UnionConfig as UnionConfig
from uniform_core.datasets.vggsound import VGGSoundConfig as VGGSoundConfig
from uniform_core.families import members_of, tagged_union

MEMBERS = members_of(globals(), DatasetConfig)
UnionConfig.model_rebuild(
    _types_namespace={"AnySingle": tagged_union(tuple(one for one in MEMBERS if one is not UnionConfig))}
)
AnyDataset = tagged_union(MEMBERS)
