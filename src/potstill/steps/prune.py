"""Pruning: steps that set weights of a model to zero."""

from __future__ import annotations

from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Interval

from potstill.modelcard import name_of, write_card
from potstill.prompts import Template
from potstill.step import Model, Rows, Step
from potstill.steps import calibration as calibrations
from potstill.steps import checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from datasets import Dataset

    from potstill.context import Context

NO_GAIN = "the zeros are stored like other weights: no smaller on disk and no faster"


class WandaPrune(Step):
    """Prune the decoder's linear layers by |weight| times input norm (Wanda, Sun et al. 2023, section 3).

    Block by block; embeddings and head stay. Within every output row the same share of weights becomes zero. The folder
    is a dense one: unstructured zeros make it neither smaller nor faster in vLLM or transformers. Notes hold the share
    of zeros and the agreement with the unpruned model on the calibration answers (fitted to them, so optimistic).

    >>> rows = LoadRows([{"instruction": "turn on the light", "output": "on"}] * 16)
    >>> show(WandaPrune(student, calibration=rows, sparsity=0.5))
    {'parameters': 1049984, 'zeros': 0.4, 'bits': 16}
    """

    makes: ClassVar[str] = "model"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ("torch", "transformers")

    model: Model
    """Model to prune: a step, a folder or a Hub id."""
    _: KW_ONLY
    calibration: Rows
    """Rows with `output` and what `prompt` needs; the training rows, never the test's."""
    sparsity: Annotated[float, Interval(ge=0, lt=1)] = 0.5
    """Share of the weights of each row that become zero; the paper's main setting is 0.5."""
    prompt: Template = "answer.jinja"
    """Template that turns a calibration row into a chat; that of training and evaluation."""
    samples: Annotated[int, Ge(1)] = 128
    """Calibration rows to draw; the paper's number."""
    max_length: Annotated[int, Ge(8)] = 256
    """Longest calibration text, in tokens."""
    seed: int = 0
    """Seed of the draw of calibration rows."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the calibration rows must have."""
        return {"calibration": ("output",)}

    def run(self, model: Any, calibration: Dataset, context: Context) -> Path:
        """Prune `model` and write its folder."""
        from potstill.compression.agreement import agreement, final_states

        loaded = checkpoint.load(model)
        drawn = calibrations.calibration_texts(
            calibration,
            loaded.tokenizer,
            loaded.model.config,
            prompt=self.prompt,
            samples=self.samples,
            max_length=self.max_length,
            seed=self.seed,
        )
        before = final_states(loaded.model, drawn.measured)
        reached = prune(loaded.model, drawn.batches(), self.sparsity, context)
        figures = agreement(loaded.model.lm_head, before, final_states(loaded.model, drawn.measured))
        context.notes |= {"calibration": drawn.figures(), "agreement": figures, "sparsity": reached}
        context.out.mkdir(parents=True, exist_ok=True)
        loaded.model.save_pretrained(context.out)
        loaded.carry(context.out)
        base = name_of(loaded.folder)
        write_card(
            context.out,
            title=f"{base}, {self.sparsity:.0%} pruned",
            made_from=base,
            recipe={
                "method": "Wanda, unstructured (Sun et al. 2023)",
                "sparsity": self.sparsity,
                "storage": NO_GAIN,
                "calibration rows": len(drawn.texts),
            },
            figures={**{f"calibration {name}": value for name, value in figures.items()}, "zeros": reached},
        )
        return context.out


def prune(model: Any, batches: list[Any], sparsity: float, context: Context) -> float:
    """Prune `model` in place; return the share of zeros in its decoder blocks' linear layers."""
    from potstill.compression.walk import decoder_blocks, walk
    from potstill.compression.wanda import InputNorms, mask

    total = len(decoder_blocks(model)[1])
    zeros, weights = 0, 0
    for number, block in enumerate(walk(model, batches)):
        norms = block.record(lambda layer: InputNorms(layer.in_features, layer.weight.device))
        for path, layer in block.layers.items():
            layer.weight.data.mul_(mask(layer.weight.data, norms[path].norms(), sparsity))
            zeros += int((layer.weight.data == 0).sum())
            weights += layer.weight.numel()
        context.progress(number + 1, total, note=block.name)
    return zeros / max(weights, 1)
