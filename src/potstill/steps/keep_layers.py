"""A student made of some of its teacher's layers."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

from potstill.errors import BadInput, Problem
from potstill.modelcard import Task, name_of, write_card
from potstill.models import folder_of
from potstill.step import Model, Step
from potstill.steps.checkpoint import Loaded

if TYPE_CHECKING:
    from potstill.context import Context

SENTENCE = ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json")
"""Files that make a model folder a sentence encoder."""
TASKS: dict[str, Task] = {
    "ForCausalLM": "text-generation",
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForMaskedLM": "fill-mask",
}
"""What a model does, by the end of its architecture's name."""


class KeepLayers(Step):
    """Make a student of some of a teacher's layers: alternate ones, or any others.

    Embeddings, head, tokenizer and every kept layer's weights are the teacher's, and the config counts the layers
    anew; nothing is trained. DistilBERT starts from one layer out of two, since both share the width (Sanh et al. 2019,
    arXiv 1910.01108, section 3). For encoders and causal models whose layers stand in one list; one without a head
    keeps none. All layers kept make the teacher again.

    >>> show(KeepLayers(encoder, every=2))
    {'parameters': 17389824, 'zeros': 0.0, 'bits': 32}
    """

    makes: ClassVar[str] = "model"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ("torch", "transformers")

    model: Model
    """Teacher: a step, a folder or a Hub id."""
    _: KW_ONLY
    layers: tuple[int, ...] = ()
    """Numbers of the teacher's layers from 0, in the student's order; empty takes them by `every`. (0, 2, 4, 7, 9, 11)
    of 12 are those of DistilBERT as published."""
    every: Annotated[int, Ge(1)] = 2
    """Where `layers` is empty: the first of each so many layers; 2 halves the depth, as in the paper."""

    def check(self) -> Iterable[Problem]:
        """Yield the layers that no model has."""
        below = [layer for layer in self.layers if layer < 0]
        if below:
            yield Problem("", "layers", f"{below} are no layers: they are counted from 0")

    def run(self, model: Any, context: Context) -> Path:
        """Write the student's folder.

        Raises:
            BadInput: the teacher has no such layers, or they can't be told.
        """
        loaded = load(folder_of(model))
        path, count = blocks(loaded.model)
        chosen = self._chosen(count)
        keep(loaded.model, path, chosen)
        context.out.mkdir(parents=True, exist_ok=True)
        loaded.model.save_pretrained(context.out)
        loaded.carry(context.out)
        carry_sentence_modules(loaded.folder, context.out)
        figures = {"parameters": loaded.model.num_parameters(), "layers": len(chosen)}
        context.notes |= {**figures, "kept": list(chosen), "of": count}
        base = name_of(loaded.folder)
        write_card(
            context.out,
            title=f"{base}, {len(chosen)} of {count} layers",
            made_from=base,
            recipe={"method": "layers kept as they are (Sanh et al. 2019)", "layers kept": list(chosen), "of": count},
            figures=figures,
            task=task_of(loaded),
        )
        return context.out

    def _chosen(self, count: int) -> Sequence[int]:
        """Return the layers to keep of `count`.

        Raises:
            BadInput: some don't exist.
        """
        chosen = self.layers or tuple(range(0, count, self.every))
        beyond = [layer for layer in chosen if layer >= count]
        if beyond:
            text = f"the model has {count} layers, numbered 0 to {count - 1}, so there is no layer"
            raise BadInput(Problem("", "layers", f"{text} {', '.join(map(str, beyond))}"))
        return chosen


def load(folder: Path) -> Loaded:
    """Load the model in `folder` with the head that it was saved with.

    Raises:
        BadInput: it is quantized, or of a class that transformers lacks.
    """
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder)
    if getattr(config, "quantization_config", None):
        raise BadInput(f"the model {folder} is quantized: take layers of the unquantized one it was made from")
    names = config.architectures or ["no architecture"]
    kind = getattr(transformers, names[0], None)
    if kind is None:
        raise BadInput(f"the model {folder} is a {names[0]}, which transformers has no class for: name one in its "
                       "config.json under architectures")  # fmt: skip
    model = kind.from_pretrained(folder, dtype="auto", use_safetensors=True).eval()
    return Loaded(folder, model, None)


def blocks(model: Any) -> tuple[str, int]:
    """Return the path of the list of a model's layers, and how many there are.

    Raises:
        BadInput: there is no such list, or several.
    """
    import torch

    count = int(model.config.get_text_config().num_hidden_layers)
    lists = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == count
    ]
    # a list inside of a layer (of experts, say) is no list of layers
    found = [name for name in lists if not any(name.startswith(f"{other}.") for other in lists)]
    if len(found) != 1 or getattr(model.config, "is_encoder_decoder", False):
        raise BadInput(
            f"a {type(model).__name__} has no single list of its {count} layers ({', '.join(found) or 'none found'}): "
            "take an encoder such as BERT, or a causal model, whose layers don't share their weights"
        )
    return found[0], count


def keep(model: Any, path: str, chosen: Sequence[int]) -> None:
    """Leave only the `chosen` layers in the list at `path`, and count them in the config; then save it, don't run it.

    A layer that is chosen twice is copied. Lists in the config that hold an entry for each layer (`layer_types`) are
    cut alike.
    """
    import torch

    parent, _, name = path.rpartition(".")
    old = model.get_submodule(path)
    kept = [
        old[layer] if layer not in chosen[:place] else copy.deepcopy(old[layer]) for place, layer in enumerate(chosen)
    ]
    setattr(model.get_submodule(parent), name, torch.nn.ModuleList(kept))
    config = model.config.get_text_config()
    for key, value in list(vars(config).items()):
        if "layer" in key and isinstance(value, (list, tuple)) and len(value) == len(old):
            setattr(config, key, [value[layer] for layer in chosen])
    config.num_hidden_layers = len(chosen)


def carry_sentence_modules(folder: Path, out: Path) -> None:
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


def task_of(loaded: Loaded) -> Task:
    """Return what a loaded model does."""
    if (loaded.folder / SENTENCE[0]).is_file():
        return "sentence-similarity"
    kind = type(loaded.model).__name__
    return next((task for end, task in TASKS.items() if kind.endswith(end)), "feature-extraction")
