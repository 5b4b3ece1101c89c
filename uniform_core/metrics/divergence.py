"""Scores on class probabilities: inception score and KL divergence. Axes: n items, k classes. All in float64."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64

Activation = Literal["softmax", "sigmoid"]


def inception_scores(
    logits_NK: Float[np.ndarray, "n k"], *, splits: int, seed: int | None, eps: float = 0.0
) -> Float64[np.ndarray, " s"]:
    """exp(mean KL(p ‖ mean p)) of each contiguous split i·n // splits, after a permutation where `seed` is given.

    `eps` is added inside both logarithms (MM-Diffusion's video score: 1e-7).
    """
    import scipy.special  # here: half a second that `uniform plan` does not need

    n = len(logits_NK)
    order = np.arange(n) if seed is None else np.random.RandomState(seed).permutation(n)  # what the references draw
    log_NK = scipy.special.log_softmax(logits_NK[order].astype(np.float64), axis=1)
    bounds = [index * n // splits for index in range(splits + 1)]
    parts = [log_NK[start:end] for start, end in pairwise(bounds)]
    return np.array([_score_of_split(part, eps=eps) for part in parts])


def _score_of_split(log_NK: np.ndarray, *, eps: float) -> float:
    p_NK = np.exp(log_NK)
    mean_K = p_NK.mean(axis=0)
    log_p_NK = np.log(p_NK + eps) if eps else log_NK
    # A class that no item has: log 0 meets p = 0 only, and counts as 0.
    log_mean_K = np.log(np.maximum(mean_K + eps, np.finfo(np.float64).tiny))
    return float(np.exp((p_NK * (log_p_NK - log_mean_K)).sum(axis=1).mean()))


def kl_divergences(
    generated_NK: Float[np.ndarray, "n k"],
    reference_NK: Float[np.ndarray, "n k"],
    *,
    activation: Activation = "softmax",
    eps: float = 0.0,
) -> Float64[np.ndarray, " n"]:
    """KL(reference ‖ generated) of each pair of rows.

    `eps` is added to the generated probability inside its logarithm (audioldm_eval, SpecVQGAN: 1e-6; it lowers the
    value a little). With `sigmoid` it is the positive half of the Bernoulli divergence only, and may be below zero.
    """
    log_generated_NK = _log_probabilities(generated_NK, activation)
    log_reference_NK = _log_probabilities(reference_NK, activation)
    if eps:
        log_generated_NK = np.log(np.exp(log_generated_NK) + eps)
    divergence_N: np.ndarray = (np.exp(log_reference_NK) * (log_reference_NK - log_generated_NK)).sum(axis=1)
    return divergence_N


def _log_probabilities(logits_NK: np.ndarray, activation: Activation) -> np.ndarray:
    import scipy.special

    logits64_NK = logits_NK.astype(np.float64)
    if activation == "softmax":
        return np.asarray(scipy.special.log_softmax(logits64_NK, axis=1))
    return np.asarray(scipy.special.log_expit(logits64_NK))
