"""What each command does: it prints, in words or with `--json` as one JSON object, and returns the exit code."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from potstill.engine.terminal import say
from potstill.errors import RequestError

if TYPE_CHECKING:
    from potstill.engine.pipeline import Pipeline
    from potstill.engine.records import Record, Run

DONE, FAILED, WRONG = 0, 1, 2
"""Exit codes."""


def _loaded(options: argparse.Namespace) -> Pipeline:
    """Return the pipeline that the options mean, with `--set` applied."""
    from potstill.engine.loader import load
    from potstill.engine.settings import changed

    pipeline = load(options.file, options.own)
    options.pipeline = pipeline.name
    return changed(pipeline, options.settings) if options.settings else pipeline


def run(options: argparse.Namespace) -> int:
    """Run a pipeline."""
    if options.executor == "ray":
        raise RequestError("the ray executor is not built yet; use --executor local")
    return _execute(_loaded(options), options)


def demo(options: argparse.Namespace) -> int:
    """Run the main job."""
    from importlib.resources import files

    options.file = str(files("potstill") / "pipelines" / "demo.py")
    return run(options)


def _execute(
    pipeline: Pipeline, options: argparse.Namespace, hand_over: Callable[[Run], None] = lambda run: None
) -> int:
    """Run a pipeline and print what became of it; what is whole is handed over."""
    from potstill.engine.progress import Silent, watcher_for
    from potstill.engine.running import ranks

    launch = ranks.launched()
    helps = launch is not None and launch.rank > 0
    watcher = Silent() if helps else watcher_for(sys.stderr)
    try:
        run = pipeline.execute(
            watcher=watcher, store=options.store, only=options.only, jobs=options.jobs, threads=options.threads
        )
    finally:
        watcher.close()
    if helps:  # process 0 says it all
        return FAILED if run.failed else DONE
    for record in run.failed:
        say(f"error: {record.name} failed{_where(run, record)}", sys.stderr)
    if not options.json:
        _print_outputs(run)
    if not run.failed:
        hand_over(run)
    wrong = any(record.bad_request for record in run.failed)
    print_json(options, run.as_json())
    return (WRONG if wrong else FAILED) if run.failed else DONE


def _where(run: Run, record: Record) -> str:
    """Return where more is to be read about a step that failed; nothing of one that failed before it had a log."""
    from potstill.engine.inventory import log_file
    from potstill.engine.pipeline import open_store

    if log_file(open_store(run.store), record.key) is None:
        return " before it had a log"
    return f"; its log: potstill log {record.key} --store {run.store}"


def _print_outputs(run: Run) -> None:
    """Print where the outputs are."""
    for name, record in run.outputs.items():
        say(f"{name}: {record.artifact.path if record.artifact else record.status}")


def plan(options: argparse.Namespace) -> int:
    """Show what a run would do."""
    print_json(options, _shown_plan(_loaded(options), options))
    return DONE


def _shown_plan(pipeline: Pipeline, options: argparse.Namespace) -> dict[str, Any]:
    """Show what a run of a pipeline would do, and return it as `--json` prints it."""
    planned = pipeline.plan(store=options.store, only=options.only)
    for step in planned:
        why = f": {'; '.join(step.reasons)}" if step.reasons else ""
        takes = f" [{step.resources}]" if step.status == "miss" and step.is_large else ""
        say(f"{step.status:4}  {step.name}{why}{takes}")
    misses = [step for step in planned if step.status == "miss"]
    cost = {
        part: sum(getattr(step.estimate, part) for step in misses)
        for part in ("calls", "cached", "tokens", "dollars", "disk")
    }
    say(f"{len(planned) - len(misses)} hits, {len(misses)} misses: about {_priced(cost)}")
    for step in misses:
        if step.estimate.unknown:
            say(f"not among these: what {step.name} asks, {step.estimate.unknown}")
    return {"pipeline": pipeline.name, "steps": [step.as_json() for step in planned], **cost}


def _priced(cost: Mapping[str, float]) -> str:
    """Return in words what a run will cost."""
    cached = f" ({cost['cached']:,} more are answered already)" if cost["cached"] else ""
    price = f", ${cost['dollars']:,.2f}" if cost["dollars"] else ""
    disk = f"{cost['disk'] / 1e6:,.1f} MB of disk"
    return f"{cost['calls']:,} teacher calls{cached}, {cost['tokens']:,} tokens{price}, {disk}"


def new(options: argparse.Namespace) -> int:
    """Write a ready pipeline, or list those that there are."""
    from pathlib import Path

    from potstill.scaffold.template import kinds, template
    from potstill.scaffold.write import ask, questions_of, read_settings, write

    if options.list:
        return _list_templates(options)
    if not options.kind:
        raise RequestError(f"say which ready pipeline: {', '.join(kinds())} (`potstill new --list` describes them)")
    chosen = template(options.kind)
    file = Path(options.file or f"{chosen.kind}/{chosen.kind}.py")
    answers = read_settings(options.settings)
    if not answers and sys.stdin.isatty() and sys.stdout.isatty():
        answers = ask(questions_of(chosen, real=options.real), input)
    written = [str(path) for path in write(chosen, file, answers, real=options.real)]
    for path in written:
        say(path)
    say(f"run it: potstill run {file}")
    print_json(options, {"kind": chosen.kind, "files": written})
    return DONE


def _list_templates(options: argparse.Namespace) -> int:
    """Name the ready pipelines with what they do."""
    from potstill.scaffold.template import kinds, template

    summaries = {kind: template(kind).summary for kind in kinds()}
    for kind, summary in summaries.items():
        say(f"{kind:12} {summary}")
    print_json(options, {"kinds": summaries})
    return DONE


def make(options: argparse.Namespace) -> int:
    """Write the pipeline of a wish, show its plan and price, and run it after a yes."""
    from potstill.wishes.start import Words, project_of

    named = (
        "wish",
        "teacher",
        "price",
        "examples",
        "texts",
        "data",
        "budget",
        "base",
        "folder",
        "count",
        "parse",
        "store",
    )
    project = project_of(Words(**{name: getattr(options, name) for name in named}))
    for path in project.write():
        say(f"{path} stays as it is there, and counts; delete it to have it written by what you typed now", sys.stderr)
    options.file, options.own, options.settings, options.only = str(project.file), [], [], None
    say(project.described())
    pipeline = _loaded(options)
    planned = _shown_plan(pipeline, options)
    if not options.yes and not agreed("Run it? [y/N] ", options):
        say(f"nothing was run: `potstill run {project.file}` does, or this command with --yes")
        print_json(options, {"file": str(project.file), **planned})
        return DONE
    from potstill.wishes.hand_over import hand_over

    return _execute(pipeline, options, lambda run: say(hand_over(project, run)))


def agreed(question: str, options: argparse.Namespace) -> bool:
    """Return whether somebody at a terminal says yes."""
    asked = not options.json and sys.stdin.isatty() and sys.stdout.isatty()
    return asked and input(question).strip().lower() in ("y", "yes")


def no_run(options: argparse.Namespace, status: str, problems: list[str]) -> dict[str, Any]:
    """Return what `--json` prints of a run that did not begin."""
    name, store = getattr(options, "pipeline", None), getattr(options, "store", None)
    return {"pipeline": name, "status": status, "store": store, "steps": [], "outputs": {}, "problems": problems}


def print_json(options: argparse.Namespace, value: Any) -> None:
    """Print the result as the last line, if asked to."""
    if getattr(options, "json", False):
        # delete is the one character that acts on a terminal and that JSON leaves as it is
        say(json.dumps(value).replace("\x7f", "\\u007f"))
