"""The student writes, the teacher scores: it comes closer, whatever is padded, split, or interrupted."""

import json
import shutil
from itertools import count

import numpy as np
import pytest
import torch

import learning
import tiny
from potstill.errors import BadInput
from potstill.trainers import LoRA, SoftLabel
from potstill.trainers.language_models.on_policy import OnPolicy
from potstill.trainers.language_models.rollouts import Draws, Mixture, TransformersSampler, Writing
from potstill.trainers.loop.examples import Example, collate

ENDS = (2, 0)


@pytest.fixture(scope="module")
def sharp(tmp_path_factory, teacher):
    """A teacher that is sure of something, as a trained one is."""
    from safetensors.torch import save_file

    folder = shutil.copytree(teacher, tmp_path_factory.mktemp("sharp") / "teacher")
    tensors = learning.weights(folder)
    tensors["model.norm.weight"] = tensors["model.norm.weight"] * 8
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def blurred(tmp_path_factory, learned):
    """A student that can answer a little: what has learned the answers, with noise on its weights."""
    from safetensors.torch import save_file

    folder = shutil.copytree(learned, tmp_path_factory.mktemp("blurred") / "student")
    torch.manual_seed(0)
    tensors = {
        name: tensor + 0.05 * torch.randn(tensor.shape).to(tensor.dtype) if tensor.ndim > 1 else tensor
        for name, tensor in learning.weights(folder).items()
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def train(folder, student, teacher, rows=None, context=None, **fields):
    """Train in `folder`; return its context."""
    context = context or learning.context(folder)
    fields = {"batch_size": 4, "max_tokens": 12, "warmup": 0, "learning_rate": 3e-3, **fields}
    step = OnPolicy(None, student=str(student), teacher=str(teacher), **fields)
    rows = [{"id": row["id"], "instruction": row["instruction"]} for row in learning.rows(8)] if rows is None else rows
    step.run(learning.dataset(rows), str(student), str(teacher), context)
    return context


def curve(context):
    """Return loss and gradient norm of each step."""
    return torch.tensor([(point["loss"], point["grad_norm"]) for point in context.notes["curve"]])


def load(folder):
    """Return a model."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def prompts(folder, rows):
    """Return the tokens of the rows' prompts."""
    from transformers import AutoTokenizer

    from potstill.models.chat import prompt_ids
    from potstill.prompts import render

    tokenizer = AutoTokenizer.from_pretrained(folder)
    return [prompt_ids(tokenizer, render("answer.jinja", row)) for row in rows]


def reverse_kl(student, teacher, rows):
    """Return the mean of KL(student || teacher) over tokens that the student writes, in the plainest way."""
    model, judge = load(student), load(teacher)
    sampler = TransformersSampler(model, Writing(12, 1.0, ENDS, 10**6), 64)
    actual, starts = [], prompts(student, rows)
    for prompt, text in zip(starts, sampler(starts, np.arange(len(rows), dtype=np.uint64)), strict=True):
        with torch.no_grad():
            ours, theirs = (
                each(torch.tensor([prompt + text])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
                for each in (model, judge)
            )
        actual.append((ours.exp() * (ours - theirs)).sum(-1))
    return float(torch.cat(actual).mean())


@pytest.mark.parametrize("fields", [{"learning_rate": 2e-3}, {"learning_rate": 1e-2, "lora": LoRA(rank=8)}])
def test_comes_closer_to_the_teacher_on_prompts_that_it_never_saw(tmp_path, blurred, learned, fields):
    result = learning.rows(16)
    context = train(tmp_path, blurred, learned, result[:12], epochs=4, max_tokens=16, **fields)
    before, after = (reverse_kl(folder, learned, result[12:]) for folder in (blurred, context.out))
    assert after < 0.25 * before, (before, after)
    assert learning.weights(context.out).keys() == learning.weights(blurred).keys()
    points = context.notes["curve"]
    assert points[-1]["agreement"] > points[0]["agreement"]
    written = context.notes["written"]
    assert len(written) == len(points) and all(1 <= point["mean length"] <= 16 for point in written)
    card = (context.out / "README.md").read_text()
    assert "mean length" in card and "share cut" in card and "target tokens" not in card


def test_how_a_batch_is_split_and_written_changes_nothing(tmp_path, student, sharp):
    rows = learning.rows(8)
    rows[3]["instruction"] += " and please do it as soon as you can" * 3
    fields = {"epochs": 2, "precision": "float32"}
    whole, single = (
        train(tmp_path / str(budget), student, sharp, rows, micro_batch_tokens=budget, rows_at_once=at_once, **fields)
        for budget, at_once in ((10**6, 64), (1, 3))
    )
    torch.testing.assert_close(curve(single), curve(whole), rtol=1e-3, atol=0)
    lengths = ([point["mean length"] for point in context.notes["written"]] for context in (whole, single))
    assert next(lengths) == pytest.approx(next(lengths))


def test_a_killed_run_writes_the_same_texts_and_ends_with_the_same_weights(tmp_path, student, sharp):
    fields = {"epochs": 2, "checkpoint_every": 3}
    whole = train(tmp_path / "whole", student, sharp, **fields)

    def stop(done, total=None, **_):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(None, student, sharp, context=learning.context(tmp_path / "cut", progress=stop), **fields)
    assert list((tmp_path / "cut" / "work" / "checkpoints").glob("checkpoint-3"))
    resumed = train(tmp_path / "cut", student, sharp, **fields)
    ours, theirs = learning.weights(resumed.out), learning.weights(whole.out)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert resumed.notes["written"] == whole.notes["written"]


def test_a_share_of_almost_none_is_soft_labels_on_the_datas_answers(tmp_path, student, sharp):
    fields = {"epochs": 1, "batch_size": 4, "warmup": 0, "learning_rate": 1e-3}
    ours = train(tmp_path / "a", student, sharp, learning.rows(8), on_policy_share=1e-9, max_tokens=64, **fields)
    context = learning.context(tmp_path / "b")
    step = SoftLabel(None, student=str(student), teacher=str(sharp), alpha=1.0, divergence="reverse_kl", **fields)
    step.run(learning.dataset(learning.rows(8)), str(student), str(sharp), context)
    torch.testing.assert_close(curve(ours), curve(context))
    with pytest.raises(BadInput, match="no output"):
        train(tmp_path / "c", student, sharp, on_policy_share=0.5)
    assert OnPolicy(None, student="s", teacher="t").needs() == {"rows": ("instruction",)}
    assert OnPolicy(None, student="s", teacher="t", on_policy_share=0.5).needs() == {"rows": ("instruction", "output")}


def test_of_a_mixture_the_share_is_rewritten_and_the_rest_left():
    rows = [Example([5, 6, number], 2) for number in range(400)]
    asked = []

    def sampler(prompts, seeds):
        asked.append(seeds.tolist())
        return [[7, 7, 2]] * len(prompts)

    mixture = Mixture(sampler, 0.25, 0, count(1))
    result = mixture(rows)
    own = [row for row in result if list(row.ids) == [5, 6, 7, 7, 2]]
    assert 70 < len(own) < 130 and len(set(asked[0])) == len(own)
    assert sum(new is row for row, new in zip(rows, result, strict=True)) == len(rows) - len(own)
    # other draws at the next step; the same in a run that resumes from there; rows to evaluate on always alike
    mixture(rows)
    Mixture(sampler, 0.25, 0, count(2))(rows)
    with torch.no_grad():
        mixture(rows)
        mixture(rows)
    first, second, resumed, evaluated, again = asked
    assert second == resumed != first and evaluated == again != first


def gpt2(folder, student):
    """Save a model whose positions are absolute, so that padding on the left would show."""
    from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

    tokenizer = AutoTokenizer.from_pretrained(student)
    torch.manual_seed(3)
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=128, n_embd=32, n_layer=2, n_head=2, eos_token_id=2)
    model = GPT2LMHeadModel(config)
    model.transformer.wpe.weight.data *= 20
    model.transformer.ln_f.weight.data *= 4
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", ["relative", "absolute"])
def test_a_row_writes_the_same_beside_longer_prompts(tmp_path, student, kind):
    model = load(student if kind == "relative" else gpt2(tmp_path, student))
    model.generation_config.repetition_penalty = 5.0  # how it is served is not what it says
    sampler = TransformersSampler(model, Writing(10, 1.0, ENDS, 10**6), 64)
    result = learning.rows(3)
    result[1]["instruction"] *= 3
    starts, seeds = prompts(student, result), np.arange(3, dtype=np.uint64)
    together = sampler(starts, seeds)
    alone = [sampler([start], seeds[number : number + 1])[0] for number, start in enumerate(starts)]
    assert together == alone
    assert model.generation_config.repetition_penalty == 5.0
    assert all(len(text) == 10 or text[-1] in ENDS for text in together)
    # and what it writes is what its logits say at that very place
    uniform = np.random.default_rng(seeds[0]).random(10)
    ids = list(starts[0])
    for number in uniform[: len(alone[0])]:
        with torch.no_grad():
            cumulative = model(torch.tensor([ids])).logits[0, -1].double().softmax(-1).cumsum(-1)
        ids.append(int((cumulative <= number * cumulative[-1]).sum()))
    assert ids[len(starts[0]) :] == alone[0]


def test_draws_follow_the_softened_distribution_and_stay_within_the_vocabulary():
    rows = 20_000
    scores = torch.tensor([2.0, 0.0, 1.0, float("-inf"), 9.0])
    uniform = torch.rand(rows, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    uniform[0, 1], uniform[1, 1] = 0.0, 1 - 2**-53
    draws = Draws(uniform, 3, Writing(2, 2.0, ENDS, 4))
    drawn = draws(torch.zeros(rows, 4, dtype=torch.long), scores.expand(rows, 5)).argmax(-1)
    shares = torch.bincount(drawn, minlength=5) / rows
    torch.testing.assert_close(shares[:4], (scores[:4] / 2).softmax(-1), atol=0.015, rtol=0)
    assert shares[4] == 0


def test_a_student_that_ends_its_turn_otherwise_is_refused_with_the_remedy(tmp_path, student, sharp):
    base = shutil.copytree(student, tmp_path / "base")
    settings = json.loads((base / "tokenizer_config.json").read_text())
    (base / "tokenizer_config.json").write_text(json.dumps(settings | {"eos_token": "<|endoftext|>"}))
    (base / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }}\n{% endfor %}")
    with pytest.raises(BadInput) as error:
        train(tmp_path / "run", base, sharp)
    for text in ("'<|endoftext|>'", "'<|im_end|>'", "chat_template.jinja", "HardLabel or SequenceLevel"):
        assert text in str(error.value)


def test_another_chat_template_is_warned_of(tmp_path, student, sharp):
    other = shutil.copytree(student, tmp_path / "other")
    template = other / "chat_template.jinja"
    template.write_text(template.read_text() + " ")
    context = train(tmp_path / "run", other, sharp, epochs=0.5)
    assert "isn't the teacher's" in context.notes["warnings"][0]


def test_another_vocabulary_is_refused_before_and_while_running(tmp_path, student):
    other = tiny.causal_lm(tmp_path / "other", vocab_size=300)
    [problem] = OnPolicy(None, student=str(student), teacher=str(other)).check()
    for text in ("student's vocabulary", "teacher's", "SequenceLevel", "ULD"):
        assert text in problem.message
    with pytest.raises(BadInput, match=r"SequenceLevel.*ULD"):
        train(tmp_path / "run", student, other)


def test_what_cant_be_done_is_refused(tmp_path, student, sharp):
    from potstill import VLLM

    step = OnPolicy(None, student="s", teacher="t", max_tokens=512, beta=0.3, sharding=True, processes=2)
    assert {problem.field for problem in step.check()} == {"max_tokens", "beta", "sharding"}
    with pytest.raises(BadInput, match="system prompt of its own"):
        teacher = VLLM(str(sharp), system="Be brief.")
        step = OnPolicy(None, student=str(student), teacher=teacher)
        step.run(learning.dataset(learning.rows(2)), str(student), teacher, learning.context(tmp_path / "a"))
    with pytest.raises(BadInput, match="only 512 positions"):
        train(tmp_path / "b", student, sharp, max_length=4096, max_tokens=1024)
    with pytest.raises(BadInput, match="no room for 490"):
        train(tmp_path / "c", student, sharp, max_tokens=490)
    if not torch.cuda.is_available():
        with pytest.raises(BadInput, match="there is none"):
            train(tmp_path / "d", student, sharp, sampler="vllm")


def test_padding_of_the_output_layer_is_neither_written_nor_compared(tmp_path, student, sharp):
    wide = tmp_path / "wide"
    model = load(student)
    model.resize_token_embeddings(model.config.vocab_size + 8)
    model.lm_head.weight.data[-8:] = 5.0
    model.save_pretrained(wide)
    tiny_tokenizer = shutil.copytree(student, tmp_path / "copy")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(tiny_tokenizer / name, wide / name)
    plain, padded = (train(tmp_path / name, folder, sharp, epochs=1) for name, folder in (("a", student), ("b", wide)))
    # the norm differs by what the padding's own weights would get, which is nothing
    torch.testing.assert_close(curve(padded), curve(plain), rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_trl_still_has_what_the_vllm_sampler_names():
    from inspect import signature

    generation = pytest.importorskip("trl.generation.vllm_generation")
    assert {"sync_weights", "generate"} <= set(dir(generation.VLLMGeneration))
    names = set(signature(generation.VLLMGeneration.__init__).parameters)
    assert names >= {
        "model",
        "accelerator",
        "processing_class",
        "mode",
        "gpu_memory_utilization",
        "max_model_length",
        "max_num_seqs",
        "temperature",
        "max_completion_length",
        "logprobs",
    }
    result = generation.SamplingParams(
        temperature=1.0, max_tokens=4, stop_token_ids=[2], allowed_token_ids=None, seed=1, detokenize=False
    )
    assert result.seed == 1


def test_the_figures_of_texts_add_up_over_steps():
    from potstill.trainers.language_models.on_policy_objective import lengths, rates

    batch = collate([Example([5, 6, 7, 2], 2), Example([5, 8, 8, 8, 8], 1), Example([5, 5, 0], 2)])
    reported = {name: float(values.mean()) for name, values in rates(batch, ENDS).items()}
    result = lengths({"step": 3, **reported})
    assert result == pytest.approx({"step": 3, "mean length": 7 / 3, "share cut": 1 / 3})
    assert Writing(4, 1.0, ENDS, 9).cut([4, 2, 2, 0]) == [4, 2]
