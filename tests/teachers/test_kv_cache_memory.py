"""The cache is what the sequences need, and no more than the limit."""

from __future__ import annotations

from pathlib import Path

import pytest

import tiny
from potstill.teachers import kv_cache_memory
from potstill.teachers.kv_cache_memory import cpu_cache


def test_a_small_model_gets_what_it_can_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(tiny.causal_lm(tmp_path / "tiny"))  # 2 layers, 1 head of keys and values, size 32, 512 positions
    token = 2 * 1 * 32 * 2 * 4
    assert cpu_cache(folder, None, 4, 256) == (1 + 4 * 3) * 128 * token
    assert cpu_cache(folder, None, 4, None) == (1 + 4 * 5) * 128 * token
    monkeypatch.setattr(kv_cache_memory, "LIMIT_GIB", 2.0**-10)
    assert cpu_cache(folder, None, 64, 512) == 2**20
