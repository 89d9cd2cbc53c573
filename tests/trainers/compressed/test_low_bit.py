"""Students that train with weights of few bits: what is written is what they computed with."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

import learning
from potstill.compression.formats import compressed_tensors
from potstill.compression.layerwise import block_layers
from potstill.compression.quantization.straight_through import binary, ternary
from potstill.errors import BadInput
from potstill.trainers import HardLabel, LoRA
from potstill.trainers.compressed.binary import Binary
from potstill.trainers.compressed.low_bit import LowBit
from potstill.trainers.compressed.qat import QAT
from potstill.trainers.compressed.ternary import Ternary

FEW = {"epochs": 1, "batch_size": 16}
ROWS = learning.rows(8)
IDS = torch.arange(3, 60)[None]


@pytest.fixture(scope="module")
def knowing(tmp_path_factory, student):
    """A student that knows the answers."""
    context = learning.context(tmp_path_factory.mktemp("knowing"))
    step = HardLabel(None, student=str(student), epochs=12, batch_size=4, learning_rate=5e-3)
    return step.run(learning.dataset(ROWS), str(student), context)


def train(folder, kind, student, teacher=None, **fields):
    """Train in `folder`; return its context."""
    context = learning.context(folder)
    step = kind(None, student=str(student), teacher=teacher and str(teacher), **fields)
    assert not list(step.check())
    step.run(learning.dataset(ROWS), str(student), teacher and str(teacher), context)
    return context


def loss(model):
    """Return the mean cross-entropy of the answers' tokens."""
    from transformers import AutoTokenizer

    from potstill.models.chat import encode
    from potstill.prompts import render

    tokenizer = AutoTokenizer.from_pretrained(model.name_or_path)
    total, count = 0.0, 0
    with torch.no_grad():
        for row in ROWS:
            ids, prompt = encode(tokenizer, render("answer.jinja", row), row["output"])
            logprobs = model(torch.tensor([ids])).logits[0, prompt - 1 : -1].float().log_softmax(-1)
            total -= float(logprobs[range(len(ids) - prompt), ids[prompt:]].sum())
            count += len(ids) - prompt
    return total / count


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


@pytest.mark.parametrize(("kind", "quantize", "bits"), [(Ternary, ternary, 1.58), (Binary, binary, 1)])
def test_training_beats_converting_and_writes_what_it_computed_with(tmp_path, knowing, kind, quantize, bits):
    context = train(tmp_path, kind, knowing, epochs=10, batch_size=4, learning_rate=3e-3)
    trained, converted = load(context.out), load(knowing)
    for path, layer in block_layers(trained).items():
        scales = layer.weight.abs().amax(1) if kind is Binary else layer.weight.abs().amax()[None]
        values = layer.weight / scales[:, None]
        assert set(values.unique().tolist()) == ({-1, 1} if kind is Binary else {-1, 0, 1}), path
    for layer in block_layers(converted).values():
        layer.weight.data = quantize(layer.weight.data).dequantize().float()
    assert loss(trained) < 0.7 * loss(converted)
    reported = context.notes["low_bit"]
    assert reported["bits"] == bits
    assert reported["bytes"] / reported["packed_bytes"] == pytest.approx(16 / bits, rel=0.1 if kind is Ternary else 0.3)


@pytest.mark.parametrize(
    "step",
    [Ternary(None, student="x"), Binary(None, student="x"), QAT(None, student="x"), QAT(None, student="x", bits=4)],
    ids=["ternary", "binary", "int8", "int4"],
)
def test_the_model_after_training_is_the_model_in_training(tmp_path, student, step):
    model = load(student)
    form = step.form()
    assert isinstance(form, LowBit)
    form.begin(model, None, None, 1)
    with torch.no_grad():
        layers = block_layers(model)
        seen = {path: form.fake.weight(layer.weight).clone() for path, layer in layers.items()}
        before = model(IDS).logits
    form.end(model, learning.context(tmp_path))
    for path, layer in layers.items():
        assert torch.equal(layer.weight, seen[path]), path
        assert torch.equal(layer.weight, layer.weight.bfloat16().float()), path
    if form.fake.activation_bits is None:
        assert torch.equal(model(IDS).logits, before)


@pytest.mark.parametrize("bits", [4, 8])
def test_the_integers_in_the_file_are_the_weights_of_the_last_forward_pass(tmp_path, student, bits):
    step = QAT(None, student=str(student), bits=bits, learning_rate=1e-3, **FEW)
    context = learning.context(tmp_path)
    step.run(learning.dataset(ROWS), str(student), None, context)
    checkpoint = load_file(next((tmp_path / "work" / "checkpoints").glob("checkpoint-*")) / "model.safetensors")
    tensors, fake = load_file(context.out / "model.safetensors"), step.form().fake
    for path in block_layers(load(student)):
        scale = tensors[f"{path}.weight_scale"].float()
        if bits == 8:
            values = tensors[f"{path}.weight"].float()
        else:
            values = compressed_tensors.unpack_int4(tensors[f"{path}.weight_packed"]).float()
        stored = (values * scale.repeat_interleave(values.shape[1] // scale.shape[1], 1)).bfloat16().float()
        # the trained, real weight is in the last checkpoint: what is stored is it, as the forward pass rounds it
        assert torch.equal(stored, fake.weight(checkpoint[f"{path}.weight"]).float()), path
    config = json.loads((context.out / "config.json").read_text())["quantization_config"]
    assert config["format"] == ("int-quantized" if bits == 8 else "pack-quantized")
    # transformers loads it, and it says what the dequantized model says
    loaded = AutoModelForCausalLM.from_pretrained(context.out, dtype=torch.bfloat16)
    assert torch.isfinite(loaded(IDS).logits).all()


def test_a_teacher_is_learned_from(tmp_path, knowing, teacher):
    context = train(tmp_path, Ternary, knowing, teacher, alpha=0.7, temperature=2.0, **FEW)
    assert {"soft", "hard", "divergence"} <= set(context.notes["curve"][0])


def test_what_does_not_go_together(tmp_path, student):
    assert {p.field for p in Ternary(None, student="x", lora=LoRA()).check()} == {"lora"}
    assert {p.field for p in Binary(None, student="x", hold_zeros=True).check()} == {"hold_zeros"}
    with pytest.raises(BadInput, match=r"groups of 128.*has 64; group_size that fits: 32 or 64"):
        train(tmp_path, QAT, student, bits=4, group_size=128, **FEW)


def test_gpt2_has_its_own_layers_again(tmp_path):
    from transformers.pytorch_utils import Conv1D

    import zeroing

    folder = zeroing.gpt2(tmp_path / "gpt2")
    context = train(tmp_path, Ternary, folder, **FEW)
    layer = AutoModelForCausalLM.from_pretrained(context.out).transformer.h[0].mlp.c_fc
    assert isinstance(layer, Conv1D) and len(layer.weight.unique()) == 3
    with pytest.raises(BadInput, match="stores its layers as Conv1D"):
        train(tmp_path / "int8", QAT, folder, **FEW)
