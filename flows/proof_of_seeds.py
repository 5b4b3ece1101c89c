"""The proof over several training seeds and both objectives as a Prefect flow: what `uniform nightly` does by hand.

The deployment `nightly` is another thing: the pipeline with one training seed, for what is new since the last night.
"""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.cli.show import ProgressPrinter
from flows.nightly import PRESETS, SEEDS, keep_night
from uniform_core.errors import WorkFailedError
from uniform_core.types import Count


@flow(name="proof-of-seeds")
def proof_of_seeds(
    presets: list[str] = list(PRESETS),  # noqa: B006  (Prefect reads defaults into the deployment's schema)
    seeds: Count = SEEDS,
    overrides: list[str] = [],  # noqa: B006
) -> list[dict[str, Any]]:
    """The gate of every preset with every training seed, one run after another, and the bounds that they freeze.

    Raises ConfigError before anything runs; WorkFailedError where a run fails, and where a gate is not passed.
    """
    with ProgressPrinter() as printer:
        night, path = keep_night(presets, seeds, overrides, listener=printer)
    verdicts = night.verdicts()
    create_table_artifact(
        key="proof-of-seeds-checks",
        table=[{name: str(value) for name, value in row.model_dump().items()} for row in night.frozen()],
        description=f"Every check over the training seeds, and the bound that they freeze; kept as {path.name}.",
    )
    create_markdown_artifact(
        key="proof-of-seeds-verdicts",
        markdown="\n".join(f"- {verdict}" for verdict in verdicts),
        description="What the gate says of each run.",
    )
    if not night.is_passed:
        raise WorkFailedError(
            "proof of seeds",
            expected="every gate passed",
            found="; ".join(verdicts),
            fix=f"See {path.name}: `uniform proof` with the preset and `--set train.seed=N` says it check by check.",
        )
    return [dict(run) for run in night.as_json()["runs"]]
