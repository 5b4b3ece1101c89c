"""FLAN-T5 at work: the library's own numbers, ragged, whatever the batch; on miniatures in the real format."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from tiny_flan_t5 import save_flan_t5, tiny_flan_t5
from transformers import AutoTokenizer, T5EncoderModel

from uniform_core.errors import ConfigError
from uniform_core.fingerprint import canonical_json
from uniform_core.text import FlanT5Config
from uniform_core.text.cleaning import MAX_CHARS
from uniform_core.weights import MANIFEST, Weights, WeightsFile

TEXTS = ["the red dog shows the blue ball", "", "Dog?", "a (very) red, red ball & the word: 42!", "ﬁne dog"]


def features(config: FlanT5Config, texts: list[str]) -> list[torch.Tensor]:
    return [one.features_LD for one in config.build().encode(texts)]


@pytest.mark.parametrize("shard_size", ["10GB", "20KB"])
def test_features_are_those_of_the_library_whole_and_in_shards(tmp_path: Path, shard_size: str) -> None:
    save_flan_t5(tmp_path, shard_size=shard_size)
    assert len(list(tmp_path.glob("*.safetensors"))) == (1 if shard_size == "10GB" else 11)
    model = T5EncoderModel.from_pretrained(tmp_path, dtype=torch.float32, local_files_only=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    config = FlanT5Config(weights=str(tmp_path), dimensions=32, dtype="float32")
    for text, found in zip(TEXTS[:-1], features(config, TEXTS[:-1]), strict=True):
        with torch.no_grad():
            [expected] = model(**tokenizer(text, return_tensors="pt")).last_hidden_state
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_tokens_are_those_of_the_file_where_the_librarys_class_would_make_others(tmp_path: Path) -> None:
    """The miniature's tokenizer writes "ﬁ" as "fi"; a class that is rebuilt from vocabulary alone forgets that."""
    config = tiny_flan_t5(tmp_path, dtype="float32")
    ligature, plain = features(config, ["ﬁne dog", "fine dog"])
    assert torch.equal(ligature, plain)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    assert tokenizer("ﬁne dog").input_ids != tokenizer("fine dog").input_ids


@pytest.mark.parametrize("batch", [1, 2, 16])
def test_a_batch_changes_nothing(tmp_path: Path, batch: int) -> None:
    """Without a mask, or with padding on the left, this fails by a tenth and more."""
    config = tiny_flan_t5(tmp_path, dtype="float32")
    alone = [features(config, [text])[0] for text in TEXTS]
    together = features(config.model_copy(update={"batch": batch}), TEXTS * 2)
    for place, found in enumerate(together):
        torch.testing.assert_close(found, alone[place % len(TEXTS)], rtol=1e-5, atol=1e-5)


def test_the_null_text_is_its_end_token_alone(tmp_path: Path) -> None:
    config = tiny_flan_t5(tmp_path, dtype="float32")
    for null in features(config, ["", "  \n"]):
        assert null.shape == (1, 32)


def test_bfloat16_is_kept_and_is_near_float32(tmp_path: Path) -> None:
    config = tiny_flan_t5(tmp_path)
    assert config.dtype == "bfloat16"
    for rough, fine in zip(
        features(config, TEXTS), features(config.model_copy(update={"dtype": "float32"}), TEXTS), strict=True
    ):
        assert rough.dtype == torch.bfloat16
        assert 0 < (rough - fine).norm() / fine.norm() < 0.03


def test_a_long_text_keeps_its_first_tokens_and_the_end(tmp_path: Path) -> None:
    config = tiny_flan_t5(tmp_path, token_limit=6, dtype="float32")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    model = T5EncoderModel.from_pretrained(tmp_path, dtype=torch.float32, local_files_only=True).eval()
    fits, cut = "red red red red red", "red red red red red red"
    first, second = config.build().encode([fits, cut])
    assert not first.is_truncated
    assert second.is_truncated
    with torch.no_grad():
        cut_tokens = tokenizer(cut, truncation=True, max_length=6, return_tensors="pt")
        [expected] = model(**cut_tokens).last_hidden_state
    torch.testing.assert_close(second.features_LD, expected, rtol=1e-5, atol=1e-5)
    assert second.features_LD.shape == (6, 32)


def test_what_lies_behind_the_longest_text_is_said_but_not_read(tmp_path: Path) -> None:
    encoder = tiny_flan_t5(tmp_path).build()
    [spaces, words] = encoder.encode(["dog" + " " * (2 * MAX_CHARS), "dog" + " " * (2 * MAX_CHARS) + "dog"])
    assert not spaces.is_truncated
    assert words.is_truncated
    assert torch.equal(spaces.features_LD, words.features_LD)


def test_features_hold_their_own_memory_and_no_padding(tmp_path: Path) -> None:
    first, second, longer = features(tiny_flan_t5(tmp_path), ["dog", "dog", "the red dog shows the blue ball"])
    second.zero_()
    assert first.abs().sum() > 0
    for one in (first, second, longer):
        assert one.untyped_storage().nbytes() == 2 * one.numel()


def test_cleaning_is_asked_for(tmp_path: Path) -> None:
    config = tiny_flan_t5(tmp_path, dtype="float32")
    dirty, clean = "The RED ball (www.balls.com)", "the red ball"
    [as_it_is], [expected] = features(config, [dirty]), features(config, [clean])
    [cleaned] = features(config.model_copy(update={"cleaning": "pixart"}), [dirty])
    assert torch.equal(cleaned, expected)
    assert as_it_is.shape != expected.shape


def test_nothing_random_is_drawn_and_training_may_use_the_features(tmp_path: Path) -> None:
    config = tiny_flan_t5(tmp_path, dtype="float32")
    state = torch.get_rng_state()
    [found] = features(config, ["dog"])
    assert torch.equal(torch.get_rng_state(), state)
    weight = torch.ones(32, requires_grad=True)
    (found @ weight).sum().backward()  # tensors of inference mode refuse this
    assert weight.grad is not None


def test_only_the_encoder_is_held(tmp_path: Path) -> None:
    whole = save_flan_t5(tmp_path)
    model = FlanT5Config(weights=str(tmp_path), dimensions=32).build()._model
    held = sum(weight.numel() for weight in model.parameters())
    assert held == sum(weight.numel() for weight in whole.get_encoder().parameters())
    assert not any(weight.is_meta or weight.requires_grad for weight in model.parameters())
    assert not model.training


@pytest.mark.parametrize(
    ("name", "width"), [("small", 512), ("base", 768), ("large", 1024), ("xl", 2048), ("xxl", 4096)]
)
def test_the_width_of_a_size_is_known_without_its_weights(name: str, width: int) -> None:
    config = FlanT5Config(weights=f"flan-t5-{name}")
    assert (config.width, config.max_tokens) == (width, 300)
    assert FlanT5Config().weights == "flan-t5-xxl"


def test_a_width_is_asked_for_or_contradicted() -> None:
    with pytest.raises(ValidationError, match=r"dimensions must say the width of './t5'"):
        FlanT5Config(weights="./t5")
    with pytest.raises(ValidationError, match="dimensions 512 must be left out, or 4096, for flan-t5-xxl"):
        FlanT5Config(dimensions=512)
    with pytest.raises(ValidationError, match="float16"):
        FlanT5Config(dtype="float16")
    with pytest.raises(ValidationError, match="less than or equal to 512"):
        FlanT5Config(token_limit=513)


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where the weights of `flan-t5-small` belong, which a manifest lists as three files."""
    files = [WeightsFile(path=name) for name in ("config.json", "model.safetensors", "tokenizer.json")]
    entry = Weights(name="flan-t5-small", repo="google/flan-t5-small", files=tuple(files), licence="Apache-2.0",
                    is_commercial=True, used_for="text flan_t5")  # fmt: skip
    monkeypatch.setitem(MANIFEST, entry.name, entry)
    monkeypatch.setenv("UNIFORM_WEIGHTS_DIR", str(tmp_path / "weights"))
    return tmp_path / "weights" / "flan-t5-small"


def test_a_size_is_found_by_its_name_and_must_have_its_width(listed: Path) -> None:
    config = FlanT5Config(weights="flan-t5-small", dtype="float32")
    with pytest.raises(ConfigError) as error:
        config.build()
    for words in ("model.safetensors", "size not published", "Apache-2.0", "uniform weights pull flan-t5-small"):
        assert words in str(error.value)
    save_flan_t5(listed)
    with pytest.raises(ConfigError, match="d_model 512, as the config says; found 32"):
        config.build()
    save_flan_t5(listed, d_model=512, num_layers=1)
    assert features(config, ["dog"])[0].shape == (2, 512)


def test_a_fingerprint_is_of_the_weights_and_of_what_is_done_with_texts(tmp_path: Path) -> None:
    config = tiny_flan_t5(tmp_path / "here")

    def changed(**values: object) -> bool:
        other = config.model_copy(update=values)
        return canonical_json(other.fingerprint_params()) != canonical_json(config.fingerprint_params())

    for values in ({"dtype": "float32"}, {"token_limit": 41}, {"cleaning": "pixart"}):
        assert changed(**values), values
    assert not changed(batch=3, device="cpu")
    for folder, other in (("there", False), ("elsewhere", True)):
        save_flan_t5(tmp_path / folder, num_layers=1 if other else 2)
        assert changed(weights=str(tmp_path / folder)) == other
    assert changed(weights=str(tmp_path / "none"))


def test_a_gpu_is_used_or_asked_for_in_vain(tmp_path: Path) -> None:
    config = tiny_flan_t5(tmp_path, device="cuda")
    if torch.cuda.is_available():
        assert features(config, ["dog"])[0].device.type == "cpu"
        return
    with pytest.raises(ConfigError, match=r"text\.device: expected a GPU"):
        config.build()


def test_a_config_is_read_without_any_heavy_library() -> None:
    code = "import sys, uniform_core.text; print({'torch', 'transformers', 'bs4', 'ftfy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout.strip() == "set()"
