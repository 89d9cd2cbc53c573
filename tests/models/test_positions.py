"""A text of as many tokens as `positions_of` says is read, and a longer one is not."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from potstill.compression.model_types import BEHIND_PADDING
from potstill.models.positions import alike_positions, positions_of

SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "vocab_size": 40,
    "max_position_embeddings": 20,
}


@pytest.mark.parametrize("padding", [0, 1, 3])
@pytest.mark.parametrize(
    "kind", ["bert", "roberta", "xlm-roberta", "camembert", "mpnet", "roberta-prelayernorm", "electra"]
)
def test_a_model_reads_its_positions_and_no_more(kind: str, padding: int) -> None:
    config = transformers.AutoConfig.for_model(kind, **SIZES, pad_token_id=padding)
    model = transformers.AutoModel.from_config(config).eval()
    longest = positions_of(config)
    assert longest == (20 if kind not in BEHIND_PADDING else 18 if kind == "mpnet" else 20 - padding - 1)
    model(input_ids=torch.full((1, longest), 7))
    with pytest.raises((IndexError, RuntimeError)):
        model(input_ids=torch.full((1, longest + 1), 7))


def test_models_with_a_text_part_and_without_limits() -> None:
    text = transformers.LlamaConfig(max_position_embeddings=77)
    assert positions_of(transformers.LlavaConfig(text_config=text)) == 77  # type: ignore[arg-type] # a ModelConfig
    assert positions_of(transformers.MambaConfig()) is None  # type: ignore[arg-type] # a ModelConfig


def test_positions_are_turned_alike_up_to_the_length_of_the_first_training() -> None:
    rope = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [2.0] * 4, "rope_theta": 1e4}
    sizes: dict[str, Any] = {"hidden_size": 16, "num_attention_heads": 2, "max_position_embeddings": 64}
    config = transformers.Phi3Config(**sizes, rope_parameters=rope, original_max_position_embeddings=32)
    assert alike_positions(config) == 32  # type: ignore[arg-type] # a ModelConfig
    assert alike_positions(transformers.LlamaConfig(**sizes)) is None  # type: ignore[arg-type] # a ModelConfig


@pytest.mark.parametrize("kind", ["roberta", "mpnet"])
def test_a_classifier_of_long_texts_is_trained(tmp_path: Path, kind: str) -> None:
    """Its tokenizer sets no limit, so that the positions do."""
    import json

    from datasets import Dataset

    import learning
    import tiny_encoders
    from potstill.trainers.encoders.classifier import Classifier

    folder = tiny_encoders.classifier(tmp_path / "model", kind)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings.pop("model_max_length", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    rows = [{"text": "turn on the light " * 30, "label": "light"}, {"text": "heating " * 99, "label": "heating"}]
    trained = Classifier(rows, student=str(folder), max_length=512, epochs=1)
    context = learning.context(tmp_path / "run")
    trained.run(rows=Dataset.from_list(rows), student=str(folder), context=context)
    assert (context.out / "model.safetensors").is_file()


def test_a_sentence_encoder_of_long_texts_reads_its_positions(tmp_path: Path) -> None:
    import tiny_encoders
    from potstill.models.sentence_encoder import load

    folder = tiny_encoders.classifier(tmp_path / "model", "roberta")
    model = load(folder)
    assert model.max_seq_length == 63  # of 64, behind padding token 0
    assert model.encode(["turn on the light " * 30]).shape == (1, 32)
