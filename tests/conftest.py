"""What every test shares: shapes in annotations are enforced, services start once, homes are fresh."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch  # noqa: F401  (before the lazy names, so that shapes in annotations can be enforced)
from command_line import no_network, short_home, uniform
from deployments import deployed as deployed
from jaxtyping import install_import_hook
from services import prefect_running as prefect_running
from services import prefect_template as prefect_template
from services import ray_running as ray_running
from services import seed_prefect, seed_tracking
from services import tracking_template as tracking_template

os.environ.update(
    {
        "OMP_NUM_THREADS": "1",
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "HF_HUB_OFFLINE": "1",
    }
)

# STYLE 9: public functions state shapes in their annotations; tests enforce them, production does not pay for it.
SHAPED = [
    f"uniform_core.{family}" for family in ("codecs", "text", "model", "diffusion", "metrics", "training", "generation")
]
install_import_hook(SHAPED, "beartype.beartype")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh UNIFORM_HOME."""
    root = tmp_path / "home"
    monkeypatch.setenv("UNIFORM_HOME", str(root))
    return root


@pytest.fixture(scope="session")
def nano_run(prefect_template: Path, tracking_template: Path) -> Iterator[tuple[Path, Any]]:
    """A home in which `uniform run --preset nano --json` ended well without a network, and what it said.

    Made once a session. The databases of Prefect and MLflow are made once for all homes: each takes longer than any
    stage.
    """
    home = short_home("nano")
    seed_prefect(prefect_template, home)
    seed_tracking(tracking_template, home)
    done = uniform("run", "--preset", "nano", "--json", home=home, **no_network(home))
    assert done.code == 0, done.err[-4000:]
    yield home, done.json
    shutil.rmtree(home.parent)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium. Without one the tests that ask for it are skipped, except in CI."""
    from flows.report.browser import Browser, find_chromium
    from uniform_core.errors import ServiceError

    try:
        find_chromium()
    except ServiceError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    with Browser() as opened:
        yield opened
