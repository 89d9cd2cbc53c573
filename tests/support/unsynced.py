"""Imported for what it does: files are written without waiting for the disk. No test cuts the power."""

from __future__ import annotations

import os

os.fsync = lambda handle: None  # some disks take 20 ms for each, and every result is synchronized several times
