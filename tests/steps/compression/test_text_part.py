"""The text part of a model that sees images is a causal model that computes the same on texts."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM

import compressing
import tiny
import typed_models
from potstill import steps
from potstill.errors import BadInput
from potstill.models.loading import pretrained
from potstill.steps import TextPart


@pytest.fixture(scope="module", params=typed_models.VISION)
def seeing(request, tmp_path_factory):
    """The name of a type, and a folder of a model."""
    folder = tmp_path_factory.mktemp("seeing")
    tiny.tokenizer(folder, 384)
    typed_models.seeing(request.param).save_pretrained(folder)
    return request.param, folder


def test_its_logits_on_texts_are_those_of_the_whole(seeing, tmp_path):
    name, folder = seeing
    out, _ = compressing.run_step(TextPart, folder, tmp_path)
    text, report = AutoModelForCausalLM.from_pretrained(out, output_loading_info=True, attn_implementation="eager")
    assert not any(report.values())
    ids = torch.randint(3, 380, (2, 40), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted, logits = typed_models.seeing(name)(input_ids=ids).logits, text.eval()(input_ids=ids).logits
    assert torch.allclose(logits, wanted, atol=1e-4)
    assert not [part for part, _ in text.named_modules() if "vision" in part or "visual" in part]
    # and other steps take it
    compressing.run_step(steps.WandaPrune, out, tmp_path, "pruned", calibration=compressing.rows(8), max_length=96)


def test_the_whole_is_refused_with_the_step_to_take(seeing, tmp_path):
    _, folder = seeing
    with pytest.raises(BadInput, match=r"take their text part first, by TextPart\(model\)"):
        compressing.run_step(steps.QuantizeInt8, folder, tmp_path)


def test_it_is_named_where_a_causal_model_is_wanted(tmp_path):
    typed_models.seeing("Mistral Small 3").save_pretrained(tmp_path)
    with pytest.raises(BadInput, match=r"sees images too. Take its text part first, by TextPart\(model\)"):
        pretrained(AutoModelForCausalLM, tmp_path, "be trained", {})


def test_a_text_model_is_refused(tmp_path):
    typed_models.folder(tmp_path / "model", "Llama 3")
    with pytest.raises(BadInput, match="'llama' have no vision tower: take the model as it is"):
        compressing.run_step(TextPart, tmp_path / "model", tmp_path)


def test_a_template_that_lies_with_the_processor_comes_along(tmp_path):
    folder = tmp_path / "model"
    tiny.tokenizer(folder, 384)
    typed_models.seeing("Llava").save_pretrained(folder)
    for path in folder.glob("*.jinja"):
        path.unlink()
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": "{{ messages }}"}), encoding="utf-8")
    out, _ = compressing.run_step(TextPart, folder, tmp_path)
    assert (out / "chat_template.jinja").read_text(encoding="utf-8") == "{{ messages }}"
