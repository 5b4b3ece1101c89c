"""What a run may not learn from, because it is scored on it: the same videos, and clips of the same content.

Axes: N clips of the run, M evaluated clips, W words of a picture's hash.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from uniform_core.config import RunConfig
from uniform_core.corpus.left_out import VIDEO_OF
from uniform_core.corpus.roles import Roles
from uniform_core.errors import ConfigError
from uniform_core.media.prints import (
    SAME_PICTURE,
    SAME_SOUND,
    picture_distances,
    picture_words,
    sound_distances,
    sound_words,
)
from uniform_core.types import SourceItem

ROWS: Final = 4096
"""So many clips are compared at once, which bounds the memory."""
COMMON: Final = 256
"""A word that more evaluated clips have says nothing: black pictures, say."""


def guarded_videos(config: RunConfig, items: Iterable[SourceItem]) -> dict[str, str]:
    """The videos of which no clip may be trained on, and the split that a clip of one gets instead of its own.

    Those of every held-out split, and all that `guard_against` lists; that is read only where items have videos at all.
    Raises ConfigError where it lists none.
    """
    if config.leakage == "allow":
        return {}
    roles = Roles.of(config)
    own: dict[str, str] = {}
    has_videos = False
    for item in items:
        if item.video_id is None:
            continue
        has_videos = True
        if (name := roles.held_out(item.dataset, item.split)) is not None:
            own[item.video_id] = min(own.get(item.video_id, name), name)
    videos = {video_id: f"{VIDEO_OF}{name}" for video_id, name in own.items()}
    for dataset in config.guard_against if has_videos else ():
        listed = {item.video_id for item in dataset.items(config.spec) if item.video_id is not None}
        if not listed:
            raise ConfigError(
                f"guard_against, {dataset.name}",
                expected="a dataset that lists videos by their ids",
                found="none",
                fix="Give the index of a dataset (vggsound, audioset, …), or leave it out.",
            )
        for video_id in listed - videos.keys():
            videos[video_id] = f"{VIDEO_OF}{dataset.name}"
    return videos


def twins(clips: Sequence[Mapping[str, Any]], evaluated: Sequence[Mapping[str, Any]]) -> set[str]:
    """The ids of the clips that look and sound like an evaluated one. Clips without prints are like none.

    A few in a thousand of pairs at the limit of likeness are missed: only pairs with one of 32 words in common are
    compared.
    """
    found: set[str] = set()
    theirs = _by_length(evaluated)
    for length, mine in _by_length(clips).items():
        if length in theirs:
            is_twin = _are_twins(*_prints(mine), *_prints(theirs[length]))
            found |= {clip["clip_id"] for clip, twin in zip(mine, is_twin.tolist(), strict=True) if twin}
    return found


def _by_length(clips: Sequence[Mapping[str, Any]]) -> dict[int, list[Mapping[str, Any]]]:
    """The clips that have both prints, by the length of their sound's."""
    groups: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for clip in clips:
        if clip["picture_hash"] is not None and clip["sound_print"] is not None:
            groups[len(clip["sound_print"])].append(clip)
    return dict(groups)


def _prints(clips: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    return picture_words([c["picture_hash"] for c in clips]), sound_words([c["sound_print"] for c in clips])


def _are_twins(
    pictures_NW: np.ndarray, sounds_NT: np.ndarray, their_pictures_MW: np.ndarray, their_sounds_MT: np.ndarray
) -> np.ndarray:
    """Whether each clip has a twin, bool [N]."""
    is_twin_N = np.zeros(len(pictures_NW), dtype=bool)
    for mine, theirs in pairs_with_a_common_word(pictures_NW, their_pictures_MW):
        alike = picture_distances(pictures_NW[mine], their_pictures_MW[theirs]) <= SAME_PICTURE
        near, near_them = mine[alike], theirs[alike]
        same = sound_distances(sounds_NT[near], their_sounds_MT[near_them]) <= SAME_SOUND
        is_twin_N[near[same]] = True
    return is_twin_N


def pairs_with_a_common_word(
    words_NW: np.ndarray, other_words_MW: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of the two sides that have the same word at the same place, at most ROWS * COMMON pairs at a time."""
    for place in range(words_NW.shape[1]):
        order_M = np.argsort(other_words_MW[:, place], kind="stable")
        sorted_M = other_words_MW[order_M, place]
        for begin in range(0, len(words_NW), ROWS):
            wanted = words_NW[begin : begin + ROWS, place]
            low = np.searchsorted(sorted_M, wanted, side="left")
            count = np.searchsorted(sorted_M, wanted, side="right") - low
            count[count > COMMON] = 0
            rows = np.repeat(np.arange(len(wanted)), count)
            rank = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
            yield begin + rows, order_M[np.repeat(low, count) + rank]
