"""Writes to the store's disk: whole or not at all, and refusals of the system as errors that name the store."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

from potstill.errors import StoreError


def write_json(path: Path, value: object) -> None:
    """Write JSON so that the file is either the old or the new one, never a part of it."""
    write_whole(path, json.dumps(value, indent=1))


def write_whole(path: Path, text: str) -> None:
    """Write a file that is either the old or the new one, also after a power cut."""
    # in the same folder, as a rename works within one file system only; a name of its own for each process
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


@contextlib.contextmanager
def writing(root: Path) -> Iterator[None]:
    """Turn the operating system's refusals into an error that names the store and the remedy."""
    try:
        yield
    except OSError as error:
        if not _is_about(error, root):
            raise
        remedies = {
            errno.ENOSPC: "the disk is full: free space, or `potstill gc`",
            errno.EDQUOT: "the disk quota is used up: free space, or `potstill gc`",
            errno.EFBIG: "a file may not grow that large: raise the limit",
            errno.EIO: "the disk fails: choose another store with --store or POTSTILL_STORE",
            errno.EROFS: "the store is read-only: choose another with --store or POTSTILL_STORE",
            errno.EACCES: "no right to write there: choose another store with --store or POTSTILL_STORE",
            errno.EPERM: "no right to write there: choose another store with --store or POTSTILL_STORE",
        }
        remedy = remedies.get(error.errno or 0, "choose another store with --store or POTSTILL_STORE")
        raise StoreError(f"the store {root} can't be written ({error}); {remedy}. What it held is intact") from error


def _is_about(error: OSError, root: Path) -> bool:
    """Return whether an error is the store's, and not of something that a step reads or writes elsewhere."""
    # `write` and `fsync` name no file: of these only errors that come from the disk are the store's
    if error.filename is None:
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
    # also a folder above the store that may not be written to, in which it was to be made
    place = Path(os.fsdecode(error.filename)).absolute()
    return place.is_relative_to(root) or root.is_relative_to(place)


def flush(path: Path) -> None:
    """Make the operating system write a file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
