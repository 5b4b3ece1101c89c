"""Words from a language model: greedy or drawn, each clip by its own seed, so that no other clip of a batch matters.

Axes: B clips, L tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import transformers
from jaxtyping import Float, Int
from torch import Tensor

from uniform_core.captioners.base import CaptionInput, CaptionResult
from uniform_core.captioners.hub_model import quietly
from uniform_core.captioners.sampling import Sampling
from uniform_core.seeds import torch_generator


class SeededDraws(transformers.LogitsProcessor):  # type: ignore[misc]  # the library is without types
    """Scores whose largest is a draw from softmax(scores / temperature), cut to `top_p`; of temperature 0 as they are.

    Gumbel's noise, each row from a generator of its own: the library's own sampling draws a whole batch from the one
    global generator.
    """

    def __init__(self, generators: Sequence[torch.Generator], *, temperature: float, top_p: float) -> None:
        self._generators, self._temperature, self._top_p = generators, temperature, top_p

    def __call__(self, input_ids: Int[Tensor, "B L"], scores: Float[Tensor, "B V"]) -> Float[Tensor, "B V"]:  # noqa: ARG002  (the library's form)
        if self._temperature == 0:
            return scores
        logits_BV = _nucleus(scores.float() / self._temperature, self._top_p)
        uniform_BV = torch.stack([torch.rand(scores.shape[1], generator=one) for one in self._generators])
        noise_BV = -torch.log(-torch.log(uniform_BV.clamp(1e-20, 1 - 1e-7)))
        return logits_BV + noise_BV.to(scores.device)


def _nucleus(logits_BV: Float[Tensor, "B V"], top_p: float) -> Float[Tensor, "B V"]:
    """Logits without the words beyond the most probable ones that together have `top_p`; one is always left."""
    if top_p >= 1:
        return logits_BV
    sorted_BV, order_BV = logits_BV.sort(dim=-1, descending=True)
    before_BV = sorted_BV.softmax(dim=-1).cumsum(dim=-1).roll(1, dims=-1)
    before_BV[:, 0] = 0.0
    cut_BV = torch.zeros_like(before_BV, dtype=torch.bool).scatter(1, order_BV, before_BV >= top_p)
    return logits_BV.masked_fill(cut_BV, -torch.inf)


def generate(
    model: Any, inputs: dict[str, Any], batch: Sequence[CaptionInput], *, sampling: Sampling, seed: int
) -> Int[Tensor, "B L"]:
    """The new tokens of each clip, on the CPU, after the prompt's (the library gives the prompt's where it had ids)."""
    draws = SeededDraws(
        [torch_generator("caption", item.clip_id, seed) for item in batch],
        temperature=sampling.temperature_for(seed),
        top_p=sampling.top_p,
    )
    settings = transformers.GenerationConfig(
        max_new_tokens=sampling.max_new_tokens,
        do_sample=False,
        num_beams=1,
        repetition_penalty=sampling.repetition_penalty,
        eos_token_id=model.generation_config.eos_token_id,
        pad_token_id=model.generation_config.pad_token_id,
        bos_token_id=model.generation_config.bos_token_id,
    )
    with torch.inference_mode(), quietly():
        tokens_BL = model.generate(
            **inputs, generation_config=settings, logits_processor=transformers.LogitsProcessorList([draws])
        )
    prompt = inputs["input_ids"].shape[1] if "input_ids" in inputs else 0
    new_BL: Tensor = tokens_BL[:, prompt:].cpu()
    return new_BL


def result_of(ids: Sequence[int], *, tokenizer: Any, ends: frozenset[int], limit: int, tokens_in: int) -> CaptionResult:
    """The caption in a clip's new tokens: what comes before the first that ends it.

    One that has none of these at the limit is `truncated`.
    """
    end = next((place for place, token in enumerate(ids) if token in ends), None)
    said = list(ids) if end is None else list(ids[:end])
    text = tokenizer.decode(said, skip_special_tokens=True, clean_up_tokenization_spaces=False).strip()
    counts: dict[str, Any] = {"tokens_in": tokens_in, "tokens_out": len(said)}
    if not text:
        return CaptionResult("empty", message="the model said nothing", finish_reason="stop", **counts)
    if end is None and len(said) >= limit:
        return CaptionResult("truncated", text, finish_reason="length", **counts)
    return CaptionResult("success", text, finish_reason="stop", **counts)


def end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens that end a text, by the model's own generation config, else by its tokenizer."""
    own = model.generation_config.eos_token_id
    given = [tokenizer.eos_token_id] if own is None else own if isinstance(own, list) else [own]
    return frozenset(int(token) for token in given if token is not None)
