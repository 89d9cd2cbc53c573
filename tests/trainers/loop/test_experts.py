"""Adapters on mixtures of experts: on the experts, not on the routers, and merged into the names of the Hub."""

import json

import pytest
import torch

import learning
import tiny
from potstill.errors import BadInput
from potstill.trainers import HardLabel, LoRA, QLoRA
from potstill.trainers.loop.lora import attach

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "moe_intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "eos_token_id": 2,
    "bos_token_id": None,
    "tie_word_embeddings": False,
}
KINDS = {
    "mixtral": {"num_local_experts": 4},
    "qwen3_moe": {"num_experts": 4, "head_dim": 16},
    # a shared expert beside the others, with a gate of its own
    "qwen2_moe": {"num_experts": 4, "shared_expert_intermediate_size": 32},
    # biases of experts, weights the other way round
    "gpt_oss": {"num_local_experts": 4, "head_dim": 16, "sliding_window": 32},
    # the first layer is dense
    "deepseek_v3": {
        "n_routed_experts": 4,
        "first_k_dense_replace": 1,
        "kv_lora_rank": 16,
        "q_lora_rank": 16,
        "qk_nope_head_dim": 16,
        "qk_rope_head_dim": 8,
        "v_head_dim": 16,
        "n_group": 1,
        "topk_group": 1,
        "num_key_value_heads": 2,
    },
}


def mixture(folder, kind):
    """Save a mixture of experts with random weights."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    tiny.tokenizer(folder)
    sizes = SIZES | KINDS[kind] | {"vocab_size": len(AutoTokenizer.from_pretrained(folder))}
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes)).to(torch.bfloat16).save_pretrained(folder)
    return folder


def adapted(model, **fields):
    """Return the names of the weights that get an adapter, without the numbers of layers."""
    model = attach(model, LoRA(rank=2, **fields))
    names = set()
    for name, module in model.named_modules():
        if hasattr(module, "lora_A") and len(module.lora_A):
            place = name.replace(".base_layer", "").removeprefix("base_model.model.model.layers.").partition(".")[2]
            names.add(f"{place}.{getattr(module, 'parameter_name', 'weight')}")
    return names, model


@pytest.mark.parametrize("kind", KINDS)
def test_all_linear_means_the_experts_and_no_router(tmp_path, kind):
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(mixture(tmp_path, kind), dtype=torch.float32)
    layers = {
        name.partition("layers.")[2].partition(".")[2]
        for name, module in base.named_modules()
        if type(module) is torch.nn.Linear and "shared_expert_gate" not in name and name != "lm_head"
    }
    names, model = adapted(base)
    experts = {"mlp.experts.gate_up_proj", "mlp.experts.down_proj"}
    assert names == {f"{layer}.weight" for layer in layers} | experts
    # ranks are what was asked for, also where two projections lie in one weight
    assert {rank for module in model.modules() for rank in getattr(module, "r", {}).values()} == {2}


def test_targets_that_are_named_are_all_that_is_adapted(tmp_path):
    from transformers import AutoModelForCausalLM

    folder = mixture(tmp_path, "qwen2_moe")
    for targets, expected in (
        (("q_proj",), {"self_attn.q_proj.weight"}),
        (("experts.down_proj",), {"mlp.experts.down_proj"}),
        ((r".*shared_expert\.up_proj"), {"mlp.shared_expert.up_proj.weight"}),
    ):
        base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        assert adapted(base, targets=targets)[0] == expected


@pytest.mark.parametrize("kind", ["mixtral", "qwen2_moe", "gpt_oss"])
def test_what_was_merged_answers_like_what_was_trained(tmp_path, kind):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    student = mixture(tmp_path / "student", kind)
    context = learning.context(tmp_path)
    step = HardLabel(None, student=str(student), epochs=10, batch_size=8, learning_rate=1e-2, lora=LoRA(rank=4))
    step.run(learning.dataset(learning.rows(8)), str(student), context)
    assert context.notes["curve"][-1]["loss"] < 0.97 * context.notes["curve"][0]["loss"]
    tokens = torch.arange(3, 43)[None]
    with torch.no_grad():
        base = AutoModelForCausalLM.from_pretrained(student, dtype=torch.float32).eval()
        plain = base(tokens).logits
        beside = PeftModel.from_pretrained(base, str(tmp_path / "work" / "adapter")).eval()(tokens).logits
        saved = AutoModelForCausalLM.from_pretrained(context.out, dtype=torch.float32).eval()(tokens).logits
    assert (saved - beside).norm() < 0.05 * (beside - plain).norm()
    # under the names that the student had, so that vLLM and llama.cpp know them
    assert learning.weights(context.out).keys() == learning.weights(student).keys()


def test_what_experts_cannot_have_is_refused_before_training(tmp_path):
    student = mixture(tmp_path / "student", "qwen3_moe")

    def run(**fields):
        step = HardLabel(None, student=str(student), **fields)
        step.run(learning.dataset(learning.rows(2)), str(student), learning.context(tmp_path))

    with pytest.raises(BadInput, match=r"mixture of experts, and \d+% of its weights, such as model\.layers\.0"):
        run(qlora=QLoRA())
    with pytest.raises(BadInput, match=r"dropout: adapters of experts"):
        run(lora=LoRA(dropout=0.1))
    with pytest.raises(BadInput, match="zeros of experts"):
        run(lora=LoRA(), hold_zeros=True)


@pytest.mark.parametrize("targets", [("q_proj", "lm_head"), r".*(q_proj|lm_head|embed_tokens)"])
def test_an_adapter_on_shared_weights_is_refused(tmp_path, targets):
    student = tiny.causal_lm(tmp_path / "student")
    step = HardLabel(None, student=str(student), lora=LoRA(targets=targets))
    with pytest.raises(BadInput, match=r"shares its weights with .*: leave it out"):
        step.run(learning.dataset(learning.rows(2)), str(student), learning.context(tmp_path))


@pytest.mark.parametrize("fields", [{"qlora": QLoRA()}, {"lora": LoRA()}, {}])
def test_a_quantized_student_is_refused_before_training(tmp_path, fields):
    student = tiny.causal_lm(tmp_path / "student")
    config = json.loads((student / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (student / "config.json").write_text(json.dumps(config))
    step = HardLabel(None, student=str(student), **fields)
    with pytest.raises(BadInput, match=r"is quantized \(bitsandbytes\): train the 16-bit one"):
        step.run(learning.dataset(learning.rows(2)), str(student), learning.context(tmp_path))


def test_a_quantized_live_teacher_is_told_what_works(tmp_path):
    from potstill.trainers.language_models.soft_objective import load_teacher

    teacher = tiny.causal_lm(tmp_path / "teacher")
    config = json.loads((teacher / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "fp8"}
    (teacher / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadInput, match=r"quantized \(fp8\), and a live one is read in 16 bits.*PseudoLabel\(top_k"):
        load_teacher(str(teacher))
