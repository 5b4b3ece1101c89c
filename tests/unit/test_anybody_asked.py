"""Which numbers of a protocol are made at a task, and why the others are not."""

from __future__ import annotations

import pytest

from uniform_core.corpus.anybody.asked import Asked, WantedNumbers, asked_of, nearest_by, nets_from, protocols_named
from uniform_core.errors import ConfigError
from uniform_core.types import Task


def asked(*names: str, task: Task, has_reference: bool = True, infinite: bool = False, code: bool = False) -> Asked:
    nets = nets_from((), allow_code=code)
    return asked_of(
        protocols_named(names), task, nets, has_reference=has_reference, wanted=WantedNumbers(infinite=infinite)
    )


def names_of(found: Asked) -> list[str]:
    return [metric.name for metric in found.metrics]


def test_a_task_is_asked_for_what_it_makes() -> None:
    sound = [f"{name}.uniform" for name in ("fad.vggish16k", "fd.cnn14_16k", "is.cnn14_16k", "kl.cnn14_16k")]
    both = [f"{name}.farneback.uniform" for name in ("av_align", "av_align_chance")]
    picture = [f"{name}.i3d400.uniform" for name in ("fvd", "kvd")]
    assert names_of(asked("uniform", task=Task.V2A)) == sound + both
    assert names_of(asked("uniform", task=Task.A2V)) == picture + both
    assert names_of(asked("uniform", "uniform", task=Task.T2AV)) == picture + sound + both
    why = {gap.what: gap.reason for gap in asked("uniform", task=Task.V2A).not_made}
    assert why["fvd.i3d400.uniform"] == "v2a is given the picture and does not make it"


def test_programs_run_only_with_a_word_and_gaps_of_protocols_are_told() -> None:
    found = asked("uniform", "mmdiffusion", task=Task.T2AV)
    why = {gap.what: gap.reason for gap in found.not_made}
    assert "--allow-code" in why["is.c3d_ucf101.uniform"]
    assert "has no specification" in why["mmdiffusion: fad on audioclip"]
    assert found.protocols == ("uniform", "mmdiffusion")
    assert "is.c3d_ucf101.uniform" in names_of(asked("uniform", task=Task.T2AV, code=True))


def test_without_real_clips_only_what_compares_with_none_is_made() -> None:
    assert names_of(asked("av_benchmark", task=Task.V2A, has_reference=False)) == ["is.cnn14_16k.av_benchmark"]
    with pytest.raises(ConfigError, match="it compares with real clips, and there are none: --reference"):
        asked("mmdiffusion", task=Task.T2AV, has_reference=False)


def test_distances_of_infinitely_many_clips_stand_beside_their_own() -> None:
    names = names_of(asked("av_benchmark", task=Task.V2A, infinite=True))
    assert names[:4] == [
        f"{name}.av_benchmark"
        for name in ("fad.vggish16k", "fad_infinite.vggish16k", "fd.cnn14_16k", "fd_infinite.cnn14_16k")
    ]
    assert len(names) == 6


def test_weights_of_a_person_take_the_place_of_a_name() -> None:
    nets = nets_from(("vggish=weights/v.pth", "i3d-400=/w/i3d.pt", "panns-cnn14-16k=~/c"), allow_code=True)
    assert (nets.vggish.weights, nets.i3d.weights, nets.cnn14.weights) == ("./weights/v.pth", "/w/i3d.pt", "~/c")
    assert (nets.c3d.weights, nets.c3d.allow_code) == ("c3d-ucf101-torchscript", True)
    for word in ("vggish", "vggish=", "=x", "vgish=x"):
        with pytest.raises(ConfigError, match="NAME=PATH"):
            nets_from((word,), allow_code=False)


def test_retrieval_goes_by_the_first_net_that_looks_at_what_is_given() -> None:
    protocols = protocols_named(("tempotokens2025", "uniform"))
    by_picture, by_sound = nearest_by(protocols, Task.V2A), nearest_by(protocols, Task.A2V)
    assert by_picture is not None
    assert by_sound is not None
    assert (by_picture.name, by_sound.name) == ("fvd.i3d400.uniform", "fd.cnn14_16k.uniform")
    assert nearest_by(protocols, Task.T2AV) is None
    assert nearest_by(protocols_named(("tempotokens2025",)), Task.V2A) is None
