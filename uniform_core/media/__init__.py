"""Media in and out: the sandboxed reader of any file, the reader of canonical clips, the writer for people.

The sandboxed worker imports this package, so everything here is light: no pydantic, no torch, no decord.
"""

from uniform_core.media.forms import CanonicalForm as CanonicalForm
from uniform_core.media.forms import CutRule as CutRule
from uniform_core.media.forms import DecodeRule as DecodeRule
from uniform_core.media.forms import Limits as Limits
from uniform_core.media.forms import ResizeRule as ResizeRule
from uniform_core.media.forms import StreamRule as StreamRule
from uniform_core.media.reader import CanonicalReader as CanonicalReader
from uniform_core.media.results import CanonicalClip as CanonicalClip
from uniform_core.media.results import CutClip as CutClip
from uniform_core.media.results import DecodedMedia as DecodedMedia
from uniform_core.media.results import FramePiece as FramePiece
from uniform_core.media.results import MeasuredFile as MeasuredFile
from uniform_core.media.results import RejectedWindow as RejectedWindow
from uniform_core.media.results import SourceFacts as SourceFacts
from uniform_core.media.results import StreamedMedia as StreamedMedia
from uniform_core.media.sandbox import Sandbox as Sandbox
from uniform_core.media.writer import write_mp4 as write_mp4
