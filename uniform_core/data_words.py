"""From the words that name data (`folder:DIR`, `vggsound:train+landscape`) to a dataset, and to what scores it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from uniform_core.datasets import MEMBERS, DatasetConfig, UnionConfig
from uniform_core.datasets.listed_splits import lists_split, scored_part, scored_split
from uniform_core.errors import ConfigError, nearest
from uniform_core.splits import SplitName

KINDS: Final[Mapping[str, type[DatasetConfig]]] = {
    member.model_fields["kind"].default: member for member in MEMBERS if issubclass(member, DatasetConfig)
}
AND: Final = "+"  # between the datasets of a union


def is_data(text: str) -> bool:
    """Whether a word can only be meant to name data: it has a kind that there is, an argument, or several names.

    >>> is_data("landscape"), is_data("vgsound:test"), is_data("a+b"), is_data("ingest")
    (True, True, True, False)
    """
    return text in KINDS or ":" in text or AND in text


def data_of(text: str) -> DatasetConfig:
    """The dataset of `--data KIND[:ARG]`, or the union of several with a + between them.

    Raises ConfigError, or pydantic's ValidationError for an argument that makes no valid config.
    """
    words = words_of(text)
    several = [_dataset_of(word) for word in words]
    return several[0] if len(several) == 1 else UnionConfig(members=tuple(several))


def words_of(text: str) -> list[str]:
    """The word of each dataset. A folder's own + is part of its name, where no kind of data comes after it.

    >>> words_of("vggsound:train+folder:rock+roll+landscape")
    ['vggsound:train', 'folder:rock+roll', 'landscape']
    """
    words: list[str] = []
    for piece in text.split(AND):
        is_of_folder = bool(words) and words[-1].startswith("folder:") and piece.partition(":")[0] not in KINDS
        if is_of_folder:
            words[-1] += AND + piece
        else:
            words.append(piece)
    return words


def _dataset_of(word: str) -> DatasetConfig:
    """The dataset of one word; its class says what the argument means."""
    kind, _, argument = word.partition(":")
    if kind not in KINDS:
        raise ConfigError(f"--data {word}", expected="one of " + ", ".join(KINDS), found=kind, fix=nearest(kind, KINDS))
    return KINDS[kind].from_argument(argument)


def splits_for(dataset: DatasetConfig, values: Mapping[str, Any]) -> dict[str, Any]:
    """The `train_split` and `evaluate` of a run's values for other data: the preset's splits, where these data have
    them; else they are evaluated on the last of their own.

    Of a union one member is evaluated, since scores of mixed sets compare with nobody's: the first that lists what is
    not trained on; it is also what the reference is taken from, where it lists that.
    """
    train, scored, reference = (
        SplitName.of(word).split
        for word in (values["train_split"], values["evaluate"]["split"], values["evaluate"]["reference_split"])
    )
    told = dataset.parts[0]
    if len(dataset.parts) > 1:
        told = scored_part(dataset.parts, scored)
        scored = f"{told.name}:{scored_split(told, scored)}"
        reference = f"{told.name}:{reference}" if lists_split(told, reference) else reference
    else:
        scored = scored_split(told, scored)
    return {"train_split": train, "evaluate": {**values["evaluate"], "split": scored, "reference_split": reference}}
