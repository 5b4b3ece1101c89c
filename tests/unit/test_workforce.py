"""Which processes a stage gets, what they ask of Ray, and what is refused before anything waits for it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks import workforce as workforce_module
from tasks.pool import PoolSize, Resources
from tasks.ray_session import RaySession
from tasks.workforce import workforce
from uniform_core.errors import ConfigError, ServiceError
from uniform_core.settings import Settings, load_settings

ON_CPU, ANYWHERE = SimpleNamespace(device="cpu"), SimpleNamespace(device="auto")


def settings_of(**changes: Any) -> Settings:
    return Settings(cpus=6, **changes)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workforce_module, "gpus", lambda: 2)
    monkeypatch.setattr(workforce_module, "is_on_gpu", lambda *parts: any(part.device != "cpu" for part in parts))


def test_on_cores_each_process_decodes_for_itself() -> None:
    force = workforce(settings_of(), ON_CPU, chunk=8)
    assert (force.workers.most, force.is_split, force.resources) == (6, False, Resources(cpus=1, gpus=0))


def test_beside_gpus_every_core_decodes(two_gpus: None) -> None:
    force = workforce(settings_of(), ANYWHERE, chunk=8)
    assert (force.workers.most, force.resources.gpus) == (2, 1.0)
    assert force.readers is not None
    assert (force.readers.size.most, force.readers.resources) == (6, Resources(cpus=1))
    assert not workforce(settings_of(), ON_CPU, chunk=8).is_split, "what is told to stay on cores stays there"


def test_a_share_of_a_gpu_holds_as_many_processes(two_gpus: None) -> None:
    force = workforce(settings_of(gpu_share=0.25, worker_memory_gib=1.5), ANYWHERE, chunk=8)
    assert force.workers.most == 8
    assert force.resources.ray_options() == {"num_cpus": 1.0, "num_gpus": 0.25, "memory": 3 << 29}
    assert force.resources.in_words() == "1 CPU, 0.25 GPU, 1.5 GiB"


def test_settings_say_how_many() -> None:
    force = workforce(settings_of(decode_workers=3, model_workers=2, handover_mib=64), ON_CPU, chunk=8)
    assert force.readers is not None
    assert (force.workers.most, force.readers.size.most, force.readers.handover_bytes) == (2, 3, 64 << 20)
    assert (force.readers.limits.recycle_after or 0) * 8 <= 3200


def test_a_cluster_is_given_back_what_is_idle_and_may_have_gpus_that_are_not_here() -> None:
    settings = settings_of(ray_address="10.0.0.1:6379", gpu_share=1.0, model_workers=16, decode_workers=64)
    force = workforce(settings, ANYWHERE, chunk=8)
    assert force.readers is not None
    assert (force.workers, force.readers.size) == (PoolSize(16, least=1), PoolSize(64, least=1))
    assert force.resources.gpus == 1.0


def test_what_waits_decoded_is_a_share_of_memory_at_most() -> None:
    assert 0 < Settings().handover_bytes <= 1 << 30


def test_settings_come_from_the_environment(tmp_path: Path) -> None:
    given = {"UNIFORM_HOME": str(tmp_path), "UNIFORM_GPU_SHARE": "0.5", "UNIFORM_DECODE_WORKERS": "4"}
    settings = load_settings(given | {"UNIFORM_RAY_ADDRESS": "ray://head:10001"})
    assert (settings.gpu_share, settings.decode_workers, settings.ray_address) == (0.5, 4, "ray://head:10001")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GPU_SHARE", "1.5"),
        ("GPU_SHARE", "0"),
        ("DECODE_WORKERS", "0"),
        ("WORKER_MEMORY_GIB", "-1"),
        ("RAY_ADDRESS", "http://head"),
        ("RAY_ADDRESS", "head"),
    ],
)
def test_settings_that_mean_nothing_are_refused(name: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"UNIFORM_{name}"):
        load_settings({"UNIFORM_HOME": str(tmp_path), f"UNIFORM_{name}": value})


def test_what_this_machine_will_never_have_is_refused_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 8.0, "memory": 2.0**33})
    here = RaySession(Settings(home=tmp_path))
    here.require(Resources(cpus=8, memory_bytes=1 << 30))
    with pytest.raises(ServiceError, match=r"1 CPU, 1 GPU; found 0 GPU in all.*UNIFORM_GPU_SHARE"):
        here.require(Resources(gpus=1))
    with pytest.raises(ServiceError, match="memory in all"):
        here.require(Resources(memory_bytes=1 << 40))
    RaySession(Settings(home=tmp_path, ray_address="head:6379")).require(Resources(gpus=1))  # a cluster may grow
