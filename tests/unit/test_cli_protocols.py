"""`uniform protocols`: every constant of a named protocol, at once, for people and for scripts."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from pydantic import TypeAdapter

from flows.cli.main import main
from uniform_core.metrics import Metric
from uniform_core.metrics.protocols import PROTOCOLS


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    capsys.readouterr()
    code = main(["protocols", *words])
    shown = capsys.readouterr()
    return code, " ".join((shown.out + shown.err).split())


def test_list_names_every_protocol(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(["list"], capsys)
    assert code == 0
    assert all(f" {name} " in text for name in PROTOCOLS)
    assert main(["protocols", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list(PROTOCOLS)
    assert {row["name"]: row["hash"] for row in rows} == {name: named.hash for name, named in PROTOCOLS.items()}


def test_show_says_the_constants_the_reading_and_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(["show", "audioldm_eval", "mmdiffusion"], capsys)
    assert code == 0
    for words in (
        "fad.vggish16k.audioldm_eval",
        "activation softmax, eps 1e-06, min_matched 0.99",
        "sound: rate_hz 16000, channels first, resampler torchaudio, remove_dc True",
        "least_samples 32000",
        "float32_svd",
        "resize pad, window_frames 16, rate_rule floor_index, window random",
        "not made here: fad on audioclip: ",
        "times 10,000",
    ):
        assert words in text


@pytest.mark.parametrize("name", PROTOCOLS)
def test_what_is_shown_to_scripts_is_the_whole_config(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["protocols", "show", name, "--json"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)
    assert shown["hash"] == PROTOCOLS[name].hash
    for row, metric in zip(shown["metrics"], PROTOCOLS[name].metrics, strict=True):
        again = TypeAdapter(Metric).validate_python(row["config"])
        assert again == metric
        assert (again.name, again.protocol_hash) == (row["name"], row["hash"])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["show"], "expected the name of a protocol: uniform, "),
        (["show", "audioldm"], "found audioldm. See `uniform protocols list`."),
        (["list", "uniform"], "expected none with list; found uniform"),
    ],
)
def test_a_wrong_call_is_told(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(words, capsys)
    assert code == 2
    assert expected in text


def test_it_waits_for_nothing_heavy() -> None:
    code = (
        "import sys; from flows.cli.main import main; main(['protocols', 'show', 'uniform']); "
        "print('loaded', {'torch', 'ray', 'prefect', 'mlflow', 'scipy', 'cv2', 'av'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert "loaded set()" in done.stdout, done.stdout + done.stderr
