"""In a browser: no error, no request to elsewhere, by keyboard alone, in both themes, and hostile text stays text."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chromium import Watched, chromium, watched
from potstill import Pipeline, Step
from potstill.engine.progress import Silent
from potstill.looking.seen_store import SeenStore
from potstill.ui.app import application
from potstill.ui.guard import Tokens
from potstill.ui.serve import bound
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
        config = uvicorn.Config(application(SeenStore(store), tokens, f"potstill-{port}"), log_level="error")
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
def browser() -> Iterator[Any]:
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def addresses(browser: Any, store: Path) -> Iterator[tuple[str, str]]:
    with served(store) as both:
        yield both


@contextmanager
def entered(browser: Any, addresses: tuple[str, str], **options: Any) -> Iterator[Watched]:
    """Yield a page that came in with the token."""
    with watched(browser, addresses[0], **options) as seen:
        seen.page.goto(addresses[1])
        seen.page.wait_for_url(f"{addresses[0]}/")
        yield seen


def path_of(store: Path, name: str) -> str:
    keys = {step: key_of(store, step) for step in ("talk", "dropped", "learned", "report")}
    return PAGES[name].format(run=run_of(store), broken=run_of(store, "broken"), **keys)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_without_errors_outside_requests_and_serious_faults(
    browser: Any, addresses: tuple[str, str], store: Path, scheme: str
) -> None:
    with entered(browser, addresses, color_scheme=scheme) as seen:
        # colours alone are others in the dark
        for name in PAGES if scheme == "light" else ("run", "samples"):
            seen.page.goto(addresses[0] + path_of(store, name))
            seen.page.wait_for_timeout(100)
            assert seen.faults() == [], name
            assert seen.page.evaluate("window.hacked") is None
        assert seen.errors == []
        assert seen.outside == []


def test_no_page_is_wider_than_a_phone(browser: Any, addresses: tuple[str, str], store: Path) -> None:
    with entered(browser, addresses, viewport={"width": 360, "height": 720}) as seen:
        for name in PAGES:
            seen.page.goto(addresses[0] + path_of(store, name))
            assert seen.page.evaluate("document.documentElement.scrollWidth") <= 360, name
            names = seen.page.evaluate("[...document.querySelectorAll('tbody .name')].map(one => one.offsetWidth)")
            assert all(width >= 90 for width in names), name


def test_the_token_leaves_the_address_and_a_second_browser_needs_its_own(
    browser: Any, addresses: tuple[str, str]
) -> None:
    with entered(browser, addresses) as seen:
        assert "token" not in seen.page.url
        assert seen.page.evaluate("document.cookie") == ""
    with watched(browser, addresses[0]) as stranger:
        assert stranger.page.goto(addresses[0]).status == 403


def test_search_while_typing_and_sorting_by_keyboard_alone(
    browser: Any, addresses: tuple[str, str], store: Path
) -> None:
    with entered(browser, addresses) as seen:
        page = seen.page
        page.goto(f"{addresses[0]}/step/{key_of(store, 'talk')}/rows")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "To the content"
        page.keyboard.press("Enter")
        until(page, "document.activeElement.type === 'search'", "Tab")
        page.keyboard.type("command 3")
        wait(page, "document.querySelector('#result b').textContent === '42'")
        assert "search=command+3" in page.url
        until(page, "document.activeElement.textContent.trim().startsWith('number')", "Tab")
        page.keyboard.press("Enter")
        page.wait_for_selector("th[aria-sort=ascending]")
        numbers = [int(text) for text in page.locator("tbody td:nth-child(4)").all_inner_texts()]
        assert len(numbers) == 42 and numbers == sorted(numbers)
        assert seen.errors == []


def wait(page: Any, condition: str) -> None:
    """Wait until something holds; the page's policy lets playwright's own waiting evaluate no text."""
    deadline = time.monotonic() + 20
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, f"{condition} did not come to hold"
        page.wait_for_timeout(50)


def until(page: Any, condition: str, key: str) -> None:
    """Press a key until something holds."""
    for _ in range(60):
        page.keyboard.press(key)
        if page.evaluate(condition):
            return
    raise AssertionError(f"{condition} did not come to hold")


def test_the_theme_is_chosen_and_kept(browser: Any, addresses: tuple[str, str]) -> None:
    with entered(browser, addresses, color_scheme="light") as seen:
        button, paper = seen.page.locator("[data-theme-button]"), "getComputedStyle(document.body).backgroundColor"
        light = seen.page.evaluate(paper)
        button.click()
        assert seen.page.evaluate(paper) == light
        button.click()
        dark = seen.page.evaluate(paper)
        assert dark != light
        seen.page.reload()
        assert seen.page.evaluate(paper) == dark


def test_a_table_of_artifacts_is_sorted_by_its_heads(browser: Any, addresses: tuple[str, str]) -> None:
    with entered(browser, addresses) as seen:
        seen.page.goto(f"{addresses[0]}/artifacts")
        head = seen.page.get_by_role("button", name="Size")
        for order in (1, -1):
            head.click()
            cells = "document.querySelectorAll('tbody td:nth-child(4)')"
            sizes = seen.page.evaluate(f"[...{cells}].map(one => Number(one.dataset.value))")
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


def test_a_run_is_seen_while_it_goes_on(browser: Any, addresses: tuple[str, str], store: Path, tmp_path: Path) -> None:
    end = tmp_path / "end"
    slow = Pipeline("slow", outputs={"slow": Slow(str(end), name="slow")})
    run = threading.Thread(target=slow.execute, kwargs={"store": store, "watcher": Silent()})
    with entered(browser, addresses) as seen:
        run.start()
        try:
            seen.page.get_by_role("link", name="slow").click()
            seen.page.wait_for_selector("td .state.running")
            wait(seen.page, "document.body.textContent.includes('3/10')")
            seen.page.get_by_role("link", name="Log of slow").click()
            wait(seen.page, "(document.getElementById('log')?.textContent ?? '').split('still here').length > 3")
            seen.page.go_back()
            seen.page.wait_for_selector("td .state.running")
        finally:
            end.touch()
            run.join()
        seen.page.wait_for_selector("td .state.ran")
        assert (seen.errors, seen.outside) == ([], [])


def test_a_report_in_its_frame_reaches_nothing_here(browser: Any, addresses: tuple[str, str], store: Path) -> None:
    with entered(browser, addresses) as seen:
        seen.page.goto(addresses[0] + path_of(store, "report"))
        frame = seen.page.frames[1]
        assert "Talk" in frame.locator("h1").inner_text()
        assert frame.evaluate("window.origin") == "null"
        reach = "fetch('/').then(() => 'reached', () => 'refused')"
        assert frame.evaluate(reach) == "refused"
