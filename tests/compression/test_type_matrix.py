"""A cheap part of `scripts/architectures.py`: every type, four steps, and what each of them promises."""

from __future__ import annotations

import pytest

import type_matrix
import typed_models

COLUMNS = ("keep layers", "Wanda", "depth", "int8")
REFUSED = {
    ("ALBERT", "depth"),
    *((name, "int8") for name in ("GPT-2", "Falcon", "Falcon-7B", "Falcon-RW")),
    ("ALBERT", "keep layers"),
}
"""What can't be, each with a reason."""


@pytest.mark.slow
@pytest.mark.parametrize("name", typed_models.ALL)
def test_steps_keep_their_promises_on_every_type(name, tmp_path):
    model = typed_models.folder(tmp_path / "model", name)
    cells = {column: type_matrix.cell(name, column, model, tmp_path / column) for column in COLUMNS}
    assert {column: cell.verdict for column, cell in cells.items()} == {
        column: "refused" if (name, column) in REFUSED else "works" for column in COLUMNS
    }, cells


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Llama 3", "Gemma 2", "GPT-2", "Falcon", "Qwen3-MoE", "T5", "BART"])
def test_the_first_loss_of_a_training_is_that_of_transformers(name, tmp_path):
    """Of each way that weights are laid out; the script does so for every type."""
    model = typed_models.folder(tmp_path / "model", name)
    for column in ("train hard", "train soft", "LoRA"):
        assert type_matrix.cell(name, column, model, tmp_path / column) == type_matrix.Cell("works"), column
