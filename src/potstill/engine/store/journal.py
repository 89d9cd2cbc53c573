"""Finished rows that survive a kill: one SQLite file (write-ahead log) for the whole store.

A value is whatever rows hold (`values`). Each entry carries a checksum of its key and value, so a damaged one is
missing, not wrong; a damaged file is set aside with a warning.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from potstill.engine.rows.values import pack, unpack
from potstill.errors import StoreError

BUSY_SECONDS = 60.0
"""How long a writer waits for another process's short write."""
_SCHEMA = """CREATE TABLE IF NOT EXISTS entries
    (namespace TEXT, key TEXT, value BLOB, PRIMARY KEY (namespace, key)) WITHOUT ROWID"""
_HELD = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
"""Errors that say that another process or thread has the file for a moment."""
_OF_THE_HEADER = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR)
"""Errors that damage of the file's first bytes may give."""
MOST_BYTES = 900_000_000
"""The largest entry; SQLite takes up to a billion bytes."""
_log = logging.getLogger("potstill")


class Journal:
    """Key-value entries in namespaces, durable as soon as a `put` returns."""

    def __init__(self, path: Path) -> None:
        """Use the file at `path`; it is opened at the first call."""
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def get_many(self, namespace: str, keys: Iterable[str]) -> dict[str, Any]:
        """Return the values of those `keys` that are there and undamaged."""
        # equal requests of one batch have one key
        wanted = list(dict.fromkeys(keys))
        if not self._path.exists():
            return {}
        values: dict[str, Any] = {}
        # SQLite before 3.32 takes 999 variables in a statement
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            marks = ",".join("?" * len(part))
            query = f"SELECT key, value FROM entries WHERE namespace = ? AND key IN ({marks})"  # noqa: S608 - only marks
            for key, value in self._execute(query, [namespace, *part]):
                with contextlib.suppress(Exception):  # a damaged entry counts as missing
                    # a damaged page may be valid SQLite: only the checksum says that the bytes are those that were
                    # written
                    if value[:8] in _checksums(namespace, key, value[8:]):
                        values[key] = unpack(value[8:])
        return {key: values[key] for key in wanted if key in values}

    def put_many(self, namespace: str, entries: Mapping[str, Any]) -> None:
        """Add `entries`; one transaction. One that can't be packed spoils no other: the rest is written first.

        Raises:
            StoreError: the disk is full or the store can't be written; entries written before stay intact.
            TypeError: an entry is of a type that can't be journalled.
            ValueError: an entry holds text or a number that can't be journalled.
        """
        rows, refused = [], None
        for key, value in entries.items():
            try:
                packed = pack(value)
            except (TypeError, ValueError, OverflowError) as error:
                # the first is raised at the end: rows that are finished are not lost for the sake of one that can't be
                # kept
                refused = refused or error
            else:
                if len(packed) > MOST_BYTES:
                    refused = refused or ValueError(f"an entry of {len(packed):,} bytes is too large for the journal")
                    continue
                rows.append((namespace, key, _checksums(namespace, key, packed)[0] + packed))
        self._execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", rows, many=True)
        if refused is not None:
            raise refused

    def scoped(self, namespace: str) -> ScopedJournal:
        """Return the entries of one `namespace`."""
        return ScopedJournal(self, namespace)

    def namespaces(self) -> list[str]:
        """Return the namespaces that hold entries."""
        if not self._path.exists():
            return []
        names = [row[0] for row in self._execute("SELECT DISTINCT namespace FROM entries", [])]
        return [name for name in names if isinstance(name, str)]  # what was damaged may be of any type

    def count(self, namespace: str) -> int:
        """Return how many entries a namespace holds."""
        if not self._path.exists():
            return 0
        return int(self._execute("SELECT COUNT(*) FROM entries WHERE namespace = ?", [namespace])[0][0])

    def drop(self, namespace: str) -> None:
        """Delete a namespace."""
        if self._path.exists():
            self._execute("DELETE FROM entries WHERE namespace = ?", [namespace])

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _execute(self, statement: str, values: list[Any], *, many: bool = False) -> list[Any]:
        """Run one statement in one transaction, opening the file if need be."""
        try:
            connection = self._open()
            with connection:
                run = connection.executemany if many else connection.execute
                return run(statement, values).fetchall()
        except OSError as error:
            raise StoreError(f"the journal {self._path} can't be opened: {error}; choose another --store") from error
        except sqlite3.DatabaseError as error:
            if self._is_damaged(error):
                self._set_aside(error)
                # once more in a new file; what was in the old one is asked again
                return self._execute(statement, values, many=many)
            # a bug of ours (a wrong statement, a closed connection), which must not look like a full disk
            if not isinstance(error, sqlite3.OperationalError):
                raise
            text = f"the journal {self._path} can't be used: {error}; free space or rights are missing"
            raise StoreError(text) from error

    def _open(self) -> sqlite3.Connection:
        """Return the connection of this process.

        Turning a new file to its write-ahead log does not wait for others that do the same, whatever the timeout: two
        that open it at once would fail each other.
        """
        deadline = time.monotonic() + BUSY_SECONDS
        while self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._connection = _connected(self._path)
            except sqlite3.OperationalError as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _HELD or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        return self._connection

    def _is_damaged(self, error: sqlite3.DatabaseError) -> bool:
        """Return whether an error comes from the file's content: SQLite takes some damage for a lack of rights."""
        # the low byte is the error's kind, the rest its details
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # Python's own errors have none
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return True
        return code in _OF_THE_HEADER and not _has_sound_header(self._path)

    def _set_aside(self, error: Exception) -> None:
        """Move a damaged file out of the way: its rows are asked again, which costs time but never a wrong result."""
        self.close()
        number = len(list(self._path.parent.glob(f"{self._path.name}.damaged-*"))) + 1
        target = self._path.with_name(f"{self._path.name}.damaged-{number}")
        _log.warning("the journal %s is damaged (%s): set aside as %s", self._path, error, target.name)
        self._path.replace(target)
        # SQLite would replay the log of the damaged file into the new one
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)


class ReadOnly(Journal):
    """A journal that is looked at and left as it is."""

    def put_many(self, namespace: str, entries: Mapping[str, Any]) -> None:
        """Write nothing."""

    def drop(self, namespace: str) -> None:
        """Drop nothing."""


@dataclass(frozen=True)
class ScopedJournal:
    """The entries of one namespace."""

    journal: Journal
    """The file behind it."""
    namespace: str
    """Which entries."""

    def get(self, key: str) -> Any:
        """Return the value of `key`, or None."""
        return self.get_many([key]).get(key)

    def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the values of those `keys` that are there."""
        return self.journal.get_many(self.namespace, keys)

    def put(self, key: str, value: object) -> None:
        """Add one entry."""
        self.put_many({key: value})

    def kept(self, key: str, value: object) -> Any:
        """Add one entry; return it as `get` does after a kill, so that a resumed run makes the same."""
        self.put(key, value)
        # tuples are lists after it and NumPy's numbers plain ones: the rest of this run must see the same
        return unpack(pack(value))

    def put_many(self, entries: Mapping[str, Any]) -> None:
        """Add entries in one transaction."""
        self.journal.put_many(self.namespace, entries)

    def kept_parts(self, key: str, parts: Iterable[list[Any]]) -> list[Any]:
        """Add a list that may be too long for one entry, part by part; return it as `get_parts` will."""
        items: list[Any] = []
        count = 0
        for part in parts:
            items += self.kept(f"{key} {count}", part)
            count += 1
        # last, so that a kill before it leaves nothing that looks whole
        self.put(key, {"parts": count})
        return items

    def get_parts(self, key: str) -> list[Any] | None:
        """Return a list that was added in parts, or None if any of it is missing."""
        head = self.get(key)
        if not isinstance(head, dict) or "parts" not in head:
            return None
        items: list[Any] = []
        for number in range(head["parts"]):
            part = self.get(f"{key} {number}")
            if part is None:
                return None
            items += part
        return items


def _connected(path: Path) -> sqlite3.Connection:
    """Return a connection to the file, which is made and given its table if need be."""
    # steps in threads share it: sqlite3 serializes the calls itself in the build that Python has
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False)
    connection.text_factory = _readable
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # with a write-ahead log, a kill loses nothing; a power cut may lose the last rows and damages none
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(_SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _readable(text: bytes) -> str:
    """Return a text of the file; a damaged one becomes another text, which matches no key."""
    return text.decode(errors="replace")


def _has_sound_header(path: Path) -> bool:
    """Return whether the first bytes of a file are those of a database that this SQLite can write."""
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except OSError:
        return True
    # page size, format versions, payload fractions, schema format and text encoding: sqlite.org/fileformat2, section
    # 1.3
    size = int.from_bytes(head[16:18])
    return (
        head[:16] == b"SQLite format 3\0"
        and (size == 1 or size in (2**power for power in range(9, 16)))
        and head[18:20] in (b"\1\1", b"\2\2")
        and head[20:24] == b"\0\x40\x20\x20"
        and int.from_bytes(head[44:48]) in range(1, 5)
        and int.from_bytes(head[56:60]) == 1
    )


def _checksums(namespace: str, key: str, packed: bytes) -> tuple[bytes, bytes]:
    """Return eight bytes that change when the entry does, and those of its value alone, as earlier versions wrote."""
    whole = f"{namespace}\0{key}\0".encode(errors="surrogatepass") + packed
    return hashlib.blake2b(whole, digest_size=8).digest(), hashlib.blake2b(packed, digest_size=8).digest()
