"""Average the probabilities of several labellers: an ensemble of teachers in probability space."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any, ClassVar

from potstill.engine.rows.files import beside
from potstill.engine.step import Estimate, Rows, Step
from potstill.errors import BadInput, Problem
from potstill.labelling.class_shares import ClassShares, class_shares

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from datasets import Dataset
    from numpy.typing import NDArray

    from potstill.engine.context import Context

OWN = frozenset({"label", "score"})
"""Columns that each labeller writes in its own way; all others that are shared must agree."""


class AverageProbabilities(Step):
    """Takes rows that several classifiers labelled, and gives them the weighted mean of the probabilities.

    A soft target from an ensemble is the arithmetic mean of its members' distributions (Hinton et al. 2015, arXiv
    1503.02531, section 2). Everything else is the first version's. The versions must hold the same rows in the same
    order, and name the same classes; lists have no names, so of those only the length can be compared.

    >>> rows = LoadRows([{"text": "dim it", "probabilities": {"light": 0.9, "music": 0.1}}])
    >>> other = LoadRows([{"text": "dim it", "probabilities": {"light": 0.5, "music": 0.5}}])
    >>> show(AverageProbabilities([rows, other], weights=(0.75, 0.25)))
    {'text': 'dim it', 'probabilities': {'light': 0.8, 'music': 0.2}}
    """

    rows: list[Rows] | tuple[Rows, ...]
    """The versions, each with `probabilities`."""
    _: KW_ONLY
    weights: tuple[float, ...] | list[float] = ()
    """How much each version counts; they add up to 1. Empty counts all the same."""
    relabel: bool = False
    """Whether `label` and `score` become the most probable class and its probability; takes probabilities by name."""
    column: str = "probabilities"
    """Where they are."""

    makes: ClassVar[str] = "rows"

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the weights."""
        if not self.rows:
            yield Problem("", "rows", "there are no versions: give at least one")
        if not self.weights:
            return
        if len(self.weights) != len(self.rows):
            yield Problem(
                "", "weights", f"{len(self.weights)} weights for {len(self.rows)} versions: give one for each"
            )
        total = math.fsum(self.weights)
        if min(self.weights) < 0 or not math.isfinite(total) or not math.isclose(total, 1, abs_tol=1e-6):
            remedy = "" if total <= 0 else f", such as {tuple(round(weight / total, 4) for weight in self.weights)}"
            yield Problem("", "weights", f"must be at least 0 and add up to 1, got {tuple(self.weights)}{remedy}")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the column that is averaged."""
        return {"rows": (self.column,)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the first version."""
        first = inputs.get("rows[0]")
        return None if first is None else first | (OWN if self.relabel else frozenset())

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count the rows of one version."""
        total = rows.get("rows")
        return Estimate(rows=None if total is None else total // len(self.rows))

    def run(self, rows: list[Dataset], context: Context) -> pa.RecordBatchReader:
        """Return the rows, a batch at a time.

        Raises:
            BadInput: the versions don't hold the same rows, or not the same classes.
        """
        import numpy as np
        import pyarrow as pa

        if len({len(part) for part in rows}) > 1:
            counts = ", ".join(str(len(part)) for part in rows)
            raise BadInput(Problem("", "rows", f"the versions have {counts} rows: label the same rows with each"))
        weights = list(self.weights) or [1 / len(rows)] * len(rows)
        names = self._names(rows)
        schema = self._schema(rows[0].features.arrow_schema.remove_metadata(), names)

        def batches() -> Iterator[pa.RecordBatch]:
            done = 0
            for group in beside(rows):
                _same_rows(group, self.column, done)
                shares = [class_shares(table, self.column, done) for table in group]
                mean = np.tensordot(weights, np.stack([_ordered(part, names) for part in shares]), axes=1)
                yield from self._written(group[0], mean, names, schema).to_batches()
                done += group[0].num_rows
                context.ledger.keep(group[0].num_rows)

        return pa.RecordBatchReader.from_batches(schema, batches())

    def _names(self, rows: Sequence[Dataset]) -> tuple[str, ...]:
        """Return the names of the classes in the first version's order, or none where all hold lists.

        Raises:
            BadInput: the versions name different classes, or some name none.
        """
        import pyarrow as pa

        kinds = [part.features.arrow_schema.field(self.column).type for part in rows]
        named = [tuple(field.name for field in kind) if pa.types.is_struct(kind) else () for kind in kinds]
        for number, names in enumerate(named):
            if set(names) != set(named[0]):
                lacks = sorted(set(named[0]) - set(names))[:3] or "nothing"
                has = sorted(set(names) - set(named[0]))[:3] or "nothing"
                text = f"version {number} has other classes than the first: it lacks {lacks} and adds {has}"
                raise BadInput(Problem("", "rows", f"{text}; average classifiers of one set of classes"))
        if self.relabel and not named[0]:
            raise BadInput(
                Problem(
                    "",
                    "relabel",
                    f"the {self.column} are lists, which name no class: write them with ClassProbabilities",
                )
            )
        return named[0]

    def _schema(self, schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
        """Return the schema of the result."""
        import pyarrow as pa

        kind = pa.struct([(name, pa.float32()) for name in names]) if names else pa.list_(pa.float32())
        written = {self.column: kind, **({"label": pa.string(), "score": pa.float32()} if self.relabel else {})}
        for name, field_type in written.items():
            place = schema.get_field_index(name)
            field = pa.field(name, field_type)
            schema = schema.append(field) if place < 0 else schema.set(place, field)
        return schema

    def _written(
        self, table: pa.Table, mean: NDArray[np.floating[Any]], names: Sequence[str], schema: pa.Schema
    ) -> pa.Table:
        """Return a version's rows with other probabilities, and if asked other labels."""
        import numpy as np
        import pyarrow as pa

        # averaged in float64, stored as float32 like the labellers' own
        values = mean.astype(np.float32)
        kind = schema.field(self.column).type
        if names:
            parts = [pa.array(values[:, number]) for number in range(len(names))]
            new_columns: dict[str, Any] = {self.column: pa.StructArray.from_arrays(parts, fields=list(kind))}
        else:
            starts = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
            new_columns = {self.column: pa.ListArray.from_arrays(starts, values.reshape(-1))}
        if self.relabel:
            best = values.argmax(axis=1)
            new_columns |= {
                "label": pa.array([names[number] for number in best], pa.string()),
                "score": pa.array(values[np.arange(len(values)), best]),
            }
        every = {name: table[name] for name in table.column_names} | new_columns
        return pa.table([every.get(name) for name in schema.names], schema=schema)


def _ordered(shares: ClassShares, names: Sequence[str]) -> NDArray[np.float64]:
    """Return probabilities [N, C] in the order of `names`."""
    return shares.values[:, [shares.names.index(name) for name in names]] if names else shares.values


def _same_rows(group: Sequence[pa.Table], column: str, first: int) -> None:
    """Check that the versions agree in all columns that they share and that are not a labeller's.

    Raises:
        BadInput: they don't, or their lists have different lengths.
    """
    for number, table in enumerate(group[1:], 1):
        for name in group[0].column_names:
            if name == column:
                sizes = [len(part[name][0]) for part in (group[0], table) if part.num_rows and part[name][0].is_valid]
                if len(set(sizes)) > 1:
                    text = f"version {number} has {sizes[1]} {column} a row, the first one {sizes[0]}"
                    raise BadInput(Problem("", "rows", f"{text}: average classifiers of one set of classes"))
            elif name not in OWN and name in table.column_names and not table[name].equals(group[0][name]):
                pairs = zip(group[0][name].to_pylist(), table[name].to_pylist(), strict=True)
                place, (expected, other) = next((n, pair) for n, pair in enumerate(pairs) if pair[0] != pair[1])
                where = f"row {first + place} of version {number}"
                text = f"{where} has {name} {other!r:.40}, that of the first {expected!r:.40}"
                raise BadInput(Problem("", "rows", f"{text}: label the same rows, in one order, with each"))
