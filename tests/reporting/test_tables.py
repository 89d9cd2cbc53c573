"""The flat table: all figures side by side, and no text that a spreadsheet would compute."""

from __future__ import annotations

import csv
import io

import pytest

from potstill.reporting.model_table import evaluations_of, sections_of
from potstill.reporting.tables import as_csv, flat


@pytest.mark.parametrize("label", ["=1+1", "+1", "-1", "@sum", "plain"])
def test_a_label_is_never_a_formula(label):
    metrics = {"sets": {"test": {"n": 4, "exact_match": 0.5, "change": -1.5}}}
    sections = sections_of(evaluations_of({label: metrics}, ["evaluate"], []), "")
    [row] = csv.DictReader(io.StringIO(as_csv(flat(sections))))
    assert row["model"] == (label if label == "plain" else f"'{label}")
    assert (row["exact_match"], row["change"]) == ("0.5", "-1.5")
