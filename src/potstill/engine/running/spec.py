"""What is sent to the process in which a step runs, and what comes back."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from potstill.engine.context import Ancestor
from potstill.engine.graph import nodes_in, replace_nodes, step_of
from potstill.engine.keys.inputs import Source
from potstill.engine.running import services
from potstill.engine.signatures import parameters
from potstill.engine.step import Node, Output, Step
from potstill.engine.store.artifacts import Artifact
from potstill.engine.store.run_records import Origin


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


Edge = Input | Mapping[str, str]
"""What stands behind an edge of a step that is about to run: an artifact, or why there is none."""


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
    devices: tuple[str, ...] | None = None
    """GPUs that its process sees; None leaves them as they are."""
    access: services.Access | None = None
    """By which the step reaches the services of its run."""
    node: int = 0
    """The `id` of the step in the run's graph, by which a fork of the run's process finds it."""
    edges: Mapping[int, Edge] = field(default_factory=dict)
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


def detached(step: Step, inputs: Mapping[int, Edge], fixed: Mapping[str, Any] | None = None) -> Step:
    """Return a copy of `step` with its `fixed` fields, and `Input`s as edges, by `id(step)` of the step behind them."""

    def replacement(node: Node, inside: bool) -> Any:
        source = inputs[id(step_of(node))]
        if not isinstance(source, Input):
            return source
        output = node.name if isinstance(node, Output) else ""
        return source.path if inside else dataclasses.replace(source, output=output)

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
    from potstill.engine.step import Edge as EdgeMark

    run = getattr(type(step), "run", None)
    taken = parameters(run) if run else ()

    def handed_over(name: str) -> bool:
        value = getattr(step, name)
        if any(True for _ in nodes_in(value)):
            return True
        return any(isinstance(mark, EdgeMark) for mark in marks(type(step), name)) and (
            value is not None or name in taken
        )

    return tuple(field.name for field in dataclasses.fields(step) if handed_over(field.name))
