"""Each page shows what the store holds, as text, whatever that is; what is not there or can't be asked is said so."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from potstill.engine.store.run_history import FOLDER
from shown_store import BIDI, IMAGE, ROWS, SCRIPT, make
from visiting import key_of, run_of, stranger, visitor


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("shown") / "store")


@pytest.fixture(scope="module")
def client(store: Path) -> Iterator[TestClient]:
    with visitor(store) as one:
        yield one


def text_of(page: str) -> str:
    """Return what a person reads."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def test_the_first_page_lists_runs_with_their_state(client: TestClient) -> None:
    text = text_of(client.get("/").text)
    assert text.count("talk") >= 2
    assert "broken" in text and "failed" in text and "done" in text
    assert "1 failed" in text and "6 ran" in text


def test_a_run_shows_its_graph_states_losses_and_ways_on(client: TestClient, store: Path) -> None:
    page = client.get(f"/run/{run_of(store)}").text
    assert page.count('class="node ') == 6
    assert 'class="node hit' in page and 'class="node ran' in page
    assert f'href="/step/{key_of(store, "dropped")}/lost">101<' in page
    for way in ("Samples", "Report", "What changed since the run before"):
        assert way in text_of(page)
    failed = text_of(client.get(f"/run/{run_of(store, 'broken')}").text)
    assert "ValueError: nothing works <script>" in failed


def test_a_step_shows_figures_parameters_curves_and_lineage(client: TestClient, store: Path) -> None:
    page = client.get(f"/step/{key_of(store, 'learned')}").text
    text = text_of(page)
    assert "accuracy 0.7" in text
    assert "rate 0.2" in text
    assert "loss, at last 0.1" in text and 'class="plot curve"' in page
    assert "dropped" in text and "talk" in text


def test_a_step_that_failed_says_why_and_has_its_log(client: TestClient, store: Path) -> None:
    key = key_of(store, "failing")
    assert "It is not done: it failed" in text_of(client.get(f"/step/{key}").text)
    assert "ValueError: nothing works" in client.get(f"/step/{key}/log").text


def test_lost_rows_are_shown_by_reason_with_examples(client: TestClient, store: Path) -> None:
    text = text_of(client.get(f"/step/{key_of(store, 'dropped')}/lost").text)
    assert "101 rows were lost, and 200 kept" in text
    assert f"too small {SCRIPT}" in text
    assert "no answer" in text and "half \ufffd a character" in text.replace("\\ud800", "\ufffd")


def test_rows_are_sorted_filtered_and_paged_by_the_address(client: TestClient, store: Path) -> None:
    path = f"/step/{key_of(store, 'talk')}/rows"

    def numbers(**query: object) -> list[int]:
        page = client.get(path, params=query).text  # type: ignore[arg-type]
        return [int(number) for number in re.findall(r'aria-label="Row (\d+) in full"', page)]

    assert numbers() == list(range(50))
    assert numbers(**{"from": 50, "size": 25}) == list(range(50, 75))
    by_number = sorted(range(ROWS), key=lambda number: number * 37 % ROWS)
    assert numbers(sort="number") == by_number[:50]
    assert numbers(sort="number", order="down", **{"from": 250}) == by_number[::-1][250:]
    small = [number for number in range(ROWS) if number * 37 % ROWS < 10]
    assert numbers(column="number", value="10", **{"is": "less"}) == small
    assert numbers(search="COMMAND 3") == [number for number in range(6, ROWS) if number % 7 == 3][:50]
    two = client.get(path, params={"column": ["number", "text"], "is": ["less", "filled"], "value": ["10", ""]})
    assert "10 of 300 rows" in text_of(two.text)


def test_links_for_sorting_and_paging_keep_the_rest_of_the_question(client: TestClient, store: Path) -> None:
    page = client.get(f"/step/{key_of(store, 'talk')}/rows", params={"search": "command", "size": "25"}).text
    assert 'href="?search=command&amp;size=25&amp;sort=number"' in page
    assert 'href="?search=command&amp;size=25&amp;from=25"' in page


def test_a_question_that_makes_no_sense_is_answered_with_all_that_is_wrong(client: TestClient, store: Path) -> None:
    query = {"column": ["numbre", "number"], "is": ["is", "is"], "value": ["1", "<b>"], "from": "x", "size": "-3"}
    answer = client.get(f"/step/{key_of(store, 'talk')}/rows", params=query)
    assert answer.status_code == 400
    assert "did you mean number?" in text_of(answer.text) and "'<b>' is none" in text_of(answer.text)
    assert "Row 0 in full" in answer.text


def test_hostile_rows_are_text_and_a_megabyte_is_cut_and_said(client: TestClient, store: Path) -> None:
    path = f"/step/{key_of(store, 'talk')}/rows"
    page = client.get(path).text
    assert len(page) < 200_000
    assert "+999,400 letters" in page
    assert html.escape(SCRIPT, quote=True).replace("&#x27;", "&#39;") in page
    assert IMAGE in html.unescape(page)
    assert "user\\u202e nimda \\u2066" in page and BIDI not in page
    assert "; <b>" not in page and "odd name" in page
    assert not re.search(r"<(script|img)(?! src=\"/ui.js\")", page)
    row = client.get(path.replace("rows", "row"), params={"n": "2"}).text
    assert "+800,000 letters" in row


@pytest.mark.parametrize("page", ["", "/lost", "/log"])
def test_no_page_on_a_step_holds_markup_of_its_data(client: TestClient, store: Path, page: str) -> None:
    text = client.get(f"/step/{key_of(store, 'dropped')}{page}").text
    assert "<img" not in text and "<script>" not in text and "\u202e" not in text


def test_samples_stand_side_by_side_and_differences_are_marked(client: TestClient, store: Path) -> None:
    path = f"/run/{run_of(store)}/samples"
    every = client.get(path).text
    assert "200 rows" in text_of(every) and "large" in every and "small" in every
    differing = client.get(path, params={"differing": "on", "size": "100"}).text
    expected = sum((number % 7 != 0) != (number % 3 != 0) for number in range(200))
    assert f"{expected} of 200 rows" in text_of(differing)
    assert "<mark>off" in differing and "<script>window" not in differing
    wrong = client.get(path, params={"wrong": "on", "set": "spoken"}).text
    assert f"{sum(n % 2 and (n % 7 == 0 or n % 3 == 0) for n in range(200))} of 200 rows" in text_of(wrong)
    one = client.get(path, params={"model": key_of(store, "scores[small]"), "wrong": "on"}).text
    assert f"{len(range(0, 200, 3))} of 200 rows" in text_of(one)


def test_two_runs_are_compared(client: TestClient, store: Path) -> None:
    page = client.get(f"/run/{run_of(store)}").text
    address = re.search(r'href="(/diff\?[^"]+)"', page)
    assert address is not None
    text = text_of(client.get(html.unescape(address[1])).text)
    assert "parameter rate changed from 0.1 to 0.2" in text
    assert "accuracy 0.6 0.7 +0.1" in text
    assert client.get("/diff", params={"run": ["a"]}).status_code == 400


def test_a_report_is_alone_in_its_frame(client: TestClient, store: Path) -> None:
    key = key_of(store, "report")
    assert f'src="/step/{key}/report/page" sandbox="allow-scripts"' in client.get(f"/step/{key}/report").text
    answer = client.get(f"/step/{key}/report/page")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "sandbox allow-scripts" in policy and "allow-same-origin" not in policy
    assert "Talk" in answer.text
    assert client.get(f"/step/{key_of(store, 'learned')}/report/page").status_code == 404


@pytest.mark.parametrize("path", ["/step/ffff", "/step/ffff/rows", "/run/no-such", "/step/{learned}/rows", "/nowhere"])
def test_what_is_not_there_is_said_so(client: TestClient, store: Path, path: str) -> None:
    answer = client.get(path.format(learned=key_of(store, "learned")))
    assert answer.status_code == 404
    assert 'role="alert"' in answer.text


@pytest.mark.parametrize("folder", ["empty", "not/there"])
def test_an_empty_store_says_what_to_do_and_nothing_is_written(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    client = visitor(tmp_path / folder)
    assert client.get("/").status_code == client.get("/artifacts").status_code == 200
    assert "run appears here" in text_of(client.get("/").text)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["empty"]


def test_a_damaged_store_is_shown_as_far_as_it_goes(store: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "store"
    shutil.copytree(store, damaged)
    keys = {name: key_of(store, name) for name in ("talk", "learned", "report")}
    (damaged / "artifacts" / keys["learned"] / "manifest.json").write_text("{]")
    for part in (damaged / "artifacts" / keys["talk"] / "data").iterdir():
        part.write_bytes(part.read_bytes()[:100])
    shutil.rmtree(damaged / "artifacts" / keys["report"])
    for record in (damaged / "runs").glob("*.jsonl"):
        record.write_bytes(b"\xff\x00 broken\n" + record.read_bytes())
    (damaged / FOLDER / "1-a-2-b.jsonl").write_text(json.dumps({"steps": "none"}))
    client = visitor(damaged)
    for path in ("/", "/artifacts", f"/run/{run_of(store)}", f"/run/{run_of(store)}/samples"):
        assert client.get(path).status_code == 200
    assert "damaged: manifest.json can't be read" in text_of(client.get(f"/step/{keys['learned']}").text)
    rows = client.get(f"/step/{keys['talk']}/rows")
    assert rows.status_code == 404 and "not complete" in text_of(rows.text)


def test_a_store_of_an_earlier_version_shows_its_last_runs(store: Path, tmp_path: Path) -> None:
    old = tmp_path / "store"
    shutil.copytree(store, old)
    shutil.rmtree(old / FOLDER)
    client = visitor(old)
    page = client.get("/").text
    names = re.findall(r'href="/run/(last-\d+)"', page)
    assert len(names) == 2 and "recorded" in page
    text = text_of(client.get(f"/run/{names[0]}").text)
    assert "kept no history" in text and "in the store" in text


def test_a_page_that_fails_says_so_without_harm(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from potstill.ui import run_pages

    def broken(_: object) -> None:
        raise OSError(f"no disk {SCRIPT}")

    client = visitor(store)
    monkeypatch.setattr(run_pages, "listing", broken)
    answer = client.get("/artifacts")
    assert answer.status_code == 500
    assert "no disk <script>" in text_of(answer.text) and "<script>w" not in answer.text
    assert "default-src 'self'" in answer.headers["content-security-policy"]


def test_a_stranger_is_told_nothing_of_the_store(store: Path) -> None:
    assert "talk" not in stranger(store).get("/").text
