from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM

import compressing
from cutting import folder, run
from potstill.compression.sharing import grouped
from potstill.errors import BadInput
from potstill.steps.compression.share_weights import ShareWeights

ROWS = compressing.rows()


def shared(path, tmp_path, **fields):
    return run(ShareWeights(str(path), calibration=ROWS, **fields), path, ROWS, tmp_path)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    return folder(tmp_path_factory.mktemp("share") / "model", "qwen3")


def test_the_blocks_of_a_group_have_the_mean_of_their_weights(qwen, tmp_path):
    out, context = shared(qwen, tmp_path, groups=2)
    layers, old = (AutoModelForCausalLM.from_pretrained(path).model.layers for path in (out, qwen))
    assert context.notes["groups"] == [[0], [1, 2]]
    for name, weight in layers[1].state_dict().items():
        mean = (old[1].state_dict()[name] + old[2].state_dict()[name]) / 2
        assert torch.allclose(weight, mean, atol=1e-6)
        assert torch.equal(weight, layers[2].state_dict()[name])
        assert torch.equal(layers[0].state_dict()[name], old[0].state_dict()[name])
    block = sum(parameter.numel() for parameter in old[0].parameters())
    parameters = context.notes["parameters"]
    assert parameters["before"] - parameters["stored once"] == block


def test_groups_of_one_block_are_the_model(qwen, tmp_path):
    out, context = shared(qwen, tmp_path, groups=3)
    assert (out / "model.safetensors").read_bytes() == (qwen / "model.safetensors").read_bytes()
    assert context.notes["agreement"] == {"kl": 0.0, "top1": 1.0}


def test_groups_are_as_equal_as_can_be():
    assert grouped(12, 3) == [list(range(4)), list(range(4, 8)), list(range(8, 12))]
    assert grouped(5, 1) == [[0, 1, 2, 3, 4]]


def test_more_groups_than_blocks(qwen, tmp_path):
    with pytest.raises(BadInput, match="the model has 3 blocks, not 4"):
        shared(qwen, tmp_path, groups=4)
