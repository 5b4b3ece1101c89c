"""Flows of this process on a real Prefect server, and what they leave there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from prefect import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_LEVEL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from flows.server import PrefectServer


@contextlib.contextmanager
def flows_on(server: PrefectServer) -> Iterator[None]:
    """Flows of this process talk to a server, but for events: what sends them would wait at this process's end for a
    server that is gone by then."""
    quiet = {PREFECT_LOGGING_LEVEL: "CRITICAL", PREFECT_LOGGING_TO_API_ENABLED: False}
    with pytest.MonkeyPatch.context() as patch, temporary_settings({PREFECT_API_URL: server.api_url, **quiet}):
        patch.setattr("prefect.events.utilities.should_emit_events", lambda: False)
        yield


def artifacts(state: Any) -> list[Any]:
    """What a flow run has left for people on the server."""
    return artifacts_of(state.state_details.flow_run_id)


def artifacts_of(flow_run_id: Any) -> list[Any]:
    """The same by the run's id. The server keeps a run's result beside them, without a key."""
    wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(str(flow_run_id))]))
    with get_client(sync_client=True) as client:
        return [artifact for artifact in client.read_artifacts(artifact_filter=wanted) if artifact.key]
