"""What this processor has no kernel for is refused before vLLM starts, in the step's process or as a server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import exported
from kernels import HAS_INT4
from potstill.errors import BadInput
from potstill.teachers.vllm.arguments import command_line, engine_arguments
from potstill.teachers.vllm.teacher import VLLM


@pytest.mark.parametrize("arguments", [engine_arguments, command_line])
def test_4_bit_weights_are_refused_where_there_is_no_kernel(arguments: Callable[[VLLM], Any], tmp_path: Path) -> None:
    folder = exported.causal(tmp_path / "model")
    teacher = VLLM(str(folder), max_model_length=64)
    assert arguments(teacher)
    config = json.loads((folder / "config.json").read_text()) | {"quantization_config": exported.quantization(4)}
    (folder / "config.json").write_text(json.dumps(config))
    if HAS_INT4:
        assert arguments(teacher)
        return
    with pytest.raises(BadInput, match=r"4-bit weights: this processor has no AVX-512.*Transformers\(model\)"):
        arguments(teacher)
