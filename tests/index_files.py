"""Index files in their published forms, made up: every quirk of the real ones, and none of their rows."""

from __future__ import annotations

import csv
import io
import random
import string
from collections.abc import Iterable, Sequence
from pathlib import Path

from uniform_core.datasets.landscape import LABELS as LANDSCAPE_LABELS

Rows = Iterable[Sequence[object]]
IDS = ("-0pening_id", "_nderscore_", "plainPlain1", "tw0_clips-0", "--twodashes", "a_b_c_d_e_f")


def made_up_ids(count: int, *, seed: int = 0) -> list[str]:
    """Different YouTube ids; every 50th begins with a dash, and as many with an underscore."""
    rng = random.Random(seed)
    letters = string.ascii_letters + string.digits + "-_"
    ids: dict[str, None] = {}
    while len(ids) < count:
        first = {0: "-", 1: "_"}.get(len(ids) % 50, "")
        ids[first + "".join(rng.choices(letters, k=11 - len(first)))] = None
    return list(ids)


def csv_text(rows: Rows, *, end: str = "\n", separator: str = ",") -> str:
    """Rows as the csv of most lists: fields in quotes where they have to be."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end, delimiter=separator).writerows(rows)
    return text.getvalue()


def vggsound_csv(rows: Rows) -> str:
    """id, start, label, split."""
    return csv_text(rows)


def released_csv(rows: Rows) -> str:
    """id, start, label: with CRLF."""
    return csv_text(((f"{video}_{start:06d}.mp4", label) for video, start, label in rows), end="\r\n")


def specvqgan_txt(rows: Rows) -> str:
    """id, start."""
    return "".join(f"{video}_{start * 1000}_{start * 1000 + 10_000}\n" for video, start in rows)


def mmaudio_tsv(rows: Rows) -> str:
    """id, start, label: with a header, and a blank line at the end."""
    named = [(f"{video}_{start:06d}", label) for video, start, label in rows]
    return csv_text([("id", "label"), *named], separator="\t") + "\n"


def audioset_csv(rows: Rows) -> str:
    """id, start, end, mids: three lines of comments, a space after each comma, the mids in quotes."""
    lines = [
        "# Segments csv created Sun Mar  5 10:54:31 2017",
        "# num_ytids=3, num_segs=3, num_unique_labels=527, num_positive_labels=6",
        "# YTID, start_seconds, end_seconds, positive_labels",
        *(f'{video}, {start:.3f}, {end:.3f}, "{",".join(mids)}"' for video, start, end, mids in rows),
    ]
    return "\n".join(lines) + "\n"


def class_labels_csv(names: Sequence[tuple[str, str]]) -> str:
    """mid, name: with an index and a header; the names always in quotes."""
    rows = (f'{index},{mid},"{name}"' for index, (mid, name) in enumerate(names))
    return "\n".join(["index,mid,display_name", *rows]) + "\n"


def strong_tsv(events: Rows) -> str:
    """segment, start, end, mid: with a header."""
    header = ("segment_id", "start_time_seconds", "end_time_seconds", "label")
    return "".join("\t".join(str(field) for field in row) + "\n" for row in (header, *events))


def strong_labels_tsv(names: Sequence[tuple[str, str]]) -> str:
    """mid, name: without a header or quotes."""
    return "".join(f"{mid}\t{name}\n" for mid, name in names)


def landscape_csv(rows: Rows) -> str:
    """id, start, class, set: with a header."""
    return csv_text([("ytid", "start_time", "class", "set"), *rows])


SEQUENCES = {
    "train": ("gBR_sBM_cAll_d04_mBR1_ch06", "gJB_sFM_cAll_d08_d09_mJB3_ch10"),
    "val": ("gLH_sBM_cAll_d16_mLH4_ch02",),
    "test": ("gMH_sFM_cAll_d22_mMH2_ch17",),
}


def filmed(sequence: str, *cameras: str) -> list[str]:
    """The videos of a sequence, by all nine cameras where none is named."""
    return [sequence.replace("cAll", camera) for camera in cameras or [f"c{number:02d}" for number in range(1, 10)]]


def lay_indexes(folder: Path) -> None:
    """A few rows of every list that the datasets read, under the published names."""
    first, second, third, twice, dashes, sixth = IDS
    mids = [("/m/09x0r", "Speech"), ("/t/dd00088", "Gush"), ("/m/05zppz", "Male speech, man speaking")]
    clips = [
        (first, 1, "people marching"),
        (twice, 30, "female speech, woman speaking"),
        (twice, 140, "bee, wasp, etc. buzzing"),
        (third, 8104, "playing tympani"),
    ]
    train, test = clips[:3], clips[3:]
    segments = [(first, 30, 40, ["/m/09x0r", "/t/dd00088"]), (second, 0, 1, ["/m/05zppz"])]
    events = [
        (f"{dashes}_30000", "2.627", "7.237", "/m/09x0r"),
        (f"{sixth}_0", "0.0", "10.0", "/m/05zppz"),
        (f"{dashes}_30000", "3", "3", "/t/dd00088"),
    ]
    write_texts(
        folder,
        {
            "vggsound.csv": vggsound_csv([*((*clip, "train") for clip in train), *((*clip, "test") for clip in test)]),
            "train.csv": released_csv(train),
            "test.csv": released_csv(test),
            "vggsound_train.txt": specvqgan_txt(clip[:2] for clip in train[:2]),
            "vggsound_valid.txt": specvqgan_txt(clip[:2] for clip in train[2:]),
            "vggsound_test.txt": specvqgan_txt(clip[:2] for clip in test),
            "vgg-train.tsv": mmaudio_tsv(train[:2]),
            "vgg-val.tsv": mmaudio_tsv(train[2:]),
            "vgg-test.tsv": mmaudio_tsv(test),
            "class_labels_indices.csv": class_labels_csv(mids),
            "balanced_train_segments.csv": audioset_csv(segments),
            "eval_segments.csv": audioset_csv([(third, 0.25, 10.25, ["/m/09x0r"])]),
            "mid_to_display_name.tsv": strong_labels_tsv(mids),
            "audioset_train_strong.tsv": strong_tsv(events),
            "landscape.csv": landscape_csv(
                (video, 30_900, label, "test" if label == "thunder" else "train")
                for video, label in zip(made_up_ids(9), LANDSCAPE_LABELS, strict=True)
            ),
            "video_list.txt": "\n".join(v for names in SEQUENCES.values() for one in names for v in filmed(one)) + "\n",
            "ignore_list.txt": SEQUENCES["train"][1] + "\n",
            **{f"crossmodal_{split}.txt": "\n".join(names) + "\n" for split, names in SEQUENCES.items()},
        },
    )


def write_texts(folder: Path, texts: dict[str, str]) -> None:
    """Files as they are: no line end is changed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode())
