"""Files that rows are written to: row groups and files of a fixed layout, all in one schema, found on the way.

The same rows give the same bytes, however they were made and in whichever pieces they come. Where a later row widens
the schema, what was written is written again at the end; where it can't, nothing is left behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from potstill.engine.rows import optional_keys, sizes, times
from potstill.engine.rows.casting import recast_table
from potstill.engine.rows.common_types import unified
from potstill.engine.rows.features import FeatureLog
from potstill.engine.rows.flaws import Flawed, FlawLog
from potstill.engine.rows.objects import holds_json
from potstill.engine.rows.types import Unfit, said, stored_schema

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


@dataclass(frozen=True)
class Layout:
    """How rows are laid out in files."""

    group_rows: int
    """Most rows of a row group, which is what is held in memory."""
    group_bytes: int
    """Most bytes of a row group, if it has more than one row."""
    part_groups: int
    """Row groups of a file."""


@dataclass
class Segment:
    """Consecutive row groups in one file and one schema; a part has several if the schema widened in its midst."""

    path: Path
    """The file."""
    part: int
    """Number of the part that it belongs to."""
    schema: pa.Schema
    """Schema of its rows."""
    writer: pq.ParquetWriter
    """Writes it."""
    groups: int = 0
    """How many row groups it has."""
    first_row: int = 0
    """Number of its first row."""


@dataclass
class Parts:
    """The files of one dataset that is being written."""

    folder: Path
    """Where they are."""
    layout: Layout
    """How rows are laid out in them."""
    log: FlawLog
    """Gathers what is wrong; once there is anything, rows are only looked at."""
    features: FeatureLog
    """What is known of columns beyond their types."""
    rows: int = 0
    """Rows that came."""
    _written: int = 0
    _groups: int = 0
    _waiting: list[pa.Table] = field(default_factory=list)
    _held: int = 0
    _held_bytes: int = 0
    _segments: list[Segment] = field(default_factory=list)
    _kinds: dict[str, pa.Field] = field(default_factory=dict)
    _since: dict[str, int] = field(default_factory=dict)
    _schema: pa.Schema | None = None
    _structs: dict[str, pa.DataType] = field(default_factory=dict)

    def add(self, table: pa.Table) -> None:
        """Take in some rows."""
        table = self._stored(table)
        self.log.add(*times.beyond(table))
        if self._schema is None or not table.schema.equals(self._schema):
            self._widen(table)
        self.rows += table.num_rows
        if self.log.count:
            return
        self._waiting.append(table)
        self._held += table.num_rows
        self._held_bytes += table.nbytes
        # a row group without columns would be read back without rows: such rows wait for the first that has any
        while self._kinds and (self._held >= self.layout.group_rows or self._held_bytes > self.layout.group_bytes):
            if not self._flush(last=False):
                return

    def close(self, columns: Iterable[str] = ()) -> None:
        """Write what waits, and bring all files into the final schema; `columns` are those of no rows at all."""
        import pyarrow as pa

        if not self.rows:
            self._promise(columns)
        elif not self._kinds and not self.log.count:
            self.log.add(f"all {self.rows} rows are empty: give them columns")
        while self._held and not self.log.count:
            self._flush(last=True)
        if not self._segments and not self.log.count:
            self._write(pa.Table.from_batches([], self._schema or _no_columns()))
        for segment in self._segments:
            segment.writer.close()
        if self._schema is not None and not self.log.count and any(holds_json(part.type) for part in self._schema):
            self._structs = optional_keys.surveyed(self._fitted_groups())
        for part in range(self._segments[-1].part + 1 if self._segments else 0):
            segments = [segment for segment in self._segments if segment.part == part]
            if not self.log.count and (len(segments) > 1 or not self._is_final(segments[0].schema)):
                self._rewrite(segments)

    def clear(self) -> None:
        """Close the files, and remove them if anything is wrong."""
        for segment in self._segments:
            segment.writer.close()
            if self.log.count:
                segment.path.unlink(missing_ok=True)

    def _stored(self, table: pa.Table) -> pa.Table:
        """Return a table in stored types; what it knows of its columns goes to the features."""
        if table.schema.metadata:
            self.features.take(table.schema)
            table = table.replace_schema_metadata(None)
        if self._schema is not None and table.schema.equals(self._schema):
            return table
        schema, wrong = stored_schema(table.schema)
        if wrong:
            self.log.add(*wrong)
            return table.select([])
        try:
            return recast_table(table, schema)
        except Flawed as error:
            self.log.add_flaws(error, self.rows)
            return table.select([])

    def _promise(self, columns: Iterable[str]) -> None:
        """Add columns of which nothing is known but their names."""
        import pyarrow as pa

        for name in columns:
            self._kinds.setdefault(name, pa.field(name, pa.null()))
        self._schema = pa.schema(self._kinds.values())

    def _is_final(self, schema: pa.Schema) -> bool:
        """Return whether a schema is the final one, to what is known of the columns."""
        return bool(schema.equals(self._final(), check_metadata=True))

    def _widen(self, table: pa.Table) -> None:
        """Make the schema hold the columns of a table too, and log those that it can't."""
        import pyarrow as pa

        for part in table.schema:
            field = self._kinds.get(part.name)
            if field is None:
                self._kinds[part.name] = part if not self.rows else part.with_nullable(True)
            elif not field.equals(part):
                try:
                    kind = unified(field.type, part.type)
                    self._kinds[part.name] = pa.field(part.name, kind, field.nullable or part.nullable)
                except Unfit as error:
                    row = self.rows + _first_value(table[part.name])
                    since = self._since.get(part.name, 0)
                    self.log.add(
                        f"row {row}, column {part.name!r} holds {said(part.type)}, but {said(field.type)} in row "
                        f"{since}: give the column one type ({error} don't go together)"
                    )
            if part.name not in self._since and not pa.types.is_null(part.type):
                self._since[part.name] = self.rows + _first_value(table[part.name])
        for name in self._kinds.keys() - set(table.column_names):
            self._kinds[name] = self._kinds[name].with_nullable(True)
        self._schema = pa.schema(self._kinds.values())

    def _final(self) -> pa.Schema:
        """Return the schema with what is known of the columns."""
        return optional_keys.field_schema(self.features.on(self._schema or _no_columns()), self._structs)

    def _flush(self, *, last: bool) -> bool:
        """Write a row group of what waits, if that is known to be a whole one; returns whether it was."""
        import pyarrow as pa

        try:
            tables = [self._fitted(table) for table in self._waiting]
        except Flawed as error:
            self.log.add_flaws(error, self._written)
            self._waiting = []
            return False
        joined = pa.concat_tables(tables)
        count = sizes.first_rows(joined, self.layout.group_rows, self.layout.group_bytes)
        if count == joined.num_rows and count < self.layout.group_rows and not last:
            self._waiting, self._held_bytes = [joined], 0  # what lies in memory is more than what is in the rows
            return False
        # one chunk: the bytes of a row group must not depend on the pieces in which rows came
        self._write(joined.slice(0, count).combine_chunks())
        rest = joined.slice(count)
        self._waiting, self._held, self._held_bytes = [rest], rest.num_rows, rest.nbytes
        return True

    def _fitted(self, table: pa.Table) -> pa.Table:
        """Return a table in the schema found so far."""
        if self._schema is None or table.schema.equals(self._schema):
            return table
        return recast_table(table, self._schema)

    def _fitted_groups(self) -> Iterator[pa.Table]:
        """Yield what was written in the final schema, but what does not fit into it, which is logged."""
        for segment in self._segments:
            row = segment.first_row
            for group in _row_groups(segment.path):
                try:
                    yield self._fitted(group)
                except Flawed as error:
                    self.log.add_flaws(error, row)
                row += group.num_rows

    def _write(self, group: pa.Table) -> None:
        """Write a row group."""
        part = self._groups // self.layout.part_groups
        schema = self.features.on(group.schema)
        current = self._segments[-1] if self._segments else None
        if current is None or current.part != part or not current.schema.equals(schema):
            if current is not None:
                current.writer.close()
            current = self._opened(part, schema)
        current.writer.write_table(
            group.replace_schema_metadata(schema.metadata), row_group_size=max(1, group.num_rows)
        )
        current.groups += 1
        self._groups += 1
        self._written += group.num_rows

    def _opened(self, part: int, schema: pa.Schema) -> Segment:
        """Return a new segment of a part."""
        import pyarrow.parquet as pq

        more = sum(segment.part == part for segment in self._segments)
        path = self.folder / f"part-{part:05d}{f'.{more}' if more else ''}.parquet"
        writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._segments.append(Segment(path, part, schema, writer, first_row=self._written))
        return self._segments[-1]

    def _rewrite(self, segments: list[Segment]) -> None:
        """Write a part again in the final schema."""
        import pyarrow.parquet as pq

        schema, new = self._final(), segments[0].path.with_suffix(".new")
        with pq.ParquetWriter(new, schema, compression="zstd") as writer:
            for segment in segments:
                row = segment.first_row
                for group in _row_groups(segment.path):
                    try:
                        fields = optional_keys.as_fields(self._fitted(group), self._structs)
                        table = fields.replace_schema_metadata(schema.metadata)
                        writer.write_table(table, row_group_size=max(1, group.num_rows))
                    except Flawed as error:
                        self.log.add_flaws(error, row)
                    row += group.num_rows
                segment.path.unlink()
        new.unlink() if self.log.count else new.replace(segments[0].path)


def _row_groups(path: Path) -> Iterator[pa.Table]:
    """Yield the row groups of a file as tables of one chunk."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            yield file.read_row_group(number, use_threads=False).combine_chunks()


def _no_columns() -> pa.Schema:
    """Return the schema of rows of which nothing is known."""
    import pyarrow as pa

    return pa.schema([])


def _first_value(column: pa.ChunkedArray) -> int:
    """Return the number of the first value that is not missing, or 0."""
    import pyarrow.compute as pc

    position = pc.index(column.is_valid(), True).as_py()
    return max(0, int(position))
