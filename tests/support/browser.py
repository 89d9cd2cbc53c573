"""A headless Chromium, driven through its own pipe (Chrome DevTools Protocol), so that tests need no driver.

`with opened() as page:` gives a page, or skips the test with the reason where there is no Chromium. The browser can
reach this machine alone; what it asked for is in `page.requests`, what went wrong in `page.errors`.
"""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
"""What the program is called."""
OPTIONS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",  # containers have none; it opens what tests write, and reaches no other machine
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
WAIT = 60.0
"""Seconds that the browser has to answer."""
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowDown": 40, "ArrowUp": 38}
"""Codes of keys."""
AXE = ("axe_playwright_python", "axe_core_python")
"""Packages that carry axe.min.js, the newer one first."""


class BrowserError(Exception):
    """What the browser refused."""


class Browser:
    """A running Chromium."""

    def __init__(self, program: str, profile: Path) -> None:
        """Start `program` with its data in `profile`."""
        to_read, self._send = os.pipe()
        self._receive, to_write = os.pipe()
        command = [program, *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: _as_three_and_four(to_read, to_write),
            pass_fds=(3, 4),
            start_new_session=True,
        )
        os.close(to_read)
        os.close(to_write)
        self._number = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()
        self._arrived = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """Return what the browser answers to a command."""
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        os.write(self._send, json.dumps(message).encode() + b"\0")
        with self._arrived:
            if not self._arrived.wait_for(lambda: number in self._answers, WAIT):
                raise BrowserError(f"{method}: no answer in {WAIT:.0f} s")
            answer = self._answers.pop(number)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error'].get('message')}")
        return dict(answer["result"])

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield what has happened since the last call."""
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._events.get_nowait()

    def close(self) -> None:
        """End it, with all processes that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._send)

    def _read(self) -> None:
        """Sort what arrives into answers and events."""
        rest = b""
        with open(self._receive, "rb", buffering=0) as pipe:
            while chunk := pipe.read(1 << 16):
                *messages, rest = (rest + chunk).split(b"\0")
                for message in map(json.loads, messages):
                    if "id" not in message:
                        self._events.put(message)
                        continue
                    with self._arrived:
                        self._answers[message["id"]] = message
                        self._arrived.notify_all()


class Page:
    """One tab."""

    def __init__(self, browser: Browser) -> None:
        """Open a tab in `browser`."""
        self._browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._errors: list[str] = []
        self._requests: list[str] = []
        self._loads = 0
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return what the tab answers to a command of the protocol."""
        return self._browser.call(method, self._session, **parameters)

    def open(self, address: str | Path) -> None:
        """Load an address, or a file, and wait until it is there."""
        self._look()
        before = self._loads
        url = address.absolute().as_uri() if isinstance(address, Path) else address
        answer = self.call("Page.navigate", url=url)
        if answer.get("errorText"):
            raise BrowserError(f"{url}: {answer['errorText']}")
        self.wait(lambda: self._look() or self._loads > before, f"{url} to load")

    def run(self, script: str) -> Any:
        """Return the value of a JavaScript expression; a promise is awaited."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise BrowserError(str(details.get("exception", {}).get("description") or details.get("text")))
        return answer["result"].get("value")

    def wait(self, condition: Any, what: str = "it") -> None:
        """Wait until a function, or a JavaScript expression, is true."""
        end = time.monotonic() + WAIT
        while not (self.run(condition) if isinstance(condition, str) else condition()):
            if time.monotonic() > end:
                raise BrowserError(f"waited {WAIT:.0f} s for {what if callable(condition) else condition}")
            time.sleep(0.02)

    def press(self, key: str) -> None:
        """Press a key, by its name in JavaScript, or one letter."""
        text = {"Enter": "\r", "Tab": ""}.get(key, key if len(key) == 1 else "")
        code = {"key": key, "windowsVirtualKeyCode": KEYS.get(key, ord(key[0].upper()))}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **code)
        self.call("Input.dispatchKeyEvent", type="keyUp", **code)

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.call("Input.insertText", text=text)

    def look_like(self, width: int = 1280, height: int = 800, *, dark: bool = False, script: bool = True) -> None:
        """Set the size of the window, the colours that its user prefers, and whether scripts run."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        colours = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=colours)
        self.call("Emulation.setScriptExecutionDisabled", value=not script)

    def headers(self, headers: Mapping[str, str]) -> None:
        """Send headers with every request."""
        self.call("Network.setExtraHTTPHeaders", headers=dict(headers))

    def picture(self, path: Path | None = None, *, whole: bool = False) -> bytes:
        """Return what is seen as PNG, or the `whole` page; written to `path`, too."""
        png = base64.b64decode(
            self.call("Page.captureScreenshot", captureBeyondViewport=whole, **self._clip(whole))["data"]
        )
        if path is not None:
            path.write_bytes(png)
        return png

    def pdf(self) -> bytes:
        """Return the page as it is printed."""
        return base64.b64decode(self.call("Page.printToPDF", printBackground=False)["data"])

    def accessibility(self) -> list[str]:
        """Return what axe-core calls serious or critical, or skip the test where it is not installed."""
        self.run(_axe())
        run = "axe.run(document, {resultTypes: ['violations']}).then(all => all.violations"
        serious = ".filter(one => ['serious', 'critical'].includes(one.impact))"
        text = ".map(one => one.id + ': ' + one.nodes.slice(0, 3).map(node => node.html.slice(0, 160)).join(' | ')))"
        return list(self.run(run + serious + text))

    @property
    def errors(self) -> list[str]:
        """Return what stands in the console as an error or a warning."""
        self._look()
        return list(self._errors)

    @property
    def requests(self) -> list[str]:
        """Return all addresses that were asked for."""
        self._look()
        return list(self._requests)

    def _clip(self, whole: bool) -> dict[str, Any]:
        """Return the part of the page that a picture is of."""
        if not whole:
            return {}
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}

    def _look(self) -> None:
        """Note what has happened."""
        for event in self._browser.events():
            if event.get("sessionId") != self._session:
                continue
            method, about = event["method"], event["params"]
            if method == "Page.loadEventFired":
                self._loads += 1
            elif method == "Network.requestWillBeSent":
                self._requests.append(about["request"]["url"])
            elif method == "Runtime.exceptionThrown":
                self._errors.append(str(about["exceptionDetails"].get("exception", {}).get("description")))
            elif method == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
                self._errors.append(" ".join(str(one.get("value", one)) for one in about["args"]))
            elif method == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
                self._errors.append(f"{about['entry']['text']} {about['entry'].get('url', '')}".strip())


@contextlib.contextmanager
def opened() -> Iterator[Page]:
    """Give a tab of a new browser; skip the test where there is none."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no Chromium is installed (apt-get install chromium)")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(program, Path(profile))
        try:
            yield Page(browser)
        finally:
            browser.close()


def _axe() -> str:
    """Return the script of axe-core."""
    for name in AXE:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            return (Path(spec.origin).parent / "axe.min.js").read_text(encoding="utf-8")
    pytest.skip("no axe-core is installed (pip install axe-core-python)")


def _as_three_and_four(to_read: int, to_write: int) -> None:
    """Give a new process its ends of the pipes where Chromium looks for them."""
    # first out of the way: one of them may be 3 or 4 itself
    high_read, high_write = os.dup(to_read), os.dup(to_write)
    for source, target in ((high_read, 3), (high_write, 4)):
        if source in (3, 4):
            source = os.dup(source)
        os.dup2(source, target)
