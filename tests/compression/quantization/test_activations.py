from __future__ import annotations

import torch
from torch import nn

from potstill.compression.quantization import fp8, rounding
from potstill.compression.quantization.activations import as_served


def test_layers_read_what_their_kernels_will_be_fed():
    """Of 8-bit weights inputs of the same kind, of 4-bit weights and of layers left in 16 bits those of 16."""
    torch.manual_seed(0)
    model = nn.ModuleDict({name: nn.Linear(64, 32) for name in ("int8", "fp8", "int4", "wide")})
    inputs = torch.randn(5, 64)
    expected = {"int8": rounding.fake_quantize_tokens(inputs), "fp8": fp8.fake_quantize_tokens(inputs)}
    with as_served(model, {"int8": "int", "fp8": "float"}):
        for name, layer in model.items():
            rounded = expected.get(name, inputs)
            assert torch.equal(layer(inputs), nn.functional.linear(rounded, layer.weight, layer.bias)), name
    assert torch.equal(model["int8"](inputs), nn.functional.linear(inputs, model["int8"].weight, model["int8"].bias))
