"""The commands of the command line that look into a store, clean it, serve or push what it holds."""

from __future__ import annotations

import argparse
import sys

from potstill.commands import DONE, FAILED, WRONG, agreed, print_json
from potstill.engine.terminal import say

ROWS = 20
"""Rows that `show --where` prints without `--rows`."""


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
    if collected.doubtful and not options.dry_run and agreed(question, options):
        say("\n".join(described(collect(store, consent=True), dry_run=False)))
    print_json(options, collected.as_json())
    return FAILED if collected.problems else DONE
