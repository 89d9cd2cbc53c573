"""Runs a folder of cases, each a small project with a `run.sh`, and holds what they print against the right value.

    python scripts/cases.py FOLDER [NAME ...]

A case is what somebody once reported of a system of this kind. Its script needs `potstill` and `python` on the PATH and
works in a copy of its folder. The table says for each case whether all that must be printed was, and nothing that must
not; the exit code is the number of cases that failed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

LIMIT_SECONDS = 300
"""Longest a case may take; one of them hung for ever."""


@dataclass(frozen=True)
class Right:
    """What a case must print."""

    shown: tuple[str, ...]
    """Patterns that must occur, in this order."""
    absent: tuple[str, ...] = ("Traceback",)
    """Patterns that must not occur."""


def right(*shown: str, absent: tuple[str, ...] = ()) -> Right:
    """Return the right value of a case; no case may end in a traceback."""
    return Right(shown, ("Traceback", *absent))


EDIT_COUNTS = right(r"'a1'", r"after the edit", r"done in", r"'a2'")
ASKED_AGAIN = "asked again"
CASES = {
    "array_of_objects_never_hits": right("second run", "out: cached"),
    "azure_address": right(r"path: \['/openai/deployments/d/chat/completions\?api-version=2024-06-01'\]"),
    "choice_words": right(
        f"'not safe': {ASKED_AGAIN}",
        rf"'No doubt about it: yes': ({ASKED_AGAIN}|'yes')",
        rf"shows that B is right\.': ({ASKED_AGAIN}|'B')",
        f"'nicht gut': {ASKED_AGAIN}",
        r"'The answer is C\+\+\.': 'C\+\+'",
    ),
    "content_parts": right("3 rows", "requests: 3", "'output': 'Berlin'"),
    "duplicates_that_differ": right("out: done in .* 9 rows"),
    "empty_content_is_a_label": right("0 rows|lost 3 of 3", absent=("'output': ''",)),
    "empty_object": right("1 rows"),
    "first_row_flagged": right("9 rows", "requests: 10"),
    "frame_index_lost": right("'n': 4, 'label': 'x'|'label': 'x', 'n': 4"),
    "gc_and_names": right("0 artifacts removed", "hit   out"),
    "huge_number_from_teacher": right("2 rows"),
    "json_with_a_top_level_key": right("is one JSON object, not a list of rows", absent=("line 3",)),
    "late_fraction": right(r"last row: .*'v': 0\.5"),
    "late_key": right(r"last row: .*'v': \{'a': 1, 'b': 2\}"),
    "late_value": right("10,001 rows", "last row: .*'v': 'x'"),
    "long_texts": right("2,300 rows"),
    "methods_in_prompts": right("Sum up: two pens", absent=("built-in method",)),
    "multi_turn_chats": right("1 rows"),
    "none_in_prompts": right("1 rows", absent=("re: None",)),
    "null_content_budget": right("requests: [1-8]$"),
    "numpy_metrics": right(r'"accuracy": 0\.5'),
    "parameters_named_as_methods": right(r"pipeline\.py", r"Mine\.columns: ", r"version\.py", r"Mine\.version: "),
    "refused_parameters": right("100 rows"),
    "script_and_command_differ": right("potstill run", "out: cached", "renamed", "hit   out"),
    "script_that_parses_arguments": right("SystemExit", '"status": "invalid"', "exit 2"),
    "seeds_null_and_list": right("line 1: field 'output' must be a text", "line 2: field 'output' must be a text"),
    "server_moves": right("requests: 3"),
    "spawn_pool_hangs": right("2 rows"),
    "steps_beside_each_other_and_signals": right("--jobs 2", "out: done|heavy = True"),
    "surrogate_answer": right("60 rows|59 rows", "requests: 60", "requests: 0"),
    "surrogate_in_a_file": right("line 2.*field"),
    "think_json_draft": right("'city': 'Berlin'", absent=("Ulm",)),
    "think_label": right("'output': 'Berlin'", absent=("'output': '<think>",)),
    "transform_ignored": right(r"\[\{'t': 10\}\]"),
}
"""Right value by case; those that begin with `stale_` edit a project between two runs."""


def main(folder: Path, names: list[str]) -> int:
    """Run the cases and print the table; return how many failed."""
    failed = 0
    for case in sorted(path.parent for path in folder.glob("*/run.sh")):
        if names and case.name not in names:
            continue
        expected = CASES.get(case.name, EDIT_COUNTS if case.name.startswith("stale_") else None)
        problem = "no right value is known" if expected is None else missed(printed(case), expected)
        failed += bool(problem)
        print(f"{'FAILED' if problem else 'right ':6}  {case.name:40}  {problem}", flush=True)
    print(f"{failed} failed")
    return failed


def printed(case: Path) -> str:
    """Return all that a case prints."""
    try:
        done = subprocess.run(
            ["bash", str(case / "run.sh")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=LIMIT_SECONDS,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )
    except subprocess.TimeoutExpired:
        return f"did not end within {LIMIT_SECONDS} s"
    return done.stdout


def missed(text: str, expected: Right) -> str:
    """Return what of the right value is not in what was printed, or nothing."""
    start = 0
    for pattern in expected.shown:
        match = re.compile(pattern, re.MULTILINE).search(text, start)
        if match is None:
            return f"no {pattern!r} in: {' / '.join(text.strip().splitlines()[-4:])[:300]}"
        start = match.end()
    return next((f"there is {pattern!r}" for pattern in expected.absent if re.search(pattern, text)), "")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
