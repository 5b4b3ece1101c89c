"""Captions of a few clips for tests of corpora: clips by number, and all rows of a call in one commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from catalog_rows import caption_row, clip_row, clock_at, text_row

from uniform_core.catalog import Catalog
from uniform_core.corpus.caption_build import build_corpus
from uniform_core.corpus.caption_policy import CorpusPolicy
from uniform_core.corpus.caption_versions import CorpusVersion
from uniform_core.fingerprint import digest, text_digest

CLIPS = tuple(f"{n:032x}" for n in range(1, 13))


def policy(*selectors: Mapping[str, Any], **more: Any) -> CorpusPolicy:
    return CorpusPolicy.model_validate({"selectors": selectors, **more})


VLM_ELSE_LABEL = policy({"captioner": "vlm"}, {"captioner": "class_label"})


def add_clips(catalog: Catalog, labels: Iterable[str | None]) -> None:
    catalog.insert("clips", [clip_row(n, clip_id=CLIPS[n], label=label) for n, label in enumerate(labels)])


def say_all(catalog: Catalog, said: Mapping[int, str], captioner: str = "vlm", **columns: Any) -> None:
    """One caption for each clip, by its number."""
    keys = {text: text_digest(text) for text in said.values()}
    texts = [text_row(0, work_key=key, text_hash=key, text=text) for text, key in keys.items()]
    catalog.insert("caption_texts", texts)
    rows = [
        caption_row(
            clip_row(n, clip_id=CLIPS[n]),
            keys[text],
            **{
                "work_key": digest([n, text, captioner, str(columns)]),
                "captioner": captioner,
                "flags": [],
                "n_words": len(text.split()),
                **columns,
            },
        )
        for n, text in said.items()
    ]
    catalog.insert("captions", rows)


def build(
    catalog: Catalog, chosen: CorpusPolicy = VLM_ELSE_LABEL, name: str = "main", days: float = 1
) -> CorpusVersion:
    return build_corpus(catalog, name, chosen, run_id="run", clock=clock_at(days=days))
