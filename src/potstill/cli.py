"""The command line. Exit codes: 0 done, 1 a step failed, 2 the request was wrong, 130 interrupted."""

from __future__ import annotations

import argparse
import io
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from potstill.engine.running.interrupts import noticed
from potstill.engine.terminal import say
from potstill.errors import PotstillError, RequestError

if TYPE_CHECKING:
    from potstill.engine.pipeline import Pipeline
    from potstill.engine.records import Run

DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130
PIPELINE_FILE = "file that holds the pipeline; what follows `--` are arguments of its own"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given, own = _parted(sys.argv[1:] if arguments is None else list(arguments))
    options = _parser().parse_args(given)
    options.own = own
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a path that a terminal can't show fails no finished run
    if options.command in (_run, _demo):
        _interrupt_on_terminate()
    try:
        with noticed() as interrupts:
            try:
                return int(options.command(options))
            except PotstillError:
                interrupts.check()  # a library may have made an error of it
                raise
    except RequestError as error:
        for problem in error.problems:
            say(f"error: {problem}", sys.stderr)
        _print_json(options, _no_run(options, "invalid", [str(problem) for problem in error.problems]))
        return WRONG
    except PotstillError as error:
        say(f"error: {error}", sys.stderr)
        return FAILED
    except KeyboardInterrupt as stop:
        say("interrupted: everything that finished is kept; the next run resumes from there", sys.stderr)
        run = getattr(stop, "run", None)
        _print_json(options, run.as_json("interrupted") if run else _no_run(options, "interrupted", []))
        return _leave(INTERRUPTED)


def _parted(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return the arguments of Potstill, and those behind `--`, which are the pipeline file's own."""
    place = arguments.index("--") if "--" in arguments and arguments[0] in ("run", "plan") else len(arguments)
    return arguments[:place], arguments[place + 1 :]


def _parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="potstill", description="Distil large language models into small ones that can be deployed."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print versions and the device, and exit")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    run = _command(commands, "run", "run a pipeline; what is cached is not run again", _run)
    run.add_argument("file", metavar="FILE.py[:NAME]", help=PIPELINE_FILE)
    _running_options(run)
    what = "show every step as hit or miss, why, and what it will cost; run nothing"
    planning = _command(commands, "plan", what, _plan)
    planning.add_argument("file", metavar="FILE.py[:NAME]", help=PIPELINE_FILE)
    _choosing_options(planning)
    demo = _command(commands, "demo", "run the main job on the embedded teacher, offline, on a CPU", _demo)
    _running_options(demo)
    for name, text, function in (
        ("ls", "list what the store holds", _ls),
        ("verify", "hash everything in the store again", _verify),
    ):
        _store_option(_command(commands, name, text, function))
    collecting = _command(commands, "gc", "delete what no remembered run uses", _gc)
    collecting.add_argument("--dry-run", action="store_true", help="name what would be deleted; delete nothing")
    consent = "delete what an unfinished run, another machine or another file made, too"
    collecting.add_argument("--yes", action="store_true", help=consent)
    _store_option(collecting)
    for name, text, function in (
        ("show", "show one artifact with its lineage", _show),
        ("log", "print the log of a step", _log),
    ):
        one = _command(commands, name, text, function)
        one.add_argument("key", metavar="KEY", help="key of an artifact, or the start of one")
        _store_option(one)
    return parser


class _Version(argparse.Action):
    """Prints the versions that matter and the device; what they are is looked up only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print and exit."""
        from potstill.about import described

        say("\n".join(described()))
        parser.exit(DONE)


def _command(commands: Any, name: str, text: str, function: Any) -> argparse.ArgumentParser:
    """Add a command."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(command=function)
    return parser


def _store_option(parser: argparse.ArgumentParser) -> None:
    """Add the options that all commands take."""
    parser.add_argument("--store", metavar="DIR", help="store folder (default: POTSTILL_STORE, or .potstill)")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")


def _choosing_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what of a pipeline is meant."""
    _store_option(parser)
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", dest="settings",
                        help="change a parameter, e.g. teacher.model=Qwen/Qwen3-8B or tasks.target=100")  # fmt: skip
    parser.add_argument("--only", metavar="OUTPUT", help="only what this output needs")


def _running_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of commands that run steps."""
    _choosing_options(parser)
    parser.add_argument("--executor", choices=("local", "ray"), default="local", help="where steps run")
    parser.add_argument("--jobs", type=_positive, default=1, metavar="N", help="steps at once (default: 1)")
    parser.add_argument("--threads", type=_positive, metavar="N", help="threads a step (default: cores / jobs)")


def _positive(text: str) -> int:
    """Return a number of at least one."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


def _loaded(options: argparse.Namespace) -> Pipeline:
    """Return the pipeline that the options mean, with `--set` applied."""
    from potstill.engine.loader import load
    from potstill.engine.settings import changed

    pipeline = load(options.file, options.own)
    options.pipeline = pipeline.name
    return changed(pipeline, options.settings) if options.settings else pipeline


def _run(options: argparse.Namespace) -> int:
    """Run a pipeline."""
    if options.executor == "ray":
        raise RequestError("the ray executor is not built yet; use --executor local")
    return _execute(_loaded(options), options)


def _demo(options: argparse.Namespace) -> int:
    """Run the main job."""
    from importlib.resources import files

    options.file = str(files("potstill") / "pipelines" / "demo.py")
    return _run(options)


def _execute(pipeline: Pipeline, options: argparse.Namespace) -> int:
    """Run a pipeline and print what became of it."""
    from potstill.engine.progress import watcher_for

    watcher = watcher_for(sys.stderr)
    try:
        run = pipeline.execute(
            watcher=watcher, store=options.store, only=options.only, jobs=options.jobs, threads=options.threads
        )
    finally:
        watcher.close()
    for record in run.failed:
        say(f"error: {record.name} failed; its log: potstill log {record.key} --store {run.store}", sys.stderr)
    if not options.json:
        _print_outputs(run)
    wrong = any(record.bad_request for record in run.failed)
    _print_json(options, run.as_json())
    return (WRONG if wrong else FAILED) if run.failed else DONE


def _print_outputs(run: Run) -> None:
    """Print where the outputs are."""
    for name, record in run.outputs.items():
        say(f"{name}: {record.artifact.path if record.artifact else record.status}")


def _plan(options: argparse.Namespace) -> int:
    """Show what a run would do."""
    pipeline = _loaded(options)
    planned = pipeline.plan(store=options.store, only=options.only)
    for step in planned:
        why = f": {'; '.join(step.reasons)}" if step.reasons else ""
        say(f"{step.status:4}  {step.name}{why}")
    misses = [step for step in planned if step.status == "miss"]
    cost = {
        part: sum(getattr(step.estimate, part) for step in misses)
        for part in ("calls", "cached", "tokens", "dollars", "disk")
    }
    say(f"{len(planned) - len(misses)} hits, {len(misses)} misses: about {_priced(cost)}")
    _print_json(options, {"pipeline": pipeline.name, "steps": [step.as_json() for step in planned], **cost})
    return DONE


def _priced(cost: Mapping[str, float]) -> str:
    """Return in words what a run will cost."""
    kept = f" ({cost['cached']:,} more are answered already)" if cost["cached"] else ""
    price = f", ${cost['dollars']:,.2f}" if cost["dollars"] else ""
    disk = f"{cost['disk'] / 1e6:,.1f} MB of disk"
    return f"{cost['calls']:,} teacher calls{kept}, {cost['tokens']:,} tokens{price}, {disk}"


def _ls(options: argparse.Namespace) -> int:
    """List the artifacts."""
    from potstill.engine.inventory import listing

    entries = listing(options.store)
    for entry in entries:
        size = f"{entry['size'] / 1e6:10,.2f} MB"
        say(f"{entry['key']}  {entry['status']:7}  {size}  {entry['type']:16} {entry['name']}")
    _print_json(options, {"artifacts": entries})
    return DONE


def _show(options: argparse.Namespace) -> int:
    """Show one artifact."""
    from potstill.engine.inventory import description, show

    entry = description(options.store, options.key)
    if not options.json:
        say(show(entry))
    _print_json(options, entry)
    return DONE


def _log(options: argparse.Namespace) -> int:
    """Print a step's log."""
    from potstill.engine.inventory import log

    say(log(options.store, options.key), end="")
    return DONE


def _verify(options: argparse.Namespace) -> int:
    """Hash everything again."""
    from potstill.engine.inventory import verify

    checked, damaged = verify(options.store)
    for key, damage in damaged.items():
        say(f"{key}: {damage}")
    say(f"{checked} artifacts checked, {len(damaged)} damaged")
    _print_json(options, {"checked": checked, "damaged": damaged})
    return FAILED if damaged else DONE


def _gc(options: argparse.Namespace) -> int:
    """Delete what no remembered run uses; what is doubtful only on consent."""
    from potstill.engine.pipeline import open_store
    from potstill.engine.store.garbage import collect, described

    store = open_store(options.store)
    collected = collect(store, consent=options.yes, dry_run=options.dry_run)
    say("\n".join(described(collected, dry_run=options.dry_run)))
    if collected.doubtful and not options.dry_run and not options.json and sys.stdin.isatty() and sys.stdout.isatty():
        answer = input(f"Delete these {len(collected.doubtful)} too? [y/N] ")
        if answer.strip().lower() in ("y", "yes"):
            say("\n".join(described(collect(store, consent=True), dry_run=False)))
    _print_json(options, collected.as_json())
    return FAILED if collected.problems else DONE


def _no_run(options: argparse.Namespace, status: str, problems: list[str]) -> dict[str, Any]:
    """Return what `--json` prints of a run that did not begin."""
    name, store = getattr(options, "pipeline", None), getattr(options, "store", None)
    return {"pipeline": name, "status": status, "store": store, "steps": [], "outputs": {}, "problems": problems}


def _leave(code: int) -> int:
    """Return `code`, or leave with it at once when a step that can't be interrupted still runs in a thread."""
    import os
    import threading

    if any(thread.name.startswith("potstill_") for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _print_json(options: argparse.Namespace, value: Any) -> None:
    """Print the result as the last line, if asked to."""
    if getattr(options, "json", False):
        say(json.dumps(value))


def _interrupt_on_terminate() -> None:
    """Let SIGTERM end a run as cleanly as Ctrl-C does."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


if __name__ == "__main__":
    sys.exit(main())
