"""The pipeline: named outputs over a graph of steps; what users run, plan and draw."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from potstill.engine.graph import Graph, build, step_of
from potstill.engine.pipeline_file import pipeline_file
from potstill.engine.plan import Planned, plan
from potstill.engine.records import Run, Watcher
from potstill.engine.resources import available_cpus, shortage
from potstill.engine.running import ranks
from potstill.engine.running.after_run import send_results
from potstill.engine.running.budget import Budget, Sharing
from potstill.engine.running.executor import Executor, Local
from potstill.engine.running.interrupts import noticed
from potstill.engine.running.runner import Runner
from potstill.engine.running.service_state import sweep
from potstill.engine.running.services import Services
from potstill.engine.step import Node, Output, Step
from potstill.engine.store.artifacts import Store
from potstill.engine.store.run_records import Origin
from potstill.engine.validate import problems
from potstill.errors import Problem, RequestError, StepFailed

DEFAULT_STORE = ".potstill"


class Pipeline:
    """A named graph of steps, described by the outputs it hands over."""

    def __init__(self, name: str, outputs: Mapping[str, Node]) -> None:
        """Record the graph behind `outputs`; nothing runs.

        The variables at the place of the call give the steps their names, and `--set` its paths.

        Raises:
            RequestError: `outputs` are not named.
        """
        if not isinstance(outputs, Mapping):
            text = f"outputs must be a dict of names and steps, such as {{'rows': rows}}, got {outputs!r:.60}"
            raise RequestError(f"{text} ({type(outputs).__name__})")
        self.name = name
        self.outputs = dict(outputs)
        frame = sys._getframe(1)
        self.file = pipeline_file(frame)
        self.variables: dict[str, Any] = {**frame.f_globals, **frame.f_locals}

    def graph(self) -> Graph:
        """Return the steps in order, named.

        Raises:
            RequestError: an output is no step, or the steps form a cycle or clash in name.
        """
        wrong = [
            Problem(name, "", f"an output must be a step or an output of one, got {value!r:.60}")
            for name, value in self.outputs.items()
            if not isinstance(value, (Step, Output))
        ]
        if wrong or not self.outputs:
            raise RequestError(*wrong or (f"the pipeline {self.name!r} has no outputs",))
        return build(self.outputs, _variable_names(self.variables))

    def check(self) -> Graph:
        """Return the graph if nothing is wrong with it.

        Raises:
            RequestError: with all problems together.
        """
        graph = self.graph()
        wrong = problems(graph)
        if wrong:
            raise RequestError(*wrong)
        return graph

    def run(
        self,
        *,
        store: str | Path | None = None,
        only: str | None = None,
        jobs: int = 1,
        threads: int | None = None,
        executor: Executor | None = None,
        watcher: Watcher | None = None,
    ) -> Run:
        """Run the pipeline, or what its output `only` needs, and return the artifacts by output name.

        Raises:
            RequestError: the pipeline is wrong; nothing was run.
            StepFailed: a step failed; everything that finished is kept for the next run.
        """
        from potstill.engine.progress import watcher_for

        result = self.execute(
            store=store,
            only=only,
            jobs=jobs,
            threads=threads,
            executor=executor,
            watcher=watcher or watcher_for(sys.stderr),
        )
        # the first failure is raised; the others stand in the records of `execute`, and on the display
        for record in result.failed:
            if record.bad_request:
                raise RequestError(Problem(record.name, "", record.error))
            raise StepFailed(record.name, record.error)
        return result

    def execute(
        self,
        *,
        watcher: Watcher,
        store: str | Path | None = None,
        only: str | None = None,
        jobs: int = 1,
        threads: int | None = None,
        executor: Executor | None = None,
    ) -> Run:
        """Run like `run`, but return failures in the records instead of raising them.

        Where `torchrun` or the like started several processes, process 0 runs the pipeline. The others help it, and
        then return what they find in the store.
        """
        graph, launch = self.check(), ranks.launched()
        opened = open_store(store)
        options = (graph, opened, self._targets(graph, only), jobs, threads, executor, watcher)
        if launch is None:
            return self._execute(*options)
        if launch.rank:
            ranks.help_out(launch)
            return self._execute(*options)
        with ranks.leading(launch) as ended:
            result = self._execute(*options)
            ended(bool(result.failed))
            return result

    def _execute(
        self,
        graph: Graph,
        opened: Store,
        targets: list[Node],
        jobs: int,
        threads: int | None,
        executor: Executor | None,
        watcher: Watcher,
    ) -> Run:
        """Run the steps that `targets` need."""
        opened.prepare()
        sweep(opened.root)
        shared = Services(opened.root)
        place = executor or Local(jobs)
        if isinstance(place, Sharing):
            self._refuse_oversized(place.budget, opened, graph, targets)
        # by the cores that this process may use, not those of the machine: containers are given a part
        share = threads or max(1, available_cpus() // jobs)
        runner = Runner(
            origin=Origin.here(self.name, self.file, opened.root),
            graph=graph,
            targets=targets,
            store=opened,
            executor=place,
            watcher=watcher,
            jobs=jobs,
            threads=share,
            services=shared,
        )
        try:
            # from here on Ctrl-C is noted and steps are ended in order, so that what is finished is published
            with noticed() as runner.interrupts, place.hold(graph.steps):
                result = runner.run()
                send_results(graph, runner.records, opened, watcher.said)
                return result
        finally:
            try:
                if executor is None:
                    place.close()
            finally:
                shared.close()

    def plan(self, *, store: str | Path | None = None, only: str | None = None) -> list[Planned]:
        """Return what a run would do; executes nothing."""
        graph = self.check()
        opened = open_store(store)
        return plan(graph, self._targets(graph, only), opened, Origin.here(self.name, self.file, opened.root))

    def _refuse_oversized(self, budget: Budget, store: Store, graph: Graph, targets: list[Node]) -> None:
        """Refuse steps that take more than the machine has, unless their results are there.

        Raises:
            RequestError: with all of them.
        """
        steps = graph.ancestors([step_of(node) for node in targets])
        wrong = {graph.name(step): [*shortage(budget.wanted(step), budget.machine)] for step in steps}
        if any(wrong.values()):  # only then: a plan looks up every step
            planned = plan(graph, targets, store, Origin.here(self.name, self.file, store.root))
            missed = [step.name for step in planned if step.status == "miss"]
            problems = [Problem(name, field, text) for name in missed for field, text in wrong.get(name, ())]
            if problems:
                raise RequestError(*problems)

    def _targets(self, graph: Graph, only: str | None) -> list[Node]:
        """Return the outputs that are wanted."""
        if only is None:
            return list(graph.outputs.values())
        if only not in graph.outputs:
            raise RequestError(f"the pipeline {self.name!r} has no output {only!r}; it has {', '.join(graph.outputs)}")
        return [graph.outputs[only]]


def open_store(store: str | Path | Store | None = None) -> Store:
    """Return the store at `store`, else `POTSTILL_STORE`, else `.potstill`; one that is open already as it is."""
    if isinstance(store, Store):
        return store
    return Store(Path(store or os.environ.get("POTSTILL_STORE") or DEFAULT_STORE))


def _variable_names(variables: Mapping[str, Any]) -> dict[int, str]:
    """Return the names of the variables that hold steps, by `id(step)`; lists and dicts of steps give `name[key]`.

    A variable that holds a recipe of several steps names none of them.
    """
    names: dict[int, str] = {}
    for name, value in variables.items():
        # also IPython's `_`, `__` and `_1`, which hold whatever was shown last
        if name.startswith("_"):
            continue
        if _is_one_step(value):
            # the first variable that held a step names it: later ones are aliases
            names.setdefault(id(step_of(value)), name)
        elif isinstance(value, (list, tuple, dict)):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for key, item in items:
                if _is_one_step(item):
                    names.setdefault(id(step_of(item)), f"{name}[{key}]")
    return names


def _is_one_step(value: Any) -> TypeGuard[Step]:
    """Return whether a value is a step, and no sequence of steps."""
    return isinstance(value, Step) and not isinstance(value, Sequence)
