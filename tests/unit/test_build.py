"""From words to a run: presets, --data, --set; every mistake at once, each with its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from uniform_core.build import build_run, require_items, require_weights
from uniform_core.datasets import FolderConfig
from uniform_core.diffusion import DdimConfig, IddpmConfig
from uniform_core.errors import ConfigError
from uniform_core.presets import PRESETS


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_is_whole_and_comes_back_from_json_as_it_was(name: str) -> None:
    config = PRESETS[name]()
    assert build_run(name) == config
    assert config.preset == name
    assert config.layout.video_CTHW == config.video_codec.latent_shape_CTHW(config.spec)


def test_set_goes_through_the_same_validation() -> None:
    config = build_run("nano", overrides=["train.lr=2e-4", "resize=squash", 'evaluate.tasks=["v2a"]'])
    assert (config.train.lr, config.resize, [str(t) for t in config.evaluate.tasks]) == (2e-4, "squash", ["v2a"])


def test_a_kind_brings_its_own_defaults_and_what_is_set_after_it_goes_on_top(tmp_path: Path) -> None:
    config = build_run("nano", overrides=["objective.kind=iddpm", "sample.sampler.kind=ddim", "sample.sampler.steps=3"])
    assert config.objective == IddpmConfig()
    assert config.sample.sampler == DdimConfig(steps=3)
    folder = build_run("nano", overrides=["data.kind=folder", f"data.path={tmp_path}"]).data
    assert folder == FolderConfig(path=tmp_path)


def test_a_kind_that_it_has_already_changes_nothing(tmp_path: Path) -> None:
    config = PRESETS["nano"]()
    words = [f"{name}.kind={getattr(config, name).kind}" for name in ("data", "objective", "text", "video_codec")]
    assert build_run("nano", overrides=["data.train_short=9", *words]).data.train_short == 9


def test_data_words_name_a_dataset_and_its_argument(tmp_path: Path) -> None:
    config = build_run("nano", data=f"folder:{tmp_path}")
    assert isinstance(config.data, FolderConfig)
    assert config.data.root == tmp_path
    assert len(config.datasets) == 2, "the instrument data stays procedural"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"preset": "tinny"}, "Did you mean 'tiny'"),
        ({"overrides": ["train.stepz=3"]}, "a key of train .*Did you mean 'steps'"),
        ({"overrides": ["train"]}, "KEY=VALUE"),
        ({"overrides": ["resize.x=1"]}, "a single value"),
        ({"data": "foldr:/x"}, "one of .*folder, .*procedural, .*Did you mean 'folder'"),
        ({"data": "folder"}, "folder:DIR"),
        ({"data": "procedural:7"}, "no argument for this kind"),
        ({"overrides": ["model.text_width=63"]}, "must equal the encoder's 64"),
        ({"overrides": ["train.batch=5"]}, "multiple of train_workers"),
        ({"overrides": ["task_columns=1"]}, "does not divide"),
        ({"overrides": ["preset=foo"]}, "Use --preset NAME"),
        ({"overrides": ["objective.kind=idppm"]}, "one of iddpm, rectified_flow; .* Did you mean 'iddpm'"),
        ({"overrides": ["objective.kind=7"]}, "one of iddpm, rectified_flow"),
        ({"overrides": ['objective.kind=["iddpm"]']}, "one of iddpm, rectified_flow"),
        ({"overrides": ["objective.kind=iddpm", "objective.shift=2"]}, r"a key of objective \(.*found shift"),
        ({"overrides": ["sample.sampler.steps=3", "sample.sampler.kind=ddim"]}, "it after sample.sampler.steps"),
        ({"overrides": ['data={"kind": "folder"}', "data.kind=procedural"]}, "it after data"),
        ({"overrides": ["data.kind=folder"]}, "data.folder.path: Field required"),
        ({"overrides": ["data.kind=folder", "data.path.x=1"]}, "null is a single value"),
        ({"overrides": ["spec.canonical_short_side_px=33"]}, "short_side_px 33 must be even"),
        ({"overrides": ["data.stride_s=0.01"]}, "data.stride_s: .* windows would overlap"),
        ({"overrides": ["instrument.stride_s=0.01"]}, "instrument.stride_s: .* windows would overlap"),
        ({"overrides": ["data.clip_s=0.5"]}, "data.clip_s 0.5 must be at least spec.duration_s"),
        ({"data": "folder:/b\udcff"}, "1 mistake: path: should be UTF-8 text"),
        ({"data": "folder:/", "overrides": ["data.path=/b\udcff"]}, "--set data.path: expected UTF-8 text"),
        ({"overrides": ['resize="\\ud800"']}, "--set resize: expected UTF-8 text"),
        ({"overrides": ["train.steps=" + "1" * 5000]}, "train.steps"),
    ],
)
def test_a_wrong_word_gets_one_paragraph_that_helps(words: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build_run(**{"preset": "nano", **words})  # type: ignore[arg-type]


def test_every_mistake_is_listed_at_once_with_its_path() -> None:
    with pytest.raises(ConfigError) as caught:
        build_run("nano", overrides=["train.steps=abc", "train.lr=-1", "evaluate.seed=-2", "data.size_px=3.5"])
    text = str(caught.value)
    assert "4 mistakes" in text
    assert all(path in text for path in ("train.steps", "train.lr", "evaluate.seed", "size_px"))


def test_one_wrong_word_hides_no_other() -> None:
    words = ["train.stepz=1", "modell.x=3", "train.lr=fast", "nonsense", "data.size_px=3"]
    with pytest.raises(ConfigError) as caught:
        build_run("nanno", overrides=words, data="foldr:/x")
    text = str(caught.value)
    assert "6 mistakes" in text, "the key of a dataset that is not known is no mistake of its own"
    assert all(said in text for said in ("'nanno'", "'folder'", "'steps'", "'model'", "train.lr", "KEY=VALUE"))


def test_parts_that_do_not_fit_only_for_a_misspelt_word_are_not_told() -> None:
    with pytest.raises(ConfigError, match="text_widht") as caught:
        build_run("nano", overrides=["model.text_widht=32", "text.width=32"])
    assert "must equal" not in str(caught.value)


def test_a_run_needs_something_to_work_on(tmp_path: Path) -> None:
    require_items(build_run("nano"))
    with pytest.raises(ConfigError, match="at least one file"):
        require_items(build_run("nano", data=f"folder:{tmp_path}"))


def test_weights_that_are_not_there_are_told_all_at_once_for_the_stages_that_read_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNIFORM_WEIGHTS_DIR", str(tmp_path))
    require_weights(build_run("tiny"))
    paper = build_run("paper")
    words = ("opensora-vae-1.2", "audioldm-s-full-v2", "flan-t5-xxl", "pixart-alpha-512x512")
    with pytest.raises(ConfigError, match="found 4 mistakes") as caught:
        require_weights(paper)
    assert all(f"`uniform weights pull {word}` gets it" in str(caught.value) for word in words)
    require_weights(paper, stages=["ingest", "captions", "evaluate"])
    read = {"encode": words[:2], "text": words[2:3], "train": words[3:], "sample": words[:3]}
    online = paper.model_copy(update={"text_features": "online"})
    for config, stage, asked in [*((paper, *row) for row in read.items()), (online, "train", words[2:])]:
        with pytest.raises(ConfigError) as caught:
            require_weights(config, stages=[stage])
        assert {word for word in words if f"weights pull {word}`" in str(caught.value)} == set(asked)


@pytest.mark.parametrize("source", ["pixart", "opensora_v1_2"])
def test_public_weights_need_places_by_the_size_of_the_picture(source: str) -> None:
    words = ["train.init.source=" + source, "spec.width_px=384"]
    with pytest.raises(ConfigError, match=r"model\.position_scale 0\.5 must be 0\.612372, sqrt"):
        build_run("paper", overrides=words)
    assert build_run("paper", overrides=[*words, "model.position_scale=0.6124"]).model.position_scale == 0.6124
    own = ["train.init.source=export", "train.init.weights=./model", "spec.width_px=384"]
    assert build_run("paper", overrides=own).model.position_scale == 0.5, "what they were trained with"


def test_a_kind_that_nobody_knows_is_one_mistake() -> None:
    with pytest.raises(ConfigError) as caught:
        build_run("nano", overrides=["sample.sampler.kind=ddmi", "train.lrr=1"])
    assert caught.value.found.startswith("2 mistakes: (1) --set sample.sampler.kind: expected one of ")


@pytest.mark.parametrize("metric", ['{"kind":"no_such"}', '{"kind":"frechet"}'])
def test_what_is_wrong_with_the_only_part_of_a_list_does_not_make_it_too_short(metric: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_run("nano", overrides=[f"evaluate.metrics=[{metric}]"])
    assert "at least 1 item" not in str(caught.value)
    assert "evaluate.metrics.0" in str(caught.value)
    with pytest.raises(ConfigError, match="at least 1 item"):
        build_run("nano", overrides=["evaluate.metrics=[]"])


def test_a_part_of_a_list_is_set_by_its_number_or_by_its_kind() -> None:
    words = ["data.members.landscape.split=test", "data.members.0.limit=7", "data.members.1.sources=[]"]
    vggsound, landscape = build_run("nano", data="vggsound+landscape", overrides=words).data.parts
    assert (vggsound.limit, landscape.split, landscape.sources) == (7, "test", ())
    other = build_run("nano", data="vggsound+landscape", overrides=["data.members.landscape.kind=audioset"])
    assert [part.kind for part in other.data.parts] == ["vggsound", "audioset"]
    whole = build_run("nano", data="vggsound+landscape", overrides=['data.members.1={"kind": "audioset"}'])
    assert whole == other
    captioner = build_run("nano", overrides=["captioners.class_label.template=a {label}"]).captioners[1]
    assert captioner.model_dump()["template"] == "a {label}"


def test_an_error_about_a_part_of_a_list_does_not_print_the_list() -> None:
    with pytest.raises(ConfigError, match=r"a key of evaluate\.metrics \(.*0 to 32\); found frechet") as caught:
        build_run("nano", overrides=["evaluate.metrics.frechet.ddof=0"])
    assert len(str(caught.value)) < 300
    with pytest.raises(ConfigError, match=r"a key of data\.labels \(no keys: it is a list of 2, which is set whole"):
        build_run("nano", overrides=["data.labels.0=siren"])
    for name in ("2", "-1", "vggsound", "landscap"):
        with pytest.raises(ConfigError, match=r"a key of data\.members \(audioset, landscape, 0 to 1\)"):
            build_run("nano", data="audioset+landscape", overrides=[f"data.members.{name}.limit=1"])
