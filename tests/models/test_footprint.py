"""Size and memory, measured on real files and processes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny
from potstill.compression.formats.compressed_tensors import pack_int4
from potstill.models.footprint import family, footprint, peak_memory


def test_a_dense_model(tmp_path):
    from transformers import AutoModelForCausalLM

    folder = tiny.causal_lm(tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(folder)
    size = footprint(folder)
    assert size.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert size.nonzero_parameters == sum(int((parameter != 0).sum()) for parameter in model.parameters())
    assert size.weights_bytes == (folder / "model.safetensors").stat().st_size
    assert size.folder_bytes > size.weights_bytes + (folder / "tokenizer.json").stat().st_size
    assert 16 <= size.bits_per_weight < 18
    (folder / "log.txt").write_text("what the store lays beside a model says nothing of its size")
    assert footprint(folder) == size


def test_zeros_are_seen_and_cost_what_they_did_before(tmp_path):
    folder = tiny.causal_lm(tmp_path / "model")
    dense = footprint(folder)
    tensors = load_file(folder / "model.safetensors")
    weight = tensors["model.layers.0.mlp.up_proj.weight"]
    weight[:, ::2] = 0
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    sparse = footprint(folder)
    assert dense.nonzero_parameters - sparse.nonzero_parameters == weight.numel() // 2
    assert abs(sparse.weights_bytes - dense.weights_bytes) < 64


@pytest.mark.parametrize("width", [16, 13])
def test_packed_weights_count_as_what_they_stand_for(tmp_path, width):
    values = torch.arange(3 * 16, dtype=torch.int8).reshape(3, 16) % 16 - 8
    values[:, width:] = 0  # the padding of a width that does not fill an int32
    save_file(
        {
            "a.weight_packed": pack_int4(values),
            "a.weight_shape": torch.tensor([3, width]),
            "a.weight_scale": torch.ones(3, 1),
            "b.weight": torch.tensor([[1, 0, -3]], dtype=torch.int8),
        },
        tmp_path / "model.safetensors",
    )
    size = footprint(tmp_path)
    assert size.parameters == 3 * width + 3
    assert size.nonzero_parameters == int((values[:, :width] != 0).sum()) + 2


def test_peak_memory_counts_a_child_and_what_was_freed():
    program = "import sys; a = bytearray(200_000_000); del a; print('ready', flush=True); sys.stdin.read()"
    before = peak_memory()
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        assert child.pid in list(family(os.getpid()))
        assert peak_memory() - before > 190_000_000
        assert peak_memory(child.pid) > 200_000_000
        child.stdin.close()
