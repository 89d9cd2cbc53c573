"""What processors and GPUs consume, by the counters of the machine: Linux powercap (RAPL) and NVIDIA's library.

Linux: Documentation/power/powercap; `energy_uj` counts microjoules and begins again behind `max_energy_range_uj`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
"""Where Linux shows what processors have consumed, to those who may read it."""
NOT_REPORTED = "not reported by this machine"
"""What stands in the place of the names of counters where there are none."""


@dataclass(frozen=True)
class Counter:
    """What one part of the machine has consumed since some time."""

    joules: float
    """The energy."""
    range: float | None = None
    """Joules behind which it begins again; None for one that never does."""


def counters() -> dict[str, Counter]:
    """Return all counters that can be read, none of them a part of another, by name."""
    return dict([*_processors(), *_gpus()])


def spent(before: Mapping[str, Counter], after: Mapping[str, Counter]) -> float | None:
    """Return the joules between two readings, which lie less than one turn of a counter apart; None without any.

    >>> spent({"cpu": Counter(90, 100)}, {"cpu": Counter(5, 100)})
    15
    """
    differences = []
    for name in before.keys() & after.keys():
        joules = after[name].joules - before[name].joules
        differences.append(joules + (after[name].range or 0) if joules < 0 else joules)
    return sum(differences) if differences and min(differences) >= 0 else None


def _processors() -> Iterator[tuple[str, Counter]]:
    """Yield the counter of each processor: zones below one (cores, memory) are in it, and `psys` holds all of them."""
    for zone in sorted(POWERCAP.glob("*-rapl:*")) if POWERCAP.is_dir() else ():
        if zone.name.count(":") > 1:
            continue
        try:
            if _text(zone / "name") == "psys":
                continue
            joules = int(_text(zone / "energy_uj")) / 1e6
            turn = _text(zone / "max_energy_range_uj")
        except (OSError, ValueError):  # only root may read them on most machines
            continue
        yield zone.name, Counter(joules, int(turn) / 1e6 if turn else None)


def _gpus() -> Iterator[tuple[str, Counter]]:
    """Yield the counter of each GPU, where NVIDIA's library is there and says it."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return
    try:
        pynvml = importlib.import_module("pynvml")  # comes with NVIDIA's own packages, if at all
        pynvml.nvmlInit()
        for number in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(number)
            # millijoules since the driver was loaded
            yield f"gpu:{number}", Counter(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3)
    except Exception:  # noqa: BLE001 - older GPUs don't say it, and each release has another error
        return


def _text(file: Path) -> str:
    """Return the one line of a counter's file; nothing where there is no such file.

    Raises:
        OSError: it may not be read.
    """
    return file.read_text().strip() if file.exists() else ""
