"""What the Hugging Face hub says of a file: its address, length and sha256, to whom it is shown.

The library answers this much, by its own settings (HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN or a login, its timeouts).
The bytes come by `download`: the library (2.4) throws a partial file away with the process that began it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uniform_core.errors import ConfigError, ServiceError
from uniform_core.lazy import lazy
from uniform_core.weights.record import Weights, WeightsFile

if TYPE_CHECKING:
    import huggingface_hub
    from huggingface_hub import errors as hub_errors
else:
    huggingface_hub = lazy("huggingface_hub")
    hub_errors = lazy("huggingface_hub.errors")


@dataclass(frozen=True)
class HubFile:
    """A file of a repository as the hub has it now. `sha256` is None for small text files, which it keeps in git."""

    url: str
    size_bytes: int | None
    sha256: str | None
    headers: dict[str, str]


def is_offline() -> bool:
    """Whether a person has said that nothing may be fetched (HF_HUB_OFFLINE)."""
    return bool(huggingface_hub.is_offline_mode())


def require_online(item: str, missing: str) -> None:
    """Something may be fetched. Raises ConfigError that says what is missing where a person has forbidden it."""
    if is_offline():
        raise ConfigError(
            item,
            expected=f"{missing} to be here already, since HF_HUB_OFFLINE is set",
            found="not here",
            fix="Unset HF_HUB_OFFLINE to get it, or give it with `uniform weights pull NAME --from PATH`.",
        )


def hub_file(weights: Weights, file: WeightsFile) -> HubFile:
    """Where the file is and what it must be. Raises ServiceError where the hub does not show it."""
    repo = weights.repo or ""
    item = f"{repo}: {file.path}"
    address = huggingface_hub.hf_hub_url(repo, file.path, revision=weights.revision)
    try:
        said = huggingface_hub.get_hf_file_metadata(address)
    except hub_errors.RepositoryNotFoundError as error:  # a gated repository too
        raise _error(item, "a repository that may be read", _status(error), denied(weights)) from error
    except (hub_errors.RemoteEntryNotFoundError, hub_errors.RevisionNotFoundError) as error:
        fix = f"Look at {address}: it may have moved. Give the file with `--from PATH`."
        raise _error(item, f"a file at revision {weights.revision}", _status(error), fix) from error
    except hub_errors.HfHubHTTPError as error:
        is_denied = _status(error)[:3] in ("401", "403")
        fix = denied(weights) if is_denied else "Run the same command again later."
        raise _error(item, "an answer of the hub", _status(error), fix) from error
    except Exception as error:  # whatever its HTTP client raises where nothing answers
        found = f"none ({type(error).__name__}: {str(error)[:160]})"
        fix = "Look at the network and at HF_ENDPOINT, and run the same command again."
        raise _error(item, f"an answer of {address}", found, fix) from error
    sha256 = said.etag if re.fullmatch(r"[0-9a-f]{64}", said.etag or "") else None
    exact = huggingface_hub.hf_hub_url(repo, file.path, revision=said.commit_hash or weights.revision)
    login = huggingface_hub.utils.build_hf_headers()  # type: ignore[attr-defined]  # documented, not in its __all__
    return HubFile(exact, said.size, sha256, {name: login[name] for name in login if name.lower() == "authorization"})


def denied(weights: Weights) -> str:
    """What a person does where the hub wants to know who asks."""
    return (
        f"If it is gated: accept its licence at https://huggingface.co/{weights.repo}, then `hf auth login` (or set "
        "HF_TOKEN), and run the same command again."
    )


def _status(error: hub_errors.HfHubHTTPError) -> str:
    response = error.response
    return f"{response.status_code} {response.headers.get('X-Error-Message') or response.reason_phrase}"


def _error(item: str, expected: str, found: str, fix: str) -> ServiceError:
    return ServiceError(item, expected=expected, found=found, fix=fix)
