"""Lines that several processes append: a line that was cut short is nothing, a damaged one is known to be damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from potstill.engine.store import lines

VALUES = [{"key": f"{number:032x}", "step": "ü \n J*" * number, "identity": {"a": [1, None]}} for number in range(2)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    for value in VALUES:
        lines.append(tmp_path / "f", [value])
    return tmp_path / "f"


def test_what_was_appended_is_read(path: Path, tmp_path: Path) -> None:
    assert lines.read(path) == lines.Lines(VALUES, [])
    assert lines.read(tmp_path / "none") == lines.Lines()


def test_no_flipped_bit_gives_another_value_or_hides_one_in_silence(path: Path) -> None:
    whole = path.read_bytes()
    for place in range(len(whole)):
        for bit in range(8):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            read = lines.read(path)
            assert all(value in VALUES for value in read.values)
            assert read.values == VALUES or read.damaged, (place, bit)


def test_a_line_that_was_cut_short_counts_for_nothing_and_harms_no_other(path: Path) -> None:
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        lines.append(path, [{"key": "next"}])
        read = lines.read(path)
        assert not read.damaged, end
        assert read.values[:-1] == VALUES[: len(read.values) - 1]
        assert read.values[-1] == {"key": "next"}


def test_lines_of_earlier_versions_are_read(path: Path) -> None:
    with path.open("a") as file:
        file.write('\n{"key": "old"}\n{"key": "cut sh')
    assert lines.read(path) == lines.Lines([*VALUES, {"key": "old"}], [])
