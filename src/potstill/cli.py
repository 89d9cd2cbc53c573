"""The command line. Exit codes: 0 done, 1 a step failed, 2 the request was wrong, 130 interrupted."""

from __future__ import annotations

import argparse
import io
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType

from potstill import commands, store_commands
from potstill.commands import DONE, FAILED, WRONG
from potstill.engine.running.interrupts import noticed
from potstill.engine.terminal import say
from potstill.errors import PotstillError, RequestError

INTERRUPTED = 130
STORE = "store folder (default: POTSTILL_STORE, or .potstill)"
PIPELINE_FILE = "file that holds the pipeline; what follows `--` are arguments of its own"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words, own = _parted(sys.argv[1:] if arguments is None else list(arguments))
    options = _parser().parse_args(words)
    options.own = own
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a path that a terminal can't show fails no finished run
    if options.command in (commands.run, commands.demo, commands.make):
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
        commands.print_json(options, commands.no_run(options, "invalid", [str(problem) for problem in error.problems]))
        return WRONG
    except PotstillError as error:
        say(f"error: {error}", sys.stderr)
        return FAILED
    except KeyboardInterrupt as stop:
        say("interrupted: everything that finished is kept; the next run resumes from there", sys.stderr)
        run = getattr(stop, "run", None)
        commands.print_json(options, run.as_json("interrupted") if run else commands.no_run(options, "interrupted", []))
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
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    run = _command(subparsers, "run", "run a pipeline; what is cached is not run again", commands.run)
    run.add_argument("file", metavar="FILE.py[:NAME]", help=PIPELINE_FILE)
    _running_options(run)
    what = "show every step as hit or miss, why, and what it will cost; run nothing"
    planning = _command(subparsers, "plan", what, commands.plan)
    planning.add_argument("file", metavar="FILE.py[:NAME]", help=PIPELINE_FILE)
    _choosing_options(planning)
    demo = _command(subparsers, "demo", "run the main job on the embedded teacher, offline, on a CPU", commands.demo)
    _running_options(demo)
    starting = _command(subparsers, "new", "write a ready pipeline, with sample rows, that runs at once", commands.new)
    starting.add_argument("kind", nargs="?", metavar="KIND", help="which one (--list names them)")
    starting.add_argument("file", nargs="?", metavar="FILE.py", help="file to write (default: KIND/KIND.py)")
    starting.add_argument("--list", action="store_true", help="name the ready pipelines; write nothing")
    starting.add_argument("--real", action="store_true", help="with models of the Hub, not those that are shipped")
    answering = "answer a question that the pipeline has, e.g. labels=billing,bug,other; else a terminal is asked"
    starting.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="settings", help=answering)
    starting.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    _making_command(subparsers)
    for name, text, function in (
        ("ls", "list what the store holds", store_commands.ls),
        ("verify", "hash everything in the store again", store_commands.verify),
    ):
        _store_option(_command(subparsers, name, text, function))
    collecting = _command(subparsers, "gc", "delete what no remembered run uses", store_commands.gc)
    collecting.add_argument("--dry-run", action="store_true", help="name what would be deleted; delete nothing")
    consent = "delete what an unfinished run, another machine or another file made, too"
    collecting.add_argument("--yes", action="store_true", help=consent)
    _store_option(collecting)
    _looking_commands(subparsers)
    return parser


def _making_command(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command that makes a model from one sentence."""
    making = _command(subparsers, "make", "make a small model from one sentence that describes its task", commands.make)
    making.add_argument("wish", metavar="WISH", help='e.g. "Classify support mails as billing, bug or other"')
    teacher = "who writes and labels examples: URL,MODEL of a server, or a Hub id or folder that is run here"
    making.add_argument("--teacher", default="", metavar="WHO", help=teacher)
    price = "dollars for a million tokens read and written by that server, so that the plan names a price"
    making.add_argument("--price", default="", metavar="IN,OUT", help=price)
    examples = (
        "texts with their right labels, JSON Lines; the teacher must pass them first, and the model is measured by them"
    )
    making.add_argument("--examples", default="", metavar="FILE", help=examples)
    texts = "texts to label, JSON Lines; else the teacher writes some"
    making.add_argument("--texts", default="", metavar="FILE", help=texts)
    data = "folder in which such a file is looked for by what it says of itself; where none fits, the teacher writes"
    making.add_argument("--data", default="", metavar="DIR", help=data)
    limits = "what the model may take, e.g. 100MB,20ms: bytes, and time for a text"
    making.add_argument("--budget", default="", metavar="LIMITS", help=limits)
    base = "encoder to train from, a Hub id or folder (default: by budget and language)"
    making.add_argument("--base", default="", metavar="MODEL", help=base)
    making.add_argument(
        "--folder", default="", metavar="DIR", help="where all is written (default: by the first words)"
    )
    count = "examples that the teacher writes (default: 400, or 60 a label)"
    making.add_argument("--rows", type=_positive, metavar="N", dest="count", help=count)
    parsing = "who reads the sentence: a plain parser, or the teacher, who is asked once for that"
    making.add_argument("--parse", choices=("plain", "teacher"), default="plain", help=parsing)
    making.add_argument("--yes", action="store_true", help="run without asking")
    making.add_argument("--jobs", type=_positive, default=1, metavar="N", help="steps at once (default: 1)")
    making.add_argument("--threads", type=_positive, metavar="N", help="threads a step (default: cores / jobs)")
    _store_option(making)


def _looking_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands that look at one artifact, or compare two runs."""
    showing = _command(subparsers, "show", "show one artifact with its lineage, or its rows", store_commands.show)
    showing.add_argument("--rows", type=_positive, metavar="N", help="its first N rows, in place of its lineage")
    condition = 'only rows that meet a condition in DuckDB\'s SQL, e.g. "length(output) > 99"'
    showing.add_argument("--where", default="", metavar="EXPR", help=condition)
    showing.add_argument("--output", default="", metavar="NAME", help="which output's rows, if it has several")
    losing = _command(subparsers, "lost", "show what filters and failures took, by reason", store_commands.lost)
    losing.add_argument("--examples", type=_positive, default=3, metavar="N", help="rows a reason (default: 3)")
    comparing = _command(subparsers, "diff", "show what differs between two runs, step by step", store_commands.diff)
    run = "a pipeline's name or file, of which the last run is meant; a key, with all that it was made from; "
    run += "or a run's own name, that of its file in the store's folder `history`"
    for place in ("first", "second"):
        comparing.add_argument(place, metavar="RUN", help=run)
    _store_option(comparing)
    looking = _command(subparsers, "ui", "show the store as a local web page, until Ctrl-C", store_commands.ui)
    looking.add_argument("--store", metavar="DIR", help=STORE)
    serving = _command(
        subparsers, "serve", "serve a finished model on this machine, until Ctrl-C", store_commands.serve
    )
    meant = "key of an artifact, or the start of one; or PIPELINE:OUTPUT, or an output's name, of the last run"
    serving.add_argument("key", metavar="KEY|OUTPUT", help=meant)
    serving.add_argument("--store", metavar="DIR", help=STORE)
    choice = "who serves a language model that was exported for none (default: vllm where it is installed)"
    serving.add_argument("--runtime", choices=("vllm", "transformers"), help=choice)
    for one in (looking, serving):
        one.add_argument("--port", type=int, metavar="P", help="port (default: the first free one from 8765 on)")
        one.add_argument("--no-browser", action="store_true", help="print the address and open nothing")
    asking = "server that the chat may ask, with the variable of its key if it gets one; may be given several times"
    looking.add_argument("--endpoint", action="append", default=[], metavar="URL[,VARIABLE]", help=asking)
    logging = _command(subparsers, "log", "print the log of a step", store_commands.log)
    pushing = _command(subparsers, "push", "push a model or rows to the Hub, with its card", store_commands.push)
    pushing.add_argument("--dry-run", action="store_true", help="say what would be pushed; ask nobody, push nothing")
    accepting = "push though the licence of a source is unknown, or asks for more than naming it"
    pushing.add_argument("--accept-licences", action="store_true", help=accepting)
    pushing.add_argument("--public", action="store_true", help="let all read a repository that is made for it")
    meant = (
        "key of an artifact, or the start of one; or PIPELINE:NAME, or the name of an output or a step, of the last run"
    )
    for one in (showing, losing, logging, pushing):
        one.add_argument("key", metavar="KEY|NAME", help=meant)
        _store_option(one)
    pushing.add_argument(
        "repo", metavar="OWNER/NAME", help="repository on the Hub; made, and private, if there is none"
    )


class _Version(argparse.Action):
    """Prints the versions that matter and the device; what they are is looked up only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print and exit."""
        from potstill.about import described

        say("\n".join(described()))
        parser.exit(DONE)


def _command(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
    function: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    """Add a command."""
    parser = subparsers.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(command=function)
    return parser


def _store_option(parser: argparse.ArgumentParser) -> None:
    """Add the options that all commands take."""
    parser.add_argument("--store", metavar="DIR", help=STORE)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")


def _choosing_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what of a pipeline is meant."""
    _store_option(parser)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        dest="settings",
        help="change a parameter, e.g. teacher.model=Qwen/Qwen3-8B or tasks.target=100",
    )
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


def _leave(code: int) -> int:
    """Return `code`, or leave with it at once when a step that can't be interrupted still runs in a thread."""
    import os
    import threading

    if any(thread.name.startswith("potstill_") for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _interrupt_on_terminate() -> None:
    """Let SIGTERM end a run as cleanly as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


if __name__ == "__main__":
    sys.exit(main())
