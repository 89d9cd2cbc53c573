"""Which encoder a classifier is trained from: a small table of facts; sizes and times by arithmetic.

Bytes follow from parameters and bits. Milliseconds are a guess from the arithmetic of one text, so that what can't be
is refused early; what a model really takes is measured on this machine when it is made.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

from potstill.errors import RequestError
from potstill.wishes.budget import Budget

Precision = Literal["int8", "int4"]
BYTES: dict[Precision, float] = {"int8": 1.03, "int4": 0.66}
"""Bytes that an export takes a parameter: measured on MiniLM, scales and the graph included, and rounded up."""
TOKENS = 32
"""Tokens of a text, for the guess of its time."""
OPERATIONS = 100e6
"""Operations a millisecond on one core: MiniLM in 8 bits reached 140e6 on one with VNNI, rounded down for others."""


@dataclass(frozen=True)
class Base:
    """A pretrained encoder."""

    id: str
    """Hub id or folder."""
    parameters: int
    """Of the whole model."""
    layers: int
    """Blocks."""
    hidden: int
    """Width."""
    inner: int
    """Width inside the feed-forward parts."""
    licence: str = ""
    """Its licence, by the Hub's name; empty where that is unknown."""
    languages: tuple[str, ...] = ()
    """Languages that it reads; none for very many."""
    sentences: bool = True
    """Whether its vectors of sentences were trained, so that it can be asked without training."""

    def bytes_at(self, precision: Precision) -> float:
        """Return about how many bytes its export takes."""
        return self.parameters * BYTES[precision]

    @property
    def milliseconds(self) -> float:
        """Return about how long a text takes: two operations for each weight of the blocks and each token."""
        weights = self.layers * (4 * self.hidden**2 + 2 * self.hidden * self.inner)
        return 2 * weights * TOKENS / OPERATIONS

    def reads(self, languages: Sequence[str]) -> bool:
        """Return whether it reads all of some languages."""
        return not self.languages or set(languages) <= set(self.languages)


@dataclass(frozen=True)
class Choice:
    """A base, and how its student is stored."""

    base: Base
    precision: Precision


def known() -> list[Base]:
    """Return the bases of the table, the preferred first."""
    text = (files("potstill") / "data" / "bases.jsonl").read_text(encoding="utf-8")
    rows = (json.loads(line) for line in text.splitlines())
    return [Base(**{**row, "languages": tuple(row["languages"])}) for row in rows]


def choose(budget: Budget, languages: Sequence[str], own: str = "") -> Choice:
    """Return the first base under a budget that reads some languages, in 8 bits, or if none fits in 4.

    A base of the user's own is taken alone; if it is a folder, it is measured.

    Raises:
        RequestError: none fits; the message says what the least is.
    """
    bases = [_own(own)] if own else [base for base in known() if base.reads(languages)]
    precisions: tuple[Precision, ...] = ("int8", "int4")
    for precision in precisions:
        for base in bases:
            if _fits(base, precision, budget):
                return Choice(base, precision)
    quickest = min(base.milliseconds for base in bases)
    smallest = min(base.bytes_at("int4") for base in bases)
    whose = own or f"any model known for {', '.join(languages)}"
    raise RequestError(
        f"the budget {budget.shown()} is below {whose}: the smallest takes about {smallest / 1e6:.1f} MB in 4 bits, "
        f"the quickest about {quickest:.1f} ms for a text of {TOKENS} tokens on one core. Raise --budget, or give a "
        "smaller encoder by --base"
    )


def _fits(base: Base, precision: Precision, budget: Budget) -> bool:
    """Return whether a base is under the budget; one of unknown size is, as it is measured in the end."""
    if not base.parameters:
        return True
    small = budget.size is None or base.bytes_at(precision) <= budget.size
    return small and (budget.milliseconds is None or base.milliseconds <= budget.milliseconds)


def _own(name: str) -> Base:
    """Return a base that the user names: of the table, a folder, or another Hub id, of which nothing is known.

    Raises:
        RequestError: the folder holds no encoder.
    """
    if same := [base for base in known() if base.id == name]:
        return same[0]
    config = Path(name) / "config.json"
    if not config.is_file():
        if Path(name).exists() or name.startswith((".", "/", "~")):
            raise RequestError(f"--base {name} is no folder of a model: it has no config.json")
        return Base(name, 0, 0, 0, 0)
    from potstill.models.footprint import footprint

    values = json.loads(config.read_text(encoding="utf-8"))
    layers, hidden, inner = (values.get(key, 0) for key in ("num_hidden_layers", "hidden_size", "intermediate_size"))
    return Base(str(Path(name).resolve()), footprint(Path(name)).parameters or 0, layers, hidden, inner)
