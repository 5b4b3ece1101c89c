"""Which processes a stage gets: how many hold its model, what each needs, and whether others decode for them."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.pool import PoolLimits, PoolSize, Readers, Resources
from uniform_core.devices import gpus, is_on_gpu
from uniform_core.settings import Settings

RECYCLE_AFTER_OPENS = 3200  # decord leaks: measured 2 kB for a small picture, and said to be more elsewhere


@dataclass(frozen=True)
class Workforce:
    """The words of a `Stage` by the same names."""

    workers: PoolSize
    resources: Resources
    readers: Readers | None

    @property
    def is_split(self) -> bool:
        """Whether decoding has processes of its own."""
        return self.readers is not None


def workforce(settings: Settings, *parts: object, chunk: int, opens_per_item: int = 1) -> Workforce:
    """The processes for networks of these configs, which look at what readers have decoded.

    On a GPU each process holds a share of one, and all cores decode: what decodes is never what the GPU waits for,
    as long as there are cores. On cores alone the processes decode for themselves, unless `decode_workers` is set:
    what one of them decodes for another costs a copy, and there is no better place to decode. Readers are given
    `chunk` items at a time, and are replaced in time for what decord leaks.
    """
    on_gpu = wants_gpu(settings, *parts)
    resources = model_resources(settings, on_gpu=on_gpu)
    local = int(gpus() / resources.gpus) if on_gpu else settings.worker_cpus
    workers = _size(settings, settings.model_workers or max(1, local))
    if not on_gpu and settings.decode_workers is None:
        return Workforce(workers, resources, readers=None)
    readers = Readers(
        size=_size(settings, settings.decode_workers or settings.worker_cpus),
        chunk=chunk,
        handover_bytes=settings.handover_bytes,
        limits=PoolLimits(recycle_after=max(1, RECYCLE_AFTER_OPENS // (chunk * opens_per_item))),
    )
    return Workforce(workers, resources, readers)


def model_resources(settings: Settings, *, on_gpu: bool) -> Resources:
    """What a process that holds a model needs."""
    memory = None if settings.worker_memory_gib is None else int(settings.worker_memory_gib * 2**30)
    return Resources(gpus=(settings.gpu_share or 1.0) if on_gpu else 0.0, memory_bytes=memory)


def wants_gpu(settings: Settings, *parts: object) -> bool:
    """Whether networks of these configs run on a GPU: of this machine, or, with `gpu_share`, wherever Ray has one."""
    if settings.gpu_share is not None:
        return any(getattr(part, "device", "cpu") != "cpu" for part in parts)
    return is_on_gpu(*parts)


def _size(settings: Settings, most: int) -> PoolSize:
    """This machine keeps its processes; a cluster is given back what has nothing to do."""
    return PoolSize(most, least=1 if settings.ray_address else None)
