"""An index of short clips, in AudioSet's form, for tests that fetch them for real."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from index_files import audioset_csv, class_labels_csv, write_texts

from uniform_core.datasets.audioset import AudioSetConfig
from uniform_core.fetching.sources import SourceConfig

SPEECH = "/m/09x0r"


def short_index(
    folder: Path, clips: Sequence[tuple[str, float, float]], *, sources: Sequence[SourceConfig] = (), lines: str = ""
) -> AudioSetConfig:
    """AudioSet's evaluation list with these clips (video, start, end in s), and `lines` as they are after them."""
    rows = [(video, start, end, [SPEECH]) for video, start, end in clips]
    texts = {
        "eval_segments.csv": audioset_csv(rows) + lines,
        "class_labels_indices.csv": class_labels_csv([(SPEECH, "Speech")]),
    }
    write_texts(folder, texts)
    return AudioSetConfig(split="eval", index=folder, sources=tuple(sources))
