"""What tasks, systems and metrics are called on the page, and what they mean."""

from __future__ import annotations

from typing import Final

from uniform_core.metrics.layers import extractor_of

TASKS: Final = {
    "truth": "Real clip",
    "t2av": "Text → picture + sound",
    "a2v": "Sound → picture",
    "v2a": "Picture → sound",
}
SYSTEMS: Final = {
    "uniform": "UniForm",
    "unimodal": "Unimodal",
    "untrained": "Untrained",
    "codec_round_trip": "Codec round trip",
    "real": "Real clips",
    "retrieval": "Retrieval",
    "copier": "Copier",
    "prototypes": "Prototypes",
    "class_mean": "Class mean",
    "text_blind": "Blind to text",
    "given_blind": "Blind to what is given",
    "shuffled": "Partners shuffled",
}
# What the gate has to refuse, in one sentence each.
CONTROLS: Final = {
    "retrieval": "The training clip that answers best: most like what was given, or of the same caption.",
    "copier": "Training clips of the right class, as they are: a model that knows them by heart.",
    "prototypes": "Two training clips for each class, again and again.",
    "class_mean": "The mean of all training clips of the class.",
    "text_blind": "The model's own clips under other captions, as if it had not read them.",
    "given_blind": "The model's own answers to other sounds or pictures, as if it had not looked or listened.",
    "shuffled": "What the model made, exchanged with that of another clip of the same class.",
}
# What each rule of the gate asks, in plain words.
RULES: Final = {
    "video fidelity": "pictures are like real ones",
    "audio fidelity": "sounds are like real ones",
    "enough diversity": "clips of a class differ from each other, as real ones do",
    "no more diversity": "and not more than real ones do",
    "coverage": "real clips have made ones near them",
    "class": "it shows the class that was asked for",
    "colour as asked": "the colour follows the caption",
    "size as asked": "the size follows the caption",
    "pitch as asked": "the pitch follows the caption",
    "synchrony given": "sound and picture fit better than those of another clip of the class",
    "synchrony by text": "sound and picture fit better than those of another clip of the class",
    "synchrony of own partners": "and not by chance",
    "onsets": "sounds begin when things happen",
    "onsets of own partners": "and not by chance",
    "no copying": "made clips are no nearer to training clips than real ones are",
    "few near copies": "hardly any clip is almost a training clip",
    "no gap of losses": "unseen clips are predicted nearly as well as training clips",
}
# What an extractor looks at; others go by their name.
STREAMS: Final = {
    "tinyvideo": "picture",
    "videosketch": "picture",
    "farneback": "picture",
    "tinymel": "sound",
    "melsketch": "sound",
    "librosa": "sound",
    "tinysync": "both",
    "gauge": "both",
    "model": "losses",
}
# First word of a metric: what it is.
METRICS: Final = {
    "fvd": "Fréchet distance of pictures to real ones",
    "fad": "Fréchet distance of sounds to real ones",
    "kvd": "kernel distance of pictures to real ones",
    "kad": "kernel distance of sounds to real ones",
    "kl": "divergence of classes from the true clip's",
    "is": "inception score: clear classes, all of them",
    "class_accuracy": "clips whose class a net recognises",
    "synchrony": "own sound preferred to another's of the class",
    "av_align": "onsets of sound that meet peaks of motion",
    "av_align_chance": "the same with the sound of other clips",
    "diversity_least": "distance between clips of the least varied class, over real clips'",
    "diversity_most": "distance between clips of the most varied class, over real clips'",
    "coverage": "real clips that have a made one near them",
    "attribute_colour": "clips whose colour is that of the caption",
    "attribute_size": "clips whose size is that of the caption",
    "attribute_pitch": "clips whose pitch is that of the caption",
    "attribute_colour_unseen": "the same for combinations that training never had",
    "attribute_size_unseen": "the same for combinations that training never had",
    "attribute_pitch_unseen": "the same for combinations that training never had",
    "onset_f1_gain": "F1 of onsets at known events, above other clips' of the class",
    "copying_z": "nearness to training clips against that of held-out clips: z, least class",
    "copied_share": "clips that are almost a training clip",
    "onset_count": "onsets of sound",
    "motion_peak_count": "peaks of motion",
    "nearest_trained": "distance to the nearest training clip",
    "loss_gap": "loss on held-out clips over that on training clips",
}


def stream_of(metric: str) -> str:
    """What a metric looks at: `picture`, `sound`, both, or the name of its extractor."""
    extractor = extractor_of(metric)
    return STREAMS.get(extractor, extractor)


def described(metric: str) -> str:
    """A metric in words; empty for one that is not known here."""
    return METRICS.get(metric.split(".")[0], "")
