"""A frozen base keeps its type in memory, and is trained on as if it were float32: the loss and every gradient."""

import pytest
import torch
from torch import nn

import typed_models
from potstill.trainers import LoRA
from potstill.trainers.loop import lora
from potstill.trainers.loop.frozen import as_float32

CAUSAL = [*typed_models.CAUSAL, *typed_models.EXPERT_MODELS]
TYPES = [*CAUSAL, *typed_models.ENCODER_DECODERS]


def stored(path, name, dtype=torch.bfloat16):
    typed_models.made(name).to(dtype).save_pretrained(path)
    return path


def as_a_whole_in_float32(folder):
    """Return the model in `folder` with weights of 16 bits that are float32 in memory, as peft takes it."""
    from potstill.models import encoder_decoder

    return encoder_decoder.load(folder, "be trained", {"dtype": torch.float32})


def learned(base, name, autocast=False):
    """Return the loss and, by name, the gradients of new adapters of which no part is zero."""
    torch.manual_seed(0)
    model = lora.attach(base, LoRA(rank=4), "CAUSAL_LM" if name in CAUSAL else "SEQ_2_SEQ_LM")
    trained = {own: weight for own, weight in model.named_parameters() if weight.requires_grad}
    assert {weight.dtype for weight in trained.values()} == {torch.float32}
    with torch.no_grad():
        for weight in trained.values():
            weight.add_(0.05 * torch.randn(weight.shape))
    tokens = torch.arange(5, 29).reshape(2, 12)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss = model.train()(input_ids=tokens, labels=tokens).loss
    loss.backward()
    return loss.detach(), {own: weight.grad for own, weight in trained.items()}


@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "autocast"])
@pytest.mark.parametrize("name", TYPES)
def test_the_base_in_its_own_type_teaches_what_a_float32_one_does(tmp_path, name, autocast):
    folder = stored(tmp_path, name)
    loss, gradients = learned(lora.load_base(folder, LoRA(), torch.float32), name, autocast)
    wide_loss, wide = learned(as_a_whole_in_float32(folder), name, autocast)
    torch.testing.assert_close(loss, wide_loss, rtol=1e-6, atol=0)
    assert gradients.keys() == wide.keys()
    for own, gradient in wide.items():
        torch.testing.assert_close(gradients[own], gradient, rtol=1e-5, atol=1e-5 * float(gradient.abs().max()))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", typed_models.CAUSAL)
def test_layers_and_embeddings_keep_their_type_and_are_frozen(tmp_path, name, dtype):
    base = lora.load_base(stored(tmp_path, name, dtype), LoRA(), torch.float32)
    assert not any(weight.requires_grad for weight in base.parameters())
    plain = [module for module in base.modules() if type(module) in (nn.Linear, nn.Embedding)]
    assert {module.weight.dtype for module in plain} <= {dtype}
    norms = [module for module in base.modules() if "Norm" in type(module).__name__ and hasattr(module, "weight")]
    assert {module.weight.dtype for module in norms} == {torch.float32}


def test_a_base_of_32_bits_stays_as_it_is(tmp_path):
    base = lora.load_base(stored(tmp_path, "Qwen3", torch.float32), LoRA(), torch.float32)
    assert {weight.dtype for weight in base.parameters()} == {torch.float32}
    learned(base, "Qwen3")


def test_while_weights_look_like_float32_they_take_nothing_and_lose_nothing(tmp_path):
    base = lora.load_base(stored(tmp_path, "Llama 3"), LoRA(), torch.float32)
    before = {name: weight.clone() for name, weight in base.state_dict().items()}
    with as_float32(base):
        assert {weight.dtype for weight in base.parameters()} == {torch.float32}
        assert base.model.embed_tokens.weight.untyped_storage().nbytes() == 4
    assert all(torch.equal(weight, before[name]) for name, weight in base.state_dict().items())


@pytest.mark.parametrize("name", ["Llama 3", "Gemma 3", "Qwen3-MoE", "BART"])
def test_a_live_teacher_keeps_its_type_and_says_what_a_float32_one_does(tmp_path, monkeypatch, name):
    from potstill.trainers.language_models import soft_objective

    monkeypatch.setattr(soft_objective, "trains_in_bf16", lambda: False)
    folder, ids = stored(tmp_path, name), torch.arange(5, 29).reshape(2, 12)
    teacher, wide = soft_objective.load_teacher(str(folder)), as_a_whole_in_float32(folder).eval()
    both = {"decoder_input_ids": ids} if name in typed_models.ENCODER_DECODERS else {}
    with torch.no_grad():
        torch.testing.assert_close(teacher(ids, **both).logits, wide(ids, **both).logits, rtol=1e-5, atol=1e-5)
    assert teacher.get_output_embeddings().weight.dtype == torch.bfloat16
