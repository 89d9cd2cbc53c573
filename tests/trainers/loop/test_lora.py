"""Adapters: learned over a full or 4-bit base, merged into a fresh one."""

import pytest
import torch

import learning
from potstill.errors import BadInput
from potstill.trainers import HardLabel, LoRA, QLoRA
from potstill.trainers.loop.lora import attach, merge


def rows():
    """Return answers that the student doesn't know yet: it has learned to say `light`."""
    return [row | {"output": row["output"].replace('"light"', '"heating"')} for row in learning.rows(8)]


def train(folder, student, **fields):
    context = learning.context(folder)
    step = HardLabel(None, student=str(student), epochs=40, batch_size=8, learning_rate=5e-3, **fields)
    step.run(learning.dataset(rows()), str(student), context)
    return context


def logits(model, tokens):
    with torch.no_grad():
        return model.eval()(tokens).logits.float()


@pytest.mark.slow
@pytest.mark.parametrize("fields", [{"lora": LoRA(rank=8)}, {"qlora": QLoRA(rank=8)}], ids=["lora", "qlora"])
def test_merged_equals_adapters_beside_a_fresh_base(tmp_path, learned, fields):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    context = train(tmp_path, learned, **fields)
    assert context.notes["curve"][-1]["loss"] < 0.4 * context.notes["curve"][0]["loss"]
    tokens = torch.arange(3, 43)[None]
    base = AutoModelForCausalLM.from_pretrained(learned, dtype=torch.float32)
    plain = logits(base, tokens)
    beside = logits(PeftModel.from_pretrained(base, str(tmp_path / "work" / "adapter")), tokens)
    assert (beside - plain).abs().max() > 0.5
    # a layer at a time, and yet what peft makes of the whole model in float32
    whole = PeftModel.from_pretrained(base, str(tmp_path / "work" / "adapter")).merge_and_unload()
    torch.testing.assert_close(logits(whole, tokens), beside, atol=1e-3, rtol=1e-3)
    merged = merge(learned, tmp_path / "work" / "adapter").state_dict()
    assert all(torch.equal(merged[name], weight.bfloat16()) for name, weight in whole.state_dict().items())
    # and so, but for bfloat16's rounding of the weights, does the folder, loaded in a way that knows of no adapters
    saved = logits(AutoModelForCausalLM.from_pretrained(context.out, dtype=torch.float32), tokens)
    assert (saved - beside).norm() < 0.05 * (beside - plain).norm()
    assert learning.weights(context.out).keys() == learning.weights(learned).keys()


def test_adapters_that_are_not_merged_are_an_adapters_folder(tmp_path, learned):
    import json

    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from potstill.teachers.lora_adapter import adapter_identity, adapter_rank

    context = train(tmp_path, learned, lora=LoRA(rank=4, merge=False))
    assert {path.name for path in context.out.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "README.md",
    }
    assert str(learned) not in (context.out / "adapter_config.json").read_text()
    assert json.loads((context.out / "adapter_config.json").read_text())["r"] == adapter_rank(context.out) == 4
    assert adapter_identity(context.out)
    assert "an adapter, not a model" in (context.out / "README.md").read_text()
    tokens = torch.arange(3, 43)[None]
    base = AutoModelForCausalLM.from_pretrained(learned, dtype=torch.float32)
    beside = logits(PeftModel.from_pretrained(base, str(context.out)), tokens)
    merged = logits(merge(learned, tmp_path / "work" / "adapter").float(), tokens)
    assert (merged - beside).norm() < 0.01 * beside.norm()


@pytest.mark.slow
def test_the_4_bit_base_is_really_in_4_bits_and_frozen(tmp_path, student):
    import bitsandbytes

    from potstill.trainers.loop.lora import attach, load_base

    model = attach(load_base(student, QLoRA(rank=4), torch.float32), QLoRA(rank=4))
    layers = [module for module in model.modules() if isinstance(module, bitsandbytes.nn.Linear4bit)]
    assert len(layers) == 14 and all(layer.weight.dtype == torch.uint8 for layer in layers)
    assert all(layer.weight.quant_state.nested and layer.weight.quant_state.quant_type == "nf4" for layer in layers)
    learns = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert learns and all("lora_" in name for name in learns)


def test_layers_that_would_stay_in_32_bits_are_refused(tmp_path):
    """Falcon's multiply by themselves, so that bitsandbytes does not take their place, and says nothing."""
    import typed_models
    from potstill.trainers.loop.lora import load_base

    folder = typed_models.folder(tmp_path, "Falcon")
    with pytest.raises(
        BadInput, match=r"has a FalconLinear, and \d+% of its weights, such as transformer\.h\.0\..*4 bits"
    ):
        load_base(folder, QLoRA(rank=4), torch.float32)


@pytest.mark.slow
def test_a_quantized_run_answers_like_its_4_bit_training(tmp_path, learned):
    context = train(tmp_path, learned, qlora=QLoRA(rank=16))
    before, after = (learning.answers(folder, rows()) for folder in (learned, context.out))
    assert not any('"heating"' in answer for answer in before)
    assert sum(answer == row["output"] for answer, row in zip(after, rows(), strict=True)) >= 7


@pytest.mark.parametrize("kind", ["mamba", "mamba2"])
def test_what_mambas_kernels_read_gets_no_adapter(kind):
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "vocab_size": 40, "state_size": 4}
    heads = {"num_heads": 4, "head_dim": 8, "n_groups": 1} if kind == "mamba2" else {}
    base = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes, **heads))
    names = {name.partition(".lora_A")[0].rpartition(".")[2] for name, _ in attach(base, LoRA()).named_parameters()}
    assert "in_proj" in names and not names & {"out_proj", "lm_head"}
    base = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes, **heads))
    with pytest.raises(BadInput, match="targets name out_proj, which Mamba's kernels read"):
        attach(base, LoRA(targets=("in_proj", "out_proj")))
