"""The embedded models: small enough, safe to load, and made for the prompts that Potstill sends."""

from __future__ import annotations

import json
import struct

import pytest

from potstill.data import home
from potstill.prompts import render

MODELS = ("teacher", "base")


def parameters(folder) -> int:
    """Count the parameters from the header of the weights, which says their shapes."""
    data = (folder / "model.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
    counts: list[int] = []
    for name, entry in header.items():
        if name != "__metadata__":
            size = 1
            for length in entry["shape"]:
                size *= length
            counts.append(size)
            assert entry["dtype"] == "BF16", name
    return sum(counts)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_a_folder_of_safetensors_with_all_that_serving_needs(name):
    folder = home.FOLDER / name
    files = {path.name for path in folder.iterdir()}
    assert files >= {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "README.md"}
    assert not [file for file in files if file.endswith((".bin", ".pt", ".pth", ".pkl"))]


def test_the_teacher_has_at_most_12_million_parameters_and_24_megabytes():
    folder = home.FOLDER / "teacher"
    assert parameters(folder) <= 12_000_000
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 24_000_000


def test_the_base_of_the_students_has_about_a_million_parameters():
    assert 700_000 <= parameters(home.FOLDER / "base") <= 1_300_000


@pytest.mark.parametrize("name", MODELS)
def test_the_standing_prompt_of_the_domain_is_one_token(name):
    # a change of home.jinja would make both models read a prompt that they were not trained on
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer.from_file(str(home.FOLDER / name / "tokenizer.json"))
    standing = render("home.jinja", {"instruction": "x"})[0]["content"]
    assert len(tokenizer.encode(standing, add_special_tokens=False).ids) == 1


def test_students_share_the_teachers_vocabulary():
    texts = [(home.FOLDER / name / "tokenizer.json").read_text() for name in MODELS]
    assert json.loads(texts[0])["model"]["vocab"] == json.loads(texts[1])["model"]["vocab"]


def test_the_cards_give_the_training_command_figures_and_date():
    card = (home.FOLDER / "teacher" / "README.md").read_text().replace("\\_", "_")
    assert "potstill run src/potstill/pipelines/embedded_teacher.py" in card
    assert "2026-11-21" in card
    for word in ("grammar", "handwritten", "valid JSON"):
        assert word in card


def test_the_handwritten_set_is_large_enough_and_keeps_to_the_schema():
    from potstill.data.home.grammar import is_action

    rows = [json.loads(line) for line in (home.FOLDER / "handwritten.jsonl").read_text().splitlines()]
    assert len(rows) >= 150
    assert all(is_action(row["output"]) for row in rows)
    assert len({row["instruction"].lower() for row in rows}) == len(rows)
