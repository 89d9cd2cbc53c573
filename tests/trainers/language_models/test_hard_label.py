"""Training on text: it learns, it doesn't depend on how a batch is split, and it survives a kill."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import learning
from potstill.errors import BadInput, PotstillError
from potstill.trainers import HardLabel, LoRA, QLoRA

SCRIPT = Path(__file__).parents[2] / "support" / "killed_training.py"


def train(folder, student, rows=None, **fields):
    """Train in `folder`; return its context."""
    context = learning.context(folder)
    step = HardLabel(None, student=str(student), **fields)
    step.run(learning.dataset(learning.rows() if rows is None else rows), str(student), context)
    return context


def test_overfits_sixteen_rows_and_answers_them(tmp_path, student):
    context = train(tmp_path, student, epochs=60, batch_size=8, learning_rate=5e-3)
    losses = [point["loss"] for point in context.notes["curve"]]
    assert losses[0] > 5 and losses[-1] < 0.05
    rows = learning.rows()
    assert learning.answers(tmp_path / "out", rows) == [row["output"] for row in rows]


def test_the_folder_is_a_deployable_model_without_traces_of_this_machine(tmp_path, student):
    context = train(tmp_path, student, epochs=1, batch_size=8)
    out = context.out
    assert all(tensor.dtype == torch.bfloat16 for tensor in learning.weights(out).values())
    generation = json.loads((out / "generation_config.json").read_text())
    assert (generation["eos_token_id"], generation["pad_token_id"]) == (2, 0)
    assert "<|im_start|>" in (out / "chat_template.jinja").read_text()
    assert "HardLabel" in (out / "README.md").read_text()
    for path in out.iterdir():
        assert str(tmp_path).encode() not in path.read_bytes() and str(student).encode() not in path.read_bytes()
    assert context.ledger.counts()["kept"] == 16
    assert context.notes["learning_rate"] == 1e-3


def test_the_same_run_writes_the_same_bytes_and_another_seed_does_not(tmp_path, student):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(tmp_path / name, student, epochs=2, batch_size=4, seed=seed)
    a, b, c = ({p.name: p.read_bytes() for p in (tmp_path / name / "out").iterdir()} for name in "abc")
    assert a == b
    assert a["model.safetensors"] != c["model.safetensors"]


def test_the_split_of_a_batch_changes_nothing(tmp_path, student):
    # rows of very different lengths: a mean of means would weigh their tokens differently
    rows = learning.rows(8)
    for number in (0, 3):
        rows[number]["output"] = rows[number]["output"] * 4
    curves, weights = [], []
    for name, budget in (("whole", 10**6), ("parts", 300), ("rows", 1)):
        context = train(
            tmp_path / name,
            student,
            rows,
            epochs=2,
            batch_size=8,
            learning_rate=1e-3,
            warmup=0,
            micro_batch_tokens=budget,
            precision="float32",
        )
        curves.append([(point["loss"], point["grad_norm"]) for point in context.notes["curve"]])
        weights.append(learning.weights(context.out))
    for curve in curves[1:]:
        assert torch.tensor(curve) == pytest.approx(torch.tensor(curves[0]), rel=1e-4)
    for other in weights[1:]:
        for name, tensor in other.items():
            torch.testing.assert_close(tensor, weights[0][name], atol=2e-3, rtol=2e-2)


def test_only_the_answer_is_learned(tmp_path, student):
    context = train(tmp_path, student, learning.rows(2), epochs=1, batch_size=2)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(student)
    expected = sum(len(tokenizer(row["output"])["input_ids"]) + 1 for row in learning.rows(2))
    assert context.notes["target tokens"] == expected


def test_a_student_whose_padding_is_its_end_of_turn_learns_to_stop(tmp_path, student):
    same = shutil.copytree(student, tmp_path / "student")
    settings = json.loads((same / "tokenizer_config.json").read_text())
    (same / "tokenizer_config.json").write_text(json.dumps(settings | {"pad_token": settings["eos_token"]}))
    context = train(tmp_path, same, epochs=60, batch_size=8, learning_rate=5e-3)
    rows = learning.rows()
    assert learning.answers(context.out, rows) == [row["output"] for row in rows]
    assert json.loads((context.out / "generation_config.json").read_text())["pad_token_id"] == 2


def test_zeros_are_held_when_asked(tmp_path, student):
    from safetensors.torch import save_file

    pruned = shutil.copytree(student, tmp_path / "pruned")
    tensors = learning.weights(student)
    masks = {name: torch.rand(t.shape) < 0.5 for name, t in tensors.items() if "proj" in name}
    for name, mask in masks.items():
        tensors[name][mask] = 0
    save_file(tensors, pruned / "model.safetensors", metadata={"format": "pt"})
    fields = {"epochs": 5, "batch_size": 8, "learning_rate": 5e-3, "weight_decay": 0.1}
    held = learning.weights(train(tmp_path / "held", pruned, hold_zeros=True, **fields).out)
    free = learning.weights(train(tmp_path / "free", pruned, **fields).out)
    for name, mask in masks.items():
        assert (held[name][mask] == 0).all()
        assert (free[name][mask] != 0).float().mean() > 0.9
        assert not torch.equal(held[name][~mask], tensors[name][~mask])


@pytest.fixture(scope="module")
def killed(tmp_path_factory, student):
    """Folder of the killed trainings of both kinds, how each ended, and what they printed."""
    folder = tmp_path_factory.mktemp("killed")
    path = os.pathsep.join([str(SCRIPT.parent), *sys.path])
    finished = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), str(student), "full", "lora"],
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    return folder, json.loads(finished.stdout.splitlines()[-1]), finished.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["full", "lora"])
def test_a_killed_training_ends_with_the_same_weights(killed, kind):
    """Killed at step 7 of 13, with a checkpoint every 3; while writing one; after the last step; after the last one."""
    folder, ended, errors = killed
    actual = ended[kind]
    assert actual["in the middle"] == {"ended": -9, "checkpoints": ["checkpoint-6"]}
    # the half-written checkpoint was thrown away, or this would have started at step 9, or failed
    assert actual["at the end"] == {"ended": -9, "checkpoints": ["checkpoint-12"]} and not actual["published"]
    for name in ("undisturbed", "resumed", "again"):
        assert actual[name] == {"ended": 0, "checkpoints": ["checkpoint-13"]}, errors
    for path in (folder / kind / "undisturbed" / "out").iterdir():
        assert path.read_bytes() == (folder / kind / "killed" / "out" / path.name).read_bytes(), path.name


def test_a_finished_training_is_not_trained_on(tmp_path, student):
    fields = {"epochs": 2.5, "batch_size": 4, "checkpoint_every": 1}
    first = learning.weights(train(tmp_path, student, **fields).out)
    context = train(tmp_path, student, **fields)
    assert all(torch.equal(first[name], tensor) for name, tensor in learning.weights(context.out).items())
    assert len(context.notes["curve"]) == 10


def test_rows_that_cant_be_trained_on_are_left_out_with_the_reason(tmp_path, student):
    rows = learning.rows(6)
    rows[0]["output"] = " "
    rows[1]["output"] = "x" * 4000
    rows = [row | {"finish_reason": "stop"} for row in rows]
    rows[2]["finish_reason"] = "length"
    counts = train(tmp_path, student, rows, epochs=1).ledger.counts()
    assert counts["kept"] == 3
    reasons = {"no output": 1, "longer than 512 tokens": 1, "the answer was cut at the teacher's token limit": 1}
    assert counts["filtered"] == reasons
    with pytest.raises(BadInput, match="no row to train on: 1 x no output"):
        train(tmp_path / "none", student, rows[:1])


def test_a_training_that_blows_up_says_so(tmp_path, student):
    with pytest.raises(PotstillError, match="lower the learning_rate"):
        train(tmp_path, student, epochs=20, batch_size=2, learning_rate=1e30, clip=1e30, warmup=0)


def test_a_quantized_student_is_refused(tmp_path, student):
    quantized = shutil.copytree(student, tmp_path / "quantized")
    config = json.loads((quantized / "config.json").read_text())
    (quantized / "config.json").write_text(json.dumps(config | {"quantization_config": {"quant_method": "fp8"}}))
    with pytest.raises(BadInput, match=r"is quantized \(fp8\): train the 16-bit one"):
        train(tmp_path / "run", quantized)


def test_contradicting_parameters_are_all_reported():
    step = HardLabel(None, student="x", lora=LoRA(), qlora=QLoRA(), hold_zeros=True)
    assert {problem.field for problem in step.check()} == {"qlora", "hold_zeros"}
    for adapter in (LoRA(dropout=0.1), LoRA(merge=False)):
        step = HardLabel(None, student="x", lora=adapter, hold_zeros=True)
        assert [problem.field for problem in step.check()] == ["hold_zeros"]
    assert not list(HardLabel(None, student="x", qlora=True).check())


def test_the_loss_from_states_is_that_of_the_logits():
    from potstill.models.hidden_states import Projection
    from potstill.trainers.language_models.base import CHUNK_TOKENS
    from potstill.trainers.language_models.chunked_losses import hard_objective

    generator = torch.Generator().manual_seed(0)
    states, weight = (torch.randn(size, 8, generator=generator, requires_grad=True) for size in (CHUNK_TOKENS + 44, 50))
    batch = {"labels": torch.randint(50, (len(states),), generator=generator)}
    dense = hard_objective(states @ weight.T, batch)
    wanted = torch.autograd.grad(dense.sum(), (states, weight))
    result = hard_objective(Projection(states, weight, None), batch)
    torch.testing.assert_close(result, dense)
    torch.testing.assert_close(torch.autograd.grad(result.sum(), (states, weight)), wanted)


def test_a_row_whose_prompt_shows_a_null_is_left_out_by_name(tmp_path, student):
    context = train(tmp_path, student, rows=[*learning.rows(4), {"instruction": None, "output": "None"}], epochs=1)
    assert context.ledger.kept == 4
    assert context.ledger.lost == {("filtered", "null in column instruction"): 1}


def test_a_student_stops_where_its_template_ends_a_turn(tmp_path, student):
    """ChatML over a base model's tokenizer, whose texts end by another token: Qwen2.5's base, Gemma, Phi."""
    same = shutil.copytree(student, tmp_path / "student")
    settings = json.loads((same / "tokenizer_config.json").read_text())
    (same / "tokenizer_config.json").write_text(json.dumps(settings | {"eos_token": "<|endoftext|>"}))
    config = json.loads((same / "config.json").read_text())
    (same / "config.json").write_text(json.dumps(config | {"eos_token_id": 0}))
    (same / "generation_config.json").write_text(json.dumps({"eos_token_id": 0, "pad_token_id": 0}))
    context = train(tmp_path, same, epochs=60, batch_size=8, learning_rate=5e-3)
    assert json.loads((context.out / "generation_config.json").read_text())["eos_token_id"] == [2, 0]
    rows = learning.rows()
    assert learning.answers(context.out, rows) == [row["output"] for row in rows]
