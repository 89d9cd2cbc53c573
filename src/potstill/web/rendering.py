"""Templates and their filters: every value is text, whatever it holds."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from potstill.reporting import number_formats
from potstill.text.inert import of_javascript, written_out

HERE = Path(__file__).parent
"""This room, with the frame of all pages, the script and the style sheet."""
HALVES = re.compile("[\ud800-\udfff]")
"""Halves of characters, which can't be written."""
LONGEST = 2_000
"""Letters of a value in a table."""
Values = dict[str, Any]
"""What a template gets."""


@dataclass(frozen=True)
class Templates:
    """The templates of one room, and those that all pages share."""

    folder: Path
    """Where the room's own are."""

    def page(self, template: str, status: int = 200, **values: object) -> HTMLResponse:
        """Return a page; `values` are the template's own variables."""
        return HTMLResponse(self.rendered(template, values), status)

    def rendered(self, template: str, values: Mapping[str, object]) -> str:
        """Return what a template makes of `values`, as text that can be written."""
        return HALVES.sub("\ufffd", environment(self.folder).get_template(template).render(values))


@lru_cache(maxsize=4)
def environment(folder: Path) -> Environment:
    """Return the environment of the templates in `folder`, with the shared ones and the report's."""
    templates = Environment(
        loader=FileSystemLoader([folder, HERE / "templates", HERE.parent / "reporting"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        name: getattr(number_formats, name) for name in ("percent", "size", "count", "seconds", "cut")
    }
    templates.filters |= {"inert": inert, "when": when, "plain": plain, "iso": iso}
    return templates


def inert(text: object) -> str:
    r"""Return a text in which invisible characters that turn or hide what follows are written out, as in `\u202e`."""
    return written_out(str(text).replace("\r", ""))


def plain(value: object) -> str:
    """Return a parameter or a metric as a short text."""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return inert(text if len(text) <= LONGEST else f"{text[:LONGEST]}\u2026 +{len(text) - LONGEST:,} letters")


def when(moment: float | None) -> str:
    """Return a time of this machine's clock, e.g. `30 Nov 19:28`."""
    return number_formats.NONE if not moment else time.strftime("%d %b %H:%M", time.localtime(moment)).lstrip("0")


def iso(moment: float | None) -> str:
    """Return a time as machines read it."""
    return "" if not moment else time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(moment))


def styles() -> str:
    """Return the report's style sheet with what the pages here add."""
    report = environment(HERE / "templates").get_template("report.css.jinja").render()
    return f"{report}\n{(HERE / 'static' / 'ui.css').read_text(encoding='utf-8')}"


def script() -> str:
    """Return the one script, with the report's tools for pages and the list of characters that act."""
    return environment(HERE / "templates").get_template("ui.js.jinja").render(acting=of_javascript())


def _styles(_: Request) -> Response:
    return Response(styles(), media_type="text/css")


def _script(_: Request) -> Response:
    return Response(script(), media_type="text/javascript")


def _icon(_: Request) -> Response:
    return Response((HERE / "static" / "icon.svg").read_text(encoding="utf-8"), media_type="image/svg+xml")


ASSETS = (Route("/ui.css", _styles), Route("/ui.js", _script), Route("/icon.svg", _icon))
"""The addresses that every page of a local server loads."""
