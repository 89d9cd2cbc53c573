"""The teacher that a user names, as a line of Python."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

from potstill.errors import RequestError
from potstill.scaffold.answer import quoted

NONE = (
    "no teacher: say who writes and labels the examples, by --teacher http://127.0.0.1:8000/v1,MODEL (a server), "
    "--teacher Qwen/Qwen3-8B (run here by vLLM, or by transformers where vLLM is missing), or --teacher FOLDER"
)


@dataclass(frozen=True)
class Teacher:
    """A teacher as a pipeline file has it."""

    kind: str
    """Class that is imported from `potstill`."""
    names: tuple[str, ...]
    """Its positional arguments: a model, or an address and a model."""
    price: tuple[float, float] | None = None
    """Dollars for a million tokens read and written."""

    @property
    def code(self) -> str:
        """The expression that makes it."""
        cost = () if self.price is None else (f"price=Price(prompt={self.price[0]!r}, completion={self.price[1]!r})",)
        return f"{self.kind}({', '.join([*map(quoted, self.names), *cost])})"

    def made(self) -> object:
        """Return the teacher itself."""
        from potstill import VLLM, Endpoint, Price, Transformers

        if self.kind == "Endpoint":
            price = None if self.price is None else Price(prompt=self.price[0], completion=self.price[1])
            return Endpoint(*self.names, price=price)
        return (VLLM if self.kind == "VLLM" else Transformers)(*self.names)


def read(text: str, price: str = "") -> Teacher:
    """Return the teacher that a text names: `URL,MODEL`, `vllm:MODEL`, `transformers:MODEL`, or a model alone.

    `price` is dollars for a million tokens read and written, such as `0.15,0.60`.

    Raises:
        RequestError: there is none, or it can't be read.
    """
    if not text.strip():
        raise RequestError(NONE)
    if text.startswith(("http://", "https://")):
        address, _, model = text.rpartition(",")
        if not address or not model.strip():
            raise RequestError(f"--teacher {text} names no model: give URL,MODEL, such as http://127.0.0.1:8000/v1,gpt")
        return Teacher("Endpoint", (address, model.strip()), _price(price) if price else None)
    if price:
        raise RequestError(f"--price is for a server (--teacher URL,MODEL); {text} runs here")
    engine, colon, model = text.partition(":")
    if not colon or engine not in ("vllm", "transformers"):
        engine, model = ("vllm" if importlib.util.find_spec("vllm") else "transformers"), text
    if not model:
        raise RequestError(f"--teacher {text} names no model: {NONE}")
    if model.startswith((".", "/", "~")) and not (Path(model).expanduser() / "config.json").is_file():
        raise RequestError(f"--teacher {text}: there is no model in the folder {model}")
    place = str(Path(model).expanduser().resolve()) if Path(model).expanduser().is_dir() else model
    kind = {"vllm": "VLLM", "transformers": "Transformers"}[engine]
    return Teacher(kind, (place,))


def _price(text: str) -> tuple[float, float]:
    """Return dollars for a million tokens read and written.

    Raises:
        RequestError: it is not two numbers.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*,\s*(\d+(?:\.\d+)?)\s*", text)
    if match is None:
        raise RequestError(
            f"--price takes dollars for a million tokens read and written, such as 0.15,0.60; got {text!r}"
        )
    return float(match[1]), float(match[2])
