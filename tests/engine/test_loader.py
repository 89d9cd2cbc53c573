"""The pipeline of a file, which runs as the main module that it is under `python FILE`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import loading
from loading import TEXT, steps
from potstill.engine.loader import load
from potstill.errors import RequestError

clean, file = loading.clean, loading.file


def test_the_one_pipeline_of_a_file_is_found_and_its_variables_name_the_steps(file: Path) -> None:
    assert list(steps(load(str(file)))) == ["made", "used", "last"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "has no pipeline: it needs a line like"),
        (
            TEXT + "\nother = Pipeline('other', outputs={'made': made})",
            "has several pipelines: say which.*pipeline, other",
        ),
        (TEXT + "\n1 / 0", r"raises ZeroDivisionError: division by zero \(line 48\)"),
        ("def (:", r"raises SyntaxError: invalid syntax \(loaded.py, line 1\)$"),
        ("import nowhere_to_be_found", r"ModuleNotFoundError.*\(line 1\)"),
        ("from potstill import RequestError\nraise RequestError('mine')", "^mine$"),
    ],
    ids=["none", "two", "raises", "syntax", "import", "request"],
)
def test_a_file_that_holds_no_one_pipeline_is_refused(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(RequestError, match=message):
        load(str(file))


def test_a_pipeline_may_be_named_and_have_two_names(file: Path) -> None:
    file.write_text(TEXT + "\nother = Pipeline('other', outputs={'made': made})")
    assert load(f"{file}:other").name == "other"
    with pytest.raises(RequestError, match="no pipeline 'third'; it has pipeline, other"):
        load(f"{file}:third")
    file.write_text(TEXT + "\nagain = pipeline")
    assert load(str(file)).name == "loaded"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no pipeline file"):
        load(str(tmp_path / "nowhere.py"))


def test_a_helper_beside_the_file_can_be_imported(file: Path) -> None:
    (file.parent / "helper_of_loaded.py").write_text("N = 5")
    file.write_text(TEXT.replace("Make(teacher", "Make(__import__('helper_of_loaded').N, teacher"))
    assert steps(load(str(file)))["made"].n == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import sys\nsys.exit('set MODEL first')", r"ends Python \(SystemExit: set MODEL first\) \(line 2\).* -- "),
        ("import sys\nsys.exit()", r"ends Python \(SystemExit: None\)"),
        ("import argparse\nargparse.ArgumentParser().parse_args(['--x'])", r"ends Python \(SystemExit: 2\) \(line 2\)"),
        ("from .helper import x", "a pipeline file belongs to no package; write `import helpers`"),
        ("class Odd(BaseException): pass\nraise Odd('odd')", r"raises Odd: odd \(line 2\)"),
        ("class Odd(Exception):\n    def __str__(self): 1 / 0\nraise Odd", "its text can't be had: ZeroDivisionError"),
        ("raise ValueError('half \\ud83d')", r"half \\ud83d"),
    ],
    ids=["exit", "exit without a word", "argparse", "relative import", "no Exception", "no text", "half a character"],
)
def test_a_file_that_does_not_come_to_its_end_is_refused(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(RequestError, match=message):
        load(str(file))


def test_the_file_gets_its_own_arguments(file: Path) -> None:
    file.write_text(TEXT.replace("made = Make(", "import sys\nmade = Make(int(sys.argv[2]), "))
    assert steps(load(str(file), ["--n", "7"]))["made"].n == 7
    assert sys.argv == [str(file), "--n", "7"]


@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"], ids=["without", "with"])
def test_the_file_is_compiled_with_its_own_futures(file: Path, future: str) -> None:
    """A pipeline file sees its annotations as `python FILE` gives them."""
    file.write_text(
        future
        + TEXT
        + "\ndef own(x: int): ...\nassert type(own.__annotations__['x']) is "
        + ("str" if future else "type")
    )
    load(str(file))


def test_a_main_block_does_not_run(file: Path) -> None:
    file.write_text(TEXT + "\nif __name__ == '__main__':\n    raise AssertionError")
    load(str(file))


def test_a_helper_beside_the_file_behind_a_link_is_found(file: Path, tmp_path: Path) -> None:
    (tmp_path / "helper_behind_a_link.py").write_text("N = 6")
    file.write_text("import helper_behind_a_link\n" + TEXT)
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "linked.py"
    link.symlink_to(file)
    assert load(str(link)).name == "loaded"
