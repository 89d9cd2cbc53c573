"""A teacher classifier's probabilities for labelled rows: the soft targets of distillation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from potstill.engine.rows.files import tables
from potstill.errors import BadInput, Problem
from potstill.models.sentence_encoder import texts_in
from potstill.steps.labelling.classifier_base import ClassifierStep
from potstill.steps.labelling.task_model import CHUNK, Classifier

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource

COLUMN = "probabilities"
"""Where they are written."""


class ClassProbabilities(ClassifierStep):
    """Adds a classifier's `probabilities` of its classes, by name, and leaves everything else as it is.

    Made for distillation: a `label` that is there stays, where `RunTaskModel` would write its own. By name, because two
    classifiers may have the same classes in another order, which a list doesn't show. Finished chunks survive a kill.

    >>> rows = LoadRows([{"text": "play some jazz", "label": "music"}])
    >>> show(ClassProbabilities(rows, classifier))
    {'text': 'play some jazz', 'label': 'music', 'probabilities': {'light': 0.0..., 'music': 0.9...}}
    """

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new one.

        Raises:
            BadInput: it is there already.
        """
        rows = inputs.get("rows")
        if rows is not None and COLUMN in rows:
            raise BadInput(Problem("", "rows", f"they have a column {COLUMN} already: drop or rename it first"))
        return None if rows is None else rows | {COLUMN}

    def run(self, rows: Dataset, model: ModelSource, context: Context) -> pa.RecordBatchReader:
        """Return the rows with the probabilities, a batch at a time.

        Raises:
            BadInput: the model is no classifier with one label a text, or the rows have such a column already.
        """
        import pyarrow as pa

        self.columns({"rows": frozenset(rows.column_names)})
        classifier = Classifier(str(model), self.batch_size, context)
        struct = pa.struct([(name, pa.float32()) for name in classifier.labels])
        schema = rows.features.arrow_schema.remove_metadata().append(pa.field(COLUMN, struct))

        def batches() -> Iterator[pa.RecordBatch]:
            done = 0
            for table in tables(rows):
                texts = list(texts_in(({self.column: text} for text in table[self.column].to_pylist()), self.column))
                shares = [
                    self._shares(texts[first : first + CHUNK], classifier, struct)
                    for first in range(0, len(texts), CHUNK)
                ]
                done += len(texts)
                context.ledger.keep(len(texts))
                context.progress(done, len(rows))
                columns = [*table.columns, pa.chunked_array(shares, struct)]
                yield from pa.table(columns, schema=schema).to_batches()
            classifier.warn_of_cut()

        return pa.RecordBatchReader.from_batches(schema, batches())

    def _shares(self, texts: list[str], classifier: Classifier, struct: pa.DataType) -> pa.Array:
        """Return the probabilities of some texts as structs."""
        import pyarrow as pa

        values = classifier.chunk(texts)
        return pa.StructArray.from_arrays(
            [pa.array(values[:, number]) for number in range(values.shape[1])], fields=list(struct)
        )
