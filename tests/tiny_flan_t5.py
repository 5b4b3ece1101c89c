"""A FLAN-T5 of a few thousand weights, in the real format: what the public checkpoints have, through their own library.

Its tokenizer is a Unigram vocabulary of letters and a few words, in the order of T5's own: <pad> </s> <unk> pieces.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram
from transformers import T5Config, T5ForConditionalGeneration, T5TokenizerFast

from uniform_core.text import FlanT5Config

WORDS = ("red", "blue", "ball", "word", "dog", "the", "video", "shows")
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?:;'\"()-<>/&"


def tiny_flan_t5(folder: Path, **values: Any) -> FlanT5Config:
    """The config of a miniature that `save_flan_t5` has written to a folder."""
    save_flan_t5(folder)
    return FlanT5Config.model_validate({"weights": str(folder), "dimensions": 32, "token_limit": 40, **values})


def save_flan_t5(folder: Path, *, shard_size: str = "10GB", **shape: Any) -> T5ForConditionalGeneration:
    """The whole model, decoder and all, that now lies in the folder as one of the hub's does, tokenizer beside it."""
    tokenizer = T5TokenizerFast(tokenizer_object=tokenizer_of(), eos_token="</s>", unk_token="<unk>", pad_token="<pad>")
    config = T5Config(**{**SHAPE, "vocab_size": 256, **shape})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = T5ForConditionalGeneration(config)
    model.save_pretrained(folder, max_shard_size=shard_size)
    tokenizer.save_pretrained(folder)
    return model


SHAPE = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "dropout_rate": 0.1,
         "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "pad_token_id": 0, "eos_token_id": 1,
         "decoder_start_token_id": 0}  # fmt: skip


def tokenizer_of() -> Tokenizer:
    """T5's tokenizer over a small vocabulary."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(f"▁{word}", -3.0) for word in WORDS] + [(letter, -5.0) for letter in LETTERS]
    tokenizer = Tokenizer(Unigram(pieces, unk_id=2, byte_fallback=False))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return tokenizer
