"""Attributes: does a clip show the colour and size, and sound with the pitch, that its caption names?"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Literal

import numpy as np
from jaxtyping import Float64

from uniform_core.metrics.base import CLIPS, LABELS_OF, SIDES, Inputs, Measured, MetricConfig, Need, Side
from uniform_core.metrics.features import FeatureSet, uneven
from uniform_core.metrics.intervals import wilson_interval
from uniform_core.metrics.permutation import within_class_p
from uniform_core.metrics.protocol import Protocol, Word

Known = dict[tuple[str, str], Float64[np.ndarray, " d"]]  # (class, value) → what real clips of it measure


class AttributeConfig(MetricConfig):
    """The share of clips whose measured attribute is the one that was asked for.

    What a value looks like is learned from real clips: a clip has the value whose real clips of its class measure most
    alike on average. `p` is that of asking for the attributes of other clips of the class.
    `unseen_only` keeps the clips whose combination of attributes no clip that was trained on has.
    """

    version = 2
    kind: Literal["attribute"] = "attribute"
    attribute: Word = "colour"
    unseen_only: bool = False

    @classmethod
    def example(cls) -> AttributeConfig:
        return cls(protocol=Protocol(name="example", extractor="example"))

    @property
    def metric(self) -> str:
        return f"attribute_{self.attribute}" + ("_unseen" if self.unseen_only else "")

    @property
    def needs(self) -> tuple[Need, ...]:
        looks = tuple(Need(side, self.protocol.extractor, self.protocol.layer) for side in SIDES)
        sides = (*SIDES, Side.TRAINED) if self.unseen_only else SIDES
        return (*looks, *(Need(side, CLIPS, "attributes") for side in sides), *(LABELS_OF[side] for side in sides))

    def measure(self, inputs: Inputs) -> Measured | str:
        looks, real_looks = (inputs[need] for need in self.needs[:2])
        if (problem := uneven(looks, real_looks)) is not None:
            return problem
        hits = self._hits(inputs)
        if hits is None:
            seen = ", in a combination that training never had" if self.unseen_only else ""
            return f"no clip has a known {self.attribute} of which its class shows two{seen}"
        gain_NN, labels, _ = hits
        share, n = float(np.diag(gain_NN).mean()), len(gain_NN)
        low, high = wilson_interval(share, n_effective=n)
        left = len(looks) - n
        why = "that training had" if self.unseen_only else f"without a known {self.attribute}"
        warnings = (f"{left} clips {why} were left out",) if left else ()
        p = None if self.unseen_only else within_class_p(gain_NN, labels)  # they all ask for the same
        return Measured(share, low, high, n_generated=n, n_reference=len(real_looks), warnings=warnings, p=p)

    def clip_values(self, inputs: Inputs) -> dict[str, float]:
        """1.0 or 0.0 for each clip that the share is of."""
        hits = self._hits(inputs)
        return {} if hits is None else dict(zip(hits[2], np.diag(hits[0]).tolist(), strict=True))

    def _hits(self, inputs: Inputs) -> tuple[np.ndarray, list[str], list[str]] | None:
        """[i, j]: 1 where clip i shows what clip j asks for (of its class; else 0); the class and key of each clip."""
        looks, real_looks = (inputs[need] for need in self.needs[:2])
        asked, real_values = (inputs[Need(side, CLIPS, "attributes")] for side in SIDES)
        labels, real_labels = (inputs[LABELS_OF[side]] for side in SIDES)
        known = _known_values(real_looks.matrix_ND(), self._values(real_values), real_labels.texts())
        trained = self._trained_combinations(inputs)
        rows = [
            (label, value, _nearest(known, label, row), key)
            for key, label, value, text, row in zip(
                labels.keys, labels.texts(), self._values(asked), asked.texts(), looks.matrix_ND(), strict=True
            )
            if (label, value) in known and (label, text) not in trained
        ]
        rows = [row for row in rows if sum(label == row[0] for label, _ in known) > 1]
        if not rows:
            return None
        shown = np.array([seen for _, _, seen, _ in rows])
        wanted = np.array([value for _, value, _, _ in rows])
        gain_NN = (shown[:, None] == wanted[None]).astype(np.float64)
        return gain_NN, [label for label, *_ in rows], [key for *_, key in rows]

    def _trained_combinations(self, inputs: Inputs) -> set[tuple[str, str]]:
        """The classes and attributes that are left out, because the model was trained on them."""
        if not self.unseen_only:
            return set()
        of, values = inputs[LABELS_OF[Side.TRAINED]], inputs[Need(Side.TRAINED, CLIPS, "attributes")]
        return {*zip(of.texts(), values.texts(), strict=True)}

    def _values(self, attributes: FeatureSet) -> list[str | None]:
        return [json.loads(text).get(self.attribute) for text in attributes.texts()]


def _known_values(looks_MD: np.ndarray, values: list[str | None], labels: tuple[str, ...]) -> Known:
    """What each value of each class measures on average."""
    rows: defaultdict[tuple[str, str], list[np.ndarray]] = defaultdict(list)
    for look, value, label in zip(looks_MD, values, labels, strict=True):
        if value is not None:
            rows[label, value].append(look)
    return {key: np.mean(some, axis=0) for key, some in sorted(rows.items())}


def _nearest(known: Known, label: str, look_D: np.ndarray) -> str:
    own = {value: mean_D for (of, value), mean_D in known.items() if of == label}
    return min(own, key=lambda value: float(np.sum((own[value] - look_D) ** 2)))
