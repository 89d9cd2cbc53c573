"""Input files: a path, several, or a glob; keyed by content, decompressed while they are read."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from potstill.engine.digests import no_such_file, path_digest
from potstill.errors import BadInput, Problem
from potstill.steps.loading.schema import Findings

SMALL_BYTES = 4 * 2**20
"""Size of all files together up to which they are read before anything runs; larger ones are read when they run."""
SMALL_UNPACKED = 64 * 2**20
"""What packed files may hold to be read before anything runs."""
LONGEST_BYTES = 64 * 2**20
"""Longest line, or item of a JSON list: a longer one is no row of data, but would fill the memory."""
TOO_LONG = (
    f"is longer than {LONGEST_BYTES // 2**20} MB, which is no row: cut the file into rows, or its texts into parts"
)
"""What to say of a longer one."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins as that of UTF-16 does
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UNPACK: tuple[tuple[bytes, Callable[[Path], Any]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"\xfd7zXZ\x00", lzma.open),
    (b"BZh", bz2.open),
)


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


def matched(wanted: str | Path | Sequence[str | Path]) -> list[Path]:
    """Return the files that a parameter names.

    Raises:
        BadInput: a file is missing, or is a folder, or a glob matches none; all of them together.
    """
    paths: list[Path] = []
    problems = []
    for item in [wanted] if isinstance(wanted, (str, Path)) else wanted:
        path = Path(item).expanduser()
        anchor = Path(path.anchor)
        # an existing file wins over a glob, since names may hold brackets
        names = [path] if path.exists() else sorted(anchor.glob(str(path.relative_to(anchor))))
        paths += [name for name in names if name.is_file()]
        if path.is_dir():
            problems.append(Problem("", "path", f"{item} is a folder: name its files, as in {path / '*'}"))
        elif not names:
            problems.append(Problem("", "path", no_such_file(item)))
    if problems or not paths:
        raise BadInput(*(problems or [Problem("", "path", "names no file: give at least one")]))
    return paths


def are_small(paths: Sequence[Path]) -> bool:
    """Return whether files are read through before anything runs; packed ones by what they hold, not by their size."""
    left = SMALL_BYTES - sum(path.stat().st_size for path in paths)
    return left >= 0 and all(not _is_packed(path) or _holds_less_than(path, SMALL_UNPACKED) for path in paths)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file, decompressed if its content is gzip, bzip2 or xz; the name doesn't count."""
    unpack = _unpacker(path)
    if unpack is None:
        with path.open("rb") as plain:
            yield plain
        return
    with unpack(path) as unpacked:
        yield unpacked


def lines(path: Path, findings: Findings, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    """Yield (number, line) with its line break; a line that is not in the encoding is a finding, and comes empty.

    The mark of UTF-8, UTF-16 or UTF-32 at the beginning of a file counts more than `encoding`.
    """
    number = 0
    try:
        with opened(path) as file:
            encoding, mark = marked(path, encoding)
            file.read(len(mark))
            if _is_wide(encoding):
                yield from _wide_lines(file, findings, encoding)
                return
            while line := file.readline(LONGEST_BYTES + 1):
                number += 1
                if len(line) > LONGEST_BYTES:
                    findings.add(f"line {number}", TOO_LONG)
                    return
                try:
                    yield number, line.decode(encoding)
                except UnicodeError as error:
                    findings.add(f"line {number}", undecodable(encoding, error))
                    yield number, "\n"
    except (OSError, EOFError, lzma.LZMAError) as error:
        findings.add(f"line {number + 1}", f"can't be read, the file is cut short or damaged: {error}")


def marked(path: Path, encoding: str) -> tuple[str, bytes]:
    """Return the encoding of a file, by the mark that it begins with if it has one, and that mark."""
    try:
        with opened(path) as file:
            head = file.read(4)
    except (OSError, EOFError, lzma.LZMAError):
        return encoding, b""  # reading the lines says what is wrong
    return next(((name, mark) for mark, name in _MARKS if head.startswith(mark)), (encoding, b""))


def undecodable(encoding: str, error: UnicodeError) -> str:
    """Return what is wrong with a text that is not in its encoding, and what to do."""
    # UTF-16 or UTF-32 without the mark that says which; only Python 3.13 makes it a UnicodeDecodeError
    if not isinstance(error, UnicodeDecodeError) or error.reason.endswith("BOM"):
        return f"is not {encoding}: {error}: say the order of its bytes, as in encoding='{encoding}-le'"
    name = "UTF-8" if encoding == "utf-8" else encoding
    remedy = "say encoding= (such as latin-1 or cp1252) in LoadCSV or LoadText, or convert the file with iconv"
    return f"is not {name}: byte {error.object[error.start]:#x} at {error.start + 1}: {remedy}"


def encoding_problems(encoding: str) -> Iterator[Problem]:
    """Yield a problem if there is no such encoding of texts."""
    try:
        "".encode(encoding)
    except (LookupError, ValueError):
        text = f"no encoding is called {encoding!r}: use utf-8, latin-1, cp1252, utf-16, shift_jis, gb18030, ..."
        yield Problem("", "encoding", text)


def _wide_lines(file: BinaryIO, findings: Findings, encoding: str) -> Iterator[tuple[int, str]]:
    """Yield (number, line) of a file whose characters have two bytes or more, so that no byte is a line break."""
    decoder = codecs.getincrementaldecoder(encoding)()
    number, text = 1, ""
    while True:
        part = file.read(2**20)
        try:
            text += decoder.decode(part, final=not part)
        except UnicodeError as error:
            findings.add(f"line {number + text.count(chr(10))}", f"or a later one {undecodable(encoding, error)}")
            return
        *whole, text = text.split("\n")
        for line in whole:
            yield number, line + "\n"
            number += 1
        if len(text) > LONGEST_BYTES:
            findings.add(f"line {number}", TOO_LONG)
            return
        if not part:
            yield from [(number, text)] if text else []
            return


def _is_wide(encoding: str) -> bool:
    """Return whether an encoding has two bytes or more for each character."""
    return codecs.lookup(encoding).name.startswith(("utf-16", "utf-32"))


def _unpacker(path: Path) -> Callable[[Path], Any] | None:
    """Return what unpacks a file, or None if it is not packed."""
    with path.open("rb") as plain:
        head = plain.read(8)
    return next((unpack for mark, unpack in _UNPACK if head.startswith(mark)), None)


def _is_packed(path: Path) -> bool:
    """Return whether a file is packed."""
    return _unpacker(path) is not None


def _holds_less_than(path: Path, limit: int) -> bool:
    """Return whether a packed file holds fewer bytes than a limit; of a damaged one, what can be read counts."""
    held = 0
    try:
        with opened(path) as file:
            while part := file.read(2**20):
                held += len(part)
                if held >= limit:
                    return False
    except (OSError, EOFError, lzma.LZMAError):
        pass
    return True
