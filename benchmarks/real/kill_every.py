"""Run a pipeline undisturbed, and again with SIGKILL every few seconds until it ends; compare every artifact.

    python benchmarks/real/kill_every.py benchmarks/real/clinc.py 10 [--folder DIR] [-- POTSTILL OPTIONS]

A kill takes the run and everything that it started. It falls SECONDS after the start, or, where the run has not come
further than the last one by then (loading a model may take longer than that), half as long again. Steps that measure
time can't give the same bytes twice: of their metrics everything but times and memory is compared.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MEASURED = ("second", "_ms", "_per_s", "peak_memory", "engine")
"""Parts of the names of figures that differ from run to run."""
GROWTH = 1.5
"""How much longer a run may take that has not come further."""


@dataclass
class Killed:
    """What happened to the disturbed run."""

    kills: int = 0
    longest: float = 0.0
    seconds: float = 0.0
    intervals: list[float] = field(default_factory=list)


def main() -> int:
    """Run both, print the table; 0 if all artifacts are the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="pipeline file")
    parser.add_argument("seconds", type=float, help="between kills")
    parser.add_argument("--folder", type=Path, help="where the two stores go (default: a new temporary folder)")
    given = sys.argv[1:]
    split = given.index("--") if "--" in given else len(given)
    options, passed = parser.parse_args(given[:split]), given[split + 1 :]
    folder = options.folder or Path(tempfile.mkdtemp(prefix="kill-every-"))
    started = time.monotonic()
    if start(options.file, folder / "undisturbed", passed).wait():
        raise SystemExit("the undisturbed run failed")
    undisturbed = time.monotonic() - started
    killed = disturbed(options.file, folder / "killed", passed, options.seconds)
    before, after = (results(folder / name) for name in ("undisturbed", "killed"))
    same = table(before, after)
    kept = sum(seconds == options.seconds for seconds in killed.intervals)
    print(
        f"\nundisturbed {undisturbed:.0f} s; with {killed.kills} kills {killed.seconds:.0f} s, {kept} of them after "
        f"{options.seconds:g} s, the last ones to come further after {killed.longest:g} s at most"
    )
    print(f"{sum(same)} of {len(same)} steps the same; stores in {folder}")
    return 0 if all(same) else 1


def start(file: Path, store: Path, options: list[str]) -> subprocess.Popen[bytes]:
    """Start a run in a session of its own."""
    command = [sys.executable, "-m", "potstill", "run", str(file), "--store", str(store), "--json", *options]
    store.parent.mkdir(parents=True, exist_ok=True)
    with said(store).open("wb") as output:
        return subprocess.Popen(command, start_new_session=True, stdout=output)


def said(store: Path) -> Path:
    """Return the file that gets what a run prints: at the end, which artifact each step has."""
    return store.with_suffix(".json")


def disturbed(file: Path, store: Path, options: list[str], seconds: float) -> Killed:
    """Run until the end, with kills on the way."""
    actual, allowed, furthest = Killed(), seconds, ""
    started = time.monotonic()
    while True:
        run = start(file, store, options)
        try:
            code = run.wait(allowed)
        except subprocess.TimeoutExpired:
            kill(run)
            actual.kills += 1
            actual.intervals.append(allowed)
            now = progress(store)
            if now != furthest:
                actual.longest = max(actual.longest, allowed)
                furthest, allowed = now, seconds
            else:
                allowed *= GROWTH
            continue
        if code:
            raise SystemExit(f"the run failed by itself, with exit code {code}")
        actual.seconds = time.monotonic() - started
        return actual


def kill(run: subprocess.Popen[bytes]) -> None:
    """End the run and all its descendants at once, and wait until they are gone."""
    everyone = [run.pid, *descendants(run.pid)]
    for process in everyone:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue
    run.wait()
    while any(alive(process) for process in everyone):
        time.sleep(0.05)


def descendants(process: int) -> Iterator[int]:
    """Yield the processes below one."""
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            below = [int(child) for child in children.read_text().split()]
        except OSError:
            continue
        for child in below:
            yield child
            yield from descendants(child)


def alive(process: int) -> bool:
    """Return whether a process still runs; one that is only waited for by its parent doesn't."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def progress(store: Path) -> str:
    """Return a mark that changes whenever the store holds more finished work: an artifact, a checkpoint, a response."""
    actual = [path.name for path in sorted(store.glob("artifacts/*"))]
    actual += [str(path) for path in sorted(store.glob("work/*/scratch/checkpoints/*/trainer_state.json"))]
    actual += [f"{path.name} {path.stat().st_size}" for path in sorted(store.glob("journal.sqlite*")) if path.exists()]
    return hashlib.sha256("\n".join(actual).encode()).hexdigest()


def results(store: Path) -> dict[str, tuple[str, str, str]]:
    """Return, by step of the last run, its type, how it was compared, and a digest of its content."""
    actual = {}
    for step in json.loads(said(store).read_text(encoding="utf-8").splitlines()[-1])["steps"]:
        manifest = json.loads((Path(step["path"]) / "manifest.json").read_text(encoding="utf-8"))
        how, content = "bytes", json.dumps(manifest["digests"], sort_keys=True)
        if manifest["makes"] == "metrics":
            metrics = json.loads((Path(step["path"]) / "metrics.json").read_text(encoding="utf-8"))
            how, content = "figures", json.dumps(steady(metrics), sort_keys=True)
        actual[step["name"]] = (step["type"], how, hashlib.sha256(content.encode()).hexdigest()[:12])
    return actual


def steady(value: Any) -> Any:
    """Return metrics without what is measured in time and memory."""
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if not any(part in key for part in MEASURED)}
        return {key: steady(item) for key, item in kept.items()}
    return [steady(item) for item in value] if isinstance(value, list) else value


def table(before: dict[str, tuple[str, str, str]], after: dict[str, tuple[str, str, str]]) -> list[bool]:
    """Print a line a step; return which are the same."""
    same = []
    print(f"{'step':24} {'type':22} {'compared':9} {'undisturbed':13} {'killed':13}")
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        same.append(one == other)
        kind, how, digest = one or other or ("", "", "")
        print(
            f"{name:24} {kind:22} {how:9} {digest if one else 'missing':13} {other[2] if other else 'missing':13} "
            f"{'same' if one == other else 'DIFFERENT'}"
        )
    return same


if __name__ == "__main__":
    sys.exit(main())
