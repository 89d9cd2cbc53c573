"""What is spent and set aside of one budget, by all steps of a run, in any process and on any machine."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from potstill.engine.processes import Process
from potstill.engine.store.file_locks import ALONE, lock_file
from potstill.errors import PotstillError

LOST_SECONDS = 3600.0
"""A holder on another machine that has written nothing for so long is taken for dead."""

Sum = tuple[int, float]
"""(tokens, dollars)."""
NONE: Sum = (0, 0.0)
"""Nothing of both."""


def together(one: Sum, other: Sum) -> Sum:
    """Return the sum of both."""
    return one[0] + other[0], one[1] + other[1]


def less(one: Sum, other: Sum) -> Sum:
    """Return what is left of one without the other; nothing of both where no tokens are left."""
    tokens = one[0] - other[0]
    return (tokens, max(0.0, one[1] - other[1])) if tokens > 0 else NONE


@dataclass(frozen=True)
class Holder:
    """Who sets something aside, for requests in flight."""

    name: str
    """A name that no other holder has."""
    process: Process
    """Where it runs."""

    @classmethod
    def new(cls) -> Holder:
        """Return one for this process."""
        return cls(secrets.token_hex(8), Process.this())


@dataclass
class _Held:
    """What one holder has set aside."""

    sum: Sum
    process: Process
    seen: float  # when it was last heard of

    def is_lost(self, now: float) -> bool:
        """Return whether the holder is gone: it died, or is on another machine and silent for long."""
        here = self.process.of_this_machine()
        return not self.process.alive() if here else now - self.seen > LOST_SECONDS


@dataclass
class Books:
    """The figures of an account."""

    spent: Sum = NONE
    """What answers were billed."""
    held: dict[str, _Held] = field(default_factory=dict)
    """What is set aside, by the holder's name."""

    @property
    def set_aside(self) -> Sum:
        """Return what all holders have set aside."""
        return sum((held.sum[0] for held in self.held.values()), 0), sum(held.sum[1] for held in self.held.values())

    def book_lost(self) -> None:
        """Count what dead holders had in flight as spent: the server may have answered it."""
        now = time.time()
        for name in [name for name, held in self.held.items() if held.is_lost(now)]:
            self.spent = together(self.spent, self.held.pop(name).sum)

    def text(self) -> str:
        """Return the figures as one line with a checksum."""
        held = {name: [*held.sum, held.seen, asdict(held.process)] for name, held in self.held.items()}
        body = json.dumps([self.spent, held])
        return f"{_checksum(body)} {body}\n"

    @classmethod
    def parse(cls, text: str) -> Books:
        """Read the line; what stands behind it is left from a longer one.

        Raises:
            ValueError: the line is damaged.
        """
        check, _, body = text.partition("\n")[0].partition(" ")
        if check != _checksum(body):
            raise ValueError("its checksum is wrong")
        (tokens, dollars), held = json.loads(body)
        return cls(
            (int(tokens), float(dollars)),
            {name: _Held((int(t), float(d)), Process(**process), seen) for name, (t, d, seen, process) in held.items()},
        )


@dataclass
class Account:
    """The figures of one budget; with a file, shared by all that name it.

    Should the file be deleted while it is in use, what was known of it is written again: it never forgets.
    """

    path: Path | None = None
    """The file, locked while it is read and written."""
    holder: Holder = field(default_factory=Holder.new)
    """Who sets aside here."""
    _books: Books = field(default_factory=Books)  # as last seen
    _mine: Sum = NONE  # what this holder has set aside
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def spent(self) -> Sum:
        """Return what was spent."""
        with self._opened() as books:
            return books.spent

    def set_aside(self) -> Sum:
        """Return what is set aside, by all holders."""
        with self._opened() as books:
            return books.set_aside

    def hold(self, amount: Sum, most: tuple[int | None, float | None]) -> bool:
        """Set `amount` aside if it fits into `most` tokens and dollars beside all that is spent and set aside."""
        with self._opened() as books:
            needed = together(together(books.spent, books.set_aside), amount)
            # before the request is sent: two processes that each looked first could pass the limit together
            if any(limit is not None and need > limit for need, limit in zip(needed, most, strict=True)):
                return False
            self._mine = together(self._mine, amount)
            self._write_mine(books)
            return True

    def settle(self, amount: Sum, billed: Sum) -> None:
        """Give back what was set aside, and count what was billed."""
        with self._opened() as books:
            self._mine = less(self._mine, amount)
            books.spent = together(books.spent, billed)
            self._write_mine(books)

    def _write_mine(self, books: Books) -> None:
        """Note what this holder has set aside."""
        if self._mine[0]:
            books.held[self.holder.name] = _Held(self._mine, self.holder.process, time.time())
        else:
            books.held.pop(self.holder.name, None)

    @contextmanager
    def _opened(self) -> Iterator[Books]:
        """Yield the figures; they are written when they have changed."""
        with self._lock:
            if self.path is None:
                yield self._books
                return
            with _locked(self.path) as file:
                text = file.read().decode(errors="replace")
                books = self._read(text)
                books.book_lost()
                if self.holder.name not in books.held:
                    self._mine = NONE  # nothing is held, or this holder was taken for dead and all of it is counted
                yield books
                self._books = books
                written = books.text()
                if written != text:
                    file.seek(0)
                    file.write(written.encode())
                    file.truncate()

    def _read(self, text: str) -> Books:
        """Return the figures in the file.

        Raises:
            PotstillError: they are damaged.
        """
        if not text:  # it is new, or was deleted by a run that took this one for dead
            return Books(self._books.spent, dict(self._books.held))
        try:
            return Books.parse(text)
        except (ValueError, TypeError) as error:
            raise PotstillError(
                f"the account {self.path} of what was spent is damaged ({error}), so the budget can't be kept: run "
                "again, and only what is missing is asked"
            ) from error


@contextmanager
def _locked(path: Path) -> Iterator[IO[bytes]]:
    """Yield the file, locked, and not one that was deleted while the lock was waited for."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
        except FileNotFoundError:  # another run, which ends, has just removed the empty folder
            continue
        with file:
            lock_file(file, path, ALONE)
            try:
                same = os.path.samestat(path.stat(), os.fstat(file.fileno()))
            except FileNotFoundError:
                same = False
            if same:
                yield file
                return


def _checksum(text: str) -> str:
    """Return sixteen digits that change when the text does."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
