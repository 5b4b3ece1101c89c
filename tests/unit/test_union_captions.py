"""Captions of a union: a published table's for the sets that have one, the class for Landscape and AIST++ (§4.1.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from catalog_rows import clip_row, open_catalog
from index_files import SEQUENCES, csv_text, lay_indexes

from tasks.captions import run_captions
from tasks.context import RunContext
from uniform_core.build import build_run
from uniform_core.config import RunConfig
from uniform_core.corpus.captions import active_captions
from uniform_core.corpus.inputs import list_items
from uniform_core.fingerprint import derive_clip_id, digest
from uniform_core.settings import Settings

KINDS = ("vggsound", "landscape", "aistpp")
TABLED = "a woman speaks to a crowd while a band marches past"


@dataclass(frozen=True)
class OfClips(RunContext):
    """A context of clips that are given, and of no Ray."""

    given: pa.Table = None

    def clips(self, columns: Sequence[str] | None = None) -> pa.Table:
        return self.given


def union_of(folder: Path, *captioners: str) -> RunConfig:
    lists = [f"data.members.{kind}.index={folder / 'lists'}" for kind in KINDS]
    words = [*lists, "data.members.aistpp.accept_terms=true", "resize=crop"]
    return build_run("nano", data="+".join(KINDS), overrides=[*words, *captioners])


def captions_of(home: Path, config: RunConfig) -> dict[str, dict[str, tuple[str, str]]]:
    """By dataset and source_id: the caption that stands, and the captioner that gave it, after a run of the stage."""
    catalog = open_catalog(home)
    items = [one.item for one in list_items(config) if one.item.dataset in KINDS and one.item.video_id is not None]
    rows = []
    for item in items:
        clip_id = derive_clip_id(item.dataset, item.source_id, start_ms=0, end_ms=2000)
        shared = {name: getattr(item, name) for name in ("dataset", "source_id", "video_id", "split", "label")}
        own = {"work_key": digest(["row", clip_id]), "clip_id": clip_id, "clip_sha256": digest(clip_id) * 2}
        rows.append(clip_row(0, **own, **shared) | {"source_caption": None})
    clips = pa.Table.from_pylist(rows)
    run_captions(
        OfClips(
            Settings(home=home),
            config,
            catalog,
            None,  # type: ignore[arg-type]  # captioners of words work in the driver
            "run",
            lambda _event: None,
            given=clips,
        )
    )
    said = {
        row["clip_id"]: (row["text"], row["captioner"]) for row in active_captions(catalog, config, clips).to_pylist()
    }
    found: dict[str, dict[str, tuple[str, str]]] = {kind: {} for kind in KINDS}
    for row in rows:
        found[row["dataset"]][row["source_id"]] = said[row["clip_id"]]
    return found


def test_each_set_of_a_union_has_the_captions_that_it_has_alone(tmp_path: Path) -> None:
    """The captioners are the run's; of a clip the first that has one is used: the table's, else its class."""
    lay_indexes(tmp_path / "lists")
    first = next(one.item for one in list_items(union_of(tmp_path)) if one.item.dataset == "vggsound")
    table = tmp_path / "captions.csv"
    table.write_text(csv_text([("id", "caption"), (first.source_id, TABLED)]))
    captioners = f'captioners=[{{"kind": "sidecar", "table": "{table}"}}, {{"kind": "class_label"}}]'
    found = captions_of(tmp_path / "home", union_of(tmp_path, captioners))

    assert found["vggsound"][first.source_id] == (TABLED, "sidecar")
    others = {one: said for one, said in found["vggsound"].items() if one != first.source_id}
    assert ("female speech, woman speaking", "class_label") in others.values(), "what the table has not has its class"
    labels = {item.item.label for item in list_items(union_of(tmp_path)) if item.item.dataset == "landscape"}
    assert {text for text, _ in found["landscape"].values()} == labels
    assert {"raining", "waterfall burbling"} < labels
    assert {captioner for kind in KINDS[1:] for _, captioner in found[kind].values()} == {"class_label"}
    genres = {"gBR": "Break", "gJB": "Ballet Jazz", "gLH": "LA-style Hip-hop", "gMH": "Middle Hip-hop"}
    assert {one[:3]: text for one, (text, _) in found["aistpp"].items()} == genres
    assert len(found["aistpp"]) == sum(len(names) for names in SEQUENCES.values())


def test_the_paper_preset_captions_its_sets_so() -> None:
    """Its captioners, in this order; the table is named by whoever has it."""
    config = build_run("paper")
    assert [captioner.kind for captioner in config.captioners] == ["sidecar", "class_label"]
