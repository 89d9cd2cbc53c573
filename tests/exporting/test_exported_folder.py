from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

import exported
from potstill.compression.quantization_config import bits
from potstill.errors import BadInput
from potstill.exporting.decoders.compressed_tensors import CompressedTensors


@pytest.mark.parametrize(("precision", "dtype"), [("f16", torch.float16), ("bf16", torch.bfloat16)])
def test_a_model_is_cast_and_in_memory_has_the_weights_of_the_file(tmp_path, precision, dtype):
    source = exported.source(exported.causal(tmp_path / "model"))
    with torch.no_grad():
        source.model.model.norm.weight.fill_(1.0001)
    assert CompressedTensors(precision, needs_kernels=False).write(source, tmp_path).is_exact
    stored = load_file(tmp_path / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {dtype}
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == str(dtype).removeprefix("torch.")
    for name, weight in source.model.state_dict().items():
        assert weight.dtype == torch.float32
        assert torch.equal(weight, stored[name].float())


def test_a_quantized_model_is_not_cast(tmp_path):
    source = exported.source(exported.causal(tmp_path))
    config = json.loads((tmp_path / "config.json").read_text()) | {"quantization_config": exported.quantization(8)}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadInput, match="quantized already: precision must be 'as is'"):
        CompressedTensors("f16", needs_kernels=False).check(source)


def test_the_fewest_bits_count():
    mixed = {"config_groups": {"a": {"weights": {"num_bits": 8}}, "b": {"weights": {"num_bits": 4}}}}
    assert (bits(mixed), bits({})) == (4, 16)
