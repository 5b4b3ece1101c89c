"""Weight files damaged at random: whatever the bytes come to mean, one clear error or finite tensors."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from safetensors.torch import save_file

from uniform_core.errors import ConfigError
from uniform_core.weights.reading import read_tensors

TENSORS = {"a.weight": torch.arange(12.0).reshape(3, 4), "a.bias": torch.ones(3, dtype=torch.bfloat16)}


def test_no_damage_raises_anything_but_one_clear_error(tmp_path: Path) -> None:
    """Bytes changed, lost and put in at random places of every form: libraries raise all kinds of things."""
    save_file(TENSORS, tmp_path / "s.safetensors")
    torch.save(TENSORS, tmp_path / "z.pth")
    torch.save(TENSORS, tmp_path / "l.bin", _use_new_zipfile_serialization=False)
    chance, refused = random.Random(0), 0
    for form in sorted(tmp_path.iterdir()) * 80:
        data = bytearray(form.read_bytes())
        place = chance.randrange(len(data))
        data[place : place + chance.randrange(4)] = chance.randbytes(chance.randrange(4))
        path = tmp_path / f"damaged{form.suffix}"
        path.write_bytes(data)
        try:
            tensors = read_tensors(path)
        except ConfigError:
            refused += 1
        else:
            assert all(bool(tensor.float().isfinite().all()) for tensor in tensors.values())
    assert refused > 100
