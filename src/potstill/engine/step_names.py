"""The names in the class of a step: its outputs, and what every step has, which no parameter may be called.

A class declares its outputs one by one, as `train = RowsOutput()`, or names them all, as `outputs = ("train", "test")`,
which type checkers can't follow. Either way it has both in the end: `outputs`, which is in keys, and the declarations.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from potstill.engine.arguments import nearest
from potstill.errors import Problem

RESOURCES = ("cpus", "gpus", "memory")
"""Fields of every step that say what it takes of a machine."""


def taken_names(cls: type, step: type) -> Iterator[Problem]:
    """Yield a problem for each parameter of `cls` that has the name of something that every `step` has."""
    annotations = vars(cls).get("__annotations__", {})
    settings, methods = _own_names(step)
    for name, annotation in annotations.items():
        text = annotation if isinstance(annotation, str) else repr(annotation)
        if name in settings | methods | {"name", "run"} and "ClassVar" not in text:
            hint = f"; if Potstill's is meant, write `{name} = ...` without a type" if name in settings else ""
            yield Problem(cls.__name__, name, f"is a name that every step has: call the parameter something else{hint}")
    for name in sorted(methods & vars(cls).keys() - annotations.keys()):
        if not callable(vars(cls)[name]) and not isinstance(vars(cls)[name], (staticmethod, classmethod)):
            yield Problem(cls.__name__, name, "is a method that every step has: call the attribute something else")


@functools.cache
def _own_names(step: type) -> tuple[frozenset[str], frozenset[str]]:
    """Return the class variables and the methods that every step has."""
    # a class may call a parameter of its own `memory`: it then has no resource of that name
    settings = frozenset(name for name in step.__annotations__ if name not in ("name", *RESOURCES))
    members = vars(step).items()
    return settings, frozenset(name for name, member in members if callable(member) and not name.startswith("_"))


def use_class_defaults(cls: type, step: type) -> None:
    """Let `gpus = 2` in the body of a class be what its steps take where they are not given another number."""
    for name in RESOURCES:
        home = next(base for base in cls.__mro__ if name in vars(base))
        is_common = getattr(cls, "__dataclass_fields__")[name].metadata.get("unkeyed")  # noqa: B009
        defaults = getattr(getattr(cls, "__init__"), "__kwdefaults__", None)  # noqa: B009
        if home is not step and is_common and defaults and name in defaults:
            defaults[name] = vars(home)[name]


def declare_outputs(cls: type, declaration: type) -> None:
    """Name in `cls.outputs` what is declared one by one, and declare one by one what is named there alone."""
    inherited: tuple[str, ...] = getattr(super(cls, cls), "outputs", ())
    declared = [name for name, member in vars(cls).items() if isinstance(member, declaration)]
    if declared and "outputs" not in vars(cls):
        setattr(cls, "outputs", (*inherited, *(name for name in declared if name not in inherited)))  # noqa: B010
    outputs: object = getattr(cls, "outputs", ())
    for name in outputs if isinstance(outputs, (tuple, list)) else ():
        if isinstance(name, str) and not hasattr(cls, name):
            setattr(cls, name, declaration())
            vars(cls)[name].__set_name__(cls, name)


def wrong_outputs(cls: type, declaration: type) -> Iterator[Problem]:
    """Yield what is wrong with the outputs of `cls`: each name must lead to its `declaration` and to nothing else."""
    outputs: object = getattr(cls, "outputs", ())
    if not isinstance(outputs, (tuple, list)) or not all(isinstance(name, str) for name in outputs):
        yield Problem(cls.__name__, "outputs", f'must be a tuple of names, as in ("train", "test"), got {outputs!r}')
        return
    fields = {name for base in cls.__mro__ for name in vars(base).get("__annotations__", {})}
    declared = [name for name, member in vars(cls).items() if isinstance(member, declaration)]
    for name in dict.fromkeys((*outputs, *declared)):
        member = next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)
        if name in fields or name == "run" or not isinstance(member, declaration):
            yield Problem(cls.__name__, "outputs", f"{name!r} is a parameter or a name of the step: choose another one")
        elif name not in outputs or getattr(member, "name", "") != name:
            yield Problem(cls.__name__, "outputs", f"{name!r} must have a RowsOutput() of its own, and be in `outputs`")
        elif not name.isidentifier() or len(name.encode()) > 100:  # it is a folder's name, too
            yield Problem(cls.__name__, "outputs", f"{name!r:.80} is no name: letters, digits and underscores are")


def no_attribute(cls: type, name: str) -> str:
    """Return that a step of `cls` has no such attribute, and which output may be meant."""
    outputs: tuple[str, ...] = getattr(cls, "outputs", ())
    near = nearest(name, outputs)
    suggestion = f"; the nearest output is {near}" if near else f"; its outputs are {', '.join(outputs)}"
    return f"{cls.__name__} has no attribute {name!r}{suggestion if outputs else ''}"


def nothing_has_run(cls: type, result: str = "") -> str:
    """Return what to do where a step of `cls` is used as if it were its result."""
    example = f'run = Pipeline("name", outputs={{"x": ...}}).run(), then run["x"]{result or ".dataset()"}'
    return f"{cls.__name__} is a step, and nothing has run yet: make it an output of a pipeline, {example}"
