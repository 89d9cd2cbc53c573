"""What a run would do: every step a hit or a miss with the reason by name, and what the misses will cost."""

from __future__ import annotations

import contextlib
import logging
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, runtime_checkable

from potstill.engine.annotations import marks
from potstill.engine.context import Context
from potstill.engine.digests import walk
from potstill.engine.graph import Graph, edges, step_of
from potstill.engine.keys.identity import Codes, explain, key_of, step_identity
from potstill.engine.ledger import Ledger
from potstill.engine.resources import Machine, Resources, wanted
from potstill.engine.running.execute import resolved
from potstill.engine.running.spec import Input, detached, edge_fields
from potstill.engine.step import Edge, Estimate, Node, Output, Step
from potstill.engine.store.artifacts import Artifact, Store
from potstill.engine.store.journal import ReadOnly
from potstill.engine.store.run_records import Entry, Origin
from potstill.errors import RequestError


@dataclass(frozen=True)
class Planned:
    """What a run would do with one step."""

    name: str
    """Name in the pipeline."""
    type: str
    """Class name."""
    status: str
    """`hit` or `miss`."""
    reasons: tuple[str, ...]
    """Why it is a miss."""
    key: str
    """Its key, or empty while an input is still to be made."""
    estimate: Estimate
    """What a miss will cost; what a hit holds."""
    resources: Resources
    """What it takes of this machine while it runs, in a run of one step at a time."""

    @property
    def is_large(self) -> bool:
        """Whether the step takes more than one core of a machine."""
        return self.resources != Resources()

    def as_json(self) -> dict[str, Any]:
        """Return the entry as `--json` prints it."""
        return {
            "name": self.name,
            "type": self.type,
            "status": self.status,
            "reasons": list(self.reasons),
            "key": self.key or None,
            "rows": self.estimate.rows,
            "calls": self.estimate.calls,
            "tokens": self.estimate.tokens,
            "disk": self.estimate.disk,
            "cached": self.estimate.cached,
            "dollars": round(self.estimate.dollars, 4),
            "unknown": self.estimate.unknown or None,
            **asdict(self.resources),
        }


def plan(graph: Graph, targets: list[Node], store: Store, origin: Origin) -> list[Planned]:
    """Return what a run would do, step by step; executes nothing and writes nothing."""
    planner = _Planner(graph, store, store.runs.last(origin.pipeline, origin.file))
    return [planner.add(step) for step in graph.ancestors([step_of(node) for node in targets])]


class _Planner:
    """Walks the steps in order and remembers what is known about each."""

    def __init__(self, graph: Graph, store: Store, last_run: Mapping[str, Entry]) -> None:
        self._graph = graph
        self._store = store
        self._last_run = last_run
        self._machine = Machine.here()
        self._artifacts: dict[int, Artifact] = {}
        self._rows: dict[int, int | None] = {}
        self._bytes: dict[int, int] = {}
        self._codes: Codes = {}

    def add(self, step: Step) -> Planned:
        """Plan one step; its parents are planned already."""
        name, takes = self._graph.name(step), wanted(step, self._machine, self._machine.cpus)
        unknown = [self._graph.name(p) for p in self._graph.parents(step) if id(p) not in self._artifacts]
        key, reasons = "", tuple(f"input {parent} will be made" for parent in unknown)
        if not unknown:
            key, reasons = self._look_up(step, name)
        if not reasons:
            artifact = self._artifacts[id(step)]
            self._rows[id(step)] = artifact.rows
            self._bytes[id(step)] = artifact.size
            return Planned(name, type(step).__name__, "hit", (), key, Estimate(rows=artifact.rows), takes)
        estimate = self._estimate(step, name, inputs_exist=not unknown)
        self._rows[id(step)], self._bytes[id(step)] = estimate.rows, estimate.disk
        own = self._own_changes(step, name) if unknown else ()
        return Planned(name, type(step).__name__, "miss", own + reasons, key, estimate, takes)

    def _look_up(self, step: Step, name: str) -> tuple[str, tuple[str, ...]]:
        """Return the key of a step whose inputs are known, and why it is a miss."""
        lineage = None
        if type(step).wants_lineage:
            ancestors = self._graph.ancestors([step])[:-1]
            sources = [(self._graph.name(ancestor), self._artifacts[id(ancestor)]) for ancestor in ancestors]
            lineage = [[name, artifact.key, artifact.digest()] for name, artifact in sources]
        try:
            identity = step_identity(step, lambda node: self._artifacts[id(step_of(node))], self._codes, lineage)
        except RequestError as error:
            return "", (str(error),)
        key = key_of(identity)
        lookup = self._store.lookup(key)
        if lookup.damage:
            return key, (f"corrupt: {lookup.damage}",)
        if lookup.artifact is None:
            changes = explain(self._last_identity(name), identity)
            if any(change.startswith(("code changed", "value of ")) for change in changes):
                changes += self._other_python(name)
            begun = (self._store.root / "work" / key).exists()  # publishing takes it away
            unchanged = "it did not finish last time" if begun else "its artifact is no longer in the store"
            return key, tuple(changes) or (unchanged,)
        self._artifacts[id(step)] = lookup.artifact
        retryable = lookup.artifact.manifest["counts"]["retryable"]
        if retryable:
            # steps behind it wait for the result with the retried rows: its digest will be another one
            del self._artifacts[id(step)]
            return key, (f"{retryable} rows to retry",)
        return key, ()

    def _estimate(self, step: Step, name: str, *, inputs_exist: bool) -> Estimate:
        """Return what a step will cost; a trial that fails is no reason to have no plan."""
        rows = self._input_rows(step)
        estimate = step.estimate(rows)
        # only then can the journal be asked which answers are there: requests are made of the inputs' rows
        if inputs_exist and estimate.calls:
            # a step's own `forecast` may fail in any way, and the plan then says what `estimate` said
            with TemporaryDirectory() as folder, contextlib.suppress(Exception):
                estimate = step.forecast(rows, _Trial(step, name, self._artifacts, self._store, Path(folder)))
        dollars = estimate.dollars or _bill(step, estimate.tokens)
        return replace(estimate, dollars=dollars, disk=estimate.disk or self._disk(step, estimate))

    def _disk(self, step: Step, estimate: Estimate) -> int:
        """Return the bytes that a step will write, by those of its inputs: a model is as large as the largest."""
        if step.makes == "model":
            folders = [Path(str(getattr(step, field.name))) for field in fields(step) if _names_model(step, field.name)]
            local = [sum(file.stat().st_size for file in walk(folder)) for folder in folders if folder.is_dir()]
            return max([*local, *(self._bytes.get(id(step_of(node)), 0) for _, node in edges(step))], default=0)
        if step.makes == "rows" and estimate.rows:
            counted = [
                (self._rows.get(id(step_of(node))), self._bytes.get(id(step_of(node)), 0)) for _, node in edges(step)
            ]
            return max((size * estimate.rows // count for count, size in counted if count), default=0)
        return 0

    def _own_changes(self, step: Step, name: str) -> tuple[str, ...]:
        """Return what changed in a step itself while its inputs are still to be made."""
        last = self._last_identity(name)
        if last is None:
            return ("first run",)
        try:
            identity = step_identity(step, _unmade, self._codes)
        except RequestError:
            return ()
        # as they were: with inputs that are still to be made, only what the user changed in the step itself is a reason
        identity["inputs"] = last.get("inputs", {})
        identity.update({"lineage": last["lineage"]} if "lineage" in last else {})
        return tuple(explain(last, identity))

    def _last_identity(self, name: str) -> dict[str, Any] | None:
        """Return what the key of a step covered in the last run of the same file, or None."""
        return dict(self._last_run[name].identity) if name in self._last_run else None

    def _other_python(self, name: str) -> list[str]:
        """Return that a step last ran under another Python, whose library can differ though no file of the user did."""
        artifact = self._store.lookup(self._last_run[name].key).artifact
        before = "" if artifact is None else artifact.manifest["versions"]["python"]
        last, now = (version.rpartition(".")[0] for version in (before, platform.python_version()))
        return [f"Python changed from {last} to {now}"] if before and last != now else []

    def _input_rows(self, step: Step) -> dict[str, int | None]:
        """Return the number of rows behind each edge field."""
        rows: dict[str, int | None] = {}
        for name, node in edges(step):
            here = self._rows.get(id(step_of(node)))
            # of a field with several steps the rows add up; where one is not known, the sum is of the others
            rows[name] = here if name not in rows else (rows[name] or 0) + (here or 0)
        return rows


@dataclass(frozen=True)
class _Trial:
    """The inputs of one step, and a context that writes into a folder which is thrown away."""

    step: Step
    name: str
    artifacts: Mapping[int, Artifact]
    store: Store
    folder: Path

    def inputs(self) -> dict[str, Any]:
        """Return what `run` would get by edge field."""
        behind = {id(step_of(node)): Input.of(self.artifacts[id(step_of(node))]) for _, node in edges(self.step)}
        twin = detached(self.step, behind)
        return {name: resolved(getattr(twin, name), self.folder) for name in edge_fields(self.step)}

    def context(self) -> Context:
        """Return a context whose journals can be read and not written."""
        journal = ReadOnly(self.store.root / "journal.sqlite")
        return Context(
            step=self.name,
            key="trial",
            work=self.folder / "scratch",
            out=self.folder / "payload",
            journal=journal.scoped("trial"),
            store_journal=journal,
            ledger=Ledger(),
            logger=logging.getLogger("potstill.trial"),
            seed=int(getattr(self.step, "seed", 0) or 0),
        )


def _names_model(step: Step, field: str) -> bool:
    """Return whether a field names a model by a text or path."""
    kinds = {mark.kind for mark in marks(type(step), field) if isinstance(mark, Edge)}
    return "model" in kinds and isinstance(getattr(step, field), (str, Path))


@runtime_checkable
class Price(Protocol):
    """What asking costs."""

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return the dollars for tokens that are read and written."""


def _bill(step: Step, tokens: int) -> float:
    """Return the dollars for tokens, half of them read and half written, by the dearest price of what a step asks."""
    values: list[object] = []
    for value in (getattr(step, field.name) for field in fields(step)):
        # several models stand in a dict or a list
        several = (
            value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else (value,)
        )
        values += several
    prices = [getattr(value, "price", None) for value in values if not isinstance(value, (Step, Output))]
    bills = [price.of(tokens // 2, tokens - tokens // 2) for price in prices if isinstance(price, Price)]
    return max(bills, default=0.0)


@dataclass(frozen=True)
class _Unmade:
    """Stands for an artifact that does not exist yet."""

    path: str = "to be made"

    def digest(self, output: str = "") -> str:
        return "to be made"


def _unmade(node: Node) -> Any:
    """Return the stand-in for any input."""
    return _Unmade()
