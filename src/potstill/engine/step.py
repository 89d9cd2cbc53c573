"""The step: a frozen dataclass whose step-valued fields are the edges of the graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    NoReturn,
    Protocol,
    Self,
    Union,
    dataclass_transform,
    overload,
)

from annotated_types import Ge

from potstill.engine.arguments import check_arguments
from potstill.engine.field_texts import WithFieldTexts
from potstill.engine.step_names import (
    declare_outputs,
    no_attribute,
    nothing_has_run,
    taken_names,
    use_class_defaults,
    wrong_outputs,
)
from potstill.errors import NothingHasRun, Problem, RequestError

if TYPE_CHECKING:
    from potstill.engine.context import Context

RESULT_NAMES = frozenset({"path", "rows", "dataset", "to_pandas", "metrics", "manifest", "key", "digest"})
"""What an artifact has and a step has not, so that asking a step for it gets an answer that helps."""


UNKEYED = {"unkeyed": True}
"""Metadata of the fields of every step that are no part of a key; a parameter of that name in a class of its own is."""


@dataclass(frozen=True)
class Edge:
    """Annotation mark of a field that holds steps."""

    # the mark is part of the code of users' steps: a new field in it would change all their keys
    unkeyed: ClassVar[frozenset[str]] = frozenset({"named", "corrected"})

    kind: str
    """What the step must make."""
    named: Callable[[str | Path], object] | None = None
    """Returns what a key holds for a text or path in place of a step; None where only steps are taken."""
    corrected: Callable[[str | Path, Collection[str]], Mapping[str, str]] | None = None
    """Returns what earlier versions got wrong of an input, given the names of the step's fields that are set: a part of
    the key of such inputs alone, so that results of before are no hits."""


@dataclass(frozen=True)
class Estimate:
    """What running a step is expected to take; `None` is unknown."""

    rows: int | None = None
    """Rows it will make."""
    calls: int = 0
    """Requests to a teacher."""
    tokens: int = 0
    """Tokens that the teacher reads and writes."""
    disk: int = 0
    """Bytes that the artifact will take; 0 where the step can't say, and the plan goes by its inputs."""
    cached: int = 0
    """Requests that the journal answers already; they are not among `calls`."""
    dollars: float = 0.0
    """What the calls cost, by the teacher's price."""
    unknown: str = ""
    """What is not among these figures because only a run can say, in words; empty where nothing is."""


@dataclass(frozen=True)
class Placement:
    """Where a step runs."""

    heavy: bool
    """Whether it runs in a child process, because it loads a model there; otherwise in the process of the run."""
    preload: tuple[str, ...] = ()
    """Modules that the child process imports before it starts."""
    gpus: int | None = None
    """GPUs that the process computes on where the machine has any; None is one for a heavy step, and else none."""
    server_gpus: int = 0
    """GPUs of the servers that the step starts or shares, where the machine has any."""

    def own_gpus(self) -> int:
        """Return how many GPUs the process computes on."""
        return int(self.heavy) if self.gpus is None else self.gpus


class Trial(Protocol):
    """What a step may look at where a plan asks for its cost and all its inputs exist."""

    def inputs(self) -> dict[str, Any]:
        """Return what `run` would get by edge field."""

    def context(self) -> Context:
        """Return a context whose journals can be read and not written."""


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
@dataclass(frozen=True, eq=False, repr=False)
class Step:
    """One node of the graph: fields that hold steps are edges, all others are parameters.

    Subclasses become frozen dataclasses by themselves and define `run`, whose arguments are the resolved edges by
    field name (a `datasets.Dataset` for rows, a folder for a model, a dict for metrics) and, if asked for, `context`.
    `run` returns rows, a folder or metrics; that of a step with `RowsOutput`s, a dict of rows by name.
    """

    name: str | None = field(default=None, kw_only=True)
    """Name in logs, plans and reports; by default that of the variable that holds the step."""
    cpus: Annotated[int, Ge(1)] | None = field(default=None, kw_only=True, metadata=UNKEYED)
    """Cores that the step takes, and threads it computes with; None is its share of the run's."""
    gpus: Annotated[int, Ge(0)] | None = field(default=None, kw_only=True, metadata=UNKEYED)
    """GPUs that the step's process sees; None is what its parameters ask for, on a machine that has any."""
    memory: Annotated[int, Ge(0)] | None = field(default=None, kw_only=True, metadata=UNKEYED)
    """Bytes of main memory that the step takes; None is not counted."""

    makes: ClassVar[str] = "anything"
    """What the step makes: `rows`, `model`, `metrics`, `report`, or `anything` when that shows only when it runs."""
    outputs: ClassVar[tuple[str, ...]] = ()
    """Names of the outputs of a step that has several; comes from the declarations, where the class doesn't set it."""
    version: ClassVar[int] = 1
    """Raised whenever a built-in step's result changes for the same parameters."""
    heavy: ClassVar[bool] = False
    """Whether the step loads a model, so that it runs in a child process whose memory is freed."""
    alone: ClassVar[bool] = False
    """Whether nothing may run beside the step, because it measures speed."""
    preload: ClassVar[tuple[str, ...]] = ()
    """Modules that a heavy step's process imports before it starts."""
    unkeyed: ClassVar[frozenset[str]] = frozenset()
    """Fields that can't change the result, and so are not part of the key."""
    unkeyed_defaults: ClassVar[frozenset[str]] = frozenset()
    """Fields that came later, and are part of the key only where they don't hold their default."""
    unordered: ClassVar[frozenset[str]] = frozenset()
    """Fields that hold dicts whose order can't change the result, and so is not part of the key."""
    spelled: ClassVar[Mapping[str, str]] = {}
    """Fields by the other name that `--set` takes for them, where the field's own name is an output's."""
    may_lack: ClassVar[frozenset[str]] = frozenset()
    """Fields with several steps of which some may fail: the step runs with what the others made, and with a dict of
    `step` and why it is `not made` in place of what failed."""
    wants_lineage: ClassVar[bool] = False
    """Whether the step reads its ancestors' manifests, which then become part of its key."""

    def __init_subclass__(cls) -> None:
        """Make the subclass a frozen dataclass.

        Raises:
            RequestError: it uses a name that is a step's own for a parameter or an output.
        """
        super().__init_subclass__()
        declare_outputs(cls, RowsOutput)
        wrong = [*taken_names(cls, Step), *wrong_outputs(cls, RowsOutput)]
        if wrong:
            raise RequestError(*wrong)
        # no `==` by fields: two equal steps are two nodes, and comparing whole graphs below them could take for ever
        dataclass(frozen=True, eq=False, repr=False)(cls)
        use_class_defaults(cls, Step)
        cls.__doc__ = WithFieldTexts(cls.__dict__.get("__doc__"))  # type: ignore[assignment]  # a text when it is read

    def __new__(cls, *given: object, **named: object) -> Self:
        """Refuse names that the step does not have, before Python does with less to say.

        Raises:
            BadArguments: a parameter is misspelt, or one that is needed is left out.
        """
        if given or named:
            check_arguments(cls, given, named)
        return super().__new__(cls)

    if not TYPE_CHECKING:  # type checkers know the fields and outputs, and refuse all other names by themselves

        def __getattr__(self, name: str) -> NoReturn:
            """Refuse a name that the step does not have.

            Raises:
                AttributeError: always, with what is near.
            """
            if name in RESULT_NAMES:
                raise AttributeError(nothing_has_run(type(self), f".{name}"))
            declared = getattr(type(self), name, None)
            left_out = declared.otherwise if isinstance(declared, RowsOutput) else ""
            raise AttributeError(left_out or no_attribute(type(self), name))

    def __repr__(self) -> str:
        """Name the type and the step, without the whole graph behind it."""
        return f"<{type(self).__name__} {self.name or 'unnamed'}, a step that has not run>"

    def __bool__(self) -> bool:
        """Return that a step is something; it has no length before it has run."""
        return True

    def __iter__(self) -> Iterator[NoReturn]:
        """Refuse to iterate over rows that don't exist yet."""
        raise NothingHasRun(nothing_has_run(type(self)))

    def __len__(self) -> int:
        """Refuse to count rows that don't exist yet."""
        raise NothingHasRun(nothing_has_run(type(self)))

    def __getitem__(self, key: object) -> NoReturn:
        """Refuse to read rows that don't exist yet."""
        raise NothingHasRun(nothing_has_run(type(self)))

    def __fspath__(self) -> str:
        """Refuse to name a folder that doesn't exist yet."""
        raise NothingHasRun(nothing_has_run(type(self), ".path"))

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the parameters, beyond types and ranges; reads small files at most."""
        return ()

    def placement(self) -> Placement:
        """Return where the step runs: as its class says, where no parameter decides it."""
        return Placement(self.heavy, self.preload)

    def memory_remedies(self) -> str:
        """Return what to change where memory runs out, the cheapest first; nothing if the step knows of nothing."""
        return ""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return, by edge field, the columns that the rows there must have."""
        return {}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows that this step makes from those of its `inputs`; `None` is unknown.

        Of a field that holds several steps, `inputs[field]` has the columns that all share, and `inputs["field[0]"]` or
        `inputs["field[key]"]` those of one.

        Raises:
            RequestError: the columns don't go together; said before anything runs.
        """
        return None

    def expanded(self) -> Step:
        """Return the step that makes the result in this one's place: itself, or one that continues from a part of it.

        A step that several steps make up returns the last of them, and the same object each time.
        """
        return self

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Return what the step will cost, given the number of `rows` behind each edge field."""
        return Estimate()

    def forecast(self, rows: Mapping[str, int | None], trial: Trial) -> Estimate:
        """Return what the step will cost, given all its inputs themselves; must not write or ask anybody."""
        return self.estimate(rows)


@dataclass(frozen=True, eq=False)
class Output:
    """One named output of a step that has several."""

    step: Step
    """The step."""
    name: str
    """Which of its outputs."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            """Refuse: an output is no result before it has run.

            Raises:
                AttributeError: always.
            """
            if name in RESULT_NAMES:
                raise AttributeError(nothing_has_run(type(self.step), f".{name}"))
            raise AttributeError(f"the output of a step has no attribute {name!r}")


class RowsOutput:
    """Declares an output in the class of a step that has several, as `train = RowsOutput()`; they come in this order.

    Of a step, the attribute is its `Output`. In keys, the tuple `outputs` stands for all declarations, so that a class
    with `train = RowsOutput()` has the key of one that says `outputs = ("train",)` instead.
    """

    def __init__(self, *, only_with: str = "", otherwise: str = "") -> None:
        """Declare an output; its name is that of the attribute.

        Args:
            only_with: parameter without which (false, zero, empty) a step has no such output; empty: it always has.
            otherwise: what to do then, for a user who asks for the output.
        """
        self.name = ""
        self.only_with = only_with
        self.otherwise = otherwise

    def __set_name__(self, owner: type[Step], name: str) -> None:
        """Take the name of the class's attribute; that of the first, where two share one declaration."""
        self.name = self.name or name

    @overload
    def __get__(self, step: None, owner: type[Step]) -> Self: ...

    @overload
    def __get__(self, step: Step, owner: type[Step]) -> Output: ...

    def __get__(self, step: Step | None, owner: type[Step]) -> Self | Output:
        """Return the output of `step`, or the declaration itself where a class is asked.

        Raises:
            AttributeError: a class below declares other outputs, or the step's parameters leave this one out.
        """
        if self.name not in owner.outputs or (step is not None and self.is_left_out(step)):
            raise AttributeError(self.name)  # Python asks the step's `__getattr__` then, which says why
        return self if step is None else Output(step, self.name)

    def is_left_out(self, step: Step) -> bool:
        """Return whether the step's parameters leave this output out."""
        return bool(self.only_with) and not getattr(step, self.only_with)


Node = Union[Step, Output]
"""What an edge may hold."""

Rows = Annotated[Node, Edge("rows")]
"""An edge: any step that makes rows; `run` gets a `datasets.Dataset`."""
Metrics = Annotated[Node, Edge("metrics")]
"""An edge: any step that makes metrics; `run` gets a dict."""
Anything = Annotated[Node, Edge("anything")]
"""An edge that takes whatever a step makes."""
