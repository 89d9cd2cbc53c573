"""The script of an exported encoder's `SERVE.md`: what users run, and what answers in the check.

It defines `read(texts)`, which returns the probabilities of the classes or the vectors, and `tokenizer`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from potstill.exporting.exporter import Serving
from potstill.text.inert import plain_text

if TYPE_CHECKING:
    from potstill.exporting.encoders.model import EncoderModel, Kind

TOKENS = """
import json

import numpy as np
{import_runtime}
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file("tokenizer.json")
tokenizer.enable_truncation({limit})
tokenizer.enable_padding(pad_id={pad_id}, pad_token={pad_token!r})
{load}


def computed(texts):
    read = tokenizer.encode_batch(texts)
    columns = {{
        "input_ids": [text.ids for text in read],
        "attention_mask": [text.attention_mask for text in read],
        "token_type_ids": [text.type_ids for text in read],
    }}
    given = {{name: np.array(columns[name], dtype=np.int64) for name in {inputs!r}}}
    return {call}

"""
"""How texts become the model's output."""
CLASSES = """
def read(texts):
    logits = computed(texts)
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


if __name__ == "__main__":
    with open("config.json", encoding="utf-8") as file:
        names = json.load(file)["id2label"]
    texts = ["Turn on the light in the kitchen.", "What is the weather like today?"]
    for text, shares in zip(texts, read(texts)):
        best = int(shares.argmax())
        print(f"{text} {names[str(best)]} ({shares[best]:.1%})")
"""
"""How logits become probabilities, and an example."""
VECTORS = """
def read(texts):
    return computed(texts)


if __name__ == "__main__":
    one, other = read(["Turn on the light in the kitchen.", "Switch the kitchen lamp on."])
    print(f"cosine {one @ other / np.linalg.norm(one) / np.linalg.norm(other):.4f}")
"""
"""The output is the vector already; an example."""
ENDS = {"classes": CLASSES, "vectors": VECTORS}


def script(model: EncoderModel, import_runtime: str, load: str, call: str) -> str:
    """Return the script that serves `model`: `load` opens the model, and `call` has the output of what is `given`."""
    begin = TOKENS.format(
        import_runtime=import_runtime,
        limit=model.limit,
        pad_id=model.tokenizer.pad_token_id,
        pad_token=model.tokenizer.pad_token,
        load=load,
        call=call,
        inputs=model.inputs,
    )
    text = begin + ENDS[model.kind]
    return text if model.kind == "classes" else text.replace("import json\n\n", "", 1)


def serving(model: EncoderModel, install: str, runtime: str, script: str, warning: str = "") -> Serving:
    """Return how `model` is served by `runtime`, a name."""
    does: dict[Kind, str] = {
        "classes": f"{runtime} computes the logits of the classes; here it names the class of two texts.",
        "vectors": f"{runtime} computes a text's vector, pooled as the model's folder says; here of two texts.",
    }
    shapes = "[texts, classes]" if model.kind == "classes" else "[texts, size of a vector]"
    more = (
        f"Inputs: {', '.join(f'`{name}`' for name in model.inputs)}, int64 [texts, tokens] of any size up to "
        f"{model.limit} tokens. Output: `{model.output}` {shapes}. All that turns tokens into it is in the model, so "
        "programs in other languages need the runtime and a tokenizer only."
    )
    more += f"\n\n{warning}" if warning else ""
    if model.prompts:
        listed = ", ".join(plain_text(repr(prompt)) for prompt in model.prompts)
        more += f"\n\nTexts are read as they are. The model was trained with texts that begin with {listed}: put that "
        more += "before them yourself."
    return Serving(install, does[model.kind], script, language="python", more=more)
