"""The official lists of the datasets: what they are called, where they lie, and how much was published.

Source: facts/datasets.md §1 for forms and numbers. No address could be asked when this was written; those that only
other people's code names, or nobody, say so in their `note`. Addresses in repositories of papers follow the branch, as
those papers' readers do: a list that changes there is noticed by its pin.
"""

from __future__ import annotations

from typing import Final

from uniform_core.fetching.indexes import IndexFile

_GITHUB: Final = "https://raw.githubusercontent.com"
_VGGSOUND: Final = f"{_GITHUB}/hche11/VGGSound/master/data"
_SPECVQGAN: Final = f"{_GITHUB}/v-iashin/SpecVQGAN/main/data"
_MMAUDIO: Final = f"{_GITHUB}/hkchengrex/MMAudio/main/sets"
_AUDIOSET: Final = "https://storage.googleapis.com/us_audioset/youtube_corpus"
_AISTPP: Final = "https://storage.googleapis.com/aist_plusplus_public"
_UNSEEN: Final = "The address is the one that public code uses; it was not asked."
_BY_PLACE: Final = "The folder is that of the repository's other lists; this file was not seen."

VGGSOUND: Final = IndexFile(
    "vggsound.csv",
    f"{_VGGSOUND}/vggsound.csv",
    "id, start, label, split of VGGSound; no header",
    published=(("train", 183_971), ("test", 15_496)),
    labels=309,
    note=_UNSEEN,
)
VGGSOUND_LISTS: Final = {  # by listing and split; "" is a list that names the split of each clip
    "whole": {"": VGGSOUND},
    "released": {
        "train": IndexFile(
            "train.csv",
            f"{_VGGSOUND}/train.csv",
            "file, label of VGGSound's training clips; no header",
            published=(("train", 183_730),),
            labels=309,
            note=_BY_PLACE,
        ),
        "test": IndexFile(
            "test.csv",
            f"{_VGGSOUND}/test.csv",
            "file, label of VGGSound's test clips; no header",
            published=(("test", 15_446),),
            labels=309,
        ),
    },
    "specvqgan": {
        split: IndexFile(
            f"vggsound_{theirs}.txt",
            f"{_SPECVQGAN}/vggsound_{theirs}.txt",
            "clips of VGGSound as ID_STARTMS_ENDMS, one a line",
            published=((split, clips),),
        )
        for split, theirs, clips in (("train", "train", 156_487), ("val", "valid", 19_056), ("test", "test", 14_512))
    },
    "mmaudio": {
        split: IndexFile(
            f"vgg-{split}.tsv",
            f"{_MMAUDIO}/vgg-{split}.tsv",
            "clips of VGGSound with a header: id, label",
            published=((split, clips),),
            note=note,
        )
        for split, clips, note in (("train", None, _BY_PLACE), ("val", 2_048, ""), ("test", 15_221, ""))
    },
}

AUDIOSET_LABELS: Final = IndexFile(
    "class_labels_indices.csv",
    f"{_AUDIOSET}/v1/csv/class_labels_indices.csv",
    "AudioSet's 527 labels: index, mid, display_name",
    note=_UNSEEN,
)
AUDIOSET_STRONG_LABELS: Final = IndexFile(
    "mid_to_display_name.tsv",
    f"{_AUDIOSET}/strong/mid_to_display_name.tsv",
    "AudioSet Strong's 456 labels: mid, name; no header",
    note=_UNSEEN,
)
AUDIOSET_LISTS: Final = {
    "balanced": IndexFile(
        "balanced_train_segments.csv",
        f"{_AUDIOSET}/v1/csv/balanced_train_segments.csv",
        "AudioSet's balanced training clips: YTID, start_seconds, end_seconds, positive_labels",
        published=(("train", 22_160),),  # the page says 22,176; the file's own head says this
        labels=527,
    ),
    "strong": IndexFile(
        "audioset_train_strong.tsv",
        f"{_AUDIOSET}/strong/audioset_train_strong.tsv",
        "events of AudioSet Strong's training clips with a header: segment_id, start, end, label",
        most_bytes=256 << 20,
        published=(("train", 103_463),),  # the paper's 67,000 are of the first release, of which there is no list
        labels=456,
        note=_UNSEEN,
    ),
    "eval": IndexFile(
        "eval_segments.csv",
        f"{_AUDIOSET}/v1/csv/eval_segments.csv",
        "AudioSet's evaluation clips: YTID, start_seconds, end_seconds, positive_labels",
        published=(("eval", 20_371),),  # the page says 20,383
        labels=527,
    ),
}

LANDSCAPE: Final = IndexFile(
    "landscape.csv",
    f"{_GITHUB}/guyyariv/TempoTokens/87ed01b58b95b54ff9d8510a71ca420884a1ac70/datasets/landscape.csv",
    "Landscape as TempoTokens lists it, with a header: ytid, start_time, class, set",
    published=(("train", 1_076), ("test", 102)),  # lines; some clips stand in two
    labels=9,
)

AISTPP_VIDEOS: Final = IndexFile(
    "video_list.txt", f"{_AISTPP}/20121228/video_list.txt", "the videos of AIST++, one a line, without .mp4"
)
AISTPP_IGNORED: Final = IndexFile(
    "ignore_list.txt",
    None,
    "sequences of AIST++ that its authors advise to leave out, one a line",
    note="It is in fullset.zip (2.3 GB) of https://google.github.io/aistplusplus_dataset/download.html.",
)
AISTPP_LISTS: Final = {
    split: IndexFile(
        f"crossmodal_{split}.txt",
        f"{_AISTPP}/20210308/splits.zip",
        f"AIST++'s cross-modal {split} sequences, one a line",
        is_zipped=True,
        published=((split, clips),),
        note="The address is named by one public program; it was not asked, nor was the archive seen.",
    )
    for split, clips in (("train", 980), ("val", 20), ("test", 20))
}
AIST_MEDIA: Final = "https://aistdancedb.ongaaccel.jp/v1.0.0/video/10M"
AIST_TERMS: Final = "https://aistdancedb.ongaaccel.jp/terms_of_use"
