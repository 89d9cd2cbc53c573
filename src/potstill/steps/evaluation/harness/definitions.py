"""What a task of lm-evaluation-harness says, read and checked without the harness, which takes seconds to import."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput

if TYPE_CHECKING:
    from yaml.nodes import ScalarNode

Definition = Mapping[str, Any]
"""The fields of a task, as its YAML file has them."""
METRICS = (
    "acc acc_all acc_bytes acc_mutual_info acc_norm bits_per_byte bleu brier_score bypass byte_perplexity chrf "
    "chrf++ exact_match f1 likelihood mcc perplexity ter word_perplexity"
).split()
"""What the harness computes itself; any other name it would look for on the Hub."""
KINDS = ("generate_until", "loglikelihood", "loglikelihood_rolling", "multiple_choice")
"""What a task may ask of a model."""
FILES = ("arrow", "csv", "json", "pandas", "parquet", "text", "webdataset", "xml")
"""Formats that `datasets` reads: a task of one of them brings its own files."""
_INSTALLED = "lm_eval."
"""What the functions of the harness's own tasks begin with."""


class FunctionName(str):
    """What stands behind `!function` in a YAML file: a function of a Python file beside it."""


@dataclass(frozen=True)
class TaskFile:
    """One YAML file."""

    path: Path
    """Where it is."""
    fields: dict[str, Any]
    """Its fields, those of included files first."""

    @property
    def name(self) -> str:
        """The name of the task or group; empty where it is only included by others."""
        return next((one for one in map(self.fields.get, ("task", "group")) if isinstance(one, str)), "")


def read_folder(folder: Path) -> dict[str, TaskFile]:
    """Return the tasks and groups that are defined below `folder`, by name.

    Raises:
        BadInput: a file that can't be read, or one that reaches outside of the folder, whose content no key would see;
            all of them together.
    """
    import yaml

    files: dict[str, TaskFile] = {}
    problems = []
    for path in sorted(folder.rglob("*.yaml")):
        try:
            one = TaskFile(path, _fields(path, folder, ()))
        except (yaml.YAMLError, OSError, ValueError) as error:
            problems.append(f"{path}: {' '.join(str(error).split())}")
            continue
        problems += [f"{path}: {text}" for text in _outside(one, folder)]
        if one.name:
            files[one.name] = one
    if problems:
        raise BadInput(*problems)
    return files


def problems_of(name: str, fields: Definition) -> Iterator[str]:
    """Yield what is wrong with a task, before anything is loaded."""
    kind = fields.get("output_type", "generate_until")
    if kind not in KINDS:
        yield f"the task {name!r} has the output_type {kind!r}{_nearest(str(kind), KINDS)}"
    if fields.get("unsafe_code"):
        yield f"the task {name!r} runs code that the model wrote (unsafe_code), which Potstill never does"
    listed = fields.get("metric_list") or ()
    for entry in listed if isinstance(listed, list) else ():
        metric = entry.get("metric") if isinstance(entry, Mapping) else None
        if isinstance(entry, Mapping) and entry.get("hf_evaluate"):
            yield f"the task {name!r} has a metric with hf_evaluate, which is code from the Hub: take a built-in one"
        elif not isinstance(metric, str):
            if not callable(metric):
                yield f"the task {name!r} has an entry in metric_list without a metric: {entry!r:.80}"
        elif not isinstance(metric, FunctionName) and metric not in METRICS and not fields.get("process_results"):
            yield f"the task {name!r} has no metric {metric!r}{_nearest(metric, METRICS)}"


def data_files(fields: Definition) -> list[str]:
    """Return the files that a task reads."""
    named = (fields.get("dataset_kwargs") or {}).get("data_files")
    values = named.values() if isinstance(named, Mapping) else [named]
    return [str(file) for one in values if one for file in (one if isinstance(one, list) else [one])]


def with_files_from(folder: Path, fields: Definition) -> dict[str, Any]:
    """Return the fields of a task whose data files are looked for beside its YAML file first."""

    def beside(file: str | list[str]) -> str | list[str]:
        if isinstance(file, list):
            return [str(beside(one)) for one in file]
        path = folder / file
        return str(path) if path.exists() else file

    named = (fields.get("dataset_kwargs") or {}).get("data_files")
    if not named:
        return dict(fields)
    files = {split: beside(file) for split, file in named.items()} if isinstance(named, Mapping) else beside(named)
    return {**fields, "dataset_kwargs": {**fields["dataset_kwargs"], "data_files": files}}


def hub_dataset(fields: Definition) -> tuple[str, str] | None:
    """Return name and revision of the dataset that a task takes from the Hub, if it does."""
    path = fields.get("dataset_path")
    if not isinstance(path, str) or path in FILES or fields.get("custom_dataset") is not None or Path(path).exists():
        return None
    return path, str((fields.get("dataset_kwargs") or {}).get("revision", "main"))


def _fields(path: Path, folder: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """Return the fields of a file and of those that it includes.

    Raises:
        ValueError: it is no mapping, or includes itself or what lies outside of the folder.
    """
    import yaml

    read = yaml.load(path.read_text(encoding="utf-8"), Loader=_loader())  # noqa: S506 - derived from the safe one
    if not isinstance(read, dict):
        raise ValueError(f"holds no fields but {type(read).__name__}")
    included = read.pop("include", None) or []
    fields: dict[str, Any] = {}
    for one in included if isinstance(included, list) else [included]:
        other = (path.parent / str(one)).resolve()
        if other in above or not other.is_relative_to(folder.resolve()):
            raise ValueError(f"includes {one}, which is not below {folder}, or includes it in turn")
        fields |= _fields(other, folder, (*above, path.resolve()))
    return {**fields, **read}


@lru_cache(maxsize=1)
def _loader() -> Any:
    """Return what reads YAML without running anything that stands in it."""
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
        """Reads functions as their names."""

    def named(loader: yaml.SafeLoader, node: ScalarNode) -> FunctionName:
        return FunctionName(loader.construct_scalar(node))

    Loader.add_constructor("!function", named)
    return Loader


def _outside(task: TaskFile, folder: Path) -> Iterator[str]:
    """Yield what a task reads that does not lie in the folder."""
    inside: Callable[[Path], bool] = lambda path: path.resolve().is_relative_to(folder.resolve())  # noqa: E731
    for file in data_files(task.fields):
        if not (inside(task.path.parent / file) and (task.path.parent / file).exists()):
            yield f"reads {file}, which is not below {folder}: put it there, so that the step's key covers it"
    for name in _functions(task.fields):
        module = name.rpartition(".")[0]
        source = task.path.parent / f"{module.replace('.', '/')}.py"
        if not name.startswith(_INSTALLED) and not (inside(source) and source.is_file()):
            yield f"calls {name}, but there is no {source.name} beside it: put it there"


def _functions(value: object) -> Iterator[str]:
    """Yield the names of functions, at any depth."""
    if isinstance(value, FunctionName):
        yield value
    for one in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _functions(one)


def _nearest(name: str, known: tuple[str, ...] | list[str]) -> str:
    """Return the end of a message that says which names there are."""
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.4)
    hint = f": did you mean {near[0]!r}?" if near else ":"
    return f"{hint} there are {', '.join(known)}"
