"""A folder whose config doesn't say what its layers are is refused."""

import json

import pytest
import transformers

import kinds_of_models
from potstill.errors import BadInput
from potstill.models.written import check_written


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("deepseek-v3", {"first_k_dense_replace": 1}, "lacks .* leaves over"),
        ("llama", {"num_hidden_layers": 5}, "lacks model.layers.4"),
        ("llama", {"intermediate_size": 96}, "it is refused"),
        ("smollm3", {"no_rope_layers": [1, 1, 0, 1]}, r"its layers \[2, 3\] are of another kind"),
        ("exaone4", {"layer_types": ["sliding_attention"] * 4}, r"its layers \[3\] are of another kind"),
        ("gpt-neo", {"num_layers": 3}, "it is refused"),
    ],
)
def test_a_config_that_says_otherwise(tmp_path, kind, changes, message):
    kinds_of_models.causal(tmp_path, kind)
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    path = "transformer.h" if kind == "gpt-neo" else "model.layers"
    check_written(tmp_path, (model, path))
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(BadInput, match=message):
        check_written(tmp_path, (model, path))
