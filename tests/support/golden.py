"""The keys of all that is built in, on fixed inputs: a change of one throws away what users have made with it.

`golden_keys.json` holds them. Where keys are meant to change, or a step or parameter is new, write it again:

    cd tests/support && python -m golden --write

and read the difference: a key that was there before must not change unless its step's `version` was raised.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import own_steps
import potstill
from fakes import context_in
from golden_recipes import RECIPES
from potstill import metrics, recipes, steps, trainers
from potstill.engine.encoding import digest, digest_encoded, encode
from potstill.engine.graph import build, step_of
from potstill.engine.keys.identity import Codes, encoded, fixed_fields, key_of, step_identity
from potstill.engine.recipe import Recipe
from potstill.engine.step import Node, Step
from potstill.models.identity import model_identity
from potstill.steps.evaluation.exported_teacher import ExportedTeacher
from potstill.teachers.cache.response_cache import Asker
from potstill.teachers.protocol import Request, Sampling
from potstill.trainers.compressed import cofi_prune
from samples import Given, Samples

TABLE = Path(__file__).with_name("golden_keys.json")
"""Where the keys are kept."""
Keys = dict[str, dict[str, str]]
"""Keys by name and variant."""
COMMIT = "0123456789abcdef0123456789abcdef01234567"
REQUEST = Request([{"role": "user", "content": "What is two and two?"}], Sampling(), seed=3)
OVERRIDES: Mapping[str, list[Any]] = {
    "recover": [trainers.HardLabel(Given("rows"), student=Given("a model"))],
    "schema": [{"text": str, "level": "int?"}],
    "Evaluate.measures": [
        ("exact_match", "rouge_l"),
        (
            metrics.ExactMatch(),
            metrics.ExactMatch(ignore=("case",), json=False),
            metrics.Contains(),
            metrics.Matches("a+", whole=True),
            metrics.TokenF1(),
            metrics.ROUGE("2"),
            metrics.BLEU(lowercase=True),
            metrics.ChrF(),
            metrics.TER(),
            metrics.NumericAnswer(tolerance=0.5),
            metrics.Label(("yes", "no")),
            metrics.ValidJSON(),
            metrics.JSONSchema({"type": "object"}),
            metrics.JSONFields(fields=("a",)),
        ),
    ],
    "LMEval.tasks": [[{"task": "own", "output_type": "multiple_choice", "doc_to_choice": ["a", "b"]}]],
    "EvaluateChoices.choices": [("yes", "no")],
    "MeasureCost.models": [{"one": Given("a model")}],
    "LoadHub.dataset": ["someone/rows"],
    "LoadHub.revision": [COMMIT[::-1]],
    "LoadRows.rows": [[{"text": "one", "count": 1}, {"text": "two", "count": None}]],
    "Sampling.structured": [
        potstill.Structured(json_schema='{"type": "object"}'),
        potstill.Structured(regex="[a-z]+"),
        potstill.Structured(choice=("yes", "no")),
    ],
    "Pool.endpoints": [[potstill.Endpoint("http://127.0.0.1:9/v1", "m"), potstill.Endpoint("http://[::1]:8/v1", "m")]],
    "Ensemble.members": [[potstill.Endpoint("http://127.0.0.1:9/v1", "m")]],
}
"""Values for fields whose annotations say too little."""
ALWAYS: Mapping[str, dict[str, Any]] = {"LoadHub": {"revision": COMMIT}}
"""What is given besides what is needed: a commit, which nobody has to be asked for."""


@dataclass(frozen=True)
class Made:
    """Stands for the artifact of a step that has not run: the content is the step's key."""

    path: str
    """A model's folder, which teachers that are made of a step digest."""
    key: str

    def digest(self, output: str = "") -> str:
        return f"content of {self.key}, {output}"


class Table:
    """Computes the keys; files that count are written below `folder`."""

    def __init__(self, folder: Path) -> None:
        tasks = folder / "tasks"
        tasks.mkdir()
        (tasks / "own.yaml").write_text("task: own\noutput_type: multiple_choice\n", encoding="utf-8")
        folders = {"ExportedTeacher.model": [str(folder / "model")], "LMEval.folder": [str(tasks)]}
        self.samples = Samples(folder, {**OVERRIDES, **folders}, ALWAYS)
        self._codes: Codes = {}
        self._context = context_in(folder / "context")

    def all(self) -> dict[str, Keys]:
        """Return all keys by kind, name and variant."""
        return {
            "steps": {name: self.step(getattr(steps, name)) for name in steps.__all__},
            "trainers": {cls.__name__: self.step(cls) for cls in trainer_classes()},
            "methods": {name: dict(self.recipe(name)) for name in RECIPES},
            "teachers": {cls.__name__: self.teacher(cls) for cls in teacher_classes()},
            "responses": {"Endpoint": dict(self.responses())},
            "settings": {cls.__name__: self.setting(cls) for cls in settings_classes()},
            "own code": {cls.__name__: self.step(cls) for cls in own_steps.STEPS},
        }

    def step(self, cls: type[Step]) -> dict[str, str]:
        """Return the key of a step for each of its parameters."""
        return {label: self.key(cls(**given)) for label, given in self.samples.variants(cls)}

    def key(self, step: Step) -> str:
        """Return the key of a step as a run would find it."""
        return list(self.keys([step]).values())[-1]

    def keys(self, wanted: list[Step]) -> dict[str, str]:
        """Return the keys of the steps behind those that are wanted, by name; each made what its key stands for."""
        graph = build({str(number): step for number, step in enumerate(wanted)}, {})
        result: dict[int, Made] = {}

        def artifact(node: Node) -> Any:
            return result[id(step_of(node))]

        for step in graph.steps:
            ancestors = [(graph.name(one), result[id(one)]) for one in graph.ancestors([step])[:-1]]
            lineage = [[name, one.key, one.digest()] for name, one in ancestors] if step.wants_lineage else None
            if isinstance(step, Given):
                key = step.content
            else:
                key = key_of(step_identity(step, artifact, self._codes, lineage, fixed_fields(step)))
            result[id(step)] = Made(str(self.samples.model), key)
        return {graph.name(step): result[id(step)].key for step in graph.steps if not isinstance(step, Given)}

    def recipe(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield (variant and step, key) for all the steps that a method makes."""
        for label, make in RECIPES[name].items():
            for step, key in self.keys(make(self.samples)).items():
                yield f"{label} / {step}", key

    def teacher(self, cls: type) -> dict[str, str]:
        """Return the key of one response of a teacher, and what a step that has it as a parameter holds of it."""
        actual = {}
        for label, given in self._with_folders(cls):
            actual[f"{label} / identity"] = digest(model_identity(cls(**given)))
            actual[f"{label} / response"] = Asker(cls(**given), self._context).key(REQUEST)
        return actual

    def responses(self) -> Iterator[tuple[str, str]]:
        """Yield (request, key) for requests that differ in one thing."""
        asker = Asker(potstill.Endpoint("http://127.0.0.1:9/v1", "m"), self._context)
        for label, given in self.samples.variants(Sampling):
            yield f"sampling, {label}", asker.key(dataclasses.replace(REQUEST, sampling=Sampling(**given)))
        warm = dataclasses.replace(REQUEST, sampling=Sampling(temperature=0.5))
        for name, value in (("seed", 4), ("continuation", "Four."), ("raw", "Two and two")):
            yield f"{name}: {value!r}", asker.key(dataclasses.replace(warm, **{name: value}))

    def setting(self, cls: type) -> dict[str, str]:
        """Return the digest of settings as a step holds them."""
        actual = self._with_folders(cls)
        return {label: digest_encoded(encode(cls(**given), field=encoded)) for label, given in actual}

    def _with_folders(self, cls: type) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield (label, arguments) of what is part of a step, in which folders stand for the models."""
        minimal = {
            name: str(self.samples.model) if isinstance(value, Given) else value
            for name, value in self.samples.minimal(cls).items()
        }
        for label, given in self.samples.variants(cls):
            name = label.partition(":")[0]
            if not isinstance(given.get(name), (Step, potstill.Endpoint, potstill.VLLM)):
                yield label, {**given, **{one: value for one, value in minimal.items() if one != name}}


def trainer_classes() -> list[type[Step]]:
    """Return the trainers, those under learned masks included."""
    public = [getattr(trainers, name) for name in trainers.__all__ if name not in RECIPES]
    return [*(one for one in public if isinstance(one, type) and issubclass(one, Step)), *cofi_prune.PRUNING.values()]


def teacher_classes() -> list[type]:
    """Return what has responses: public classes with a way to be opened, and exported models."""
    public = [getattr(potstill, name) for name in potstill.__all__]
    return [*(one for one in public if hasattr(one, "open") or hasattr(one, "how")), ExportedTeacher]


def settings_classes() -> list[type]:
    """Return the dataclasses that are given as parameters; `Structured` stands in `Sampling`."""
    public = [trainers.LoRA, trainers.QLoRA, potstill.Price, potstill.Speculative]
    return [*public, Sampling, cofi_prune.Masks]


def public_methods() -> set[str]:
    """Return the public steps that other steps make up."""
    offered = {name: getattr(where, name) for where in (recipes, trainers) for name in where.__all__}
    made_up = {name for name, one in offered.items() if isinstance(one, type) and issubclass(one, Recipe)}
    return made_up - {"Course"}


def computed() -> dict[str, Keys]:
    """Return all keys."""
    with TemporaryDirectory() as folder:
        return Table(Path(folder)).all()


def keys_of(step: Step) -> list[str]:
    """Return the keys of a step and of all behind it."""
    with TemporaryDirectory() as folder:
        return list(Table(Path(folder)).keys([step]).values())


def kept() -> dict[str, Keys]:
    """Return the keys that are committed."""
    return dict(json.loads(TABLE.read_text(encoding="utf-8")))


def differences(old: Mapping[str, Keys], new: Mapping[str, Keys]) -> list[str]:
    """Return in words which keys changed, are missing or are new."""
    before, after = flat(old), flat(new)
    words = {
        name: "is missing" if name not in after else "is new" if name not in before else "changed"
        for name in before.keys() | after.keys()
        if before.get(name) != after.get(name)
    }
    return [f"{name} {word}" for name, word in sorted(words.items())]


def flat(table: Mapping[str, Keys]) -> dict[str, str]:
    """Return the keys by one name each."""
    return {
        f"{kind} {name} ({variant})": key
        for kind, names in table.items()
        for name, keys in names.items()
        for variant, key in keys.items()
    }


def main(arguments: list[str]) -> int:
    """Print what differs from the table, and write it if asked to."""
    actual = computed()
    changes = differences(kept() if TABLE.exists() else {}, actual)
    print("\n".join(changes) or "no key changed")
    if "--write" in arguments:
        TABLE.write_text(json.dumps(actual, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return 0
    return 1 if changes else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
