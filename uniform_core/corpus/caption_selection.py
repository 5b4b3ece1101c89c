"""The SQL of a corpus: of the captions of a clip, the one that a policy selects.

It is parts of a WITH, whose names begin with a `side` of the caller's, so that two corpora fit into one statement:
`<side>candidates` has one row for each clip and selector that has a caption for it (the first alone, where no other can
come to be needed), `<side>selected` one for each clip.
"""

# ruff: noqa: S608  (names are constants of this package; values are parameters)
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from uniform_core.captioners import MEMBERS, CaptionerConfig
from uniform_core.captions.flags import DUPLICATE
from uniform_core.corpus.caption_policy import CorpusPolicy, Selector

READ: Final = ("clips", "captions", "caption_texts", "prompts")  # the tables whose versions make a corpus
_EXAMPLES: Final = [member.example() for member in MEMBERS]
BRIEF: Final = frozenset(one.kind for one in _EXAMPLES if isinstance(one, CaptionerConfig) and one.is_brief)
ALWAYS: Final = ("clip_id", "work_key", "text_hash", "created_at")


@dataclass(frozen=True)
class Relations:
    """Which relations are read. `current`: columns `clip_id`, `source_sha256`, each clip's own content; None to take
    the one that was cut last. `copied`: columns `place`, `text_hash`, `copies`; None before texts were counted.
    """

    clips: str = "clips"
    captions: str = "captions"
    current: str | None = None
    copied: str | None = None


@dataclass(frozen=True)
class Range:
    """Clips from one id (not itself) until another; None for no end. With `ids` these alone, a page of them at most."""

    after: str | None = None
    until: str | None = None
    ids: tuple[str, ...] | None = None


NEWEST: Final = Relations()
EVERY: Final = Range()


@dataclass(frozen=True)
class Selection:
    """Parts of a WITH, joined by commas, and the parameters that they name."""

    sql: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


def selection(
    policy: CorpusPolicy,
    *,
    columns: Sequence[str] = (),
    side: str = "",
    relations: Relations = NEWEST,
    among: Range = EVERY,
) -> Selection:
    """The parts that end with `<side>candidates` and, where texts were counted, with `<side>selected`.

    `columns` are columns of `captions` that both have besides `ALWAYS`, `place` and (`selected` alone) `copies`.
    """
    parameters: dict[str, Any] = {}
    within = _within(among, side, parameters)
    fits = [_fits(selector, f"{side}s{place}", parameters) for place, selector in enumerate(policy.selectors)]
    # Where a text may take a caption away, the next selector must have one ready; elsewhere the first decides at once.
    is_first_enough = relations.copied is not None and not _strict(policy)
    names = ", ".join(f"c.{name}" for name in dict.fromkeys((*ALWAYS, *columns)))
    parts = [
        *_contents(side, relations, within),
        f"""{side}matched AS (
            SELECT {names}, {_first_place(fits) if is_first_enough else _every_place(fits)} AS place
            FROM {relations.captions} c
            LEFT JOIN {side}stale x ON x.clip_id = c.clip_id AND x.clip_sha256 = c.clip_sha256
            WHERE {within} AND c.text_hash IS NOT NULL AND (c.frame_indices IS NULL OR x.clip_id IS NULL)
        )""",
        f"""{side}candidates AS (
            SELECT * FROM {side}matched WHERE place IS NOT NULL QUALIFY row_number() OVER (
                PARTITION BY clip_id{"" if is_first_enough else ", place"} ORDER BY place, created_at DESC, work_key
            ) = 1
        )""",
    ]
    if relations.copied is not None:
        parts.append(_selected(policy, side, relations.copied))
    return Selection(",\n".join(parts), parameters)


def _first_place(fits: Sequence[str]) -> str:
    return f"CASE {' '.join(f'WHEN {fit} THEN {place}' for place, fit in enumerate(fits))} END"


def _every_place(fits: Sequence[str]) -> str:
    return f"unnest([{', '.join(f'CASE WHEN {fit} THEN {place} END' for place, fit in enumerate(fits))}])"


def _strict(policy: CorpusPolicy) -> list[int]:
    """The places of the selectors that take no duplicates."""
    return [place for place, selector in enumerate(policy.selectors) if DUPLICATE in selector.without]


def flags_sql(policy: CorpusPolicy, row: str) -> str:
    """SQL of the flags of a selected row, that of a duplicate among them; null where it was never measured.

    Clips of one class have one label: of captioners that are meant to be brief, no text is a duplicate.
    """
    brief = [str(place) for place, selector in enumerate(policy.selectors) if selector.captioner in BRIEF]
    wordy = f" AND {row}.place NOT IN ({', '.join(brief)})" if brief else ""
    return (
        f"CASE WHEN {row}.copies >= {policy.duplicate_copies}{wordy}"
        f" THEN list_append(coalesce({row}.flags, []), '{DUPLICATE}') ELSE {row}.flags END"
    )


def _contents(side: str, relations: Relations, within: str) -> list[str]:
    """`<side>stale`: contents of clips that are no longer theirs."""
    rows = f"SELECT clip_id, clip_sha256, source_sha256, created_at, work_key FROM {relations.clips} c"
    if relations.current is None:  # few clips were ever cut more than once: of the others nothing is held
        several = f"SELECT clip_id FROM {relations.clips} c WHERE {within} GROUP BY clip_id HAVING count(*) > 1"
        contents = f"{rows} SEMI JOIN ({several}) USING (clip_id) WHERE {within}"
        now = f"""SELECT clip_id, source_sha256 FROM {side}contents
            QUALIFY row_number() OVER (PARTITION BY clip_id ORDER BY created_at DESC, work_key) = 1"""
    else:
        contents = f"{rows} WHERE {within}"
        now = f"SELECT clip_id, source_sha256 FROM {relations.current}"
    own = f"JOIN {side}now n ON n.clip_id = c.clip_id AND n.source_sha256"
    return [
        f"{side}contents AS ({contents})",
        f"{side}now AS ({now})",
        f"""{side}stale AS (
            SELECT c.clip_id, c.clip_sha256 FROM {side}contents c {own} <> c.source_sha256
            EXCEPT SELECT c.clip_id, c.clip_sha256 FROM {side}contents c {own} = c.source_sha256
        )""",
    ]


def _selected(policy: CorpusPolicy, side: str, copied: str) -> str:
    """The first selector that has a caption; those that forbid duplicates have none where its text is one."""
    strict = _strict(policy)
    is_duplicate = f"coalesce(d.copies, 1) >= {policy.duplicate_copies}"
    where = f" WHERE NOT (k.place IN ({', '.join(map(str, strict))}) AND {is_duplicate})"
    first = " QUALIFY row_number() OVER (PARTITION BY k.clip_id ORDER BY k.place) = 1"
    return (
        f"{side}selected AS (SELECT k.*, coalesce(d.copies, 1) AS copies FROM {side}candidates k"
        f" LEFT JOIN {copied} d ON d.place = k.place AND d.text_hash = k.text_hash{where + first if strict else ''})"
    )


def _within(among: Range, side: str, parameters: dict[str, Any]) -> str:
    conditions = []
    for name, sign in (("after", ">"), ("until", "<=")):
        value = getattr(among, name)
        if value is not None:
            parameters[f"{side}{name}"] = value
            conditions.append(f"c.clip_id {sign} ${side}{name}")
    if among.ids is not None:
        names = {f"{side}id{place}": clip_id for place, clip_id in enumerate(among.ids)}
        parameters |= names
        conditions.append(f"c.clip_id IN ({', '.join(f'${name}' for name in names)})" if names else "false")
    return " AND ".join(conditions) or "true"


def _fits(selector: Selector, name: str, parameters: dict[str, Any]) -> str:
    """SQL of whether a row of captions fits a selector."""
    parameters[f"{name}_captioner"] = selector.captioner
    parameters[f"{name}_statuses"] = list(selector.statuses)
    conditions = [f"c.captioner = ${name}_captioner", f"list_contains(${name}_statuses, c.status)"]
    if selector.revision is not None:
        parameters[f"{name}_revision"] = _as_like(selector.revision)
        conditions.append(rf"c.captioner_revision LIKE ${name}_revision ESCAPE '\'")
    for column, beginning in (("prompt_hash", selector.prompt), ("stage_fp", selector.stage_fp)):
        if beginning is not None:
            parameters[f"{name}_{column}"] = beginning
            conditions.append(f"starts_with(c.{column}, ${name}_{column})")
    own = [flag for flag in selector.without if flag != DUPLICATE]
    if own:
        parameters[f"{name}_without"] = own
        conditions.append(f"c.flags IS NOT NULL AND NOT list_has_any(c.flags, ${name}_without)")
    for measure, bound in selector.bounds.items():
        for end, sign in (("least", ">="), ("most", "<=")):
            if (value := getattr(bound, end)) is not None:
                parameters[f"{name}_{measure}_{end}"] = value
                conditions.append(f"c.{measure} {sign} ${name}_{measure}_{end}")
    return " AND ".join(conditions)


def _as_like(pattern: str) -> str:
    r"""A pattern with stars as LIKE takes it, with `\` before what is special there.

    >>> _as_like("*13b_*")
    '%13b\\_%'
    """
    escaped = "".join(f"\\{letter}" if letter in "\\%_" else letter for letter in pattern)
    return escaped.replace("*", "%")
