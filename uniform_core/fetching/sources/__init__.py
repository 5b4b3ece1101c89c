"""Places that media come from. A new one is a new file and one import line here."""

from uniform_core.families import members_of, tagged_union
from uniform_core.fetching.sources.base import Means as Means
from uniform_core.fetching.sources.base import Source as Source
from uniform_core.fetching.sources.base import SourceConfig as SourceConfig
from uniform_core.fetching.sources.folder import FolderSource as FolderSource
from uniform_core.fetching.sources.http import HttpSource as HttpSource
from uniform_core.fetching.sources.tar import TarSource as TarSource
from uniform_core.fetching.sources.youtube import YoutubeSource as YoutubeSource

MEMBERS = members_of(globals(), SourceConfig)
AnySource = tagged_union(MEMBERS)
