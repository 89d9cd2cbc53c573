"""A run: steps in order, each a hit or executed once, with whatever failed reported and nothing finished lost."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, fields, replace
from typing import Any

from potstill.engine.graph import Graph, edges, replace_nodes, step_of
from potstill.engine.keys.identity import Codes, fixed_fields, key_of, step_identity
from potstill.engine.keys.inputs import source_of
from potstill.engine.records import Interrupted, Record, Run, Watcher
from potstill.engine.resources import given
from potstill.engine.running import lineage
from potstill.engine.running.after_run import note_unsent
from potstill.engine.running.budget import Budget, Grant, Sharing
from potstill.engine.running.executor import Executor
from potstill.engine.running.interrupts import Interrupts
from potstill.engine.running.lacking import lacking, may_run_without, without_lacking
from potstill.engine.running.recording import Recording, planned
from potstill.engine.running.services import Services, named_in
from potstill.engine.running.spec import Edge, Input, Outcome, Spec, detached, edge_fields
from potstill.engine.step import Node, Output, Step
from potstill.engine.store import key_locks
from potstill.engine.store.artifacts import Artifact, Store
from potstill.engine.store.run_history import History, RunState
from potstill.engine.store.run_records import Origin
from potstill.engine.store.usage import Usage
from potstill.errors import PotstillError, RequestError

POLL_SECONDS = 0.2
"""How often a run looks whether another process has freed a key that it needs."""
INPUT_TRIES = 3
"""How often a step is started whose inputs change while it runs."""


@dataclass
class Runner:
    """Drives one run of a graph."""

    origin: Origin
    """Which pipeline file runs, and where."""
    graph: Graph
    """Its steps."""
    targets: list[Node]
    """What is wanted; only what these need is run."""
    store: Store
    """Where results are."""
    executor: Executor
    """Where steps run."""
    watcher: Watcher
    """Who shows the run."""
    jobs: int = 1
    """Steps at once."""
    threads: int = 1
    """Threads a step."""
    services: Services | None = None
    """What steps share beyond their own end; its owner stops them."""
    interrupts: Interrupts = field(default_factory=Interrupts)
    """Whether the run was asked to end."""
    records: dict[int, Record] = field(default_factory=dict)
    """Record by `id(step)`."""
    _running: dict[Future[Outcome], tuple[Step, Record, key_locks.Lock]] = field(default_factory=dict)
    _used: dict[Future[Outcome], frozenset[str]] = field(default_factory=dict)
    _served: set[str] = field(default_factory=set)
    _busy: set[str] = field(default_factory=set)
    _foreign: set[str] = field(default_factory=set)
    _ready: deque[Step] = field(default_factory=deque)
    _open: dict[int, int] = field(default_factory=dict)
    _budget: Budget | None = field(init=False)
    _usage: Usage = field(init=False)
    _history: History = field(init=False)
    _children: dict[int, list[Step]] = field(default_factory=dict)
    _codes: Codes = field(default_factory=dict)
    _tries: Counter[int] = field(default_factory=Counter)
    _restarting: dict[int, list[Step]] = field(default_factory=dict)
    """By `id(step)`, a step that is looked up again: the steps that wait for it, which its first end did not free."""

    def __post_init__(self) -> None:
        """Pin and record what the run uses."""
        self._budget = self.executor.budget if isinstance(self.executor, Sharing) else None
        self._history = History(self.store.root, self.origin)
        self.watcher = Recording(self.watcher, self._history)
        self._usage = Usage(self.store, self.origin, self.watcher.said)

    def run(self) -> Run:
        """Run everything that the targets need.

        Raises:
            Interrupted: by Ctrl-C; the owner of the executor stops what still runs.
        """
        total = self.graph.ancestors([step_of(node) for node in self.targets])
        self.watcher.planned([self.graph.name(step) for step in total])
        for step in total:
            self.records[id(step)] = Record(self.graph.name(step), type(step).__name__)
            self._open[id(step)] = len(self.graph.parents(step))
            for parent in self.graph.parents(step):
                self._children.setdefault(id(parent), []).append(step)
        self._ready.extend(step for step in total if not self._open[id(step)])
        records = [self.records[id(step)] for step in total]
        wanted = {name: node for name, node in self.graph.outputs.items() if node in self.targets}
        outputs = {name: self.records[id(step_of(node))] for name, node in wanted.items()}
        parts = {name: node.name for name, node in wanted.items() if isinstance(node, Output)}
        run = Run(self.origin.pipeline, self.store.root, records, outputs, parts)
        self._history.planned(planned(self.graph, total), {name: record.name for name, record in outputs.items()})
        state: RunState = "failed"
        try:
            self._drive()
            state = "failed" if run.failed else "done"
        except KeyboardInterrupt as stop:
            state = "interrupted"
            raise Interrupted(run) from stop
        finally:
            self._free(*(step for step, _, _ in self._running.values()))
            if self._budget is not None:
                self._budget.give_back(*self._served)
            self._usage.close(complete=state == "done", steps=self.graph.names.values())
            self._history.close(state)
        return run

    def _drive(self) -> None:
        """Start what is ready and collect what ends, until nothing is left."""
        while self._ready or self._running:
            self.interrupts.check()
            waiting = range(len(self._ready))
            started = [self._start(self._next()) for _ in waiting if len(self._running) < self.jobs]
            if self._running:
                self._collect()
            elif self._ready and not any(started):
                time.sleep(POLL_SECONDS)

    def _next(self) -> Step:
        """Take the first step that is ready; one that would end a service that others wait for comes after them."""
        step = self._ready[0]
        if self._served:
            kind = [one for one in self._ready if not self._wants_room(one) or self._served & {*self._services_of(one)}]
            step = next(iter(kind), step)
        self._ready.remove(step)
        return step

    def _start(self, step: Step) -> bool:
        """Settle a step whose parents are settled, or start it; otherwise put it back and return False."""
        record = self.records[id(step)]
        if any(id(parent) in self._restarting for parent in self.graph.parents(step)):
            return self._later(step)
        failed = [parent for parent in self.graph.parents(step) if self.records[id(parent)].artifact is None]
        if failed and not may_run_without(step, failed):
            record.error = f"not run: {self.graph.name(failed[0])} failed"
            return self._finish(step, record)
        try:
            return self._settle(step, record)
        except RequestError as error:
            record.status, record.error, record.bad_request = "failed", str(error), True
        except PotstillError as error:
            record.status, record.error = "failed", str(error)
        return self._finish(step, record)

    def _settle(self, step: Step, record: Record) -> bool:
        """Take a hit from the store, or start the step under its key's lock."""
        fixed = fixed_fields(step)
        identity = step_identity(
            step,
            self._artifact,
            self._codes,
            lineage.digests(self.graph, step, self._made),
            {**fixed, **without_lacking(step, self._lacking)},
        )
        record.key = key_of(identity)
        if record.key in self._busy:
            return self._later(step)
        if self._hit(record):
            self._usage.hit(record.name, record.key, identity)
            return self._finish(step, record)
        if not self._has_room(step):
            return self._later(step)
        lock = key_locks.try_lock(self.store.root, record.key)
        if lock is None:
            if record.key not in self._foreign:
                self._foreign.add(record.key)
                self.watcher.said(f"{record.name}: waiting for {key_locks.owner(self.store.root, record.key)}")
            return self._later(step)
        if self._hit(record):
            lock.release()
            self._usage.hit(record.name, record.key, identity)
            return self._finish(step, record)
        try:
            self._usage.start(record.name, record.type, record.key, identity)
            self._history.started(record.name, record.key)
            note_unsent(step, record.key, self.store)
            used = self._services_of(step)
            spec = self._granted(self._spec(step, record, identity, fixed), self._make_room(step, used))
            future = self.executor.submit(spec, edge_fields(step), self.watcher.started(record.name))
        except BaseException:
            self._free(step)
            lock.release()
            raise
        self._busy.add(record.key)
        self._running[future] = (step, record, lock)
        self._used[future] = frozenset(used)
        return True

    def _make_room(self, step: Step, used: Mapping[str, int]) -> Grant:
        """Stop the services that would be in the way of `step`, which uses others; return what it is given."""
        if self.services is not None and (idle := self._in_the_way(step, used)):
            self._served -= idle
            self.services.keep_only(self._served)
            if self._budget is not None:
                self._budget.give_back(*idle)
        self._served |= used.keys()
        return Grant() if self._budget is None else self._budget.take(step, used)

    def _in_the_way(self, step: Step, used: Mapping[str, int]) -> set[str]:
        """Return the services that neither `step` nor a running one uses, if the step needs the memory."""
        return self._served.difference(used, *self._used.values()) if self._wants_room(step) else set()

    def _wants_room(self, step: Step) -> bool:
        """Return whether a step needs the memory that an idle service holds."""
        return step.placement().heavy or type(step).alone or bool(given(step, "gpus"))

    def _services_of(self, step: Step) -> dict[str, int]:
        """Return the GPUs of the services that a step will use; one that can't tell says why when it runs."""
        if any(self.records[id(parent)].artifact is None for parent in self.graph.parents(step)):
            return {}
        values = [getattr(step, part.name) for part in fields(step)]
        try:
            return named_in([replace_nodes(value, lambda node, _: self._artifact(node).path) for value in values])
        except (PotstillError, OSError):
            return {}

    def _has_room(self, step: Step) -> bool:
        """Return whether a job and what the step takes are free, and nothing that wants to run alone is in the way."""
        if any(type(running).alone for running, _, _ in self._running.values()):
            return False
        if self._running if type(step).alone else len(self._running) >= self.jobs:
            return False
        if self._budget is None:
            return True
        used = self._services_of(step)
        return self._budget.fits(step, used, self._in_the_way(step, used))

    def _granted(self, spec: Spec, grant: Grant) -> Spec:
        """Return a step with what it was given."""
        access = None if spec.access is None else replace(spec.access, devices=grant.services)
        return replace(spec, threads=grant.threads or spec.threads, devices=grant.devices, access=access)

    def _free(self, *steps: Step) -> None:
        """Give back what steps have held."""
        if self._budget is not None:
            self._budget.give_back(*map(id, steps))

    def _later(self, step: Step) -> bool:
        """Put a step back: a job, or another process, has to end first."""
        self._ready.append(step)
        return False

    def _hit(self, record: Record) -> bool:
        """Take the artifact of the record's key if it is whole and has no rows to retry."""
        record.artifact = self._usage.find(record.name, record.key)
        if record.artifact is not None:
            record.status = "hit"
        return record.artifact is not None

    def _collect(self) -> None:
        """Wait for a step to end, and take its outcome."""
        done, _ = wait(self._running, timeout=POLL_SECONDS * 5, return_when=FIRST_COMPLETED)
        for future in done:
            step, record, lock = self._running.pop(future)
            self._used.pop(future)
            self._free(step)
            outcome = future.result()
            lookup = self.store.lookup(record.key) if outcome.status == "ran" else None
            lock.release()
            self._busy.discard(record.key)
            if outcome.status == "failed":
                self.interrupts.check()  # a library may have made an error of it
            for warning in outcome.warnings:
                self.watcher.said(f"{record.name}: {warning}")
            if outcome.changed_inputs and self._tries[id(step)] < INPUT_TRIES:
                self._restart(step, outcome)
                continue
            record.status, record.seconds, record.error = outcome.status, outcome.seconds, outcome.error
            record.bad_request = outcome.bad_request
            if lookup is not None and lookup.artifact is None:
                record.status, record.error = "failed", f"its artifact is not whole: {lookup.damage or 'missing'}"
            elif lookup is not None:
                record.artifact = lookup.artifact
            self._finish(step, record)

    def _restart(self, step: Step, outcome: Outcome) -> None:
        """Look up a step again whose inputs changed while it ran, and before it those that were removed or replaced."""
        self._tries[id(step)] += 1
        self.watcher.said(f"{self.records[id(step)].name}: {outcome.error}. It is started again")
        for parent in self.graph.parents(step):
            record = self.records[id(parent)]
            if record.key not in outcome.changed_inputs:
                continue
            self._open[id(step)] += 1
            if id(parent) not in self._restarting:
                record.artifact, record.status = None, "skipped"
                self._ready.append(parent)
            self._restarting.setdefault(id(parent), []).append(step)
        if not self._open[id(step)]:
            self._ready.append(step)

    def _finish(self, step: Step, record: Record) -> bool:
        """Tell the watcher, and let the steps go that only waited for this one."""
        self.watcher.finished(record)
        for child in self._restarting.pop(id(step), self._children.get(id(step), ())):
            self._open[id(child)] -= 1
            if not self._open[id(child)]:
                self._ready.append(child)
        return True

    def _made(self, node: Node) -> Artifact | None:
        """Return the artifact behind an edge, or None of a step that failed."""
        return self.records[id(step_of(node))].artifact

    def _lacking(self, node: Node) -> dict[str, str]:
        """Return what stands for a step that failed; nothing of one that has an artifact."""
        record = self.records[id(step_of(node))]
        return {} if record.artifact is not None else lacking(record)

    def _artifact(self, node: Node) -> Artifact:
        """Return the artifact behind an edge."""
        artifact = self.records[id(step_of(node))].artifact
        assert artifact is not None, "a step is settled only after its parents"
        return artifact

    def _spec(self, step: Step, record: Record, identity: dict[str, Any], fixed: dict[str, Any]) -> Spec:
        """Return what an executor needs to run the step."""
        inputs: dict[int, Edge] = {}
        names: dict[str, list[str]] = {}
        for name, node in edges(step):
            failed = self._lacking(node)
            inputs[id(step_of(node))] = failed or Input.of(self._artifact(node))
            if not failed:
                names.setdefault(name, []).append(self.graph.name(node))
        return Spec(
            step=detached(step, inputs, fixed),
            name=record.name,
            origin=self.origin,
            key=record.key,
            store=self.store.root,
            identity=identity,
            inputs=names,
            sources=tuple(
                source_of(self.graph.name(p), self._artifact(p))
                for p in self.graph.parents(step)
                if not self._lacking(p)
            ),
            lineage=tuple(lineage.ancestors(self.graph, step, self._made)),
            threads=self.threads,
            access=self.services.access if self.services else None,
            node=id(step),
            edges=inputs,
            fixed=fixed,
        )
