"""A log keeps what a step's process printed, however much that is, within bounds."""

from __future__ import annotations

from pathlib import Path

from potstill.engine import logs


def test_of_a_flood_the_beginning_and_the_end_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "work" / "key" / "payload" / "log.txt"
    log.parent.mkdir(parents=True)
    log.write_text("logged\n")
    output = logs.printed(tmp_path, "key")
    output.write_bytes(b"first\n" + b"x" * (logs.MOST_PRINTED + 1_000_000) + b"\nlast \xff\n")
    assert logs.last_printed(output, 1) == ["last \ufffd"]
    logs.keep_printed(tmp_path, "key")
    text = log.read_text()
    assert text.startswith("logged\nfirst\n")
    assert text.endswith("\nlast \ufffd\n")
    assert "bytes left out" in text
    assert log.stat().st_size < logs.MOST_PRINTED + 1000
    assert output.stat().st_size == 0
