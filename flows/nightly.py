"""The nightly form of the proof: several training seeds and presets, and what the gate's bounds would be by them.

Every run is a process of its own in the same root of data: a night that was killed goes on where it was. What is there
so far is kept beside the table after each run, so that a night that ends early leaves the last whole one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.frozen import FrozenCheck, NightConfig
from flows.seed import seeded
from uniform_core.build import build_run
from uniform_core.errors import WorkFailedError
from uniform_core.files import remove, write_text
from uniform_core.metrics.proof import verdict_words
from uniform_core.progress import Listener, ProgressEvent, silent
from uniform_core.settings import ensure_home, load_settings

STAGE = "nightly"
PRESETS, SEEDS = ("tiny", "tiny_iddpm"), 3
Gate = Mapping[str, Any]  # what `uniform run --json` says under `gate`
Runner = Callable[[str, int], Gate]


@dataclass(frozen=True)
class Night:
    """The gates of some presets and training seeds; of each preset what it ran with."""

    gates: Mapping[tuple[str, int], Gate]
    configs: Mapping[str, NightConfig]

    @property
    def is_passed(self) -> bool:
        """Whether every one passed."""
        return bool(self.gates) and all(gate["verdict"] == "passed" for gate in self.gates.values())

    def frozen(self) -> list[FrozenCheck]:
        """Each check of each preset over its seeds, and the bound that they give."""
        found: defaultdict[tuple[str, str, str, str], list[Mapping[str, Any]]] = defaultdict(list)
        for (preset, _), gate in self.gates.items():
            for check in gate["checks"]:
                found[preset, check["task"], check["check"], check["score"]["name"]].append(check)
        return [FrozenCheck.of_seeds(preset, checks) for (preset, *_), checks in found.items()]

    def verdicts(self) -> list[str]:
        """What the gate says of each run, in words."""
        return [
            f"{preset}, training seed {seed}: gate {verdict_words(gate['verdict'], gate['narrower'])}"
            for (preset, seed), gate in self.gates.items()
        ]

    def as_json(self) -> dict[str, Any]:
        """The night as plain values."""
        runs = [
            {"preset": preset, "seed": seed, **{name: gate[name] for name in ("verdict", "narrower")}}
            for (preset, seed), gate in self.gates.items()
        ]
        return {
            "passed": self.is_passed,
            "configs": {preset: config.model_dump(mode="json") for preset, config in self.configs.items()},
            "runs": runs,
            "checks": [row.model_dump() for row in self.frozen()],
        }


def spend_night(
    configs: Mapping[str, NightConfig],
    seeds: Sequence[int],
    *,
    run: Runner,
    listener: Listener = silent,
    on_gate: Callable[[Night], None] = lambda _: None,
) -> Night:
    """The gates of every preset with every training seed, one run after another; `on_gate` is told after each."""
    every = [(preset, seed) for preset in configs for seed in seeds]
    gates: dict[tuple[str, int], Gate] = {}
    for done, (preset, seed) in enumerate(every):
        listener(ProgressEvent(STAGE, done, len(every), note=f"{preset}, training seed {seed}"))
        gates[preset, seed] = run(preset, seed)
        on_gate(Night(dict(gates), configs))
    listener(ProgressEvent(STAGE, len(every), len(every)))
    return Night(gates, configs)


def keep_night(
    presets: Sequence[str], seeds: int, overrides: Sequence[str], *, listener: Listener = silent
) -> tuple[Night, Path]:
    """The night of these presets with this many training seeds, and the file that it is kept in.

    Raises ConfigError before anything runs, WorkFailedError where a run fails.
    """
    words = {preset: seeded(preset, overrides, None) for preset in presets}
    configs = {preset: NightConfig.of_run(build_run(preset, overrides=own), own) for preset, own in words.items()}
    settings = load_settings()
    ensure_home(settings)
    path = settings.reports_dir / "nightly.json"
    so_far = path.with_name("nightly.so_far.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    night = spend_night(
        configs,
        range(seeds),
        run=run_in_process(overrides),
        listener=listener,
        on_gate=lambda night: write_text(so_far, json.dumps(night.as_json(), indent=1)),
    )
    write_text(path, json.dumps(night.as_json(), indent=1))
    remove(so_far)
    return night, path


def run_in_process(overrides: Sequence[str] = ()) -> Runner:
    """A runner that calls `uniform run`, whose progress goes to stderr.

    It raises WorkFailedError where a run fails, or ends without scores.
    """

    def run(preset: str, seed: int) -> Gate:
        words = ["run", "--preset", preset, "--json"]
        for override in (*overrides, f"train.seed={seed}"):
            words += ["--set", override]
        done = subprocess.run([sys.executable, "-m", "flows", *words], stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise WorkFailedError(
                f"uniform {' '.join(words)}",
                expected="exit code 0",
                found=f"exit code {done.returncode}",
                fix="See what it said above; the same command goes on where this one was.",
            )
        gate: Gate | None = json.loads(done.stdout).get("gate")
        if gate is None:
            raise WorkFailedError(
                f"uniform {' '.join(words)}",
                expected="a gate",
                found="a run without scores",
                fix="Give it metrics and tasks (`evaluate.metrics`, `evaluate.tasks`).",
            )
        return gate

    return run
