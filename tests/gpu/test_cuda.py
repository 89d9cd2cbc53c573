"""What a GPU computes is what the CPU does: a training step, losses, layers that are quantized or pruned."""

from __future__ import annotations

import copy

import pytest
import torch
from transformers import AutoModelForCausalLM

import learning
import tiny
from potstill.compression.layerwise import walk
from potstill.compression.pruning.sparsegpt import prune_layer
from potstill.compression.quantization import rounding
from potstill.compression.quantization.gptq import Hessian, layer_error, quantize_layer
from potstill.trainers.language_models.hard_label import HardLabel
from potstill.trainers.language_models.soft_label import SoftLabel
from potstill.trainers.loop.lora import QLoRA

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    return tiny.causal_lm(tmp_path_factory.mktemp("gpu") / "student")


def train(folder, student, kind=HardLabel, **fields):
    context = learning.context(folder)
    teacher = {"teacher": str(student)} if kind is SoftLabel else {}
    step = kind(None, student=str(student), batch_size=8, **{"epochs": 3, "learning_rate": 1e-3, **fields}, **teacher)
    step.run(learning.dataset(learning.rows(32)), str(student), context=context, **teacher)
    return context


def losses(context):
    return [point["loss"] for point in context.notes["curve"]]


def test_a_training_step_is_that_of_the_cpu(student):
    here = AutoModelForCausalLM.from_pretrained(student, dtype=torch.float32)
    there = copy.deepcopy(here).cuda()
    ids = torch.randint(0, 300, (4, 24), generator=torch.Generator().manual_seed(0))
    for model in (here, there):
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        tokens = ids.to(model.device)
        model(input_ids=tokens, labels=tokens).loss.backward()
        optimizer.step()
    pairs = list(zip(here.parameters(), there.parameters(), strict=True))
    for ours, theirs in pairs:
        torch.testing.assert_close(theirs.grad.cpu(), ours.grad, atol=1e-4, rtol=1e-3)
    # where a gradient is next to nothing its sign, and so AdamW's first step, is that of rounding
    apart = torch.cat([(theirs.cpu() - ours).abs().flatten() for ours, theirs in pairs])
    assert float(apart.median()) < 1e-6
    assert float(apart.max()) <= 2.1e-3


@pytest.mark.parametrize("kind", [HardLabel, SoftLabel])
def test_bfloat16_learns_as_float32_does(tmp_path, student, kind):
    half, full = (train(tmp_path / name, student, kind, precision=name) for name in ("bfloat16", "float32"))
    assert losses(half)[0] == pytest.approx(losses(full)[0], rel=0.02, abs=0.02)
    assert losses(half)[-1] == pytest.approx(losses(full)[-1], rel=0.1, abs=0.05)
    if kind is HardLabel:
        assert losses(half)[-1] < losses(half)[0] - 0.5


def test_packed_rows_give_the_losses_of_padded_ones(tmp_path, student):
    packed, padded = (
        train(tmp_path / str(packing), student, packing=packing, precision="float32") for packing in (True, False)
    )
    assert losses(packed) == pytest.approx(losses(padded), rel=1e-3)


def test_a_4_bit_base_learns(tmp_path, student):
    pytest.importorskip("bitsandbytes")
    context = train(tmp_path, student, qlora=QLoRA(rank=8, merge=False), learning_rate=5e-3)
    assert losses(context)[-1] < losses(context)[0] - 0.3


@pytest.fixture(scope="module")
def layer():
    torch.manual_seed(0)
    return torch.randn(64, 128), torch.randn(512, 128) @ torch.randn(128, 128)


def hessian_on(device, inputs):
    hessian = Hessian(inputs.shape[1], device)
    hessian.add(inputs.to(device))
    return hessian


def test_gptq_loses_as_little_on_the_gpu(layer):
    weight, inputs = layer
    here = hessian_on("cpu", inputs)
    torch.testing.assert_close(hessian_on("cuda", inputs).total.cpu(), here.total, rtol=1e-3, atol=1e-1)
    errors = {}
    for device in ("cpu", "cuda"):
        quantized = quantize_layer(weight.to(device), hessian_on(device, inputs), 4, 32, 0.01)
        assert quantized.values.device.type == device
        errors[device] = float(layer_error(weight, quantized.dequantize().cpu(), here.mean()).sum())
    nearest = rounding.quantize(weight, 4, 32).dequantize()
    assert errors["cuda"] < float(layer_error(weight, nearest, here.mean()).sum())
    assert errors["cuda"] == pytest.approx(errors["cpu"], rel=0.02)


def test_sparsegpt_loses_as_little_on_the_gpu(layer):
    weight, inputs = layer
    here, errors = hessian_on("cpu", inputs), {}
    for device in ("cpu", "cuda"):
        pruned = prune_layer(weight.to(device), hessian_on(device, inputs), 0.5, None, 0.01, None).weight.cpu()
        assert float((pruned == 0).float().mean()) == pytest.approx(0.5, abs=0.01)
        errors[device] = float(layer_error(weight, pruned, here.mean()).sum())
    assert errors["cuda"] == pytest.approx(errors["cpu"], rel=0.02)


def test_a_model_in_main_memory_goes_to_the_gpu_block_by_block(student):
    model = AutoModelForCausalLM.from_pretrained(student, dtype=torch.float32)
    batches = [torch.randint(0, 300, (2, 16), generator=torch.Generator().manual_seed(0))]
    at_home = [[states.clone() for states in block.inputs] for block in walk(model, batches, device="cpu")]
    for number, block in enumerate(walk(model, batches)):
        places = [next(module.parameters()).device.type for module in model.model.layers]
        assert places == ["cuda" if place == number else "cpu" for place in range(len(places))]
        for there, here in zip(block.inputs, at_home[number], strict=True):
            torch.testing.assert_close(there.cpu(), here, atol=1e-3, rtol=1e-3)
    assert {weight.device.type for weight in model.parameters()} == {"cpu"}
