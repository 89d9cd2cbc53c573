"""Compressions one after another: the recipe's graph, and the table of sizes."""

from __future__ import annotations

import pytest

import learning
import tiny
from potstill import BadInput
from potstill.models.footprint import footprint
from potstill.recipes.compress import Compress
from potstill.steps.evaluation.size_table import SizeTable
from potstill.steps.loading.in_memory import LoadRows
from potstill.steps.pruning.width import WidthPrune
from potstill.steps.quantization.int4 import QuantizeInt4
from zeroing import made


def test_a_recipe_runs_and_its_sizes_multiply(tmp_path):
    teacher = str(tiny.causal_lm(tmp_path / "teacher", hidden=128))
    rows = LoadRows(learning.rows(12))
    recipe = Compress(
        teacher,
        {
            "pruned": lambda model: WidthPrune(model, calibration=rows, intermediate_size=128),
            "int4": lambda model: QuantizeInt4(model, calibration=rows),
        },
        budget=1.5,
    )
    assert recipe[1].model is recipe[0] and recipe.student is recipe[1]
    run = made(tmp_path / "store", table=recipe.table, small=recipe.student)
    dense, pruned, int4 = run["table"].dataset()
    assert [row["stage"] for row in (dense, pruned, int4)] == ["model", "pruned", "int4"]
    assert dense["factor"] == dense["times"] == 1
    assert int4["times"] == pytest.approx(pruned["factor"] * int4["factor"])
    assert int4["bytes"] == footprint(run["small"].path).weights_bytes
    assert not dense["within_budget"] and int4["within_budget"]
    assert pruned["parameters"] < dense["parameters"] and pruned["parameters"] == int4["parameters"]


def test_what_makes_no_recipe():
    with pytest.raises(BadInput, match="there are none"):
        Compress("m", {})
    with pytest.raises(BadInput, match="'a' makes a str"):
        Compress("m", {"a": lambda model: "b"})
    assert [p.field for p in SizeTable([], stages=("a",)).check()] == ["models", "stages"]
    assert "budget" not in {p.field for p in SizeTable(["m"]).check()}
