"""Energy: what the kernel's files say, in their own format, and nothing where there are none."""

from __future__ import annotations

import pytest

from potstill.steps.evaluation import energy
from potstill.steps.evaluation.energy import Counter, counters, spent

# as a notebook with one processor shows them: the whole machine (psys) and the mirror of the processor are zones too
ZONES = {
    "intel-rapl:0": ("package-0", 261_000_000_000),
    "intel-rapl:0:0": ("core", 9_000_000),
    "intel-rapl:0:1": ("uncore", 9_000_000),
    "intel-rapl:1": ("psys", 70_000_000),
    "intel-rapl-mmio:0": ("package-0", 261_000_000_000),
    "intel-rapl:10": ("package-10", 500_000),
}
TURN = 262_143_328_850
"""Microjoules behind which a counter begins again, on most processors of Intel."""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    monkeypatch.setattr(energy, "POWERCAP", tmp_path)
    (tmp_path / "intel-rapl").mkdir()  # the driver itself is no zone
    for name, (what, value) in ZONES.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(f"{what}\n")
        (tmp_path / name / "energy_uj").write_text(f"{value}\n")
        (tmp_path / name / "max_energy_range_uj").write_text(f"{TURN}\n")
    return tmp_path


def test_each_processor_is_counted_once(machine):
    own = {name: counter.joules for name, counter in counters().items() if not name.startswith("gpu")}
    assert own == {"intel-rapl:0": 261_000.0, "intel-rapl:10": 0.5}


def test_a_counter_that_began_again_is_no_negative_energy(machine):
    before = counters()
    (machine / "intel-rapl:0" / "energy_uj").write_text("1000000\n")
    (machine / "intel-rapl:10" / "energy_uj").write_text("700000\n")
    assert spent(before, counters()) == pytest.approx(262_143.32885 - 261_000 + 1 + 0.2)


def test_a_counter_that_may_not_be_read_is_none(machine):
    (machine / "intel-rapl:0" / "energy_uj").unlink()
    (machine / "intel-rapl:10" / "energy_uj").write_text("no number")
    assert not [name for name in counters() if not name.startswith("gpu")]


def test_without_counters_nothing_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(energy, "POWERCAP", tmp_path / "none")
    monkeypatch.setattr(energy, "_gpus", lambda: iter(()))
    assert counters() == {} and spent({}, {}) is None
    assert spent({"gpu:0": Counter(5.0)}, {"gpu:0": Counter(2.0)}) is None  # the driver was loaded again
