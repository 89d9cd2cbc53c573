"""The tasks of one evaluation: built by lm-evaluation-harness from names, files of one's own, and rows of the store."""

from __future__ import annotations

import contextlib
import difflib
import importlib.metadata
import importlib.util
import io
import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput, MissingExtra, Problem, described
from potstill.steps.evaluation.harness.definitions import (
    Definition,
    TaskFile,
    hub_dataset,
    problems_of,
    read_folder,
    with_files_from,
)

if TYPE_CHECKING:
    from datasets import Dataset

SEED = 1234
"""Of the examples in a prompt, as the harness's command line has it."""
LONGEST_ANSWER = 256
"""Tokens of an answer where a task names no number, as in the harness."""
WRITES = "generate_until"
"""Tasks that a model answers by writing; all others ask for scores of a given text."""
SPLIT = "test"
"""The split that rows of the store are."""


def missing_harness() -> MissingExtra | None:
    """Return the error that the harness is not installed, if so; imports nothing."""
    return None if importlib.util.find_spec("lm_eval") else MissingExtra("LMEval", "lm_eval", "lmeval")


def scoring_refused(names: Sequence[str]) -> str:
    """Return why a model that only writes can't be measured on some tasks."""
    return (
        f"{', '.join(names)} ask for log-probabilities of a given text, which this model does not give: take VLLM or "
        f"Transformers, or tasks with output_type: {WRITES}"
    )


@dataclass(frozen=True)
class Tasks:
    """What is asked for; its identity is what no other parameter of the step shows."""

    named: tuple[str | Definition, ...]
    """Names, or fields of tasks."""
    folder: str
    """Folder with YAML files; empty where there is none."""
    of_store: tuple[str, ...]
    """Names of those whose rows are steps."""

    @cached_property
    def files(self) -> dict[str, TaskFile]:
        """The tasks of the folder, by name.

        Raises:
            BadInput: there is no such folder, or a file in it is wrong.
        """
        if not self.folder:
            return {}
        if not Path(self.folder).is_dir():
            raise BadInput(
                Problem("", "folder", f"there is no folder {self.folder}: give one with YAML files of tasks")
            )
        return read_folder(Path(self.folder))

    @property
    def defined(self) -> dict[str, Definition]:
        """The fields of the tasks that are not the harness's own, by name."""
        own = [one for one in self.named if isinstance(one, Mapping)]
        names = [str(one.get("task", "")) for one in own]
        asked = [one for one in self.named if isinstance(one, str)]
        files = {name: self.files[name].fields for name in _with_members(asked, self.files)}
        return {**files, **dict(zip(names, own, strict=True))}

    @property
    def of_harness(self) -> list[str]:
        """Names of tasks that only the harness knows."""
        tags = {tag for one in self.files.values() for tag in _listed(one.fields.get("tag"))}
        return [one for one in self.named if isinstance(one, str) and one not in self.files and one not in tags]

    @property
    def longest_answer(self) -> int:
        """The most tokens of an answer that a task asks for; of those that only the harness knows, its own default."""
        settings = [one.get("generation_kwargs") for one in self.defined.values()]
        counts = [one.get("max_gen_toks") for one in settings if isinstance(one, Mapping)]
        return max((one for one in counts if isinstance(one, int)), default=LONGEST_ANSWER)

    def identity(self) -> dict[str, Any]:
        """Return the harness's version where it brings tasks, and the commits of datasets from the Hub.

        Raises:
            BadInput: the harness has no such task, or a dataset's commit can't be found out.
        """
        of_harness = self.of_harness
        version = {"lm_eval": importlib.metadata.version("lm_eval")} if of_harness else {}
        return {**version, **({"datasets": self.commits} if self.commits else {})}

    @cached_property
    def commits(self) -> dict[str, str]:
        """The commit of each dataset that comes from the Hub, looked up once."""
        from potstill.steps.loading.hub import HubRevision

        defined = [one for name, one in self.defined.items() if name not in self.of_store]
        builtin = harness_fields(tuple(self.of_harness)) if self.of_harness else []
        wanted = {one for one in map(hub_dataset, [*defined, *builtin]) if one is not None}
        return {name: HubRevision(name, revision).commit for name, revision in sorted(wanted)}

    def problems(self, gives_scores: bool = True) -> Iterator[Problem]:
        """Yield what is wrong before anything is loaded, also for a model that only writes."""
        if not self.named:
            yield Problem("", "tasks", "no tasks: name one, or give its fields")
        for one in self.named:
            if isinstance(one, Mapping) and not (isinstance(one.get("task"), str) and one["task"]):
                yield Problem("", "tasks", f"a task has no name: give it one, 'task': ..., in {dict(one)!r:.100}")
        try:
            defined = self.defined
        except BadInput as error:
            yield from (Problem("", "folder", str(problem)) for problem in error.problems)
            return
        for name, fields in defined.items():
            yield from (Problem("", "tasks", text) for text in problems_of(name, fields))
            kind = fields.get("output_type", WRITES)
            if not gives_scores and kind != WRITES and "group" not in fields:
                yield Problem("", "tasks", scoring_refused([name]))
        for name in self.of_store:
            if name not in defined:
                text = f"rows are given for the task {name!r}, which has no fields: give them in tasks or in the folder"
                yield Problem("", "rows", text)

    def built(self, rows: Mapping[str, Dataset], few_shot: int | None) -> dict[str, Any]:
        """Return the harness's tasks and groups, their data loaded and their first rows rendered.

        Raises:
            BadInput: a task can't be built; says why.
        """
        manager = _manager(self, rows)
        built: list[Any] = []
        for one in self.named:
            name = one if isinstance(one, str) else str(one["task"])
            try:
                # what it prints is meant for its own command line
                with quiet(), contextlib.redirect_stderr(io.StringIO()):
                    loaded = manager._load_spec(dict(one) if isinstance(one, Mapping) else one)
            except Exception as error:  # the harness raises whatever comes up
                raise BadInput(Problem("", "tasks", _why(name, error, manager))) from error
            built += loaded if isinstance(loaded, list) else [loaded]
        try:
            tasks: dict[str, Any] = manager.load(built)
        except ValueError as error:
            raise BadInput(Problem("", "tasks", str(error))) from error
        for task in tasks["tasks"].values():
            shots = task.get_config("num_fewshot")
            if shots is None or (few_shot is not None and shots != 0):
                task.set_config(key="num_fewshot", value=few_shot or 0)
            task.set_fewshot_seed(seed=SEED)
        random.seed(0)
        return tasks


@lru_cache(maxsize=8)
def harness_fields(names: tuple[str, ...]) -> list[Definition]:
    """Return the fields of the harness's own tasks, those of groups and tags by themselves; takes some 20 seconds.

    Raises:
        BadInput: there is no such task, with the nearest name.
    """
    missing = missing_harness()
    if missing is not None:
        raise missing
    from lm_eval.tasks import TaskManager

    index: dict[str, Any] = TaskManager().task_index
    fields: list[Definition] = []
    for name in _with_tags(names, index):
        if name not in index:
            raise BadInput(Problem("", "tasks", _unknown(name, list(index))))
        fields.append(index[name].cfg or {})
    return fields


def _manager(tasks: Tasks, rows: Mapping[str, Dataset]) -> Any:
    """Return the harness's own finder of tasks, which gives rows of the store and data by commit to those it builds."""
    from lm_eval.tasks import TaskManager
    from lm_eval.tasks._factory import TaskFactory

    class Factory(TaskFactory):  # type: ignore[misc]  # the harness has no types
        """Builds tasks whose data is what the step's key says."""

        def _load_full_config(self, entry: Any, overrides: dict[str, Any] | None = None) -> dict[str, Any]:
            fields: dict[str, Any] = super()._load_full_config(entry, overrides)
            if entry.yaml_path:
                fields = with_files_from(Path(entry.yaml_path).parent, fields)
            if fields.get("task") in rows:
                return _of_rows(fields, rows[fields["task"]])
            dataset = hub_dataset(fields)
            if dataset is not None and dataset[0] in tasks.commits:
                commit = {"revision": tasks.commits[dataset[0]]}
                fields["dataset_kwargs"] = {**(fields.get("dataset_kwargs") or {}), **commit}
            return fields

    with quiet():
        manager = TaskManager(include_path=tasks.folder or None, include_defaults=bool(tasks.of_harness))
    manager._factory = Factory()
    return manager


def _of_rows(fields: dict[str, Any], rows: Dataset) -> dict[str, Any]:
    """Return the fields of a task that reads rows of the store."""
    if not len(rows):
        raise ValueError("its rows are empty: give at least one")
    own_fields = {name: value for name, value in fields.items() if name not in ("dataset_path", "dataset_name")}
    # the harness hands its own notes to the function
    own_fields |= {"custom_dataset": lambda **_: {SPLIT: rows}, "test_split": SPLIT, "dataset_kwargs": None}
    return {**own_fields, "validation_split": None, "training_split": None}


def _why(name: str, error: Exception, manager: Any) -> str:
    """Return why a task can't be built, in words that say what to do."""
    if isinstance(error, KeyError) and "is not a registered task" in str(error):
        return _unknown(name, list(manager.task_index))
    text = f"the task {name!r} can't be built: {' '.join(described(error).split())}"
    if type(error).__name__ == "UndefinedError":
        return f"{text}: its templates use a column that the rows lack"
    offline = "OfflineMode" in text or isinstance(error, ConnectionError)
    return f"{text}; its data is on the Hub: run where it can be reached, or give rows" if offline else text


def _unknown(name: str, known: Sequence[str]) -> str:
    """Return that there is no such task."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"there are {len(known)} others"
    return f"there is no task {name!r} in the folder, and none that the harness knows: {hint}"


def _with_members(names: Sequence[str], files: Mapping[str, TaskFile]) -> list[str]:
    """Return names, and those of the members of groups and tags among them, that are in `files`."""
    waiting, all_names = list(names), list[str]()
    while waiting:
        name = waiting.pop(0)
        tagged = [other for other, one in files.items() if name in _listed(one.fields.get("tag"))]
        if name in files and name not in all_names:
            members = files[name].fields.get("task") if "group" in files[name].fields else None
            waiting += [_name_of(one) for one in _listed(members)]
            all_names.append(name)
        waiting += [one for one in tagged if one not in all_names and one != name]
    return all_names


def _with_tags(names: Sequence[str], index: Mapping[str, Any]) -> list[str]:
    """Return names, and in the place of the harness's groups and tags those of their members."""
    waiting, all_names = list(names), list[str]()
    while waiting:
        name = waiting.pop(0)
        entry = index.get(name)
        cfg = getattr(entry, "cfg", None) or {}
        members = [_name_of(one) for one in _listed(cfg.get("task"))] if "group" in cfg else []
        members += sorted(entry.tags) if entry is not None and entry.yaml_path is None else []
        waiting += [one for one in members if one not in all_names]
        if not members and name not in all_names:
            all_names.append(name)
    return all_names


def _name_of(member: object) -> str:
    """Return the name of a member of a group."""
    return str(member.get("task") or member.get("group")) if isinstance(member, Mapping) else str(member)


def _listed(value: object) -> list[Any]:
    """Return one or several values as a list."""
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the harness's notes on how it reads tasks out of the step's log."""
    logger = logging.getLogger("lm_eval")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
