"""Ctrl-C and SIGTERM, remembered: a library may swallow the KeyboardInterrupt, or make an error of its own of it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""What asks a run to end."""


@dataclass
class Interrupts:
    """Whether the run was asked to end."""

    came: bool = False
    """Whether a signal came."""

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal came, though it may have been swallowed."""
        if self.came:
            raise KeyboardInterrupt


@contextmanager
def noticed() -> Iterator[Interrupts]:
    """Take note of signals, and let earlier handlers act; one without a handler in Python stays as it is."""
    interrupts = Interrupts()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    # Python lets the main thread alone set handlers
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return

    def note(number: int, frame: FrameType | None) -> None:
        interrupts.came = True
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    # SIG_DFL and SIG_IGN are not callable, nor is a handler in C (None)
    handled = [number for number in SIGNALS if callable(before[number])]
    for number in handled:
        signal.signal(number, note)
    try:
        yield interrupts
    finally:
        for number in handled:
            signal.signal(number, before[number])


@contextmanager
def held_back() -> Iterator[None]:
    """Let signals wait: inside of a library that aborts the process where it is interrupted, as while it is loaded."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
