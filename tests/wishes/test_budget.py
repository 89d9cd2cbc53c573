"""A budget is read as it is typed, and the base is the first of the table that is under it."""

from __future__ import annotations

import json

import pytest

from potstill.errors import RequestError
from potstill.wishes import budget
from potstill.wishes.bases import BYTES, choose, known
from potstill.wishes.budget import Budget


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("100MB,20ms", Budget(100e6, 20)),
        (" 20 ms , 1.5 GiB ", Budget(1.5 * 2**30, 20)),
        ("800kb", Budget(800e3)),
        ("1s", Budget(None, 1000)),
        ("", Budget()),
    ],
)
def test_sizes_and_times_are_read_in_any_order(text, limits):
    assert budget.read(text) == limits
    assert budget.read(limits.shown()) == limits


def test_all_that_is_wrong_with_a_budget_is_said_together():
    with pytest.raises(RequestError) as refused:
        budget.read("20,5 apples,0MB,1ms,2ms")
    assert [problem.message.split(":")[0] for problem in refused.value.problems] == [
        "--budget has '20'",
        "--budget has '5 apples'",
        "--budget gives two times",
        "--budget has a size of 0",
    ]


def test_parameters_of_the_table_are_those_of_the_shapes():
    vocabulary = {"google": 30522, "sentence-transformers/all": 30522}
    for base in known():
        words = next((count for start, count in vocabulary.items() if base.id.startswith(start)), 250002)
        block = 4 * base.hidden**2 + 2 * base.hidden * base.inner
        shape = words * base.hidden + base.layers * block
        assert shape < base.parameters < 1.06 * shape, base.id


@pytest.mark.parametrize("size", [None, 1e9, 50e6, 23e6, 12e6, 5e6, 3e6])
@pytest.mark.parametrize("time", [None, 100, 10, 1])
@pytest.mark.parametrize("languages", [("en",), ("de",), ("en", "de")])
def test_what_is_chosen_is_under_the_budget_and_what_is_refused_is_under_none(size, time, languages):
    limits = Budget(size, time)
    fits = [
        (base.id, precision)
        for precision in BYTES
        for base in known()
        if base.reads(languages) and base.bytes_at(precision) <= (size or 1e12) and base.milliseconds <= (time or 1e12)
    ]
    if fits:
        choice = choose(limits, languages)
        assert (choice.base.id, choice.precision) == fits[0]
    else:
        with pytest.raises(RequestError, match="is below any model known for"):
            choose(limits, languages)


def test_a_folder_of_the_users_own_is_measured_by_its_files(tmp_path):
    import tiny

    folder = tiny.encoder(tmp_path / "own")
    config = json.loads((folder / "config.json").read_text())
    base = choose(Budget(), ("en",), str(folder)).base
    assert (base.layers, base.hidden) == (config["num_hidden_layers"], config["hidden_size"])
    with pytest.raises(RequestError, match=r"the budget 0\.001MB is below .*own"):
        choose(Budget(1000), ("en",), str(folder))
    with pytest.raises(RequestError, match="is no folder of a model"):
        choose(Budget(), ("en",), str(tmp_path))
