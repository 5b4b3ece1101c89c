"""Who answers at an address: a Prefect server of our kind, another program, or nobody."""

from __future__ import annotations

import base64
import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from flows.cli.show import plain
from uniform_core.errors import ConfigError, ServiceError
from uniform_core.settings import web_address_mistake

LIMIT_S = 5.0
LONGEST = 64 << 10  # bytes; both answers of a Prefect server are a few
ELSE = "or unset UNIFORM_PREFECT_API_URL and PREFECT_API_URL to use a local one."


@dataclass(frozen=True)
class _Answer:
    """The JSON value of an answer, None where it has none; `found` says in words what came."""

    value: Any
    found: str


def is_healthy(api_url: str) -> bool:
    """Whether a Prefect server answers at this address."""
    return _asked(api_url, "/health").value is True


def require_prefect(api_url: str) -> None:
    """Returns where a Prefect server of our major version answers. Raises ConfigError, ServiceError.

    Prefect Cloud has no version of its own, and asks for a key at every door: its client says itself what is wrong.
    """
    if mistake := web_address_mistake(api_url):  # of UNIFORM_PREFECT_API_URL the settings have said it
        raise ConfigError(
            "PREFECT_API_URL", expected="an address", found=f"{api_url!r} ({mistake})", fix=f"Correct it, {ELSE}"
        )
    if _is_cloud(api_url):
        return
    health = _asked(api_url, "/health")
    if health.value is not True:
        raise ServiceError(
            f"Prefect server {api_url}",
            expected=f"its health, which is `true`, at {api_url.rstrip('/')}/health",
            found=health.found,
            fix=f"Start it, or correct its address, which ends in /api; {ELSE}",
        )
    _require_version(api_url)


def _is_cloud(api_url: str) -> bool:
    from prefect.settings import PREFECT_CLOUD_API_URL

    cloud = str(PREFECT_CLOUD_API_URL.value())
    return urlsplit(api_url).hostname == urlsplit(cloud).hostname


def _require_version(api_url: str) -> None:
    import prefect

    authorization = _authorization()
    version = _asked(api_url, "/admin/version", headers={"Authorization": authorization} if authorization else {})
    ours, theirs = prefect.__version__.split(".")[0], version.value
    if not isinstance(theirs, str) or not theirs.split(".")[0].isdecimal():
        raise ServiceError(
            f"Prefect server {api_url}",
            expected=f"its version, a JSON text, at {api_url.rstrip('/')}/admin/version",
            found=version.found,
            fix=f"Correct the address, or what PREFECT_API_AUTH_STRING or PREFECT_API_KEY say; {ELSE}",
        )
    if theirs.split(".")[0] != ours:
        raise ServiceError(
            f"Prefect server {api_url}",
            expected=f"version {ours}, as this program's own ({prefect.__version__})",
            found=f"version {theirs}",
            fix=f"Name a server of version {ours}, {ELSE}",
        )


def _authorization() -> str | None:
    """How Prefect's own client shows who it is: its header, None where nothing is configured."""
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_KEY

    if login := PREFECT_API_AUTH_STRING.value():
        return "Basic " + base64.b64encode(login.encode()).decode()
    key = PREFECT_API_KEY.value()
    return f"Bearer {key}" if key else None


def _asked(api_url: str, path: str, *, headers: dict[str, str] | None = None) -> _Answer:
    """The answer to one GET."""
    parts = urlsplit(api_url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=LIMIT_S)
    try:
        connection.request("GET", quote(parts.path.rstrip("/") + path, safe="/%"), headers=headers or {})
        response = connection.getresponse()
        said = response.read(LONGEST)
    except TimeoutError:
        return _Answer(None, f"none within {LIMIT_S:g} s")
    except (OSError, http.client.HTTPException) as error:
        return _Answer(None, f"no answer of HTTP ({plain(str(error)) or type(error).__name__})")
    finally:
        connection.close()
    beginning = repr(said[:80].decode(errors="replace"))
    if response.status != http.client.OK:
        return _Answer(None, f"status {response.status}: {beginning}")
    try:
        return _Answer(json.loads(said), beginning)
    except (ValueError, RecursionError):
        return _Answer(None, f"what is no JSON: {beginning}")
