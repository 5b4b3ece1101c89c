"""One file over HTTP(S): whole or to be gone on with, bounded in bytes and time, every failure with its reason."""

from uniform_core.download.failure import Reason as Reason
from uniform_core.download.failure import RemoteError as RemoteError
from uniform_core.download.remote import Patience as Patience
from uniform_core.download.remote import Remote as Remote
from uniform_core.download.room import require_room as require_room
from uniform_core.download.transfer import download as download
from uniform_core.download.transfer import drop as drop
from uniform_core.download.transfer import too_much as too_much
from uniform_core.download.waits import retry_after_s as retry_after_s
