"""Sequence classification: an encoder with a new head learns labels, and a teacher's probabilities of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Interval

from potstill.chat import save_tokenizer
from potstill.errors import BadInput, Problem
from potstill.modelcard import name_of, write_card
from potstill.trainers import student as students
from potstill.trainers.training import Training, learn, schedule_of, start, stored

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor

    from potstill.context import Context
    from potstill.trainers.examples import Example

SOFT = "probabilities"
"""Column with a teacher's probabilities of the classes."""
MOST_NAMED = 10
"""Labels that a message names; more are only counted."""


class Classifier(Training):
    """Train an encoder with a new head to name the class of a text; all weights learn.

    The loss is cross-entropy on `label`. Where the rows hold a teacher's `probabilities` it is alpha * temperature^2 *
    KL(teacher || student) + (1 - alpha) * cross-entropy (Hinton et al. 2015, arXiv 1503.02531, section 2). Writes a
    float32 folder for `AutoModelForSequenceClassification`, whose config holds the classes' names, sorted.

    >>> rows = LoadRows([{"text": "what a joy", "label": "good"}, {"text": "so dull", "label": "bad"}])
    >>> show(Classifier(rows, student=encoder, epochs=1))
    {'parameters': 22713986, 'zeros': 0.0, 'bits': 32}
    """

    unkeyed: ClassVar[frozenset[str]] = frozenset({"checkpoint_every"})  # with dropout, parts draw different numbers

    _: KW_ONLY
    text: str = "text"
    """Column with the text."""
    label: str = "label"
    """Column with the name of its class, or a number."""
    classes: tuple[str, ...] = ()
    """Names of all classes; empty takes the labels that occur. Their order is that of their names either way."""
    alpha: Annotated[float, Interval(ge=0, le=1)] | None = None
    """Weight of the teacher's `probabilities`: a list in the order of the sorted classes, or a probability by name.
    None is 0.5 where the rows have that column, and 0 where they don't. A row without them counts as sure of its
    label."""
    temperature: Annotated[float, Gt(0)] = 1.0
    """Softens both distributions; 2 to 4 shows the student more of what the teacher finds alike."""
    max_length: Annotated[int, Ge(3)] = 256
    """Longest text, in tokens; of a longer one the start is read."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the rows must have."""
        return {"rows": (self.text, self.label, *((SOFT,) if self.alpha else ()))}

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the classes."""
        if self.classes and len(set(self.classes)) < 2:
            yield Problem("", "classes", f"{list(self.classes)} are no two classes: give all names, or none")

    def recipe(self) -> dict[str, object]:
        """Return the parameters that the model card names."""
        return {**super().recipe(), "longest text": self.max_length}

    def run(self, rows: Dataset, student: Any, context: Context) -> Path:
        """Train the student on `rows` and write its folder.

        Raises:
            BadInput: the student is no encoder that can be trained, or the labels make no classes.
        """
        start(context)
        folder = students.folder_of(student)
        names = self._names(rows)
        alpha = (0.5 if self.alpha is None else self.alpha) if SOFT in rows.column_names else 0.0
        tokenizer = students.load_tokenizer(folder)
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        examples = stored(rows, self._reader(tokenizer, folder, names, alpha > 0, context), context)
        context.notes |= {"classes": len(names), "alpha": alpha}
        return self._fit(folder, tokenizer, examples, names, alpha, context)

    def _fit(
        self, folder: Path, tokenizer: Any, examples: Any, names: Sequence[str], alpha: float, context: Context
    ) -> Path:
        """Train, and write the folder."""
        from potstill.trainers.texts import reading

        model = load(folder, names, tokenizer.pad_token_id, self.seed)
        schedule = schedule_of(self, default_learning_rate(model.num_parameters()))
        objective = ClassObjective(alpha, self.temperature)
        figures = learn(model, examples, objective, schedule, reading(tokenizer.pad_token_id), context)
        model.save_pretrained(context.out)
        save_tokenizer(tokenizer, context.out)
        base = name_of(folder)
        soft = {"alpha": alpha, "temperature": self.temperature} if alpha else {}
        recipe = {**self.recipe(), "learning rate": schedule.learning_rate, "classes": len(names), **soft}
        title = f"{base}, trained by {type(self).__name__}"
        write_card(context.out, title=title, made_from=base, recipe=recipe, figures=figures, task="text-classification")
        return context.out

    def _names(self, rows: Dataset) -> list[str]:
        """Return the classes' names in order.

        Raises:
            BadInput: there are fewer than two, or the rows have labels that `classes` lacks.
        """
        found = ordered(rows.unique(self.label))
        if not self.classes:
            if len(found) < 2:
                raise BadInput(f"the column {self.label!r} names fewer than two classes: {found}")
            return found
        names = sorted(set(self.classes), key=found_order(self.classes))
        strange = [name for name in found if name not in names]
        if strange:
            more = f" and {len(strange) - MOST_NAMED} more" if len(strange) > MOST_NAMED else ""
            raise BadInput(
                f"the column {self.label!r} has labels that are no classes: {', '.join(strange[:MOST_NAMED])}{more}; "
                "add them to classes=, or leave the rows out"
            )
        return names

    def _reader(
        self, tokenizer: Any, folder: Path, names: Sequence[str], soft: bool, context: Context
    ) -> Callable[[Mapping[str, Any]], Example | str]:
        """Return what turns a row into tokens, or says why it can't."""
        from potstill.trainers.texts import labelled

        limit = longest(self.max_length, tokenizer, folder)
        numbers = {name: number for number, name in enumerate(names)}
        context.notes["cut_texts"] = 0

        def read(row: Mapping[str, Any]) -> Example | str:
            text, label = row[self.text], row[self.label]
            if not isinstance(text, str) or not text.strip():
                return "no text"
            if label is None or not str(label).strip():
                return "no label"
            number = numbers[str(label)]
            ids = tokenizer(text, truncation=True, max_length=limit)["input_ids"]
            context.notes["cut_texts"] += len(ids) == limit and len(tokenizer(text)["input_ids"]) > limit
            return labelled(ids, number, shares(row, number, names) if soft else None)

        return read


@dataclass(frozen=True)
class ClassObjective:
    """alpha * temperature^2 * KL(teacher || student) + (1 - alpha) * cross-entropy, for each row."""

    alpha: float
    """Weight of the teacher's probabilities."""
    temperature: float
    """Softens both distributions."""

    def __call__(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the loss [B] of the rows from the student's logits [B, C]."""
        from potstill.trainers.losses import cross_entropy, forward_kl

        hard = (1 - self.alpha) * cross_entropy(logits, batch["labels"])
        if not self.alpha:
            return hard
        # log-probabilities are logits that sum to one: softening them is exact
        soft = forward_kl(logits, batch["teacher_logprobs"], self.temperature)
        return self.alpha * self.temperature**2 * soft + hard


def shares(row: Mapping[str, Any], label: int, names: Sequence[str]) -> list[float]:
    """Return the teacher's probabilities of the classes in a row; without any it is sure of the `label`.

    Raises:
        BadInput: they are not one probability for each class.
    """
    given = row[SOFT]
    if given is None:
        return [float(number == label) for number in range(len(names))]
    name = f"row {row.get('id', '')!r}"
    if isinstance(given, Mapping):
        strange = sorted(set(given) - set(names))
        if strange:
            raise BadInput(f"{name}: {SOFT} names {', '.join(strange[:MOST_NAMED])}, which are no classes")
        given = [given.get(known) or 0.0 for known in names]
    if len(given) != len(names):
        raise BadInput(f"{name}: {len(given)} {SOFT} for {len(names)} classes: name all of them in classes=")
    total = math.fsum(given)
    if min(given) < 0 or not math.isclose(total, 1.0, abs_tol=0.01):
        raise BadInput(f"{name}: {SOFT} must be at least 0 and add up to 1, got {list(given)!r:.120}")
    return [value / total for value in given]


def ordered(labels: Iterable[Any]) -> list[str]:
    """Return the names of classes in order: whole numbers by value, everything else by name.

    >>> ordered([10, 9, None]), ordered(["b", "a", " "])
    (['9', '10'], ['a', 'b'])
    """
    names = {str(label) for label in labels if label is not None and str(label).strip()}
    return sorted(names, key=found_order(names))


def found_order(names: Iterable[str]) -> Callable[[str], Any]:
    """Return the key by which these names of classes are sorted."""
    return int if all(name.lstrip("-").isdecimal() for name in names) else str


def longest(wanted: int, tokenizer: Any, folder: Path) -> int:
    """Return the longest text that a model can read, up to `wanted` tokens."""
    from transformers import AutoConfig

    positions = getattr(AutoConfig.from_pretrained(folder), "max_position_embeddings", None)
    return int(min(wanted, tokenizer.model_max_length, positions or wanted))


def default_learning_rate(parameters: int) -> float:
    """Return the usual learning rate for fine-tuning an encoder of this size.

    4,400 by the number of parameters, at most 1e-3: 2e-4 for a MiniLM of 22 million, 4e-5 for BERT base, 1.3e-5 for
    BERT large; a line through common practice, not a law.
    """
    return min(1e-3, 4400 / max(parameters, 1))


def load(folder: Path, names: Sequence[str], padding: int, seed: int) -> Any:
    """Return the encoder in `folder` with a head for the classes `names`: its own if it was trained for just these.

    Raises:
        BadInput: it can't classify, or is quantized.
    """
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    config = AutoConfig.from_pretrained(folder)
    same = list((config.id2label or {}).values()) == list(names)
    if getattr(config, "quantization_config", None):
        raise BadInput(f"the model {folder} is quantized: train the unquantized one")
    config.id2label = dict(enumerate(names))
    config.label2id = {name: number for number, name in enumerate(names)}
    config.problem_type, config.pad_token_id = "single_label_classification", padding
    torch.manual_seed(seed)
    try:
        model = AutoModelForSequenceClassification.from_pretrained(
            folder, config=config, dtype=torch.float32, use_safetensors=True, ignore_mismatched_sizes=True
        )
    except ValueError as error:
        raise BadInput(f"the model {folder} ({config.model_type}) can't classify texts: {error}") from error
    if not same:
        renew_head(model)
    return model


def renew_head(model: Any) -> None:
    """Give the linear layers outside of the encoder new weights, normal with the spread that the config names."""
    import torch

    spread = getattr(model.config, "initializer_range", None) or 0.02
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and not name.startswith(f"{model.base_model_prefix}."):
            torch.nn.init.normal_(module.weight, std=spread)
            if module.bias is not None:
                torch.nn.init.zeros_(module.bias)
