"""In a browser: no error, no request to elsewhere, by keyboard alone, in both themes, and hostile text stays text."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from browser import Page, opened
from potstill import Pipeline, Step
from potstill.engine.progress import Silent
from potstill.looking.cached_store import CachedStore
from potstill.ui.app import application
from potstill.web.binding import bound
from potstill.web.guard import Tokens
from shown_store import make
from visiting import key_of, run_of

pytestmark = pytest.mark.slow
PAGES = {
    "runs": "/",
    "artifacts": "/artifacts",
    "run": "/run/{run}",
    "failed run": "/run/{broken}",
    "step": "/step/{learned}",
    "log": "/step/{dropped}/log",
    "lost": "/step/{dropped}/lost",
    "rows": "/step/{talk}/rows?sort=number&column=number&is=less&value=200",
    "row": "/step/{talk}/row?n=1",
    "samples": "/run/{run}/samples?differing=on",
    "report": "/step/{report}/report",
    "diff": "/diff?run={run}&run={broken}",
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("shown") / "store")


@contextmanager
def served(store: Path) -> Iterator[tuple[str, str]]:
    """Serve a store as the command does; yield the address and the one with the token."""
    import uvicorn

    tokens = Tokens()
    with bound(0) as listening:
        port = listening.getsockname()[1]
        config = uvicorn.Config(application(CachedStore(store), tokens, f"potstill-{port}"), log_level="error")
        config.timeout_graceful_shutdown = 1
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            base = f"http://127.0.0.1:{port}"
            yield base, f"{base}/?token={tokens.token}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def base(store: Path) -> Iterator[tuple[str, str]]:
    with served(store) as both:
        yield both


@pytest.fixture(scope="module")
def browser(base: tuple[str, str]) -> Iterator[Page]:
    with opened() as page:
        page.open(base[1])
        page.wait(f"location.href === '{base[0]}/' && document.readyState === 'complete'")
        yield page


@pytest.fixture
def page(browser: Page) -> Iterator[Page]:
    """A tab that came in with the token; whatever a test does there leaves no error and asks nobody else."""
    browser.look_like()
    before = len(browser.errors)
    yield browser
    assert browser.errors[before:] == []
    assert {urlsplit(address).hostname for address in browser.requests if ":" in address} <= {"127.0.0.1", None}


def path_of(store: Path, name: str) -> str:
    keys = {step: key_of(store, step) for step in ("talk", "dropped", "learned", "report")}
    return PAGES[name].format(run=run_of(store), broken=run_of(store, "broken"), **keys)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_without_errors_and_serious_faults_and_hostile_text_stays_text(
    page: Page, base: tuple[str, str], store: Path, scheme: str
) -> None:
    page.look_like(dark=scheme == "dark")
    # colours alone are others in the dark
    for name in PAGES if scheme == "light" else ("run", "samples"):
        page.open(base[0] + path_of(store, name))
        assert page.accessibility() == [], name
        assert page.run("window.hacked === undefined"), name


def test_no_page_is_wider_than_a_phone(page: Page, base: tuple[str, str], store: Path) -> None:
    page.look_like(360, 720)
    for name in PAGES:
        page.open(base[0] + path_of(store, name))
        assert page.run("document.documentElement.scrollWidth") <= 360, name
        widths = page.run("[...document.querySelectorAll('tbody .name')].map(one => one.offsetWidth)")
        assert all(width >= 90 for width in widths), name


def test_the_token_leaves_the_address_and_no_script_sees_the_cookie(page: Page, base: tuple[str, str]) -> None:
    page.open(base[0])
    assert "token" not in page.run("location.href")
    assert page.run("document.cookie") == ""


def test_search_while_typing_and_sorting_by_keyboard_alone(page: Page, base: tuple[str, str], store: Path) -> None:
    page.open(f"{base[0]}/step/{key_of(store, 'talk')}/rows")
    page.press("Tab")
    assert page.run("document.activeElement.textContent") == "To the content"
    page.press("Enter")
    until(page, "document.activeElement.type === 'search'")
    page.type("command 3")
    page.wait("document.querySelector('#result b')?.textContent === '42'")
    assert "search=command+3" in page.run("location.href")
    until(page, "document.activeElement.textContent.trim().startsWith('number')")
    page.press("Enter")
    page.wait("document.querySelector('th[aria-sort=ascending]') !== null")
    numbers = page.run("[...document.querySelectorAll('tbody td:nth-child(4)')].map(one => Number(one.textContent))")
    assert len(numbers) == 42 and numbers == sorted(numbers)


def until(page: Page, condition: str) -> None:
    """Go on with the tabulator key until something holds."""
    for _ in range(60):
        page.press("Tab")
        if page.run(condition):
            return
    raise AssertionError(f"{condition} did not come to hold")


def test_the_theme_is_chosen_and_kept(page: Page, base: tuple[str, str]) -> None:
    page.open(base[0])
    paper, button = "getComputedStyle(document.body).backgroundColor", "document.querySelector('[data-theme-button]')"
    light = page.run(paper)
    page.run(f"{button}.click()")
    assert page.run(paper) == light
    page.run(f"{button}.click()")
    dark = page.run(paper)
    assert dark != light
    page.open(base[0])
    assert page.run(paper) == dark
    page.run(f"{button}.click()")
    assert page.run(paper) == light


def test_a_table_of_artifacts_is_sorted_by_its_heads(page: Page, base: tuple[str, str]) -> None:
    page.open(f"{base[0]}/artifacts")
    cells = "document.querySelectorAll('tbody td:nth-child(4)')"
    for order in (-1, 1):
        page.run("[...document.querySelectorAll('th button')].find(one => one.textContent === 'Size').click()")
        sizes = page.run(f"[...{cells}].map(one => Number(one.dataset.key))")
        assert sizes == sorted(sizes, key=lambda size: order * size)


class Slow(Step):
    """Runs until it may end, and says how far it is."""

    until: str

    def run(self, context: Any) -> Any:
        while not Path(self.until).exists():
            context.progress(3, 10)
            context.logger.info("still here")
            time.sleep(0.1)
        return [{"a": 1}]


def test_a_run_is_seen_while_it_goes_on(page: Page, base: tuple[str, str], store: Path, tmp_path: Path) -> None:
    end = tmp_path / "end"
    slow = Pipeline("slow", outputs={"slow": Slow(str(end), name="slow")})
    run = threading.Thread(target=slow.execute, kwargs={"store": store, "watcher": Silent()})
    page.open(base[0])
    run.start()
    try:
        page.wait("[...document.querySelectorAll('.runs a')].some(one => one.textContent === 'slow')")
        page.open(f"{base[0]}/run/{run_of(store, 'slow')}")
        page.wait("document.querySelector('td .state.running') !== null")
        page.wait("document.body.textContent.includes('3/10')")
        page.open(f"{base[0]}/step/{key_of(store, 'slow')}/log")
        page.wait("document.getElementById('log').textContent.split('still here').length > 3")
        page.open(f"{base[0]}/run/{run_of(store, 'slow')}")
        page.wait("document.querySelector('td .state.running') !== null")
    finally:
        end.touch()
        run.join()
    page.wait("document.querySelector('td .state.ran') !== null")


def test_a_report_in_its_frame_is_of_no_origin(page: Page, base: tuple[str, str], store: Path) -> None:
    page.open(base[0] + path_of(store, "report"))
    assert page.run("document.querySelector('iframe').contentDocument") is None
    assert any(address.endswith("/report/page") for address in page.requests)
