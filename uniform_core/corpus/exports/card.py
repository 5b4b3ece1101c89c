"""The page that a Hugging Face dataset folder begins with: which files are which split, and what they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uniform_core.corpus.exports.write import Exported


def dataset_card(exported: Exported, names: Sequence[str]) -> str:
    """README.md with the metadata that `datasets.load_dataset(folder)` reads: one configuration, a glob a split.

    The metadata is YAML; its values are JSON, which is YAML too.
    """
    splits = sorted({name.removeprefix("data/").rsplit("-", 1)[0] for name in names if name.startswith("data/")})
    files = [{"split": split, "path": f"data/{split}-*.parquet"} for split in splits]
    head = {
        "pretty_name": f"{exported.corpus} {exported.version[:12]}",
        "task_categories": ["text-to-video", "text-to-audio"],
        "configs": [{"config_name": "default", "data_files": files}],
    }
    metadata = "".join(f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in head.items())
    return (
        f"---\n{metadata}---\n\n# {exported.corpus}, version {exported.version[:12]}\n\n"
        f"Captions of {exported.captions:,} clips: one row each, with who said it, how it was asked (`prompt_hash` is "
        "in `prompts.json`, `sampling` are the settings), and what a check of quality flagged. The films are not in "
        "here: `video_id`, `start_ms` and `end_ms` name them. Their licences are those of their datasets.\n\n"
        f"Digest of the captions, whatever their order: `{exported.content_digest}`.\n"
    )
