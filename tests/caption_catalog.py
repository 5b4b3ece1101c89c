"""A catalog with films and two caption corpora, for what looks at corpora and gives them away."""

from __future__ import annotations

import hashlib
from pathlib import Path

from catalog_rows import caption_row, clip_row, clock_at, open_catalog, text_row
from media_files import Recipe, write

from uniform_core.catalog import Catalog
from uniform_core.corpus.caption_build import build_corpus
from uniform_core.corpus.caption_policy import CorpusPolicy
from uniform_core.corpus.caption_versions import CorpusVersion
from uniform_core.fingerprint import digest, text_digest

THINGS = ("ball", "siren", "pendulum", "rain", "engine")
HOSTILE = '<img src=x onerror="alert(1)"> =SUM(A1) \u202e & "quotes"'


def clip_id(n: int) -> str:
    """Ids in the order of their numbers."""
    return f"{n:032x}"


def captioned_catalog(home: Path, clips: int, *, films: int = 1) -> Catalog:
    """Clips 1 to `clips`, each with a label's and a model's caption; the first `films` have a film.

    Every seventh caption of the model is flagged, every tenth is missing; clip 3's is hostile.
    """
    catalog = open_catalog(home)
    texts: dict[str, str] = {}
    rows, said = [], []
    for n in range(1, clips + 1):
        label = THINGS[n % len(THINGS)]
        more = {}
        if n <= films:
            more = film_of(catalog, n)
        clip = clip_row(n, clip_id=clip_id(n), label=label, source_id=f"source-{n}", **more)
        rows.append(clip)
        words = f"the sound of a {label}"
        model = HOSTILE if n == 3 else f"a red {label} number {n} moves from left to right and is heard"
        for captioner, text in (("class_label", words), ("vlm", model)):
            if captioner == "vlm" and n % 10 == 0:
                continue
            key = text_digest(text)
            texts[key] = text
            flags = ["repetitive"] if captioner == "vlm" and n % 7 == 0 else []
            row = caption_row(clip, key, captioner=captioner, flags=flags, n_words=len(text.split()))
            said.append(row | {"work_key": digest([n, captioner])})
    catalog.insert("clips", rows)
    catalog.insert("caption_texts", [text_row(0, work_key=k, text_hash=k, text=t) for k, t in texts.items()])
    catalog.insert("captions", said)
    return catalog


def film_of(catalog: Catalog, n: int) -> dict[str, object]:
    """Columns of a clip whose film of one second lies on disk."""
    path = catalog.media_dir / "clips" / f"{n}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, Recipe(duration_s=1.0, silent=True))
    data = path.read_bytes()
    return {"clip_sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def corpus_of(catalog: Catalog, name: str, *captioners: str) -> CorpusVersion:
    """A version of a corpus whose captions are those of the first of these captioners that has one."""
    policy = CorpusPolicy.model_validate({"selectors": [{"captioner": one} for one in captioners]})
    return build_corpus(catalog, name, policy, run_id="run", clock=clock_at(days=1))
