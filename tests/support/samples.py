"""Values for the parameters of steps, teachers and settings, made from their annotations: always the same ones."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from potstill import VLLM, Endpoint
from potstill.engine.annotations import hints
from potstill.engine.encoding import FileContent
from potstill.engine.step import Edge, Output, Step
from potstill.prompts import TemplateText
from potstill.steps.loading.files import Contents
from potstill.text.ngrams import plain

TEMPLATE = "{{ instruction }} {{ input }} {{ text }}"
CONFIG = '{"model_type": "fixed"}'
WORDS = {
    "config.json": CONFIG,
    "model.safetensors": "weights",
    "tokenizer.json": "{}",
    "adapter_config.json": "{}",
    "adapter_model.safetensors": "adapter",
}
"""Files of the folder that stands where a model, an adapter or a model that an input made is named."""


class Given(Step):
    """An input whose content is known without a run."""

    content: str = "first"
    outputs = ("part",)


@dataclass(frozen=True)
class Samples:
    """Makes the values; files that they name are written below `folder`."""

    folder: Path
    overrides: Mapping[str, list[Any]] = field(default_factory=dict)
    """Lists of values by `Class.field`, or by `field` of any class, where the annotation says too little."""
    always: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """Arguments by class that are given besides those that are needed."""

    def __post_init__(self) -> None:
        self.model.mkdir(parents=True, exist_ok=True)
        for name, text in WORDS.items():
            (self.model / name).write_text(text, encoding="utf-8")
        self.file.write_text('{"text": "one"}\n', encoding="utf-8")

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def file(self) -> Path:
        return self.folder / "rows.jsonl"

    def minimal(self, cls: type) -> dict[str, Any]:
        """Return the arguments that `cls` can't do without."""
        needed = {one.name: self.of(cls, one)[0] for one in parameters(cls) if is_needed(one)}
        return {**needed, **self.always.get(cls.__name__, {})}

    def variants(self, cls: type) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield (label, arguments): none but those needed, then one parameter after the other with other values."""
        minimal = self.minimal(cls)
        spelled = {field: name for name, field in getattr(cls, "spelled", {}).items()}
        yield "", minimal
        for one in parameters(cls):
            seen: Counter[str] = Counter()
            for value in self.of(cls, one)[1 if is_needed(one) else 0 :]:
                label = f"{one.name}: {self.described(value)}"
                seen[label] += 1
                number = f" {seen[label]}" if seen[label] > 1 else ""
                yield f"{label}{number}", {**minimal, spelled.get(one.name, one.name): value}

    def of(self, cls: type, one: dataclasses.Field[Any]) -> list[Any]:
        """Return the values for a field, none of which is its default."""
        for place in (f"{cls.__name__}.{one.name}", one.name):
            if place in self.overrides:
                return list(self.overrides[place])
        return [value for value in self.values(hints(cls)[one.name], one.name) if not same(value, one.default)]

    def values(self, annotation: Any, name: str) -> list[Any]:
        """Return values that an annotation allows."""
        if hasattr(annotation, "__metadata__"):
            marked = [self.marked(mark) for mark in annotation.__metadata__]
            return next((values for values in marked if values), None) or self.values(annotation.__origin__, name)
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin in (typing.Union, types.UnionType):
            return [value for argument in arguments for value in self.values(argument, name)]
        if origin is typing.Literal:
            return list(arguments)
        if isinstance(origin, type) and issubclass(origin, (tuple, list, Mapping, typing.Sequence)):
            return [self.container(origin, arguments, name)]
        return self.plain(origin or annotation, name)

    def marked(self, mark: Any) -> list[Any]:
        """Return values for what a mark stands for; none where it says nothing of them."""
        if isinstance(mark, Edge) and mark.kind == "model":
            return [Given("a model"), str(self.model), Endpoint("http://127.0.0.1:9/v1", "m"), VLLM(Given("weights"))]
        if isinstance(mark, Edge):
            return [Given(mark.kind), Output(Given(mark.kind), "part")]
        if isinstance(mark, TemplateText):
            return [TEMPLATE]
        if isinstance(mark, (FileContent, Contents)):
            return [str(self.file)]
        return []

    def container(self, origin: type, arguments: tuple[Any, ...], name: str) -> Any:
        """Return a tuple, list or dict with values of what it holds."""
        if issubclass(origin, Mapping):
            key = self.values(arguments[0], name)[0]
            return {key: self.values(arguments[1], name)[0], f"another {key}": self.values(arguments[1], name)[-1]}
        if origin is tuple and arguments[-1] is not ...:
            return tuple(self.values(argument, name)[0] for argument in arguments)
        held = self.values(arguments[0], name)
        return tuple(held) if origin is tuple else held

    def plain(self, kind: Any, name: str) -> list[Any]:
        """Return values of a type without parameters."""
        if kind in _PLAIN:
            return _PLAIN[kind](name)
        if isinstance(kind, type) and issubclass(kind, Step):
            return [Given("a step")]
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            return [kind(**arguments) for _, arguments in list(self.variants(kind))[:2]]
        raise TypeError(f"no value is known for the {kind} of {name}: add one to samples.py")

    def described(self, value: Any) -> str:
        """Return a value as a label shows it, without the folder."""
        if isinstance(value, (str, Path)) and str(self.folder) in str(value):
            return Path(value).name
        if isinstance(value, (str, int, float, type(None))):
            return repr(value)
        if isinstance(value, Step):
            return "step"
        return "function" if isinstance(value, types.FunctionType) else type(value).__name__


_PLAIN: Mapping[Any, Callable[[str], list[Any]]] = {
    int: lambda name: [7],
    float: lambda name: [0.375],
    bool: lambda name: [True, False],
    str: lambda name: [f"some {name}"],
    Path: lambda name: [],
    types.NoneType: lambda name: [None],
    Callable: lambda name: [plain],
    Any: lambda name: ["anything"],
    object: lambda name: ["anything"],
}


def parameters(cls: type) -> list[dataclasses.Field[Any]]:
    """Return the fields that a caller may give, without the name and what every step has beside its key."""
    fields = [one for one in dataclasses.fields(cls) if one.init and one.name != "name"]
    return [one for one in fields if not one.metadata.get("unkeyed")]


def is_needed(one: dataclasses.Field[Any]) -> bool:
    """Return whether a field has no default."""
    return one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING


def same(value: Any, default: Any) -> bool:
    """Return whether a value is the default; a step is never."""
    return type(value) is type(default) and not isinstance(value, Step) and value == default
