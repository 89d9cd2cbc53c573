"""Small projects, each with one word that gets by a random way from where it is written to the result of a step."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from mutation.features import HOPS, LAYERS, LEAVES, Feature

STEP = """
class S(Step):
    def run(self):
        return [{{"text": {e}}}]
"""
STEPS = (
    STEP,
    'class S(Step):\n    word: str = "a"\n    def helper(self):\n        return {e}\n'
    '    def run(self):\n        return [{{"text": self.helper()}}]\n',
    'class Base(Step):\n    def run(self):\n        return [{{"text": self.say()}}]\n'
    "class S(Base):\n    def say(self):\n        return {e}\n",
    'def given(row):\n    return {{"text": {e}}}\nGIVEN = given\n',
    'class Given:\n    def __call__(self, row):\n        return {{"text": {e}}}\nGIVEN = Given()\n',
    'import functools\ndef given(row, n):\n    return {{"text": {e}}}\nGIVEN = functools.partial(given, n=1)\n',
)
"""A step of one's own, or a function or object that is given to a step as a parameter."""
PLACES = ("m{n}", "m{n}", "p{n}.m{n}", "p{n}.q{n}.m{n}", "bare{n}.m{n}")
"""Names of modules; folders called `bare` have no `__init__.py`."""


@dataclass
class Project:
    """One project."""

    seed: int
    """What it was drawn with."""
    files: dict[str, str]
    """Text by path; the word is written as OLD."""
    ways: list[str]
    """The features on the way, from the word to the step."""
    dynamic: bool
    """Whether names are looked up at run time."""

    def __str__(self) -> str:
        """Print the whole project."""
        files = "\n".join(f"--- {path}\n{text}" for path, text in self.files.items())
        return f"seed {self.seed}: {' < '.join(self.ways)}\n{files}"


@dataclass
class _Draft:
    """A project in the making."""

    random: random.Random
    lines: dict[str, list[str]] = field(default_factory=lambda: {"m0": []})
    here: str = "m0"
    expression: str = ""
    files: dict[str, str] = field(default_factory=dict)
    ways: list[str] = field(default_factory=list)
    dynamic: bool = False
    count: int = 0

    def add(self, feature: Feature, **names: str) -> None:
        """Put a feature into the module that is written."""
        self.count += 1
        values = {"w": '"OLD"', "e": self.expression, "n": str(self.count), **names}
        self.lines[self.here].append(feature.lines.format(**values))
        if feature.data:
            folder = self.here.rpartition(".")[0].replace(".", "/")
            self.files["/".join(part for part in (folder, f"data{self.count}.txt") if part)] = "OLD"
        self.expression = feature.expression.format(**values)
        self.ways.append(feature.name)
        self.dynamic |= feature.dynamic

    def hop(self) -> None:
        """Go on in another module, which imports this one."""
        self.count += 1
        name = f"get{self.count}"
        self.lines[self.here].append(f"def {name}():\n    return {self.expression}\n")
        hops = [hop for hop in HOPS if "{p}" not in hop.lines + hop.expression or "." in self.here]
        package, _, base = self.here.rpartition(".")
        module = self.here
        self.here = self.random.choice(PLACES).format(n=self.count)
        self.lines[self.here] = []
        self.add(self.random.choice(hops), m=module, x=name, p=package, b=base)
        self.expression += "()"


def draw(seed: int) -> Project:
    """Return the project of a seed."""
    draft = _Draft(random.Random(seed))
    if draft.random.random() < 0.3:
        draft.here = draft.random.choice(PLACES).format(n="s")
        draft.lines = {draft.here: []}
    draft.add(draft.random.choice(LEAVES))
    for _ in range(draft.random.choice((0, 1, 1, 2, 2, 3))):
        draft.add(draft.random.choice(LAYERS)) if draft.random.random() < 0.6 else draft.hop()
    if draft.here != "m0" or draft.random.random() < 0.5:
        draft.hop()
    step = draft.random.choice(STEPS)
    draft.lines[draft.here].append("from potstill import Step\n" + step.format(e=draft.expression))
    return Project(seed, _files(draft), draft.ways, draft.dynamic)


def _files(draft: _Draft) -> dict[str, str]:
    """Return the files of a draft; the module that was written last is the pipeline's file."""
    files = dict(draft.files)
    for module, lines in draft.lines.items():
        *folders, base = module.split(".") if module != draft.here else ["main"]
        for depth in range(1, len(folders) + 1):
            if not folders[depth - 1].startswith("bare"):
                files["/".join([*folders[:depth], "__init__.py"])] = ""
        files["/".join([*folders, f"{base}.py"])] = _with_futures_first("\n".join(lines))
    return files


def _with_futures_first(text: str) -> str:
    """Return a module's text with its `__future__` imports at the top, an unused helper, and comments."""
    lines = text.splitlines()
    future = [line for line in lines if line.startswith("from __future__")][:1]
    others = [line for line in lines if not line.startswith("from __future__")]
    unused = ['def unused(text):\n    """Do nothing."""\n    return text + "1"  # COMMENT\n']
    return "\n".join(["# COMMENT", *future, *others, *unused]) + "\n"
