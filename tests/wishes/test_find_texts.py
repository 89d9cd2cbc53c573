"""The user's own files: the one that fits is found by name, page or rows; where none fits, none is taken."""

from __future__ import annotations

import json

import pytest

from potstill.errors import RequestError
from potstill.wishes.find_texts import find
from potstill.wishes.start import Words, project_of

WISH = "Classify support mails as billing, bug or other"
LABELS = ("billing", "bug", "other")


def put(file, texts, column="text"):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps({column: text}) + "\n" for text in texts))
    return file


@pytest.fixture
def data(tmp_path):
    """Return a folder with files of other tasks, one without texts, and one that is no JSON."""
    folder = tmp_path / "data"
    put(folder / "recipes.jsonl", ["Boil the rice.", "Fry the onions in a pan."])
    put(folder / "news" / "headlines.jsonl", ["Billing of households rises", "Bug found in rockets"], "input")
    put(folder / "numbers.jsonl", [1, 2])
    (folder / "broken.jsonl").write_text("{")
    return folder


def test_none_is_taken_where_none_fits_though_labels_stand_in_one(data):
    assert find(WISH, LABELS, data) is None
    assert find(WISH, LABELS, data.parent / "empty") is None


@pytest.mark.parametrize("how", ["name", "folder", "page", "rows"])
def test_a_file_is_known_by_its_name_its_folder_its_page_or_its_rows(data, how):
    texts = ["It does not work", "Where is my order?"]
    if how == "name":
        file = put(data / "support_mails.jsonl", texts, "instruction")
    elif how == "folder":
        file = put(data / "support-mails" / "rows.jsonl", texts)
    elif how == "page":
        file = put(data / "x" / "rows.jsonl", texts)
        (data / "x" / "README.md").write_text("What customers wrote: mails to our support.")
    else:
        file = put(data / "x.jsonl", [*texts, "This mail goes to the support"])
    assert find(WISH, LABELS, data) == file


def test_the_pipeline_labels_what_was_found(data, tmp_path):
    file = put(data / "support_mails.jsonl", ["It does not work"], "instruction")
    words = {"wish": WISH, "teacher": "http://127.0.0.1:9/v1,x", "data": str(data), "folder": str(tmp_path / "made")}
    project = project_of(Words(**words))
    project.write()
    assert f'agreed = Rename(LoadJSON("{file}"), {{"instruction": "text"}})' in project.file.read_text()
    assert f"texts: {file}" in project.described()
    with pytest.raises(RequestError, match="give one of them"):
        project_of(Words(**words, texts=str(file)))
    with pytest.raises(RequestError, match="is no folder"):
        project_of(Words(**{**words, "data": str(file)}))
