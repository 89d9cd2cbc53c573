"""Tensors are written as they come, under the names that transformers reads; a small model is one file as ever."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

import tiny
from potstill.compression.formats.shards import ShardWriter


@pytest.fixture
def tensors():
    torch.manual_seed(0)
    return {f"layer.{number}": torch.randn(8, 4, dtype=torch.bfloat16) for number in range(5)}


def test_what_fits_into_one_file_is_the_file_that_safetensors_writes(tmp_path, tensors):
    writer = ShardWriter(tmp_path / "out")
    for name, tensor in reversed(tensors.items()):
        writer.add({name: tensor})
    writer.finish()
    save_file(tensors, tmp_path / "whole.safetensors", metadata={"format": "pt"})
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.safetensors"]
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


def test_a_file_is_written_when_it_is_full(tmp_path, tensors):
    writer, size = ShardWriter(tmp_path, limit=2 * 8 * 4 * 2), []
    for name, tensor in tensors.items():
        writer.add({name: tensor})
        size.append(len(list(tmp_path.glob("*.safetensors"))))
    assert size == [0, 1, 1, 2, 2]
    writer.finish()
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == 5 * 64
    assert index["weight_map"].keys() == tensors.keys()
    assert sorted(set(index["weight_map"].values())) == [
        f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)
    ]
    for name, file in index["weight_map"].items():
        assert torch.equal(load_file(tmp_path / file)[name], tensors[name])


def test_transformers_reads_the_files(tmp_path):
    model = AutoModelForCausalLM.from_pretrained(tiny.causal_lm(tmp_path / "model"))
    writer = ShardWriter(tmp_path / "out", limit=1)
    for name, tensor in model.state_dict().items():
        if name != "lm_head.weight":
            writer.add({name: tensor})
    writer.finish()
    model.config.save_pretrained(tmp_path / "out")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(model.parameters(), again.parameters(), strict=True))


def test_weights_of_a_killed_run_are_removed(tmp_path, tensors):
    for name in ("model-00007.safetensors", "model-00001-of-00002.safetensors", "model.safetensors.index.json"):
        (tmp_path / name).write_bytes(b"")
    writer = ShardWriter(tmp_path)
    writer.add(tensors)
    writer.finish()
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
