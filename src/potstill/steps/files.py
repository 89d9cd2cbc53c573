"""Files that rows are loaded from: a path, several, or a glob; keyed by content, unpacked while they are read."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from potstill.digests import path_digest
from potstill.errors import BadInput, Problem
from potstill.steps.schema import Findings

SMALL_BYTES = 4 * 2**20
"""Size of all files together up to which they are read before anything runs; larger ones are read when they run."""
_UNPACK: tuple[tuple[bytes, Callable[[Path], Any]], ...] = ((b"\x1f\x8b", gzip.open), (b"\xfd7zXZ\x00", lzma.open))


@dataclass(frozen=True)
class Contents:
    """Annotation mark: the value is a path or a glob; the contents of the files go into the key, not their names."""

    def identity(self, value: str | Path | Sequence[str | Path]) -> dict[str, Any]:
        """Return what the key holds for the files.

        Raises:
            BadInput: there are none.
        """
        return {"content": [path_digest(path) for path in matched(value)]}


Files = Annotated[str | Path | Sequence[str | Path], Contents()]
"""A parameter: a file, several, or a glob such as `data/*.jsonl`, whose files are read in the order of their names."""


def matched(given: str | Path | Sequence[str | Path]) -> list[Path]:
    """Return the files that a parameter names.

    Raises:
        BadInput: a file is missing, or is a folder, or a glob matches none; all of them together.
    """
    found: list[Path] = []
    problems = []
    for item in [given] if isinstance(given, (str, Path)) else given:
        path = Path(item).expanduser()
        anchor = Path(path.anchor)
        names = [path] if path.exists() else sorted(anchor.glob(str(path.relative_to(anchor))))
        found += [name for name in names if name.is_file()]
        if path.is_dir():
            problems.append(Problem("", "path", f"{item} is a folder: name its files, as in {path / '*'}"))
        elif not names:
            problems.append(Problem("", "path", f"no such file: {item}"))
    if problems or not found:
        raise BadInput(*(problems or [Problem("", "path", "names no file: give at least one")]))
    return found


def are_small(paths: Sequence[Path]) -> bool:
    """Say whether files are read through before anything runs."""
    return sum(path.stat().st_size for path in paths) <= SMALL_BYTES


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file, unpacked if it is packed with gzip or xz, whatever its name."""
    with path.open("rb") as plain:
        head = plain.read(8)
        unpack = next((unpack for mark, unpack in _UNPACK if head.startswith(mark)), None)
        plain.seek(0)
        if unpack is None:
            yield plain
            return
    with unpack(path) as unpacked:
        yield unpacked


def lines(path: Path, findings: Findings) -> Iterator[tuple[int, str]]:
    """Yield (number, line) with its line break; a line that is no UTF-8 is a finding, and comes empty."""
    number = 0
    try:
        with opened(path) as file:
            for number, line in enumerate(file, 1):
                try:
                    yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    findings.add(f"line {number}", f"is not UTF-8: byte {line[error.start]:#x} at {error.start + 1}")
                    yield number, "\n"
    except (OSError, EOFError, lzma.LZMAError) as error:
        findings.add(f"line {number + 1}", f"can't be read, the file is cut short or damaged: {error}")
