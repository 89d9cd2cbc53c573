from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM

import compressing
import tiny
from potstill.errors import BadInput
from potstill.steps.quantization.layerwise_distill import LayerwiseDistill


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.causal_lm(tmp_path_factory.mktemp("layerwise") / "model")


def run(folder, tmp_path, **fields):
    rows, context = compressing.rows(8), compressing.context(tmp_path)
    step = LayerwiseDistill(str(folder), calibration=rows, **fields)
    return step.run(str(folder), rows, context), context


@pytest.mark.parametrize("bits", [4, 8])
def test_every_block_is_at_least_as_good_as_rounded_and_the_folder_loads(folder, tmp_path, bits):
    out, context = run(folder, tmp_path, bits=bits, passes=2)
    assert [reported["block"] for reported in context.notes["blocks"]] == ["model.layers.0", "model.layers.1"]
    for reported in context.notes["blocks"]:
        assert 0 < reported["distilled"] <= reported["rounded"]
    model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.bfloat16)
    assert model.config.quantization_config.quant_method == "compressed-tensors"
    assert context.notes["agreement"]["top1"] > 0.8
    assert f"int{bits}" in (out / "README.md").read_text()


def test_widths_that_groups_do_not_fit(folder, tmp_path):
    with pytest.raises(BadInput, match="group_size that fits: 32 or 64"):
        run(folder, tmp_path, group_size=128)
