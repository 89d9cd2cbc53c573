"""Losses a few tokens at a time against the dense form, and how a model's states are had."""

from types import SimpleNamespace
from typing import get_args

import pytest
import torch

from potstill.models.hidden_states import Projection
from potstill.trainers import losses
from potstill.trainers.language_models.chunked_losses import TargetStates, chunked, rebuilds
from potstill.trainers.language_models.divergence import Divergence, Name
from potstill.trainers.loop.examples import Example, micro_batches, target_logits
from potstill.trainers.loop.objective import Losses

N, H, V = 11, 8, 30


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def leaves(bias):
    parts = [random(N, H), random(V, H, seed=1), *([random(V, seed=2)] if bias else [])]
    return [part.requires_grad_() for part in parts]


def mixture(name="forward_kl", count=N):
    """Return a loss in two parts against a teacher of another width."""
    teacher = Projection(random(N, 12, seed=3)[:count], random(V, 12, seed=4) / 4, None, 0.5)
    labels = torch.arange(count)

    def loss(student, rows):
        apart = Divergence(name)(student, teacher.logits(rows), 2.0)
        return Losses(
            {"soft": apart, "hard": losses.cross_entropy(student, labels[rows])}, {"divergence": apart.detach()}
        )

    return loss


def dense(student, loss):
    return loss(student.logits(slice(None)), slice(None))


@pytest.mark.parametrize("name", get_args(Name))
def test_equals_autograd_of_the_dense_form(name):
    loss = mixture(name)
    for bias, scale, softcap in ((False, 1.0, None), (True, 0.7, 5.0)):
        parts = leaves(bias)
        student = Projection(parts[0], parts[1], parts[2] if bias else None, scale, softcap)
        expected = dense(student, loss)
        for chunk in (4, 100):
            actual = chunked(student, loss, chunk)
            torch.testing.assert_close(actual.total(), expected.total())
            assert list(actual.parts) == ["soft", "hard"]
            torch.testing.assert_close(actual.metrics["divergence"], expected.metrics["divergence"])
            # all targets count the same; or each otherwise; or one part alone
            for count in (
                lambda result: result.total().sum() / 7,
                lambda result: result.total() @ torch.arange(float(N)),
                lambda result: result.parts["soft"].mean(),
            ):
                ours = torch.autograd.grad(count(chunked(student, loss, chunk)), parts)
                theirs = torch.autograd.grad(count(dense(student, loss)), parts, allow_unused=True)
                for our, their in zip(ours, theirs, strict=True):
                    torch.testing.assert_close(our, their, atol=1e-5, rtol=1e-4)


def test_only_what_learns_gets_a_gradient():
    states, weight = leaves(False)
    for frozen, other in ((states, weight), (weight, states)):
        student = Projection(*(x.detach() if x is frozen else x for x in (states, weight)), None)
        (actual,) = torch.autograd.grad(chunked(student, mixture(), 4).total().sum(), other)
        (expected,) = torch.autograd.grad(dense(student, mixture()).total().sum(), other)
        torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-4)
    with torch.no_grad():
        assert not chunked(Projection(states, weight, None), mixture(), 4).total().requires_grad


def test_without_targets_there_is_an_empty_loss_and_no_gradient():
    states, weight = leaves(False)
    result = chunked(Projection(states[:0], weight, None), mixture(count=0), 4)
    assert result.total().shape == (0,) and list(result.metrics) == ["divergence"]
    (actual,) = torch.autograd.grad(result.total().sum(), weight)
    assert actual.abs().max() == 0


def test_never_more_than_a_chunk_of_either_models_logits():
    seen = []

    def loss(student, rows):
        seen.append(len(student))
        return mixture()(student, rows)

    states, weight = leaves(False)
    chunked(Projection(states, weight, None), loss, 4).total().sum().backward()
    assert seen == [4, 4, 3]  # once: a loss that is only added up isn't computed again


def test_bfloat16_states_are_projected_as_the_model_would_under_autocast():
    states, weight = leaves(False)
    student = Projection(states.bfloat16(), weight, None)
    with torch.autocast("cpu", torch.bfloat16):
        expected = torch.nn.functional.linear(states, weight)
    assert torch.equal(student.logits(slice(None)), expected.float())
    actual = torch.autograd.grad(chunked(student, mixture(), 4).total().sum(), (states, weight))
    wanted = torch.autograd.grad(mixture()(expected.float(), slice(None)).total().sum(), (states, weight))
    for our, their in zip(actual, wanted, strict=True):
        torch.testing.assert_close(our, their, atol=0.1, rtol=0.05)


@pytest.fixture(scope="module")
def model(student):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(student, dtype=torch.float32)


def batch(*rows):
    [result] = micro_batches([Example(list(ids), prompt) for ids, prompt in rows], 10**6)
    return result


def test_states_of_the_targets_make_the_models_logits_and_gradients(model):
    given = batch((range(5, 14), 3), (range(20, 26), 2))
    result = TargetStates(target_logits)(model, given)
    assert isinstance(result, Projection) and len(result) == len(given["labels"])
    expected = target_logits(model, given)
    torch.testing.assert_close(result.logits(slice(None)), expected)

    def loss(logits, rows):
        return Losses({"hard": losses.cross_entropy(logits, given["labels"][rows])})

    def slopes(values):
        model.zero_grad()
        values.sum().backward()
        return [parameter.grad.clone() for parameter in model.parameters()]

    ours = slopes(chunked(result, loss, 3).total())
    theirs = slopes(losses.cross_entropy(expected, given["labels"]))
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, atol=1e-4, rtol=1e-3)


def test_a_model_that_changes_its_logits_in_its_own_way_keeps_its_output_layer(model):
    assert rebuilds(model)
    assert model.training is False
    layer = model.get_output_embeddings()
    hook = layer.register_forward_hook(lambda layer, given, result: result * 1.5)
    try:
        assert not rebuilds(model)
        given = batch((range(5, 14), 3))
        result = TargetStates(target_logits)(model, given)
        assert torch.equal(result, target_logits(model, given))
    finally:
        hook.remove()
    assert not rebuilds(SimpleNamespace())


def test_adapters_leave_the_output_layer_to_us_unless_it_has_one(student):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    for targets, expected in ((["q_proj"], True), (["q_proj", "lm_head"], False)):
        adapted = get_peft_model(
            AutoModelForCausalLM.from_pretrained(student, dtype=torch.float32),
            LoraConfig(target_modules=targets, init_lora_weights=False),
        )
        given = batch((range(5, 14), 3))
        result = TargetStates(target_logits)(adapted.train(), given)
        assert isinstance(result, Projection) is expected and adapted.training
        logits = result.logits(slice(None)) if isinstance(result, Projection) else result
        torch.testing.assert_close(logits, target_logits(adapted, given))


def test_capped_logits_are_rebuilt(tmp_path):
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(0)
    sizes = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "head_dim": 8,
    }
    config = Gemma2Config(vocab_size=50, num_key_value_heads=1, final_logit_softcapping=2.0, **sizes)
    capped = Gemma2ForCausalLM(config)
    capped.lm_head.weight.data *= 100
    given = batch((range(5, 14), 3))
    result = TargetStates(target_logits)(capped, given)
    assert result.softcap == 2.0
    torch.testing.assert_close(result.logits(slice(None)), target_logits(capped, given))
    assert result.logits(slice(None)).abs().max() > 1.5


def test_what_padding_holds_changes_nothing(model):
    rows = (range(5, 14), 3), (range(20, 26), 2)
    plain, spoilt = batch(*rows), batch(*rows)
    spoilt["input_ids"][1, 5:] = 7  # whatever token, the end of turn included
    read = TargetStates(target_logits)
    ours, theirs = (read(model, given) for given in (plain, spoilt))
    assert torch.equal(ours.states, theirs.states)
