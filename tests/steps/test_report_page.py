"""The report in a browser: it loads nothing, nothing in it acts, and its tools work by hand, by key and on paper."""

from __future__ import annotations

import base64
import gzip
import json
import re

import pytest

import browser
import reports

MODELS, ROWS = 4, 60
READY = "!!document.querySelector('#sample-tools label')"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return reports.classifiers(tmp_path_factory.mktemp("page"), MODELS, ROWS)


@pytest.fixture(scope="module")
def page(folder):
    with browser.opened() as page:
        page.look_like()
        page.open(folder / "index.html")
        page.wait(READY)
        yield page


def samples(page):
    return page.run("document.querySelectorAll('.sample').length")


def status(page):
    return page.run("document.querySelector('#sample-tools .caption').textContent")


def test_it_asks_for_nothing_and_nothing_is_wrong(page, folder):
    assert page.errors == []
    assert page.requests == [(folder / "index.html").as_uri()]


def test_what_models_wrote_stays_text(page):
    page.run("for (let n = 0; n < 9; n++) document.querySelector('.more').click()")
    assert samples(page) == ROWS
    assert page.run("window.hacked === undefined && document.images.length === 0")
    shown = page.run("[...document.querySelectorAll('.asked dd')].map(node => node.textContent)")
    for text in reports.HOSTILE[:4]:
        assert text in shown
    assert any("right to left" in text and "half a character ?" in text for text in shown)
    [long] = [text for text in shown if text.startswith("megabyte")]
    assert len(long) < 5_000
    assert re.search(r"…\+\d+$", long)


def test_a_column_is_sorted_by_its_head(page):
    keys = "[...document.querySelectorAll('table.models tbody tr')].map(row => Number(row.cells[1].dataset.key))"
    names = "[...document.querySelectorAll('table.models tbody th')].map(node => node.firstChild.textContent)"
    page.run("document.querySelectorAll('table.models .sorter')[0].click()")
    assert page.run(names) == sorted(page.run(names))
    click = "document.querySelectorAll('table.models .sorter')[1].click()"
    for direction, down in (("descending", True), ("ascending", False)):
        page.run(click)
        assert page.run("document.querySelector('table.models [aria-sort]').getAttribute('aria-sort')") == direction
        assert page.run(keys) == sorted(page.run(keys), reverse=down)


def test_rows_are_searched_and_filtered(page):
    def set_to(selector, script):
        page.run(
            f"(node => {{ {script}; node.dispatchEvent(new Event('input')) }})(document.querySelector('{selector}'))"
        )

    set_to("#sample-search", "node.value = 'RIGHT TO left'")
    assert status(page) == f"1 of {ROWS} rows, 1 shown"
    set_to("#sample-search", "node.value = ''")
    set_to("#sample-tools input[type=checkbox]", "node.checked = true")
    differing = int(status(page).split()[0])
    assert 0 < differing < ROWS
    assert page.run(
        "[...document.querySelectorAll('.sample')].every(node => node.querySelectorAll('.right, .wrong').length > 1)"
    )
    set_to("#sample-tools input[type=checkbox]", "node.checked = false")
    set_to("#sample-tools label:last-of-type input", "node.checked = true")
    assert page.run("[...document.querySelectorAll('.sample')].every(node => node.querySelector('.wrong mark'))")
    set_to("#sample-tools label:last-of-type input", "node.checked = false")


def test_keys_reach_and_work_everything(page):
    page.run("scrollTo(0, 0); document.activeElement.blur()")
    reached = []
    for _ in range(20):
        page.press("Tab")
        reached.append(
            page.run("document.activeElement.className || document.activeElement.id || document.activeElement.tagName")
        )
    assert reached[0] == "skip"
    assert {"theme", "sorter", "scroll"} <= set(reached)
    page.run("document.getElementById('theme').focus()")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.run(background)
    page.press("Enter")
    page.press("Enter")
    assert page.run("document.documentElement.dataset.theme") == "dark"
    assert page.run(background) != light
    page.press("Enter")


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False)])
def test_no_reader_is_left_out(page, width, dark):
    page.look_like(width, 800, dark=dark)
    assert page.accessibility() == []
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    page.look_like()


def test_it_prints(page):
    assert page.pdf().startswith(b"%PDF-")


def test_it_is_complete_without_its_script(folder):
    with browser.opened() as page:
        page.look_like(script=False)
        page.open(folder / "index.html")
        text = (folder / "index.html").read_text()
        assert page.errors == []
        static = text[: text.index('<script type="text/plain"')]
    for heading in (
        "Verdict",
        "Comparison",
        "Differences",
        "Quality against size",
        "Calibration",
        "Samples",
        "Training",
    ):
        assert heading in static
    assert static.count('<article class="sample">') == 8


def test_the_page_holds_what_the_file_beside_it_holds(folder):
    blob = re.search(r'id="sample-data">([^<]+)<', (folder / "index.html").read_text())[1]
    content = json.loads(gzip.decompress(base64.b64decode(blob)))
    lines = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    [section] = content["sections"]
    assert len(section["rows"]) == len(lines) == ROWS
    assert content["texts"][section["rows"][0][2]] == lines[0]["input"]
    assert max(len(line["input"]) for line in lines) > 1_000_000  # whole, where the page cuts


def test_the_same_artifacts_give_the_same_bytes(folder, tmp_path):
    again = reports.classifiers(tmp_path, MODELS, ROWS)
    for file in folder.iterdir():
        assert (again / file.name).read_bytes() == file.read_bytes(), file.name


@pytest.mark.parametrize(("models", "rows", "classes"), [(1, 5, 1), (2, 12, 1), (2, 3, 12)])
def test_one_class_one_model_and_few_rows_still_make_a_page(tmp_path, models, rows, classes):
    folder = reports.classifiers(tmp_path, models, rows, classes)
    assert "Samples" in (folder / "index.html").read_text()
    assert len((folder / "samples.jsonl").read_text().splitlines()) == rows


LONG = "exact_match(ignore=accents+case+punctuation+whitespace)"
OVERLAPS = """[...document.querySelectorAll('.models thead th')].filter(head => {
    const text = document.createRange();
    text.selectNodeContents(head);
    return text.getBoundingClientRect().right > head.getBoundingClientRect().right + 1;
}).map(head => head.textContent)"""

HEIGHT = """title => {
    const text = document.createRange();
    const heads = [...document.querySelectorAll('.models thead th')];
    text.selectNodeContents(heads.find(head => head.textContent.includes(title)));
    return text.getBoundingClientRect().height;
}"""


def test_a_long_name_of_a_measure_does_not_run_into_the_next_column(tmp_path):
    figures = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 9, "largest": 1.0, "higher_is_better": True, "errors": []}
    scores = {"n": 9, "exact_match": 0.5, "valid_json": 1.0, "measures": {LONG: figures, "f1": figures}}
    sizes = {"weights_bytes": 9_000_000, "parameters": 3_000_000, "bits_per_weight": 16.0, "tokens_per_s": 9.0}
    given = {name: {"sets": {"test": scores}, **sizes} for name in ("teacher", "student")}
    folder = reports.written(tmp_path / "out", given, [])
    with browser.opened() as page:
        page.open(folder / "index.html")
        assert page.run(f"document.body.textContent.includes({LONG!r})")
        assert page.run(OVERLAPS) == []
        # and a short one is not broken within a word
        assert page.run(f"({HEIGHT})('Parameters')") < 2 * page.run(f"({HEIGHT})('Weights')")
