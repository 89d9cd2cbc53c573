"""A classifier as labeller: fast and cheap, for the task that it was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import MinLen

from potstill.engine.encoding import digest
from potstill.errors import BadInput, Problem
from potstill.models.loading import pretrained
from potstill.models.positions import positions_of
from potstill.models.sentence_encoder import texts_in
from potstill.steps.labelling.classifier_base import ClassifierStep
from potstill.steps.rows.added import added

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from numpy.typing import NDArray

    from potstill.compression.pretrained import PretrainedModel
    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource, Tokenizer

CHUNK = 1024
"""Rows that are sorted by length together, and then journalled: what a kill costs at most."""
NAN = "the model's scores are NaN or infinite"
"""Why a row gets no label."""


class RunTaskModel(ClassifierStep):
    """Labels each row's text with a Hugging Face sequence classifier: `label`, `score`, `probabilities`.

    `score` is the probability of the label, and `probabilities` has those of all labels by name: two models may have
    the same labels in another order, which a list would not show. Rows of like length share a batch; finished chunks
    survive a kill. A text that is longer than the model reads is cut, and counted in a warning. A row of which the
    model's scores are NaN is lost, as it would get the first label.

    >>> rows = LoadRows([{"instruction": "play some jazz"}, {"instruction": "dim the lamp"}])
    >>> show(Select(RunTaskModel(rows, classifier), ["instruction", "label"]))
    {'instruction': 'play some jazz', 'label': 'music'}
    {'instruction': 'dim the lamp', 'label': 'light'}
    """

    _: KW_ONLY
    column: Annotated[str, MinLen(1)] = "instruction"
    """Column of the texts."""

    # probabilities by name (2); a row whose scores are NaN is lost (3)
    version: ClassVar[int] = 3

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new ones.

        Raises:
            BadInput: the rows have one of these already.
        """
        rows = inputs.get("rows")
        return added(self, rows, ("label", "score", "probabilities"))

    def run(self, rows: Dataset, model: ModelSource, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the rows with their labels.

        Raises:
            BadInput: the model is no classifier with one label a text.
        """
        import numpy as np

        classifier = Classifier(str(model), self.batch_size, context)
        context.notes["labels"] = list(classifier.labels)
        texts, waiting, done = texts_in(rows, self.column), iter(rows), 0
        while chunk := list(islice(texts, CHUNK)):
            for number, probabilities in enumerate(classifier.chunk(chunk), done):
                row = next(waiting)
                if not np.isfinite(probabilities).all():
                    # argmax takes NaN for the largest: the row would get the first label
                    context.ledger.lose(str(row.get("id", number)), "permanent", NAN)
                    continue
                best = int(probabilities.argmax())
                prediction = {"label": classifier.labels[best], "score": float(probabilities[best])}
                context.ledger.keep()
                shares = dict(zip(classifier.labels, probabilities.tolist(), strict=True))
                yield {**row, **prediction, "probabilities": shares}
            done += len(chunk)
            context.progress(done, len(rows))
        classifier.warn_of_cut()


class Classifier:
    """A sequence classifier, whose weights are loaded at the first chunk that is not in the journal."""

    def __init__(self, model: str, batch_size: int, context: Context) -> None:
        """Read the configuration of `model`.

        Raises:
            BadInput: it is no classifier with one label a text.
        """
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(model, trust_remote_code=False)
        kinds = config.architectures or ["nothing"]
        if not any(kind.endswith("ForSequenceClassification") for kind in kinds):
            text = f"{model} is a {', '.join(kinds)} and no sequence classifier"
            raise BadInput(Problem("", "model", f"{text}: give a folder saved by AutoModelForSequenceClassification"))
        if config.problem_type not in (None, "single_label_classification") or config.num_labels < 2:
            text = f"{model} gives {config.num_labels} labels as {config.problem_type}, not one of several"
            raise BadInput(Problem("", "model", f"{text}: give a classifier with one label a text"))
        self.labels: Sequence[str] = [str(config.id2label[number]) for number in range(config.num_labels)]
        self.cut = 0
        self._name = model
        self._batch_size = batch_size
        self._context = context
        self._loaded: tuple[Any, Any] | None = None

    def chunk(self, texts: list[str]) -> NDArray[np.float32]:
        """Return the probabilities [N, L] of a chunk from the journal, or compute and journal them."""
        import numpy as np

        # without the batch size: padding changes the last bit of a probability at most
        key = digest(["labels", self._name, texts])
        entry = self._context.journal.get(key)
        if entry is None:
            values, cut = self._classify(texts)
            entry = {"cut": cut, "probabilities": values.tobytes()}
            self._context.journal.put(key, entry)
        self.cut += entry["cut"]
        return np.frombuffer(entry["probabilities"], np.float32).reshape(-1, len(self.labels))

    def warn_of_cut(self) -> None:
        """Warn of texts that were too long, if any were."""
        if self.cut:
            text = f"{self.cut} texts are longer than the classifier reads: only their beginnings count"
            self._context.notes.setdefault("warnings", []).append(text)
            self._context.logger.warning(text)

    def _classify(self, texts: list[str]) -> tuple[NDArray[np.float32], int]:
        """Run the model over batches of like length; returns also how many texts it cut."""
        import numpy as np
        import torch

        self._loaded = self._loaded or _load(self._name)
        tokenizer, model = self._loaded
        longest = _longest(tokenizer, model)
        tokens = tokenizer(texts, truncation=False, verbose=False)["input_ids"]
        lengths = [len(ids) for ids in tokens]
        # by length, so that little of a batch is padding
        order = sorted(range(len(texts)), key=lengths.__getitem__)
        values = np.empty((len(texts), len(self.labels)), np.float32)
        for start in range(0, len(order), self._batch_size):
            places = order[start : start + self._batch_size]
            encoded = tokenizer(
                [texts[place] for place in places],
                truncation=True,
                max_length=longest,
                padding=True,
                return_tensors="pt",
            ).to(model.device)
            with torch.inference_mode():
                values[places] = torch.softmax(model(**encoded).logits.float(), dim=-1).cpu().numpy()
        return values, sum(length > longest for length in lengths)


def _load(name: str) -> tuple[Any, Any]:
    """Return tokenizer and model, on the accelerator if there is one."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    model = pretrained(AutoModelForSequenceClassification, name, "classify", {"trust_remote_code": False})
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.config.pad_token_id = tokenizer.pad_token_id
    return tokenizer, model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def _longest(tokenizer: Tokenizer, model: PretrainedModel) -> int:
    """Return the model's context in tokens: the tokenizer's limit, at most the number of positions."""
    positions = positions_of(model.config) or 512
    return int(min(tokenizer.model_max_length, positions))
