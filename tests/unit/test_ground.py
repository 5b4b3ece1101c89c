"""The ground floor: errors that travel, names derived from content, settings that refuse, shapes that fit."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniform_core.errors import ConfigError, StorageError, UniformError
from uniform_core.fingerprint import canonical_json, derive_clip_id, set_digest, stage_fingerprint, work_key
from uniform_core.lazy import lazy
from uniform_core.seeds import derive_seed, numpy_rng, torch_generator
from uniform_core.settings import Settings, ensure_home, load_settings
from uniform_core.spec import AVSpec, LatentLayout
from uniform_core.types import Modality, Task, Window

PAPER = {"duration_s": 4.0, "video_rate_hz": 17, "height_px": 256, "width_px": 256, "canonical_short_side_px": 360}


def test_an_error_says_its_four_parts_and_survives_a_process_border() -> None:
    error = StorageError("disk /x", expected="room", found="none", fix="Make room.")
    assert str(error) == "disk /x: expected room; found none. Make room."
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is StorageError
    assert (again.item, again.expected, again.found, again.fix) == ("disk /x", "room", "none", "Make room.")
    assert issubclass(ConfigError, UniformError)
    assert (ConfigError.exit_code, StorageError.exit_code) == (2, 1)


def test_canonical_json_has_one_text_and_no_nan() -> None:
    assert canonical_json({"b": [1, None], "a": "é"}) == '{"a":"é","b":[1,null]}'
    with pytest.raises(ValueError):
        canonical_json({"x": float("nan")})


@given(st.lists(st.text(max_size=8), max_size=12), st.randoms(use_true_random=False))
def test_set_digest_knows_no_order_but_counts(members: list[str], random: object) -> None:
    shuffled = members[:]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert set_digest(shuffled) == set_digest(members)
    assert set_digest([*members, "one more"]) != set_digest(members)


def test_fingerprints_depend_on_what_they_should_and_on_nothing_else() -> None:
    base = stage_fingerprint("encode", version=1, params={"k": 1}, upstream=["b", "a"])
    assert base == stage_fingerprint("encode", version=1, params={"k": 1}, upstream=["a", "b"])
    assert len({base, stage_fingerprint("encode", version=2, params={"k": 1}, upstream=["a", "b"])}) == 2
    assert len({base, stage_fingerprint("encode", version=1, params={"k": 2}, upstream=["a", "b"])}) == 2
    clip = derive_clip_id("d", "s", start_ms=0, end_ms=2000)
    assert (
        clip == derive_clip_id("d", "s", start_ms=0, end_ms=2000) != derive_clip_id("d", "s", start_ms=1, end_ms=2000)
    )
    assert work_key(clip, stage_fp=base, source_sha256="0" * 64) != work_key(
        clip, stage_fp=base, source_sha256="1" * 64
    )


def test_seeds_come_from_names_and_not_from_what_ran_before() -> None:
    first = numpy_rng("a", 1).standard_normal(3)
    torch_generator("other")
    assert (numpy_rng("a", 1).standard_normal(3) == first).all()
    assert derive_seed("a", 1) != derive_seed("a", 2) != derive_seed("b", 2)


def test_settings_list_what_they_know_and_make_home_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings({"UNIFORM_HOME": "here", "UNIFORM_CPUS": "3"}) == Settings(home=tmp_path / "here", cpus=3)
    with pytest.raises(ConfigError, match=r"UNIFORM_HOEM.*UNIFORM_HOME"):
        load_settings({"UNIFORM_HOEM": "x"})
    with pytest.raises(ConfigError, match="UNIFORM_CPUS"):
        load_settings({"UNIFORM_CPUS": "many"})


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("localhost:4200", "begin with http://"),
        ("sqlite:///prefect.db", "begin with http://"),
        ("http:///api", "name of a host"),
        ("http://:4200/api", "name of a host"),
        ("http://a..b/api", "name of a host"),
        ("http://[::1/api", "name of a host"),
        ("http://a b/api", "no spaces"),
        ("http://127.0.0.1\n:4200/api", "no spaces"),
        ("http://127.0.0.1:99999/api", "port of 1 to 65535"),
        ("http://127.0.0.1:0/api", "port of 1 to 65535"),
        ("http://127.0.0.1:-1/api", "port of 1 to 65535"),
        ("http://127.0.0.1:abc/api", "port of 1 to 65535"),
    ],
)
def test_an_address_has_a_scheme_a_host_and_a_port_that_can_be(address: str, wanted: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({"UNIFORM_PREFECT_API_URL": address, "UNIFORM_HOEM": "x"})
    assert caught.value.item == "UNIFORM_HOEM, UNIFORM_PREFECT_API_URL", "all of them at once"
    assert wanted in caught.value.found
    assert repr(address) in caught.value.found


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:4200/api",
        "HTTPS://prefect.example/api",
        "http://[::1]:65535/api",
        "http://bücher.example:1/api",
    ],
)
def test_an_address_that_can_be_is_taken(address: str) -> None:
    given = {"UNIFORM_PREFECT_API_URL": address, "UNIFORM_MLFLOW_URI": address}
    settings = load_settings(given)
    assert (settings.prefect_api_url, settings.mlflow_uri) == (address, address)


def test_an_address_of_mlflow_is_checked_where_it_is_a_servers() -> None:
    with pytest.raises(ConfigError, match="port of 1 to 65535"):
        load_settings({"UNIFORM_MLFLOW_URI": "http://127.0.0.1:99999"})
    assert load_settings({"UNIFORM_MLFLOW_URI": "file:///srv/mlruns", "PREFECT_API_URL": "of no use here"}).mlflow_uri


def test_a_home_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="Set UNIFORM_HOME"):
        ensure_home(Settings(home=tmp_path / "file" / "home"))


def test_the_papers_clip_has_the_papers_lengths() -> None:
    spec = AVSpec(**PAPER)  # type: ignore[arg-type]
    assert (spec.frames, spec.samples, spec.mel_frames) == (68, 64_000, 400)
    with pytest.raises(ValueError, match="whole number"):
        AVSpec(**{**PAPER, "duration_s": 4.03})  # type: ignore[arg-type]


def test_the_papers_latent_fills_whole_columns_and_its_task_column_makes_the_width_even() -> None:
    layout = LatentLayout((4, 20, 32, 32), (8, 100, 16), task_columns=1)
    assert (layout.audio_columns, layout.audio_fold, layout.width) == (5, 2, 38)
    assert layout.grid_THW == (20, 16, 19)
    with pytest.raises(ValueError, match="does not divide"):
        LatentLayout((4, 20, 32, 32), (8, 100, 16), task_columns=2)
    with pytest.raises(ValueError, match="whole columns"):
        LatentLayout((4, 20, 32, 32), (8, 101, 16), task_columns=1)


def test_tasks_say_what_is_given_and_what_is_made() -> None:
    assert [task.given for task in Task] == [None, Modality.AUDIO, Modality.VIDEO]
    assert Task.V2A.made == (Modality.AUDIO,)
    assert Task.T2AV.made == (Modality.VIDEO, Modality.AUDIO)
    assert (Window(0.5, 2.5).start_ms, Window(0.5, 2.5).end_ms) == (500, 2500)


def test_a_lazy_module_is_imported_by_its_first_use() -> None:
    assert lazy("fractions").Fraction(1, 2) == 0.5
    with pytest.raises(ModuleNotFoundError):
        _ = lazy("no_such_module_here").anything
