"""From nothing to scores, as a person types it: preset nano, a process of its own, real Prefect, Ray, MLflow."""

from __future__ import annotations

import json
import re
import resource
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import av
import pytest
from command_line import network_log, processes_of, short_home, uniform
from report_page import assert_page_opens_and_plays

from uniform_core import __version__
from uniform_core.build import build_run
from uniform_core.metrics.proof import verdict_words
from uniform_core.presets import TINY_SPEC
from uniform_core.types import Task

RUNS = "SELECT run_uuid, status, artifact_uri FROM runs"
SCORES = "SELECT work_key, name, system, task, value, n_generated FROM scores"
STAGES = {"ingest", "encode", "captions", "text", "train", "sample", "instruments", "features", "evaluate"}


def test_every_stage_did_something_and_rejected_nothing(nano_run: tuple[Path, Any]) -> None:
    _, said = nano_run
    done = {row["stage"]: row for row in said["stages"]}
    assert set(done) == STAGES
    assert all(row["done"] > 0 and row["failed"] == 0 for row in done.values())
    assert done["train"]["cpu_s"] > 0


def test_the_clips_that_were_made_are_mp4_files_with_sound(nano_run: tuple[Path, Any]) -> None:
    home, _ = nano_run
    rows = uniform("query", "SELECT path, task, system FROM generations", "--json", home=home).json
    assert {row["task"] for row in rows} == {"t2av", "a2v", "v2a"}
    assert {row["system"] for row in rows} == {"uniform", "untrained", "codec_round_trip", "class_mean"}
    with av.open(str(home / "media" / rows[0]["path"])) as file:
        assert [stream.type for stream in file.streams] == ["video", "audio"]
        assert sum(1 for _ in file.decode(video=0)) == TINY_SPEC.frames


def test_every_clip_that_was_made_says_how(nano_run: tuple[Path, Any]) -> None:
    home, _ = nano_run
    sql = "SELECT DISTINCT task, system, steps, guidance, modality_guidance, guide_scale, sampler FROM generations"
    sample = build_run("nano").sample
    ways = {(row.pop("system"), row.pop("task")): row for row in uniform("query", sql, "--json", home=home).json}
    for unsampled in ("codec_round_trip", "class_mean"):
        assert ways.pop((unsampled, "t2av")) == {
            **{"steps": 0, "guidance": 1.0, "modality_guidance": 1.0, "guide_scale": None, "sampler": None}
        }
    assert sample.guidance.modality_scale != 1.0, "so that the numbers below are not those of no guidance"
    for (system, task), way in ways.items():
        sampler = sample.sampler_of(Task(task))
        assert json.loads(way["sampler"]) == sampler.fingerprint_params()
        assert (way["steps"], way["guidance"]) == (sampler.steps, 1.0)
        assert way["modality_guidance"] == (1.0 if task == "t2av" else sample.guidance.modality_scale)
        by_guide = sample.guidance.by_guide(Task(task)) if system == "uniform" else {}
        assert json.loads(way["guide_scale"] or "{}") == {str(m): scale for m, scale in by_guide.items()}


def test_every_score_has_a_value_or_a_reason_and_says_what_it_stands_on(nano_run: tuple[Path, Any]) -> None:
    home, said = nano_run
    scores = uniform("query", "SELECT * FROM scores", "--json", home=home).json
    assert len(scores) == len(said["scores"]) > 50
    assert all((row["value"] is None) != (row["reason"] is None) for row in scores)
    assert {row["name"].split(".")[0] for row in scores} >= {"fvd", "fad", "kvd", "kl", "synchrony", "av_align"}
    assert all(len(row["protocol_hash"]) == 32 and len(row["data_digest"]) == 64 for row in scores)
    looked = uniform("query", "SELECT DISTINCT extractor, extractor_fp FROM features", "--json", home=home).json
    fingerprints = {row["extractor"]: row["extractor_fp"] for row in looked}
    for row in scores:
        said_to_look = json.loads(row["extractors"])
        assert bool(said_to_look) != row["name"].startswith("loss_gap."), "nobody looks at a model's losses"
        assert said_to_look.items() <= fingerprints.items()


def test_mlflow_has_the_training_in_the_models_run_and_the_scores_in_its_child(nano_run: tuple[Path, Any]) -> None:
    home, said = nano_run
    runs = said["mlflow_runs"]
    with sqlite3.connect(f"file:{home / 'mlflow.db'}?mode=ro", uri=True) as database:
        kept = {run_id: (status, uri) for run_id, status, uri in database.execute(RUNS)}
        of_run = {
            (kind, name): {
                key for (key,) in database.execute(f"SELECT DISTINCT key FROM {kind} WHERE run_uuid = ?", [i])
            }
            for name, i in runs.items()
            for kind in ("metrics", "params", "tags")
        }
        verdict = database.execute("SELECT run_uuid, value FROM tags WHERE key = 'uniform.gate'").fetchall()
        parents = database.execute("SELECT run_uuid, value FROM tags WHERE key = 'mlflow.parentRunId'").fetchall()
    assert kept.keys() == set(runs.values())
    assert {status for status, _ in kept.values()} == {"FINISHED"}
    assert parents == [(runs["evaluation"], runs["model"])]
    for name in runs:
        assert {"train.steps", "spec.duration_s", "objective.kind", "sample.sampler.kind"} <= of_run["params", name]
    assert {"uniform.train.data_digest", "uniform.train.versions"} <= of_run["tags", "model"]
    assert {"uniform.evaluation.data_digest", "uniform.evaluation.versions"} <= of_run["tags", "evaluation"]
    modalities = {"t2av": ("video", "audio"), "a2v": ("video",), "v2a": ("audio",)}
    parts = {f"{task}.{modality}" for task, made in modalities.items() for modality in made}
    (history,) = (home / "checkpoints").glob("*/history.jsonl")
    steps = [record for record in map(json.loads, history.read_text().splitlines()) if "task" in record]
    losses = {f"loss/{record['task']}.{modality}" for record in steps for modality in record["losses"]}
    assert losses <= {f"loss/{part}" for part in parts}, "of the tasks that so few steps have drawn"
    terms = {f"term/{record['task']}.{name}" for record in steps for name in record["terms"]}
    assert terms
    validation = {f"validation/{split}.{part}" for split in ("train", "held_out") for part in parts}
    assert of_run["metrics", "model"] == {"loss", "grad_norm", "lr"} | losses | terms | validation
    scores = of_run["metrics", "evaluation"]
    assert {"v2a/fad.tinymel.uniform_tiny", "untrained/t2av/fvd.tinyvideo.uniform_tiny"} <= scores
    assert {f"v2a/synchrony.tinysync.uniform_tiny{part}" for part in ("", ".low", ".high", ".n_generated")} <= scores
    artifacts = Path(kept[runs["evaluation"]][1].removeprefix("file://"))
    assert len(list((artifacts / "samples").rglob("*.mp4"))) >= 3
    assert len(json.loads((artifacts / "scores.json").read_text())) == len(said["scores"])
    assert {"uniform.gate.bounds", "uniform.report.sha256"} <= of_run["tags", "evaluation"]
    gate = said["gate"]
    assert gate["narrower"], "it is the preset of tests"
    assert verdict == [(runs["evaluation"], verdict_words(gate["verdict"], gate["narrower"]))]
    assert "gate/v2a/few near copies.melsketch" in scores
    films = list((artifacts / "samples").rglob("*.mp4"))
    assert all(film.with_suffix(".png").is_file() for film in films), "a picture of each previews there"
    assert (artifacts / "report.html").read_bytes() == Path(said["paths"]["report"]).read_bytes()
    assert len((artifacts / "gate.csv").read_text().splitlines()) == len(said["gate"]["checks"]) + 1
    assert len((artifacts / "controls.csv").read_text().splitlines()) == len(said["gate"]["controls"]) + 1


def test_the_report_is_one_file_and_its_path_was_printed(nano_run: tuple[Path, Any]) -> None:
    _, said = nano_run
    report = Path(said["paths"]["report"])
    page = report.read_text()
    assert "<video" in page
    assert page.count('class="chip ') > len(said["gate"]["checks"])
    assert f"uniform {__version__}, Python" in page


def test_the_report_of_a_run_opens_in_a_browser_without_a_word_and_its_films_play(
    nano_run: tuple[Path, Any], browser: Any
) -> None:
    _, said = nano_run
    assert_page_opens_and_plays(browser, said)


def test_the_run_had_no_network_and_only_ray_asked_for_one(nano_run: tuple[Path, Any]) -> None:
    """Ray's dashboard asks which cloud it is in, whatever is configured; nothing waits for the answer."""
    log = network_log(nano_run[0])
    which_cloud = re.compile(r"refused .*(169\.254\.169\.254|metadata\.google\.internal).*ray/dashboard/dashboard\.py")
    assert [line for line in log if line.startswith("refused") and not which_cloud.match(line)] == []
    guarded = " ".join(line for line in log if line.startswith("guarded"))
    assert [name for name in ("'flows'", "'flows.server_process'", "default_worker.py") if name not in guarded] == []


def test_no_process_is_left(nano_run: tuple[Path, Any]) -> None:
    home, _ = nano_run
    assert processes_of(home) == []


def test_the_catalog_verifies(nano_run: tuple[Path, Any]) -> None:
    home, _ = nano_run
    done = uniform("catalog", "verify", "--json", home=home)
    assert (done.code, done.json) == (0, [])


def mlflow_ends(home: Path) -> list[Any]:
    """Every run of MLflow, and when it ended; every artifact, and when it was written."""
    with sqlite3.connect(f"file:{home / 'mlflow.db'}?mode=ro", uri=True) as database:
        runs = sorted(database.execute("SELECT run_uuid, end_time FROM runs"))
    files = sorted(path for path in (home / "mlartifacts").rglob("*") if path.is_file())
    return [*runs, *((str(path), path.stat().st_mtime_ns) for path in files)]


def cpu_of_children_s() -> float:
    """Seconds of a processor that commands have taken so far, with what they started themselves."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_a_second_run_recomputes_nothing_and_says_so(nano_run: tuple[Path, Any]) -> None:
    home, _ = nano_run
    before = uniform("catalog", "history", "--json", home=home).json
    told = mlflow_ends(home)
    cpu_before_s = cpu_of_children_s()
    done = uniform("run", "--preset", "nano", home=home)
    cpu_s = cpu_of_children_s() - cpu_before_s
    assert done.code == 0, done.err
    assert "nothing was left to do" in done.out
    said = (
        r"gate (failed|not computed), by a narrower gate: 4 clips a task, .*; of \d+ checks .* controls refused as they"
    )
    assert re.search(said, done.out)
    assert cpu_s < 60, "of a minute in all, on however busy a machine"
    assert uniform("catalog", "history", "--json", home=home).json == before, "a table was written"
    assert mlflow_ends(home) == told, "MLflow was told again"
    plan = uniform("plan", "--preset", "nano", "--json", home=home).json
    assert [row["to_do"] for row in plan] == [0] * len(plan)


def test_a_changed_setting_redoes_what_it_changes_and_nothing_else(nano_run: tuple[Path, Any]) -> None:
    home, _ = nano_run
    plan = {row["stage"]: row for row in uniform(
        "plan", "--preset", "nano", "--set", "resize=squash", "--json", home=home
    ).json}  # fmt: skip
    clips = plan["captions"]["already_done"] // 2
    assert plan["ingest"]["to_do"] == plan["captions"]["to_do"] == plan["text"]["to_do"] == 0
    assert (plan["encode"]["to_do"], plan["encode"]["already_done"]) == (clips, clips), "video again, sound not"
    assert plan["train"]["to_do"] > 0


def test_what_was_damaged_is_made_again_as_it_was_and_no_more_is_scored_than_the_config_wants(
    nano_run: tuple[Path, Any],
) -> None:
    home = short_home("damage")
    shutil.copytree(nano_run[0], home)
    before = {row["work_key"]: row for row in uniform("query", SCORES, "--json", home=home).json}
    for table in ("clips", "generations"):
        (row, *_) = uniform("query", f"SELECT path FROM {table} ORDER BY path", "--json", home=home).json
        (home / "media" / row["path"]).unlink()
    shard = sorted((home / "tensors").glob("latents-*.parquet"))[0]
    shard.write_bytes(shard.read_bytes()[:-40])
    for weights in (home / "checkpoints").rglob("*.safetensors"):
        if weights.parent.name == "model" or weights.parent.parent.name == "instruments":
            weights.write_bytes(b"no weights")
    found = uniform("catalog", "verify", "--repair", "--json", home=home)
    assert found.code == 0, found.err
    assert {row["check"] for row in found.json} == {"media", "tensor", "model"}
    again = uniform("run", "--preset", "nano", "--set", "evaluate.untrained_clips=2", "--json", home=home)
    assert again.code == 0, again.err[-4000:]
    assert uniform("catalog", "verify", "--json", home=home).json == []
    new = [row for row in uniform("query", SCORES, "--json", home=home).json if row["work_key"] not in before]
    assert {row["n_generated"] for row in new if row["system"] == "untrained" and "attribute" not in row["name"]} == {2}
    values = {(row["name"], row["system"], row["task"]): row["value"] for row in before.values()}
    of_others = {k: value for k, value in values.items() if k[1] != "untrained"}
    made_again = {
        (row["name"], row["system"], row["task"]): row["value"] for row in new if row["system"] != "untrained"
    }
    assert made_again == of_others
    shutil.rmtree(home.parent)


def test_status_takes_little_of_a_processor(nano_run: tuple[Path, Any]) -> None:
    """Under a second on a quiet machine; CPU time, since the machine may be busy. Importing torch costs more."""
    home, _ = nano_run
    uniform("status", home=home)  # compiled and in the disk's cache
    before_s = cpu_of_children_s()
    done = uniform("status", home=home)
    assert done.code == 0, done.err
    assert cpu_of_children_s() - before_s < 2.0


@pytest.mark.parametrize("command", ["status", "plan", "query", "doctor", "compare"])
def test_quick_commands_import_neither_prefect_nor_ray_nor_torch(
    command: str, nano_run: tuple[Path, Any], tmp_path: Path
) -> None:
    import subprocess
    import sys

    from command_line import environment_of

    home, _ = nano_run
    words = {
        "query": ["query", "SELECT 1"],
        "plan": ["plan", "--preset", "nano"],
        "compare": ["compare", "nano", "nano/untrained"],
    }.get(command, [command])
    code = (
        f"import sys; from flows.cli import main; code = main({words!r}); "
        "bad = {'prefect', 'ray', 'torch', 'mlflow'} & set(sys.modules); assert not bad, bad; sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment_of(home), capture_output=True, text=True, timeout=900
    )
    assert "AssertionError" not in done.stderr, done.stderr
    assert done.returncode in ((0, 1) if command == "doctor" else (0,)), done.stderr
