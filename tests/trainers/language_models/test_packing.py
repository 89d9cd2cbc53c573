"""Packed rows are computed like rows alone, whatever stands beside them."""

import pytest
import torch

import learning
import tiny
from potstill.errors import BadInput
from potstill.trainers import HardLabel, SoftLabel
from potstill.trainers.language_models.packing import pack, packed, packed_batches
from potstill.trainers.loop.examples import Example, micro_batches
from potstill.trainers.loop.schedule import CAUSAL

ROWS = [Example([5, 6, 7, 8, 9], 2), Example([4, 3, 2], 1), Example([9, 8, 7, 6, 5, 4], 5)]


def test_positions_restart_and_targets_are_those_of_the_rows():
    part = pack(ROWS[:2])
    assert part["input_ids"].tolist() == [[5, 6, 7, 8, 4, 3]]
    assert part["position_ids"].tolist() == [[0, 1, 2, 3, 0, 1]]
    assert part["keep"].tolist() == [1, 2, 3, 4, 5]
    assert part["labels"].tolist() == [7, 8, 9, 3, 2]


def test_parts_hold_the_budget_and_a_row_that_is_longer_stands_alone():
    assert [part["input_ids"].shape[1] for part in packed_batches(ROWS, 7)] == [5, 6]
    assert [part["input_ids"].shape[1] for part in packed_batches(ROWS, 1)] == [5, 4, 2]


def gpt2(folder):
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=2, n_positions=32)).eval()


def qwen3(folder):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny.causal_lm(folder), dtype=torch.float32).eval()


@pytest.mark.parametrize("make", [qwen3, gpt2])
def test_logits_are_those_of_rows_alone(tmp_path, make):
    model = make(tmp_path / "model")
    reading = packed(CAUSAL, model)
    order = sorted(ROWS, key=lambda row: -len(row.ids))
    alone = torch.cat([reading.logits(model, part) for row in order for part in micro_batches([row], 1)])
    (part,) = reading.parts(ROWS, 100)
    torch.testing.assert_close(reading.logits(model, part), alone)


def test_a_model_that_does_not_keep_rows_apart_is_refused(tmp_path):
    model = qwen3(tmp_path / "model")
    whole = model.forward
    model.forward = lambda position_ids=None, **inputs: whole(**inputs)
    with pytest.raises(BadInput, match="qwen3 model lets packed rows see each other"):
        packed(CAUSAL, model)


def test_training_is_the_same_packed_or_padded(tmp_path, student):
    result = []
    for packing in (False, True):
        context = learning.context(tmp_path / str(packing))
        step = HardLabel(None, student=str(student), epochs=2, batch_size=4, packing=packing)
        step.run(learning.dataset(learning.rows()), str(student), context)
        result.append((context.notes["curve"], learning.weights(context.out)))
    (padded, weights), (together, ours) = result
    assert [point["loss"] for point in together] == pytest.approx([point["loss"] for point in padded], rel=1e-4)
    for name, tensor in weights.items():
        torch.testing.assert_close(ours[name].float(), tensor.float(), rtol=0.05, atol=5e-3)


def test_a_live_teacher_reads_packed_rows_too(tmp_path, student):
    losses = []
    for packing in (False, True):
        context = learning.context(tmp_path / str(packing))
        step = SoftLabel(None, student=str(student), teacher=str(student), epochs=1, alpha=1.0, packing=packing)
        step.run(learning.dataset(learning.rows()), str(student), str(student), context)
        losses.append(context.notes["curve"][0]["loss"])
    assert losses[0] == pytest.approx(0, abs=1e-5) and losses[1] == pytest.approx(0, abs=1e-5)


def test_a_4_bit_student_is_left_as_it_is_by_the_probe(tmp_path, student):
    from potstill.trainers import QLoRA
    from potstill.trainers.loop.lora import load_base

    base = load_base(student, QLoRA(), torch.float32)
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    packed(CAUSAL, base.train())
    assert base.training
    assert not any(
        getattr(module.weight.quant_state, "packing_format_for_cpu", False)
        for module in base.modules()
        if type(module).__name__ == "Linear4bit"
    )
    assert all(torch.equal(tensor, before[name]) for name, tensor in base.state_dict().items())
