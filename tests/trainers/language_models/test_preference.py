"""Of two answers the better becomes likelier: the loss is the closed form, and nothing leaks through padding."""

import numpy as np
import pytest
import torch

import learning
from potstill.errors import BadInput
from potstill.trainers import LoRA
from potstill.trainers.language_models.preference import Preference, pair_example
from potstill.trainers.language_models.preference_batches import (
    PAIRS,
    PreferenceObjective,
    collate_pairs,
    longest,
    pair_parts,
    with_reference,
)
from potstill.trainers.loop.examples import store


def rows(count=8):
    """Return pairs of different lengths: the answer asked for, and one about the heating."""
    result = []
    for number, row in enumerate(learning.rows(count)):
        worse = row["output"].replace('"light"', '"heating"') + " and more" * (number % 3)
        result.append({"id": row["id"], "instruction": row["instruction"], "chosen": row["output"], "rejected": worse})
    return result


def train(folder, student, made=None, context=None, validation=None, **fields):
    """Train in `folder`; return its context."""
    context = context or learning.context(folder)
    fields = {"batch_size": 4, "warmup": 0, "learning_rate": 1e-3, **fields}
    step = Preference(None, student=str(student), validation=validation, **fields)
    more = {} if validation is None else {"validation": learning.dataset(validation)}
    step.run(rows=learning.dataset(rows() if made is None else made), student=str(student), context=context, **more)
    return context


def curve(context, *names):
    """Return figures of each step."""
    return torch.tensor([[point[name] for name in names or ("loss", "grad_norm")] for point in context.notes["curve"]])


def load(folder):
    """Return a model."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def examples_of(folder, student, made):
    """Return tokenized rows."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(student)
    return store((pair_example(row, tokenizer, "answer.jinja") for row in made), folder)


def logprob(model, prompt, answer):
    """Return the log-probability of an answer, read alone."""
    logits = model(torch.tensor([[*prompt, *answer]])).logits[0, len(prompt) - 1 : -1]
    return logits.log_softmax(-1)[range(len(answer)), list(answer)].sum()


def closed_form(model, reference, examples, beta):
    """Return equation 7 of the paper, pair by pair, in the plainest way."""
    losses = []
    for number in range(len(examples)):
        example = examples[number]
        ids, chosen = [int(token) for token in example.ids], int((example.top_ids == 0).sum())
        prompt, answers = ids[: example.prompt], ids[example.prompt :]
        better, worse = (
            logprob(model, prompt, answer) - logprob(reference, prompt, answer).detach()
            for answer in (answers[:chosen], answers[chosen:])
        )
        losses.append(-torch.log(torch.sigmoid(beta * (better - worse))))
    return torch.stack(losses)


def test_loss_and_gradient_are_the_closed_form_however_pairs_are_padded_and_split(tmp_path, student, teacher):
    model, reference = load(student), load(teacher)
    examples = with_reference(examples_of(tmp_path, student, rows(5)), reference, 400, bf16=False, folder=tmp_path)
    expected = closed_form(model, reference, examples, 0.5)
    expected.sum().backward()
    gradients = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    for budget in (10**6, 300, 1):
        model.zero_grad()
        total = torch.zeros(())
        for part in pair_parts([examples[number] for number in range(5)], budget):
            losses = PreferenceObjective(0.5)(PAIRS.logits(model, part), part).total()
            losses.sum().backward()
            total += losses.sum().detach()
        torch.testing.assert_close(total, expected.sum().detach(), rtol=1e-5, atol=1e-5)
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-3, atol=1e-5)
    parts = pair_parts([examples[number] for number in range(5)], 300)
    assert len(parts) > 1 and sum(len(part["labels"]) for part in parts) == 5
    assert all(part["input_ids"].numel() <= 300 for part in parts)
    # a pair alone is what it is among longer ones
    batch = collate_pairs([examples[number] for number in range(5)])
    together = PreferenceObjective(0.5)(PAIRS.logits(model, batch), batch).total()
    torch.testing.assert_close(together, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_loss_and_gradient_are_those_of_trl(tmp_path, student, teacher):
    from datasets import Dataset
    from transformers import AutoTokenizer

    trl = pytest.importorskip("trl")
    result, tokenizer = rows(5), AutoTokenizer.from_pretrained(student)
    text = [
        {
            "prompt": tokenizer.apply_chat_template(
                [{"role": "user", "content": row["instruction"]}], tokenize=False, add_generation_prompt=True
            ),
            "chosen": row["chosen"],
            "rejected": row["rejected"],
        }
        for row in result
    ]
    model, reference = load(student), load(teacher)
    arguments = trl.DPOConfig(
        str(tmp_path / "trl"), beta=0.5, use_cpu=True, bf16=False, gradient_checkpointing=False, report_to=[]
    )
    trainer = trl.DPOTrainer(
        model, load(teacher), args=arguments, train_dataset=Dataset.from_list(text), processing_class=tokenizer
    )
    theirs = trainer.compute_loss(model, trainer.data_collator([trainer.train_dataset[n] for n in range(5)]))
    theirs.backward()
    norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters()])
    model = load(student)
    examples = with_reference(examples_of(tmp_path, student, result), reference, 400, bf16=False, folder=tmp_path)
    batch = collate_pairs([examples[number] for number in range(5)])
    ours = PreferenceObjective(0.5)(PAIRS.logits(model, batch), batch).total().mean()
    ours.backward()
    torch.testing.assert_close(ours, theirs)
    ours_norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters()])
    torch.testing.assert_close(ours_norm, norm, rtol=1e-4, atol=0)


def test_the_margin_rises_from_nothing_and_the_chosen_answer_wins(tmp_path, student):
    context = train(tmp_path, student, epochs=5, validation=rows(12)[8:], beta=0.5, learning_rate=2e-3)
    points = context.notes["curve"]
    assert points[0]["loss"] == pytest.approx(np.log(2), abs=1e-4) and points[0]["margin"] == pytest.approx(0, abs=1e-4)
    assert points[-1]["loss"] < 0.5 and points[-1]["margin"] > 0.5 and points[-1]["accuracy"] == 1
    assert points[-1]["chosen_reward"] > points[-1]["rejected_reward"]
    held = context.notes["evaluations"]
    assert held[-1]["validation_loss"] < held[0]["validation_loss"] < np.log(2)
    card = (context.out / "README.md").read_text()
    assert "share of pairs in order" in card and "Preference" in card and "| beta | 0.5 |" in card
    assert learning.weights(context.out).keys() == learning.weights(student).keys()


def test_the_split_of_a_batch_changes_nothing(tmp_path, student):
    whole, single = (
        train(tmp_path / str(budget), student, rows(4), epochs=2, micro_batch_tokens=budget) for budget in (10**6, 1)
    )
    torch.testing.assert_close(curve(single), curve(whole), rtol=1e-3, atol=1e-6)


def test_a_killed_run_ends_with_the_same_weights(tmp_path, student):
    fields = {"epochs": 2, "checkpoint_every": 3, "lora": LoRA(rank=4, dropout=0.1), "learning_rate": 1e-2}
    whole = train(tmp_path / "whole", student, **fields)
    assert whole.notes["curve"][0]["loss"] == pytest.approx(np.log(2), rel=0.05)

    def stop(done, total=None, **_):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(None, student, context=learning.context(tmp_path / "cut", progress=stop), **fields)
    assert list((tmp_path / "cut" / "work" / "checkpoints").glob("checkpoint-3"))
    resumed = learning.weights(train(tmp_path / "cut", student, **fields).out)
    for name, tensor in learning.weights(whole.out).items():
        assert torch.equal(resumed[name], tensor)


def test_pairs_that_say_nothing_are_left_out_with_the_reason(tmp_path, student):
    result = [row | {"tie": False} for row in rows(7)]
    result[0]["rejected"] = result[0]["chosen"]
    result[1]["tie"] = True
    result[2]["chosen"] = None
    result[3]["rejected"] = " "
    result[4]["rejected"] = "x" * 400
    context = train(tmp_path, student, result, epochs=1, max_length=150)
    counts = context.ledger.counts()
    reasons = (
        "chosen and rejected are equal",
        "tie",
        "no chosen answer",
        "no rejected answer",
        "longer than 150 tokens",
    )
    assert counts["kept"] == 2 and counts["filtered"] == dict.fromkeys(reasons, 1)
    with pytest.raises(BadInput, match="no row to train on: 1 x tie"):
        train(tmp_path / "none", student, result[1:2])


def test_the_longer_text_of_a_pair_is_its_length_not_both(tmp_path, student):
    examples = examples_of(tmp_path, student, rows(1))
    both = len(examples[0].ids)
    assert longest(examples[0]) < both
    context = train(tmp_path / "run", student, rows(1), epochs=1, max_length=longest(examples[0]))
    assert context.ledger.counts()["kept"] == 1


def test_the_columns_and_the_rate_that_it_takes():
    step = Preference(None, student="s", prompt="{{ question }}")
    assert step.needs() == {"rows": ("chosen", "rejected", "question")}
    assert step.usual_rate(7 * 10**9) == pytest.approx(6e-7, rel=0.05)
