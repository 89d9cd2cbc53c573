"""A process is more than its number."""

from __future__ import annotations

import subprocess
import sys

from potstill.engine.processes import Process, end_group, group_members


def test_a_process_is_known_by_its_number_and_its_start() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    known = Process.of(child.pid)
    assert known.alive()
    assert known.of_this_machine()
    assert not Process(child.pid, known.started + "1").alive()
    assert not Process(child.pid, "otherboot:1").of_this_machine()
    assert group_members(child.pid) == [child.pid]
    end_group(child.pid, 5)
    assert group_members(child.pid) == []
    assert not known.alive()
    child.wait()
    assert not Process.of(child.pid).alive()
