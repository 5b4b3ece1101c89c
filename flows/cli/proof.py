"""The command that says what the gate says of a model."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from flows.cli.show import print_json
from flows.frozen import beside, read_frozen
from flows.outcome import nets_remark, outcome_of
from flows.proof import beside_text, proof_json, proof_text
from uniform_core.build import build_run
from uniform_core.errors import WorkFailedError
from uniform_core.metrics.gate import Verdict
from uniform_core.settings import load_settings


def proof(arguments: argparse.Namespace) -> int:
    """Print the gate of the model that this config gives. Exit code 1 where it is not passed.

    With `--frozen`, also where it is worse than a night of the same preset; that decides nothing.

    Raises ConfigError, and WorkFailedError where there is no evaluation of such a model.
    """
    config = build_run(arguments.preset, overrides=arguments.overrides, data=arguments.data)
    frozen = None if arguments.frozen is None else read_frozen(Path(arguments.frozen), preset=arguments.preset)
    outcome = outcome_of(load_settings(), config, ask_mlflow=False)
    if not outcome.scores:
        raise WorkFailedError(
            "uniform proof",
            expected="scores of a model of this config, on the clips that the catalog has",
            found="none",
            fix="Run `uniform run` with the same preset, data and settings first.",
        )
    night = None if frozen is None else beside(frozen, outcome.proof.checks, config)
    remark = nets_remark(config)
    if arguments.json:
        beside_it = {} if night is None else {"frozen": asdict(night)}
        print_json(proof_json(outcome.proof) | {"remark": remark} | beside_it)
    else:
        parts = [proof_text(outcome.proof), remark, None if night is None else beside_text(night)]
        print("\n\n".join(part for part in parts if part is not None))
    return 0 if outcome.proof.verdict is Verdict.PASSED else 1
