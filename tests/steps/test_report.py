"""The report: nothing slips past the escaping, every model is there, and all three files say the same."""

from __future__ import annotations

import base64
import contextlib
import csv
import hashlib
import itertools
import json
import re
from html.parser import HTMLParser
from typing import ClassVar

import pytest

import running
from evaluating import report_context
from fakes import EchoTeacher
from potstill import Pipeline, Rows, Step
from potstill.engine.context import Ancestor
from potstill.engine.progress import Silent
from potstill.errors import BadInput
from potstill.metrics.answers import wilson
from potstill.reporting.graph_layout import Node, crossings, layers
from potstill.reporting.scatter import Point, scatter, text_box
from potstill.steps import Evaluate, LoadRows
from potstill.steps.report import Report

DIFFERENCE = ("difference", "difference_low", "difference_high", "difference_by")
EVIL = "<script>alert('x')</script>\"&"


def share(name, right, n):
    result = wilson(right, n)
    return {name: result.value, f"{name}_low": result.low, f"{name}_high": result.high}


def scores(right, n=200):
    return {"n": n, **share("exact_match", right, n), **share("valid_json", n - 1, n), "cut": 0, "errors": 0}


def metrics(right, size=1_000_000, zeros=0.0, sets=("grammar", "hand")):
    return {
        "sets": {name: scores(right - 10 * number) for number, name in enumerate(sets)},
        "tokens_per_s": 1234.5678,
        "first_token_ms_p50": 6.25,
        "first_token_ms_p95": 9.5,
        "weights_bytes": size,
        "folder_bytes": size + 1000,
        "parameters": 500_000,
        "nonzero_parameters": int(500_000 * (1 - zeros)),
        "bits_per_weight": 8 * size / 500_000,
        "peak_memory_bytes": 2_000_000_000,
        "engine": {"label": "engine-label"},
        "examples": [
            {"set": "hand", "instruction": EVIL, "expected": "{}", "answer": EVIL + "\ud800", "finish_reason": "length"}
        ],
    }


def ancestor(name, kind="Anything", inputs=(), **manifest):
    flat = tuple(step for steps in dict(inputs).values() for step in steps)
    base = {
        "params": {},
        "rows": None,
        "seconds": 1.5,
        "counts": {},
        "versions": {"torch": "2.13.0"},
        "digests": {"": "d" * 64},
    }
    return Ancestor(name, kind, "k" * 64, flat, {**base, "inputs": dict(inputs), **manifest})


def lineage():
    counts = {"kept": 90, "retryable": 1, "permanent": 0, "filtered": {EVIL: 9}, "failed": {"timed out": 1}}
    return (
        ancestor(
            "data", "Load", rows=90, counts=counts, params={"path": EVIL}, host={"name": "secret-host", "cpus": 2}
        ),
        ancestor(EVIL, "Train", {"rows": ["data"]}),
        ancestor("small", "Prune", {"model": [EVIL]}),
        ancestor("Evaluate(teacher)", "Evaluate", {"rows": ["data"]}),
        ancestor("Evaluate(evil)", "Evaluate", {"model": [EVIL], "rows": ["data"]}),
        ancestor("Evaluate(small)", "Evaluate", {"model": ["small"], "rows": ["data"]}),
    )


NAMES = ["Evaluate(teacher)", "Evaluate(evil)", "Evaluate(small)"]
MEASURED = [metrics(195, 20_000_000), metrics(180), metrics(170, 900_000, zeros=0.5)]


def context(folder, names=NAMES):
    return report_context(folder, names, lineage())


def written(given, context, **fields):
    """Write the report of what the steps named in the `context` returned."""
    step = LoadRows([{"a": 1}])
    steps = dict.fromkeys(given, step) if isinstance(given, dict) else [step] * len(given)
    return Report(steps, **fields).run(given, context)


@pytest.fixture
def report(tmp_path):
    return written(MEASURED, context(tmp_path / "out"))


@pytest.fixture
def page(report):
    return (report / "index.html").read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Collects tags, attributes and text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.elements, self.attributes, self.open, self.text = [], [], [], [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.elements.append((tag, attrs))
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_text_of_steps_parameters_reasons_and_answers_is_escaped(page):
    result = Tags(page)
    assert [dict(one).get("type") for tag, one in result.elements if tag == "script"] == [None]
    assert not [name for _, name, _ in result.attributes if name.startswith("on")]
    assert result.open == []
    # label in table, plots and graph; parameter; reason; instruction and answer of each of three models
    assert result.text.count(EVIL) >= 10


def test_the_page_loads_nothing(page):
    assert not re.search(r"https?:|//\w|@import|url\((?!#)", page)
    loading = {"src", "srcset", "href", "xlink:href", "data", "action", "poster"}
    assert not [name for _, name, value in Tags(page).attributes if name in loading and not value.startswith("#")]
    assert "secret-host" not in page


def test_a_browser_is_told_to_run_the_pages_own_script_alone(page):
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; script-src 'sha256-{allowed}';")


def test_the_page_fits_a_phone(page):
    result = Tags(page)
    assert ("meta", "content", "width=device-width, initial-scale=1") in result.attributes
    assert page.count("<table") == page.count('<div class="scroll"') - 1  # the graph scrolls in its own box, too
    # there the table of models is a card a model, whose figures have their names beside them
    cells = re.findall(r'<td class="[^"]*" data-name="([^"]+)"[ >]', page)
    assert cells.count("Exact match, hand") == cells.count("Weights") == cells.count("Tokens/s") == len(MEASURED)


def test_every_model_is_in_the_table_and_once_in_each_plot(page):
    table = page[page.index('<table class="models sortable">') : page.index("</table>")]
    assert table.count('<th scope="row"') == len(MEASURED)
    plots = re.findall(r'<svg class="plot".*?</svg>', page, re.DOTALL)
    assert len(plots) == 4  # two test sets, by size and by latency
    for plot in plots:
        assert plot.count("<circle") == len(MEASURED)


def test_csv_and_json_hold_the_same_figures_as_the_evaluations(report):
    table = json.loads((report / "metrics.json").read_text())
    models, [section] = table["models"], table["sections"]
    differences = {(one["model"], one["set"]): one for one in section["differences"]}
    assert [model["model"] for model in models] == ["engine-label", EVIL, "small"]
    assert [model["size_ratio"] for model in models] == [1.0, 20.0, 20_000_000 / 900_000]
    for model, given in zip(models, MEASURED, strict=True):
        assert {name: model[name] for name in given} == given
    with (report / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["model"], row["set"]) for row in rows] == [
        (model["model"], name) for model in models for name in model["sets"]
    ]
    for row in rows:
        model = next(model for model in models if model["model"] == row["model"])
        difference = differences.get((row["model"], row["set"]), dict.fromkeys(DIFFERENCE, ""))
        every = {**model, **model["sets"][row["set"]], **difference, "set": row["set"], "kind": "Answers"}
        assert row == {name: str(every[name]) for name in row}


def test_the_summary_names_the_smallest_of_those_that_are_equally_good(page):
    # 180 and 170 of 200 right: better by no more than chance, so that the smaller one is as good
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&#34;&amp; and small count as equal" in page
    assert "The smallest of them is small: 85.0\u202f% exact match on grammar" in page
    assert "22.2\u00d7 smaller than engine-label: 900\u202fkB of weights instead of 20.0\u202fMB" in page


def test_the_page_says_what_zeros_do_not_bring(page, tmp_path):
    assert "Unstructured sparsity brings neither size nor speed" in page
    dense = written(MEASURED[:2], context(tmp_path / "dense", NAMES[:2]))
    assert "Unstructured sparsity" not in (dense / "index.html").read_text()


def test_the_same_run_gives_the_same_bytes(report, tmp_path):
    again = written(MEASURED, context(tmp_path / "again"))
    for name in ("index.html", "metrics.csv", "metrics.json"):
        assert (again / name).read_bytes() == (report / name).read_bytes()


def test_labels_of_a_dict_are_kept_and_the_reference_can_be_chosen(tmp_path):
    given = dict(zip(("big", "mid", "tiny"), MEASURED, strict=True))
    result = written(given, context(tmp_path / "out"), reference="mid")
    models = json.loads((result / "metrics.json").read_text())["models"]
    assert [model["model"] for model in models] == ["big", "mid", "tiny"]
    assert [model["reference"] for model in models] == [False, True, False]
    assert models[1]["size_ratio"] == 1.0


def test_an_unknown_reference_is_bad_input_that_lists_the_known_ones(tmp_path):
    with pytest.raises(BadInput, match="reference 'mod' is no model of the report: give one of big, mid"):
        written({"big": MEASURED[0], "mid": MEASURED[1]}, context(tmp_path, NAMES[:2]), reference="mod")


def test_a_model_behind_an_address_has_no_size_but_is_compared(tmp_path):
    unknown = dict.fromkeys(("weights_bytes", "folder_bytes", "parameters", "nonzero_parameters", "bits_per_weight"))
    remote = {**metrics(199), **unknown, "peak_memory_bytes": None}
    page = (written([remote, MEASURED[1]], context(tmp_path, NAMES[:2])) / "index.html").read_text()
    assert "Size unknown, so not drawn: engine-label." in page
    by_size = page[page.index("Quality against size") : page.index("Quality against latency")]
    assert by_size.count("<circle") == 2  # one small model on two test sets


def test_where_sizes_are_unknown_no_model_is_called_small(tmp_path):
    remote = [{**one, "weights_bytes": None} for one in MEASURED[:2]]
    page = (written(remote, context(tmp_path, NAMES[:2])) / "index.html").read_text()
    assert "The best of the other models is" in page
    assert "small model" not in page.lower()


def test_a_reference_that_is_no_label_is_a_problem_before_anything_runs(tmp_path):
    rows = LoadRows([{"instruction": "a", "output": "b"}])
    report = Report({"small": Evaluate("model", rows)}, reference="smal")
    assert [str(problem) for problem in report.check()] == [
        "reference: 'smal' is no model of the report: did you mean small?"
    ]


def test_one_step_in_place_of_a_list_is_a_problem():
    report = Report(Evaluate("model", LoadRows([{"instruction": "a", "output": "b"}])))
    assert "is one step: give a list or a dict" in str(next(iter(report.check())))


def test_rows_that_are_no_sizes_are_refused_before_anything_runs():
    rows = LoadRows([{"instruction": "a", "output": "b"}])
    problems = running.problems_of(Report({"student": rows}))
    assert len(problems) == 1
    assert "evaluations[student] makes rows (instruction, output) and no figures" in problems[0]


def test_the_lineage_shows_keys_and_the_digest_of_every_output(tmp_path):
    step_context = context(tmp_path)
    split = ancestor("split", "Split", digests={"train": "a" * 64, "test": "b" * 64})
    step_context.lineage = (*step_context.lineage, split)
    page = (written(MEASURED, step_context) / "index.html").read_text()
    for digest in ("a" * 64, "b" * 64, "d" * 64, "k" * 64):
        assert f'title="{digest}"' in page


def test_one_model_alone_is_reported(tmp_path):
    page = (written([MEASURED[0]], context(tmp_path, NAMES[:1])) / "index.html").read_text()
    assert "there is no smaller model to compare it with" in page


def test_nothing_to_report_is_a_problem():
    assert [problem.field for problem in Report([]).check()] == ["evaluations"]


@pytest.mark.parametrize("count", [1, 4, 9])
def test_labels_of_a_crowd_cover_neither_each_other_nor_a_mark_and_stay_inside(count):
    crowd = [Point(f"student-{number}", 2e6, 0.9 + number / 200, 0.88, 0.97) for number in range(count)]
    result = scatter([Point("teacher", 24e6, 0.97, 0.95, 0.98, True), *crowd])
    boxes = [text_box(mark) for mark in result.marks]
    for index, box in enumerate(boxes):
        assert result.left <= box.left < box.right <= result.right
        assert all(box.overlap(other) == 0 for other in boxes[:index])
        assert not any(box.left < mark.x < box.right and box.top < mark.y < box.bottom for mark in result.marks)
    across = sorted(mark.x for mark in result.marks)
    assert min(after - before for before, after in itertools.pairwise(across)) > 10


def test_the_axes_hold_every_interval():
    result = scatter([Point("a", 900, 0.0, 0.0, 0.02), Point("b", 3e9, 1.0, 0.9, 1.0)])
    for mark in result.marks:
        assert result.left < mark.x < result.right
        assert result.top <= mark.y_high <= mark.y <= mark.y_low <= result.bottom
    assert len(result.x_ticks) >= 3


def test_the_graph_flows_down_and_its_boxes_stay_apart():
    nodes = [Node("a", "A", ()), Node("late", "L", ()), Node("b", "B", ("a",)), Node("c", "C", ("b", "unknown"))]
    nodes += [Node(f"d{number}", "D" * number, ("c", "a")) for number in range(1, 6)]
    nodes += [Node("e", "E", ("d1", "d5", "late"))]
    result = layers(nodes)
    at = {box.node.name: box for box in result.boxes}
    assert set(at) == {node.name for node in nodes}
    for node in nodes:
        assert all(at[name].y + at[name].height < at[node.name].y for name in node.inputs if name in at)
    assert at["late"].y == at["d1"].y  # a source stands just above where it is used
    for box in result.boxes:
        assert box.x >= 0 and box.x + box.width <= result.width and box.y + box.height <= result.height
        others = [other for other in result.boxes if other is not box and other.y == box.y]
        assert all(other.x > box.x + box.width or other.x + other.width < box.x for other in others)
    assert sum(arrow.head for arrow in result.arrows) == 2 + 2 * 5 + 3


def test_the_order_in_a_layer_avoids_crossings():
    crossed = [Node("a", "", ()), Node("b", "", ()), Node("x", "", ("b",)), Node("y", "", ("a",))]
    at = {box.node.name: box.x for box in layers(crossed).boxes}
    assert (at["a"] < at["b"]) == (at["y"] < at["x"])
    assert crossings([], []) == 0


def test_an_empty_graph_draws_nothing():
    assert layers([]).boxes == ()


def test_measures_are_columns_with_intervals_and_faults_are_said(tmp_path):
    from potstill.metrics import TER, score_rows

    def fails(answer, gold):
        raise KeyError(EVIL)

    measured = [metrics(195, 20_000_000), metrics(180), metrics(170, 900_000)]
    answers, golds = ["the cat sat on it", "a dog", "a cat"], ["the cat sat on a mat", "a dog", "the dog"]
    for one in measured[1:]:
        actual = score_rows(["exact_match", "token_f1", TER(), fails], answers, golds).figures()
        one["sets"] = {name: {**scores, "measures": actual} for name, scores in one["sets"].items()}
    folder = written(measured, context(tmp_path / "out"))
    page = (folder / "index.html").read_text(encoding="utf-8")
    result = Tags(page)
    assert result.tags.count("script") == 1
    names = re.findall(r'<td class="[^"]*" data-name="([^"]+)"[ >]', page)
    assert names.count("token_f1, hand") == names.count("ter, hand") == len(measured)
    assert "exact_match, hand" not in names  # has its column already
    assert "ter (lower is better)" in result.text
    both = f"fails failed at 3 rows of hand for {EVIL} and small (the first: row 0: KeyError: {EVIL!r}"
    assert result.text.count(both) == 1 and "; so it has no figure." in result.text
    table = (folder / "metrics.csv").read_text().splitlines()
    assert "measures.token_f1_low" in table[0].split(",")
    assert json.loads((folder / "metrics.json").read_text())["models"][1]["sets"]["hand"]["measures"]["ter"]["n"] == 3


def test_what_was_not_looked_for_is_said(page):
    from potstill.reporting.leaks import NOT_DONE

    assert page.count(NOT_DONE) == 1


def test_the_verdict_comes_first_and_is_escaped(page, report):
    result = Tags(page)
    first, lead = page.index('<p class="verdict">'), page.index('<p class="lead">')
    assert first < lead and result.text.index("Verdict.") < result.text.index("count as equal")
    # 195 of 200 right, and 180: without pairs, nothing is proven
    assert "No model is proven to lose at most 2 points of exact match against engine-label." in page
    [section] = json.loads((report / "metrics.json").read_text())["sections"]
    verdict = section["verdict"]
    assert (verdict["within"], verdict["against"], verdict["has_teacher"]) == (0.02, "engine-label", True)
    assert [one["model"] for one in verdict["models"]] == [EVIL, "small"]
    assert verdict["smallest"] is None and verdict["fastest"] == []
    assert {one["by"] for model in verdict["models"] for one in model["sets"]} == {"unpaired shares"}


def test_another_bound_is_another_verdict(tmp_path):
    result = written(MEASURED, context(tmp_path / "out"), within=0.3)
    page = (result / "index.html").read_text()
    assert "proven to lose at most 30 points of exact match against engine-label" in page
    assert "The smallest and the fastest of them is" in page or "The smallest of them is small: 900" in page
    assert [str(one) for one in running.problems_of(Report([LoadRows([{"a": 1}])], within=1.5)) if "within" in str(one)]


@pytest.mark.slow
def test_a_run_pairs_the_rows_that_evaluations_kept(tmp_path):
    data = LoadRows([{"instruction": f"command {n}", "output": f"{n}", "passage": f"p{n // 2}"} for n in range(40)])
    scores = {
        name: Evaluate(EchoTeacher(words=words), data, cluster="passage", latency_requests=1)
        for name, words in (("teacher", 3), ("student", 5))
    }
    run = Pipeline("paired", outputs={"report": Report(scores)}).run(store=tmp_path / "store")
    [section] = json.loads((run["report"].path / "metrics.json").read_text())["sections"]
    [difference] = section["differences"]
    assert difference["difference_by"] == "clustered rows"
    [student] = section["verdict"]["models"]
    assert student["sets"][0]["rows"] == 40


def test_a_model_whose_figure_is_nan_stands_beside_the_others_and_is_called_not_usable(tmp_path):
    broken = metrics(170, 900_000)
    for own in broken["sets"].values():
        own["exact_match"] = float("nan")
    out = written([MEASURED[0], MEASURED[1], broken], context(tmp_path / "out"))
    table = json.loads((out / "metrics.json").read_text())
    [section] = table["sections"]
    assert section["unusable"] == {"small": "no finite exact match on grammar"}
    assert "small is not usable: no finite exact match on grammar." in (out / "index.html").read_text()
    assert "nan" not in (out / "metrics.csv").read_text().lower()
    assert "Other figures" not in (out / "index.html").read_text()


def test_a_blank_label_becomes_the_name_of_its_step(tmp_path):
    given = {"teacher": MEASURED[0], " ": MEASURED[1], "": MEASURED[2]}
    out = written(given, context(tmp_path / "out"))
    labels = [one["model"] for one in json.loads((out / "metrics.json").read_text())["models"]]
    assert labels == ["teacher", "Evaluate(evil)", "Evaluate(small)"]


class Broken(Step):
    """Fails to measure."""

    rows: Rows
    makes: ClassVar[str] = "metrics"

    def run(self, rows):
        raise OSError("weights.bin <b>is corrupt</b>")


@pytest.mark.parametrize("reference", ["", "sound", "broken"])
@pytest.mark.parametrize("broken_first", [False, True])
def test_what_could_not_be_measured_says_why_and_the_others_are_reported(tmp_path, reference, broken_first):
    home_rows = LoadRows([{"instruction": "a", "output": "a"}, {"instruction": "b", "output": "b"}])
    models = {label: Evaluate(EchoTeacher(model=label), home_rows) for label in ("sound", "other")}
    broken = {"broken": Broken(home_rows)}
    report = Report(broken | models if broken_first else models | broken, reference=reference)
    with contextlib.closing(running.Here()) as place:
        pipeline = Pipeline("test", outputs={"report": report})
        result = pipeline.execute(store=tmp_path / "store", watcher=Silent(), executor=place)
    folder = result.outputs["report"].artifact.path
    page, table = (folder / "index.html").read_text(), json.loads((folder / "metrics.json").read_text())
    assert "<b>is corrupt" not in page
    short = (folder / "report.md").read_text()
    assert "Warning of broken.</b> It was not measured: OSError: weights.bin &lt;b&gt;is corrupt" in page
    assert "Other figures" not in page and short.index("Warning of broken") < short.index("| Model |")
    assert len(table["sections"]) == 1
    lacks_reference = reference == "broken" or (broken_first and not reference)
    assert ("It is the reference" in page) == lacks_reference
    # nothing is proven against a model that takes the reference's place
    assert ("Verdict" in short) != lacks_reference
    assert {model["model"] for model in table["models"]} == {"sound", "other", "broken"}
