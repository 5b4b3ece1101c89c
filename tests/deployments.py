"""The deployments of prefect.yaml on the session's server, as tests use them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from flows.server import PrefectServer

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

ROOT = Path(__file__).parents[1]
PATIENCE_S = 900.0  # only ends what hangs: a busy machine may take ten times as long


class Deployed:
    """The server's client, and the command line beside it."""

    def __init__(self, server: PrefectServer, client: SyncPrefectClient, home: Path) -> None:
        self.client, self.home = client, home
        self._environment = {**os.environ, "PREFECT_API_URL": server.api_url, "PYTHONWARNINGS": "ignore"}

    def prefect(self, *words: str, home: Path | None = None) -> str:
        """What a command of Prefect says; flows that it starts use `home`, else one of all tests."""
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", *words],
            cwd=ROOT,
            env={**self._environment, "UNIFORM_HOME": str(home or self.home)},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def deployment(self, name: str) -> Any:
        return self.client.read_deployment_by_name(name)

    def runs(self, deployment_id: UUID) -> list[Any]:
        from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId

        wanted = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment_id]))
        return self.client.read_flow_runs(flow_run_filter=wanted, limit=50)


@pytest.fixture(scope="session")
def deployed(prefect_running: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """A server that everything in prefect.yaml has been deployed to."""
    from prefect import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: prefect_running.api_url}):
        client = get_client(sync_client=True)
    with client:
        made = Deployed(prefect_running, client, tmp_path_factory.mktemp("deployed"))
        made.prefect("work-pool", "create", "uniform", "--type", "process")
        made.prefect("deploy", "--all")
        yield made
