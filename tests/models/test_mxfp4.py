"""gpt-oss as its makers store it, with experts in MXFP4, is taken as the 16-bit model that its numbers stand for."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

import compressing
import typed_models
from potstill import steps
from potstill.errors import BadInput
from potstill.models.folder import with_head
from potstill.trainers.loop.student_model import refuse_quantized

VALUES = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A folder, and the weights of its experts by name [E, I, O]."""
    folder = typed_models.folder(tmp_path_factory.mktemp("mxfp4") / "model", "gpt-oss")
    tensors, dense, draw = load_file(folder / "model.safetensors"), {}, torch.Generator().manual_seed(0)
    for name in [name for name in tensors if name.endswith(("experts.gate_up_proj", "experts.down_proj"))]:
        experts, inputs, outputs = tensors.pop(name).shape
        codes = torch.randint(0, 16, (experts, outputs, inputs), generator=draw)
        scales = torch.randint(120, 128, (experts, outputs, inputs // 32), generator=draw)
        dense[name] = (VALUES[codes] * 2.0 ** (scales - 127).repeat_interleave(32, -1)).mT
        pairs = codes.reshape(experts, outputs, inputs // 32, 16, 2)
        tensors[f"{name}_blocks"] = (pairs[..., 0] | pairs[..., 1] << 4).to(torch.uint8)
        tensors[f"{name}_scales"] = scales.to(torch.uint8)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    kept = ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"]
    config["quantization_config"] = {"quant_method": "mxfp4", "modules_to_not_convert": kept}
    (folder / "config.json").write_text(json.dumps(config))
    return folder, dense


def test_its_numbers_are_those_of_the_16_bit_model(stored):
    folder, dense = stored
    model = with_head(folder, torch.bfloat16)
    assert getattr(model.config, "quantization_config", None) is None
    for name, weight in dense.items():
        assert torch.equal(model.get_parameter(name).float(), weight)


def test_experts_are_pruned_and_quantized(stored, tmp_path):
    given = {"calibration": compressing.rows(8), "max_length": 96}
    out, _ = compressing.run_step(steps.ExpertPrune, stored[0], tmp_path, "pruned", experts=3, **given)
    assert with_head(out).config.num_local_experts == 3
    compressing.run_step(steps.QuantizeInt8, stored[0], tmp_path, "int8")


def test_trainers_name_what_makes_it_a_16_bit_model(stored):
    with pytest.raises(BadInput, match=r"\(mxfp4\): train what CastHalf\(model\) makes of it"):
        refuse_quantized(stored[0])
