"""The rows of all models side by side, as files, as the page carries them, and cut into parts."""

from __future__ import annotations

import base64
import gzip
import json

import pytest

from potstill.metrics.kept_rows import KeptAnswer, read_answers, write
from potstill.reporting.confusions import MOST, confusions_of
from potstill.reporting.kinds import ANSWERS, CLASSES
from potstill.reporting.model_table import Measured, Section
from potstill.reporting.reliability import reliabilities_of
from potstill.reporting.sample_blob import HEAVIEST, blob_of, first_shown, spread
from potstill.reporting.samples import Sample, Samples, lines_of, samples_of
from potstill.reporting.slices import slices_of
from potstill.steps.evaluation.class_rows import CLASS_COLUMNS


def kept(answer, right=True, probability=0.9, **fields):
    texts = {"id": "1", "set": "test", "input": "asked", "gold": "gold", "cluster": None, **fields}
    return KeptAnswer(answer=answer, right=right, probability=probability, **texts)


def sample(*answers, **fields):
    texts = {"set": "test", "id": "1", "input": "asked", "gold": "gold", "cluster": None, **fields}
    return Sample(answers=tuple(answers), **texts)


def section(kind, *labels, sets=("test",)):
    scores = {name: {"n": 1, kind.main.name: 0.5} for name in sets}
    models = [Measured(one, one, {"sets": scores}, None, reference=not place) for place, one in enumerate(labels)]
    return Section(kind, tuple(models))


def rows_in(folder, rows):
    write(folder, CLASS_COLUMNS, [dict(zip(CLASS_COLUMNS, row, strict=True)) for row in rows])
    return folder


def test_rows_of_models_are_joined_by_what_was_asked_not_by_their_place(tmp_path):
    one = rows_in(tmp_path / "one", [("a", "test", "x", "g", "g", 0.9, True), ("b", "test", "y", "g", "h", 0.6, False)])
    other = rows_in(
        tmp_path / "two", [("b", "test", "y", "g", "g", 0.7, True), ("c", "test", "z", "g", "g", 0.8, True)]
    )
    rows = samples_of(section(CLASSES, "one", "two"), {"one": one, "two": other}).rows
    assert [row.id for row in rows] == ["a", "b", "c"]
    assert [[own and own.answer for own in row.answers] for row in rows] == [["g", None], ["h", "g"], [None, "g"]]
    assert [row.is_same for row in rows] == [True, False, True]
    assert [row.is_wrong for row in rows] == [False, True, False]


def test_equal_rows_stay_as_many(tmp_path):
    folder = rows_in(tmp_path, [("a", "test", "x", "g", "g", 0.9, True)] * 3)
    assert len(samples_of(section(CLASSES, "one"), {"one": folder}).rows) == 3


def test_a_folder_without_rows_or_with_a_foreign_file_has_none(tmp_path):
    assert read_answers(tmp_path) == []
    (tmp_path / "rows.parquet").write_bytes(b"no parquet")
    assert read_answers(tmp_path) == []
    assert read_answers(None) == []


def test_lines_hold_whole_texts_and_only_models_that_were_asked():
    row = sample(kept("x" * 9_999), None)
    [line] = lines_of([Samples("Answers", ("one", "two"), (row,))])
    assert line["answers"] == {"one": "x" * 9_999}
    assert line["right"] == {"one": True}


def unpacked(blob):
    return json.loads(gzip.decompress(base64.b64decode(blob.text)))


def test_the_page_carries_equal_texts_once_and_says_what_it_cut():
    rows = tuple(sample(kept("y" * 5_000), kept("short"), id=str(n)) for n in range(3))
    content = unpacked(blob_of([Samples("Answers", ("one", "two"), rows)]))
    assert len([text for text in content["texts"] if text.startswith("y")]) == 1
    assert next(text for text in content["texts"] if text.startswith("y")) == f"{'y' * 4_000}…+1000"


def test_what_is_too_much_for_the_page_is_cut_and_thinned():
    import random

    draw = random.Random(0)
    noise = ["".join(chr(draw.randrange(33, 1000)) for _ in range(1_500)) for _ in range(1_200)]
    rows = tuple(sample(kept(text), id=str(number)) for number, text in enumerate(noise))
    blob = blob_of([Samples("Answers", ("one",), rows)])
    assert len(blob.text) <= HEAVIEST
    assert blob.total == 1_200
    assert 0 < blob.held <= 1_000
    assert spread(range(10), 3) == [0, 3, 6]


def test_rows_in_which_models_differ_are_shown_first_with_answers_by_model():
    rows = (
        sample(kept("gold"), kept("gold"), id="same"),
        sample(kept("gold"), kept("other", right=False), id="differs"),
    )
    [shown] = first_shown(Samples("Answers", ("one", "two"), rows))
    assert shown.id == "differs"
    assert shown.answers == (("one", "gold", True), ("two", "other", False))


def test_parts_are_classes_sources_values_and_lengths():
    rows = [
        sample(
            kept("x", right=bool(number % 3)),
            id=str(number),
            input="word " * (number + 1),
            gold=json.dumps({"room": ["hall", "attic"][number % 2]}),
            cluster=f"passage {number // 10}",
        )
        for number in range(40)
    ]
    tables = slices_of(section(ANSWERS, "one"), Samples("Answers", ("one",), tuple(rows)))
    titles = [table.title for table in tables]
    assert titles == ["test, by source", "test, by “room” of the right answer", "test, by length of the question"]
    assert sum(line.rows for line in tables[0].lines) == 40
    keys = [line.cells[0].key for line in tables[0].lines]
    assert keys == sorted(keys)  # the worst first


def test_a_part_is_marked_where_its_interval_lies_below_the_whole():
    rows = [
        sample(kept("g" if n < 60 else "x", right=n < 60), gold="g" if n < 50 else "h", id=str(n)) for n in range(80)
    ]
    [table, *_] = slices_of(section(CLASSES, "one"), Samples("Classes", ("one",), tuple(rows)))
    marked = {line.name: line.cells[0].is_low for line in table.lines}
    assert marked == {"h": True, "g": False}


def test_confusions_count_every_row_of_a_class_and_of_many_those_mixed_up():
    rows = [
        sample(kept(answer, right=answer == gold), gold=gold, id=f"{gold}{n}")
        for gold, answer in (("a", "a"), ("a", "b"), ("b", "b"))
        for n in range(3)
    ]
    [table] = confusions_of(section(CLASSES, "one"), Samples("Classes", ("one",), tuple(rows)))
    assert table.classes == ("a", "b")
    assert [[cell.count for cell in line] for line in table.lines] == [[3, 3], [0, 3]]
    many = [sample(kept(f"c{n // 2 * 2}", right=n % 2 == 0), gold=f"c{n}", id=str(n)) for n in range(60)]
    [table] = confusions_of(section(CLASSES, "one"), Samples("Classes", ("one",), tuple(many)))
    assert len(table.classes) == MOST
    assert table.left_out == 60 - MOST


def test_calibration_is_drawn_with_what_a_calibrated_model_shows():
    rows = tuple(sample(kept("x", right=n % 10 < 5, probability=0.95), id=str(n)) for n in range(200))
    [plot] = reliabilities_of(section(CLASSES, "one"), Samples("Classes", ("one",), rows))
    assert plot.words[0].startswith(
        "Calibration error 45.0\u202f%: more than chance (a calibrated model of as many rows"
    )
    [dot] = plot.dots
    assert (dot.x, dot.y) == (pytest.approx(190), pytest.approx(100))
    assert not reliabilities_of(section(CLASSES, "one"), Samples("", ("one",), (sample(kept("x", probability=None)),)))
