"""What a model type is by name stands in one place: no other module has the name of a type or of its classes."""

from __future__ import annotations

import re
from pathlib import Path

import potstill
from potstill.compression import model_types

OTHERWISE = {
    "compression/formats/gemma.py": {"gemma"},  # a format
    "compression/layer_kinds.py": {"mamba"},  # a kind of layer
    "exporting/decoders/gguf_tokenizer.py": {"gpt2", "llama", "qwen2"},  # kinds of tokenizers
    "models/licences.py": {"gemma", "llama4"},  # licences
    "publishing/push.py": {"gemma"},  # a licence
    "steps/quantization/encoder.py": {"gemma"},  # a format
    "steps/rows/sql.py": {"bit"},
    "text/rouge_novelty.py": {"clip"},
}
"""By file: words that are names of types too, and mean something else there."""
QUOTED = re.compile(r'"([\w.-]+)"')
HEAD = re.compile(r"[A-Z]\w*(For[A-Z]\w+|LMHeadModel|MTModel)")


def test_no_other_module_knows_a_type_by_name():
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    root, named = Path(potstill.__file__).parent, {}
    for path in sorted(root.rglob("*.py")):
        if path == Path(model_types.__file__):
            continue
        texts = set(QUOTED.findall(path.read_text(encoding="utf-8")))
        types = {text for text in texts if text in CONFIG_MAPPING_NAMES or is_head(text)}
        if types:
            named[str(path.relative_to(root))] = types
    assert named == OTHERWISE


def is_head(text: str) -> bool:
    """Return whether a text is the name of a model's class of one type."""
    return bool(HEAD.fullmatch(text)) and not text.startswith(("Auto", "For"))
