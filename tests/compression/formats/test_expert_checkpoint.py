"""Experts that are quantized one by one: stored as vLLM reads them, and read here as what they stand for."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

import compressing
import typed_models
from potstill import steps
from potstill.compression.architecture import with_linear_layers
from potstill.errors import BadInput
from potstill.models.loading import pretrained
from promises import apart, logits
from stored_numbers import model_of

GIVEN = {"calibration": compressing.rows(8), "max_length": 96}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder of each type, by name."""
    place = tmp_path_factory.mktemp("models")
    return {name: typed_models.folder(place / name, name) for name in ("Mixtral", "Qwen2-MoE", "Qwen3-MoE", "gpt-oss")}


def read(folder):
    options = {"dtype": torch.float32, "attn_implementation": "eager"}
    return pretrained(AutoModelForCausalLM, folder, "be read", options).eval()


def names(folder):
    return set(load_file(folder / "model.safetensors"))


@pytest.mark.parametrize(
    ("name", "expert"),
    [
        ("Mixtral", "block_sparse_moe.experts.3.w1.weight_packed"),
        ("Qwen3-MoE", "mlp.experts.3.gate_proj.weight_packed"),
        ("gpt-oss", "mlp.experts.3.w13_weight_packed"),
    ],
)
def test_each_expert_is_stored_under_the_name_that_vllm_has_for_it(name, expert, folders, tmp_path):
    out, _ = compressing.run_step(steps.QuantizeInt4, folders[name], tmp_path, method="rtn", **GIVEN)
    assert f"model.layers.0.{expert}" in names(out)
    ignored = json.loads((out / "config.json").read_text())["quantization_config"]["ignore"]
    router = {"Mixtral": "block_sparse_moe.gate", "gpt-oss": "mlp.router"}.get(name, "mlp.gate")
    # to a server it is a linear layer, and a target of the scheme unless it is named
    assert {"lm_head", f"model.layers.0.{router}"} <= set(ignored)


def test_zero_points_are_read_which_transformers_can_not(folders, tmp_path):
    model = folders["Qwen3-MoE"]
    out, _ = compressing.run_step(steps.QuantizeInt4, model, tmp_path, symmetric=False, **GIVEN)
    dense = read(model)
    with_linear_layers(dense)
    assert apart(logits(model_of(dense, out)), logits(read(out))) < 1e-6
    with pytest.raises(Exception, match="conversion"):
        AutoModelForCausalLM.from_pretrained(out)


def test_the_gate_of_a_shared_expert_stays_as_it_is(folders, tmp_path):
    out, _ = compressing.run_step(steps.QuantizeInt8, folders["Qwen2-MoE"], tmp_path)
    gate = "model.layers.0.mlp.shared_expert_gate"
    assert f"{gate}.weight_scale" not in names(out)
    assert gate in json.loads((out / "config.json").read_text())["quantization_config"]["ignore"]


def test_an_expert_that_sees_few_tokens_is_rounded_and_noted(folders, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(folders["Qwen3-MoE"])
    # the first two experts get all tokens
    model.model.layers[0].mlp.gate.weight.data[2:] = model.model.layers[0].mlp.gate.weight.data[:2].mean(0)
    model.model.layers[0].mlp.gate.weight.data[:2] *= 50
    model.save_pretrained(tmp_path / "skewed")
    for path in folders["Qwen3-MoE"].glob("*[tj]*"):
        (tmp_path / "skewed" / path.name).write_bytes(path.read_bytes())
    out, context = compressing.run_step(steps.QuantizeInt4, tmp_path / "skewed", tmp_path, **GIVEN)
    few = context.notes["experts rounded"]
    assert few and all(tokens < 64 for tokens in few.values())
    assert all(".experts." in path for path in few)
    rounded, _ = compressing.run_step(steps.QuantizeInt4, tmp_path / "skewed", tmp_path, "rtn", method="rtn", **GIVEN)
    ours, nearest = load_file(out / "model.safetensors"), load_file(rounded / "model.safetensors")
    for path in few:
        assert torch.equal(ours[f"{path}.weight_packed"], nearest[f"{path}.weight_packed"])


def test_a_folder_without_an_expert_is_refused(folders, tmp_path):
    out, _ = compressing.run_step(steps.QuantizeInt8, folders["Mixtral"], tmp_path)
    tensors = load_file(out / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if ".experts.1.w2" not in name}
    save_file(kept, out / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadInput, match=r"MixtralForCausalLM lack: model.layers.0.mlp.experts.1.down_proj.weight"):
        read(out)
