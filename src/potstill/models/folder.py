"""Load and save model folders for compression steps, with tokenizer and licences carried over."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput
from potstill.models.card import Task
from potstill.models.identity import folder_of
from potstill.models.loading import config_of, pretrained, quantized_as

if TYPE_CHECKING:
    import torch

    from potstill.compression.pretrained import PretrainedModel
    from potstill.models.protocols import ModelSource

CARRIED = (
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "*.jinja",
    "*.model",
    "*.spm",
    "generation_config.json",
    "LICENSE*",
    "LICENCE*",
    "NOTICE*",
)
"""Files that a compressed model shares with the model that it was made from."""
MXFP4 = "mxfp4"
"""How gpt-oss is stored by those who made it, and in no other way: its experts become the same ones in 16 bits."""
SHARE_OF_GPU = 0.5
"""Most of the free GPU memory that a model's weights may take; statistics, hidden states and logits need the rest."""
SENTENCE = ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json")
"""Files that make a model folder a sentence encoder."""
TASKS: dict[str, Task] = {
    "ForCausalLM": "text-generation",
    "LMHeadModel": "text-generation",
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForMaskedLM": "fill-mask",
    "ForConditionalGeneration": "text2text-generation",
    "MTModel": "text2text-generation",
}
"""What a model does, by the end of its architecture's name."""


@dataclass
class Loaded:
    """A model in memory, with the folder that it came from."""

    folder: Path
    """Where it was loaded from."""
    model: PretrainedModel
    """It in evaluation mode, on the GPU if there is one that it fits on."""
    tokenizer: Any
    """Its `Tokenizer`; None where the step reads no text."""

    @property
    def task(self) -> Task:
        """What the model does."""
        if (self.folder / SENTENCE[0]).is_file():
            return "sentence-similarity"
        kind = type(self.model).__name__
        return next((task for end, task in TASKS.items() if kind.endswith(end)), "feature-extraction")

    def save(self, out: Path) -> None:
        """Write the model as its kind is stored, with what it shares with the one that it was made from."""
        from potstill.compression.architecture import with_own_layers

        out.mkdir(parents=True, exist_ok=True)
        with_own_layers(self.model)
        self.model.save_pretrained(out)
        self.carry(out)

    def carry(self, out: Path) -> None:
        """Copy tokenizer, chat template, generation config, sentence modules and licences to `out` unchanged."""
        for path in sorted({path for pattern in CARRIED for path in self.folder.glob(pattern)}):
            if path.is_file():
                shutil.copyfile(path, out / path.name)
        _carry_sentence_modules(self.folder, out)


def load(model: ModelSource, *, half: bool = False) -> Loaded:
    """Load `model`, a folder, a Hub id or a teacher that names one, with the head that it was saved with.

    Layers that transformers stores the other way round (GPT-2's) are `nn.Linear` until it is saved.

    Args:
        model: what a step's model field holds when it runs.
        half: whether float32 weights are taken as bfloat16, because they will serve 16-bit activations.

    Raises:
        BadInput: it is no model folder, an adapter, quantized already, or of an architecture that can't be compressed.
    """
    import torch
    from transformers import AutoTokenizer

    from potstill.compression.architecture import architecture_for, with_linear_layers

    folder = folder_of(model)
    config = config_of(folder)
    architecture_for(config)
    # a float16 model stays float16; None is an old config, whose weights are float32
    dtype = torch.bfloat16 if half and getattr(config, "dtype", None) in (None, torch.float32) else "auto"
    loaded = with_head(folder, dtype)
    if torch.cuda.is_available() and fits(loaded, torch.cuda.mem_get_info()[0]):
        loaded = loaded.to("cuda")
    with_linear_layers(loaded)
    return Loaded(folder, loaded, AutoTokenizer.from_pretrained(folder))


def fits(model: PretrainedModel, free: int) -> bool:
    """Return whether a model leaves room for the work on a GPU with so many bytes `free`.

    If it doesn't, it stays in main memory, and methods that go block by block bring one at a time to the GPU.
    """
    return bool(sum(weight.nbytes for weight in model.parameters()) <= SHARE_OF_GPU * free)


def with_head(folder: Path, dtype: torch.dtype | str = "auto") -> PretrainedModel:
    """Load the model in `folder` with the head that it was saved with, in evaluation mode.

    Raises:
        BadInput: it is quantized (but MXFP4), or of a class that transformers lacks.
    """
    import torch
    import transformers

    config, method = config_of(folder), quantized_as(folder)
    if method and method != MXFP4:
        raise BadInput(f"the model {folder} is quantized already ({method}): take the 16-bit model it was made from")
    names = config.architectures or ["no architecture"]
    kind = getattr(transformers, names[0], None)
    if kind is None:
        raise BadInput(
            f"the model {folder} is a {names[0]}, which transformers has no class for: name one in its "
            "config.json under architectures"
        )
    # the class named in the config, not an Auto class: it has the head that the weights were saved with
    options: dict[str, Any] = {"dtype": dtype}
    if method:
        # which holds its numbers times their scales exactly
        options = {"dtype": torch.bfloat16, "quantization_config": transformers.Mxfp4Config(dequantize=True)}
    model = pretrained(kind, folder, f"be loaded as a {names[0]}", options).eval()
    if method:
        # by these it would be saved under the names of its quantized weights
        vars(model).pop("_weight_conversions", None)
    return model


def _carry_sentence_modules(folder: Path, out: Path) -> None:
    """Copy what makes a folder a sentence encoder: the list of its modules, and those behind the transformer."""
    if not (folder / SENTENCE[0]).is_file():
        return
    for name in SENTENCE:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, out / name)
    for module in json.loads((folder / SENTENCE[0]).read_text(encoding="utf-8")):
        # a path with more parts than a name could lead out of the folder
        if module["path"] and module["path"] == Path(module["path"]).name and (folder / module["path"]).is_dir():
            shutil.copytree(folder / module["path"], out / module["path"], dirs_exist_ok=True)
