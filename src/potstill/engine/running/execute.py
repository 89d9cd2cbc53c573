"""One step, executed: inputs resolved, `run` called, the result written and published. The same in any process."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from potstill.engine.columns import check_columns
from potstill.engine.context import Context, Progress
from potstill.engine.graph import like
from potstill.engine.keys.inputs import Inputs, InputsChanged, check_files
from potstill.engine.ledger import Ledger
from potstill.engine.logs import keep_printed, log_to
from potstill.engine.rows import files as rows
from potstill.engine.running import out_of_memory, services
from potstill.engine.running.provenance import machine, versions
from potstill.engine.running.results import write_result
from potstill.engine.running.spec import Input, Outcome, Spec
from potstill.engine.signatures import parameters
from potstill.engine.step import Step
from potstill.engine.store.artifacts import Store
from potstill.engine.store.disk import writing
from potstill.engine.store.manifests import SCHEMA
from potstill.errors import PotstillError, RequestError, StoreError, described


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
        if field.name != "name"
        and not field.metadata.get("unkeyed")
        and not (field.name in fields and _holds_input(getattr(step, field.name)))
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
