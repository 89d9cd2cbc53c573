"""Adapters: learned over a full or 4-bit base, merged into a fresh one."""

import learning
import pytest
import torch

from potstill.trainers import HardLabel, LoRA, QLoRA
from potstill.trainers.lora import merge


def train(folder, student, **fields):
    context = learning.context(folder)
    step = HardLabel(None, student=str(student), epochs=60, batch_size=8, learning_rate=2e-2, **fields)
    step.run(learning.dataset(learning.rows()), str(student), context)
    return context


def logits(model, tokens):
    with torch.no_grad():
        return model.eval()(tokens).logits.float()


@pytest.mark.slow
@pytest.mark.parametrize("fields", [{"lora": LoRA(rank=8)}, {"qlora": QLoRA(rank=8)}], ids=["lora", "qlora"])
def test_merged_equals_adapters_beside_a_fresh_base(tmp_path, student, fields):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    context = train(tmp_path, student, **fields)
    assert context.notes["curve"][-1]["loss"] < 0.5 * context.notes["curve"][0]["loss"]
    tokens = torch.arange(3, 43)[None]
    base = AutoModelForCausalLM.from_pretrained(student, dtype=torch.float32)
    plain = logits(base, tokens)
    beside = logits(PeftModel.from_pretrained(base, str(tmp_path / "work" / "adapter")), tokens)
    assert (beside - plain).abs().max() > 1
    exact = logits(merge(student, tmp_path / "work" / "adapter"), tokens)
    torch.testing.assert_close(exact, beside, atol=1e-3, rtol=1e-3)
    # and so, but for bfloat16's rounding of the weights, does the folder, loaded in a way that knows of no adapters
    saved = logits(AutoModelForCausalLM.from_pretrained(context.out, dtype=torch.float32), tokens)
    assert (saved - beside).norm() < 0.05 * (beside - plain).norm()
    assert learning.weights(context.out).keys() == learning.weights(student).keys()


@pytest.mark.slow
def test_the_4_bit_base_is_really_in_4_bits_and_frozen(tmp_path, student):
    import bitsandbytes

    from potstill.trainers.lora import attach, load_base

    model = attach(load_base(student, QLoRA(rank=4), torch.float32), QLoRA(rank=4))
    layers = [module for module in model.modules() if isinstance(module, bitsandbytes.nn.Linear4bit)]
    assert len(layers) == 14 and all(layer.weight.dtype == torch.uint8 for layer in layers)
    assert all(layer.weight.quant_state.nested and layer.weight.quant_state.quant_type == "nf4" for layer in layers)
    learns = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert learns and all("lora_" in name for name in learns)


@pytest.mark.slow
def test_a_quantized_run_answers_like_its_4_bit_training(tmp_path, student):
    context = train(tmp_path, student, qlora=QLoRA(rank=16))
    rows = learning.rows(8)
    answered = learning.answers(context.out, rows)
    assert sum(a == row["output"] for a, row in zip(answered, rows, strict=True)) >= 6
