"""`uniform captions` on corpora: make a version, show it, compare two, move the active pointer, print some captions."""

from __future__ import annotations

import argparse
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flows.cli.show import plain, print_json, table
from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.caption_build import build_corpus, require_name
from uniform_core.corpus.caption_diff import KINDS, CorpusDiff, SideOf, diff_corpora, diff_rows
from uniform_core.corpus.caption_pointer import activate, pointer_events, rollback
from uniform_core.corpus.caption_policy import POLICIES, CorpusPolicy, policy_named, policy_of_run
from uniform_core.corpus.caption_sample import sample_captions
from uniform_core.corpus.caption_versions import SHORT, CorpusVersion, corpus_version, corpus_versions
from uniform_core.errors import ConfigError
from uniform_core.files import expanded, write_text
from uniform_core.settings import load_settings


@dataclass(frozen=True)
class Wanted:
    """The version that a call asks for; `policy` None: the run's captioners in their order."""

    corpus: str
    policy: CorpusPolicy | None
    activate: bool
    select_only: bool


def wanted_of(arguments: argparse.Namespace) -> Wanted | None:
    """What is asked for, None where no corpus is named. Raises ConfigError before any work is begun."""
    policy = None if arguments.policy is None else policy_named(arguments.policy)
    if arguments.corpus is None:
        given = {"--policy": policy, "--activate": arguments.activate, "--select-only": arguments.select_only}
        if said := [name for name, value in given.items() if value]:
            raise ConfigError(
                "uniform captions build",
                expected="--corpus NAME beside " + ", ".join(said),
                found="no corpus",
                fix="Name the corpus that the version is of.",
            )
        return None
    require_name(arguments.corpus)
    return Wanted(arguments.corpus, policy, arguments.activate, arguments.select_only)


def then_version(wanted: Wanted) -> Callable[[Catalog, RunConfig], tuple[dict[str, Any], list[str]]]:
    """What makes the version after captioning: for the JSON value, and in words."""

    def make(catalog: Catalog, config: RunConfig) -> tuple[dict[str, Any], list[str]]:
        version = _made(catalog, wanted, config)
        return {"corpus": version.as_dict()}, [_in_words(version), ""]

    return make


def select_only(arguments: argparse.Namespace, wanted: Wanted) -> int:
    """The version of the captions that are there."""
    from uniform_core.build import build_run

    config = build_run(arguments.preset, overrides=arguments.overrides, data=arguments.data)
    version = _made(Catalog.open(load_settings()), wanted, config)
    print_json({"corpus": version.as_dict()}) if arguments.json else print(_in_words(version))
    return 0


def _made(catalog: Catalog, wanted: Wanted, config: RunConfig) -> CorpusVersion:
    run_id = _run_id()
    policy = policy_of_run(config) if wanted.policy is None else wanted.policy
    version = build_corpus(catalog, wanted.corpus, policy, run_id=run_id)
    if not wanted.activate:
        return version
    return activate(catalog, f"{version.corpus}@{version.version}", run_id=run_id)


def _run_id() -> str:
    return f"local-{uuid.uuid4()}"


def _in_words(version: CorpusVersion) -> str:
    parts = [
        f"{count} of {selector.captioner}"
        for count, selector in zip(version.by_selector, version.policy.selectors, strict=True)
    ]
    state = "active" if version.is_active else f"not active: `uniform captions activate {version.name}`"
    return (
        f"corpus {version.name}: {version.clips} captions ({', '.join(parts)}), {version.texts} different, "
        f"{version.flagged} flagged; {state}"
    )


def show_corpus(arguments: argparse.Namespace) -> int:
    """The versions of a corpus, its policy, and where its pointer has been."""
    catalog = Catalog.open(load_settings())
    if arguments.names:
        raise ConfigError(
            "uniform captions show", expected="a clip, or --corpus", found="both", fix="Leave one of them out."
        )
    name = arguments.corpus.partition("@")[0]
    version = corpus_version(catalog, arguments.corpus) if "@" in arguments.corpus else _newest(catalog, name)
    events = pointer_events(catalog, name)
    if arguments.json:
        print_json({**version.as_dict(), "events": [row | {"created_at": str(row["created_at"])} for row in events]})
        return 0
    print(_in_words(version))
    print("\n" + table([_selector_row(selector.model_dump(mode="json")) for selector in version.policy.selectors]))
    print(f"\na text of {version.policy.duplicate_copies} clips or more is a duplicate")
    print(f"tables {', '.join(f'{table} {number}' for table, number in sorted(version.versions.items()))}")
    print(f"digest {version.content_digest}")
    if events:
        moves = [
            {**row, "version": row["version"][:SHORT], "created_at": str(row["created_at"])[:19]} for row in events
        ]
        print("\n" + table(moves, ("number", "kind", "version", "created_at")))
    print("\npolicies by name: " + ", ".join(POLICIES))
    return 0


def _newest(catalog: Catalog, name: str) -> CorpusVersion:
    found = corpus_versions(catalog, name)
    return found[-1] if found else corpus_version(catalog, name)  # which raises, and says what there is


def _selector_row(selector: Mapping[str, Any]) -> dict[str, Any]:
    return {name: ", ".join(value) if isinstance(value, list) else value for name, value in selector.items()}


def activated(arguments: argparse.Namespace) -> int:
    """Make a version the active one."""
    catalog = Catalog.open(load_settings())
    return _say(arguments, activate(catalog, one_name(arguments), run_id=_run_id()))


def rolled_back(arguments: argparse.Namespace) -> int:
    """Make the version active that was so before."""
    catalog = Catalog.open(load_settings())
    return _say(arguments, rollback(catalog, one_name(arguments), run_id=_run_id()))


def _say(arguments: argparse.Namespace, version: CorpusVersion) -> int:
    print_json(version.as_dict()) if arguments.json else print(_in_words(version))
    return 0


def one_name(arguments: argparse.Namespace) -> str:
    """The one corpus that a call names. Raises ConfigError for none, or more."""
    return _names(arguments, 1)[0]


def _names(arguments: argparse.Namespace, count: int) -> list[str]:
    names: list[str] = arguments.names
    if len(names) != count:
        raise ConfigError(
            f"uniform captions {arguments.action}",
            expected="one corpus" if count == 1 else f"{count} corpora",
            found=" ".join(names) or "none",
            fix="Name them as name or name@version; `uniform captions list --corpora` has them.",
        )
    return names


def diff(arguments: argparse.Namespace) -> int:
    """What became of A's captions in B."""
    names = _names(arguments, 2)
    catalog = Catalog.open(load_settings())
    a, b = (corpus_version(catalog, name) for name in names)
    if arguments.page is not None:
        return _diff_page(catalog, a, b, arguments)
    found = diff_corpora(catalog, a, b, vocabulary=not arguments.by_hash)
    examples = diff_rows(catalog, a, b, limit=arguments.examples).to_pylist() if arguments.examples else []
    if arguments.json:
        print_json({**found.as_dict(), "examples": examples})
        return 0
    print(table([{kind: getattr(found, kind) for kind in KINDS}]))
    print("\n" + table([_side_row(found.a), _side_row(found.b)]))
    print(_words(found))
    for row in examples:
        print(f"\n{row['clip_id'][:16]} {row['kind']}\n  - {_text(row['text_a'])}\n  + {_text(row['text_b'])}")
    return 0


def _diff_page(catalog: Catalog, a: CorpusVersion, b: CorpusVersion, arguments: argparse.Namespace) -> int:
    """The same as a page in one file; says where."""
    from flows.browse.diff_page import film_inside, gather_diff, render_diff

    path = expanded(arguments.page).resolve()
    page = gather_diff(catalog, a, b, film=film_inside(catalog.media_dir))
    write_text(path, render_diff(page, is_file=True))
    print_json({"page": str(path)}) if arguments.json else print(path)
    return 0


def _side_row(side: SideOf) -> dict[str, Any]:
    return {
        "corpus": side.name,
        "clips": side.clips,
        "texts": side.texts,
        "mean words": side.mean_words,
        "agreement": side.mean_agreement,
        "duplicates": side.duplicates,
        "most copies": side.most_copies,
        "flags": ", ".join(f"{count} {flag}" for flag, count in side.flags.items()),
    }


def _words(found: CorpusDiff) -> str:
    lines = [
        f"\n{name} {side.words} words" + (": " + plain(", ".join(side.commonest)) if side.words else "")
        for name, side in (("gained", found.gained), ("lost", found.lost))
        if side is not None
    ]
    return "".join(lines)


def sample(arguments: argparse.Namespace) -> int:
    """Some captions of a corpus, of each class in turn."""
    catalog = Catalog.open(load_settings())
    version = corpus_version(catalog, one_name(arguments))
    rows = sample_captions(catalog, version, count=arguments.count, seed=arguments.seed).to_pylist()
    if arguments.json:
        print_json(rows)
        return 0
    for row in rows:
        flags = f", {', '.join(row['flags'])}" if row["flags"] else ""
        print(plain(f"{row['clip_id'][:16]} {row['label'] or '–'} ({row['captioner']}{flags})"))
        print(f"  {_text(row['text'])}")
    return 0


def _text(text: str | None) -> str:
    """A text as a terminal may have it: captions come from strangers."""
    return "–" if text is None else plain(text)
