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
ROWS = 20
"""Rows that `show --where` prints without `--rows`."""


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
    if not options.yes and not _agreed("Run it? [y/N] ", options):
        say(f"nothing was run: `potstill run {project.file}` does, or this command with --yes")
        print_json(options, {"file": str(project.file), **planned})
        return DONE
    from potstill.wishes.hand_over import hand_over

    return _execute(pipeline, options, lambda run: say(hand_over(project, run)))


def _agreed(question: str, options: argparse.Namespace) -> bool:
    """Return whether somebody at a terminal says yes."""
    asked = not options.json and sys.stdin.isatty() and sys.stdout.isatty()
    return asked and input(question).strip().lower() in ("y", "yes")


def ls(options: argparse.Namespace) -> int:
    """List the artifacts."""
    from potstill.engine.inventory import listing

    entries = listing(options.store)
    for entry in entries:
        size = f"{entry['size'] / 1e6:10,.2f} MB"
        say(f"{entry['key']}  {entry['status']:7}  {size}  {entry['type']:16} {entry['name']}")
    print_json(options, {"artifacts": entries})
    return DONE


def show(options: argparse.Namespace) -> int:
    """Show one artifact, or its rows."""
    if options.rows is not None or options.where or options.output:
        return _show_rows(options)
    from potstill.engine.inventory import description, show

    entry = description(options.store, _key(options))
    if not options.json:
        say(show(entry))
    print_json(options, entry)
    return DONE


def _key(options: argparse.Namespace) -> str:
    """Return the key that is meant by the argument KEY|NAME."""
    from potstill.engine.pipeline import open_store
    from potstill.looking.outputs import key_of

    return key_of(open_store(options.store), options.key)


def _show_rows(options: argparse.Namespace) -> int:
    """Show rows of one artifact."""
    import shutil

    from potstill.looking.row_table import table
    from potstill.looking.rows import excerpt

    count = ROWS if options.rows is None else options.rows
    rows = excerpt(options.store, _key(options), count, options.where, options.output)
    if not options.json:
        say(table(rows, shutil.get_terminal_size().columns))
    print_json(options, rows.as_json())
    return DONE


def lost(options: argparse.Namespace) -> int:
    """Show what filters and failures took."""
    from potstill.looking.lost import described, losses

    lost_rows = losses(options.store, _key(options), options.examples)
    if not options.json:
        say(described(lost_rows))
    print_json(options, lost_rows.as_json())
    return DONE


def diff(options: argparse.Namespace) -> int:
    """Show what differs between two runs."""
    from potstill.looking.diff import compare, described

    steps = compare(options.store, options.first, options.second)
    if not options.json:
        say(described(steps))
    print_json(options, {"first": options.first, "second": options.second, "steps": [one.as_json() for one in steps]})
    return DONE


def ui(options: argparse.Namespace) -> int:
    """Serve the store as a local web page."""
    from potstill.ui.serve import serve

    serve(options.store, options.port, browser=not options.no_browser, endpoints=options.endpoint)
    return DONE


def serve(options: argparse.Namespace) -> int:
    """Serve a finished model."""
    from potstill.serving.serve import serve

    serve(options.store, options.key, options.port, browser=not options.no_browser, runtime=options.runtime)
    return DONE


def push(options: argparse.Namespace) -> int:
    """Push a model or rows to the Hub, or say what that would do."""
    from potstill.publishing.push import described, planned
    from potstill.publishing.upload import upload

    planned_push = planned(options.store, _key(options), options.repo)
    say(described(planned_push))
    stopped = bool(planned_push.obstacles) and not options.accept_licences
    result = {**planned_push.as_json(), "pushed": False, "url": None}
    if stopped:
        say("not pushed: read these licences, then give --accept-licences", sys.stderr)
    elif options.dry_run:
        say("a dry run: nothing was pushed")
    else:
        result |= {"pushed": True, "url": upload(planned_push, public=options.public)}
        say(f"pushed: {result['url']}")
    print_json(options, result)
    return WRONG if stopped else DONE


def log(options: argparse.Namespace) -> int:
    """Print a step's log."""
    from potstill.engine.inventory import log

    say(log(options.store, _key(options)), end="")
    return DONE


def verify(options: argparse.Namespace) -> int:
    """Hash everything again."""
    from potstill.engine.inventory import verify

    checked, damaged = verify(options.store)
    for key, damage in damaged.items():
        say(f"{key}: {damage}")
    say(f"{checked} artifacts checked, {len(damaged)} damaged")
    print_json(options, {"checked": checked, "damaged": damaged})
    return FAILED if damaged else DONE


def gc(options: argparse.Namespace) -> int:
    """Delete what no remembered run uses; what is doubtful only on consent."""
    from potstill.engine.pipeline import open_store
    from potstill.engine.store.garbage import collect, described

    store = open_store(options.store)
    collected = collect(store, consent=options.yes, dry_run=options.dry_run)
    say("\n".join(described(collected, dry_run=options.dry_run)))
    question = f"Delete these {len(collected.doubtful)} too? [y/N] "
    if collected.doubtful and not options.dry_run and _agreed(question, options):
        say("\n".join(described(collect(store, consent=True), dry_run=False)))
    print_json(options, collected.as_json())
    return FAILED if collected.problems else DONE


def no_run(options: argparse.Namespace, status: str, problems: list[str]) -> dict[str, Any]:
    """Return what `--json` prints of a run that did not begin."""
    name, store = getattr(options, "pipeline", None), getattr(options, "store", None)
    return {"pipeline": name, "status": status, "store": store, "steps": [], "outputs": {}, "problems": problems}


def print_json(options: argparse.Namespace, value: Any) -> None:
    """Print the result as the last line, if asked to."""
    if getattr(options, "json", False):
        # delete is the one character that acts on a terminal and that JSON leaves as it is
        say(json.dumps(value).replace("\x7f", "\\u007f"))
