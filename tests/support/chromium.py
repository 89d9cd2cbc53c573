"""A headless Chromium, where there is one: Debian's, driven by playwright, which brings none of its own here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SERIOUS = ("serious", "critical")


@contextmanager
def chromium() -> Iterator[Any]:
    """Yield a browser; skip the test where there is none, and say what is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra `tests`)")
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("there is no Chromium: `apt-get install chromium`")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watched:
    """A page, with all that it printed and asked for."""

    page: Any
    """playwright's page."""
    base: str
    """Address of the server whose pages it visits; empty for files."""
    errors: list[str] = field(default_factory=list)
    """What it complained about on the console, and exceptions."""
    outside: list[str] = field(default_factory=list)
    """Requests to anywhere else."""

    def faults(self) -> list[str]:
        """Return the serious faults that axe-core finds, each with the element."""
        axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
        self.page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run(document, {iframes: false, resultTypes: ['violations']})")["violations"]
        return [
            f"{one['id']}: {node['html'][:200]} {node.get('failureSummary', '')[:200]}"
            for one in found
            if one["impact"] in SERIOUS
            for node in one["nodes"]
        ]


@contextmanager
def watched(browser: Any, base: str, **options: Any) -> Iterator[Watched]:
    """Yield a new page of a browser that knows nothing yet; `options` are those of playwright's contexts."""
    context = browser.new_context(**options)
    try:
        shown = Watched(context.new_page(), base)
        shown.page.on("console", lambda one: shown.errors.append(one.text) if one.type == "error" else None)
        shown.page.on("pageerror", lambda error: shown.errors.append(str(error)))
        shown.page.on("request", lambda one: None if one.url.startswith(base) else shown.outside.append(one.url))
        yield shown
    finally:
        context.close()
