"""Checks an installed Potstill from outside its repository: the command, the data inside, and a small cached pipeline.

Run it with the Python of an environment into which only the wheel and its base dependencies are installed.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path

PIPELINE = """
from potstill import Pipeline, Rows, Step


class Numbers(Step):
    count: int = 5

    def run(self):
        return ({"id": str(number), "text": f"row {number}"} for number in range(self.count))


class Shout(Step):
    rows: Rows

    def run(self, rows):
        return rows.map(lambda row: {"text": row["text"].upper() + "!"})


class Count(Step):
    rows: Rows

    def run(self, rows):
        return {"rows": len(rows), "last": rows[-1]["text"]}


pipeline = Pipeline("smoke", outputs={"count": Count(Shout(Numbers()))})
"""
INSIDE = (
    "py.typed",
    "__init__.pyi",
    "steps/__init__.pyi",
    "trainers/__init__.pyi",
    "trainers/losses/__init__.pyi",
    "recipes/__init__.pyi",
    "prompts/answer.jinja",
    "prompts/home.jinja",
    "prompts/self_instruct.jinja",
    "reporting/report.html.jinja",
    "reporting/report.css.jinja",
    "pipelines/demo.py",
    "data/home/SCHEMA.md",
    "data/home/seeds.jsonl",
    "data/home/grammar_test.jsonl",
    "data/home/handwritten.jsonl",
)
MODELS = ("data/home/teacher", "data/home/base")
MODEL_FILES = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "README.md")


def potstill(*arguments: str, cwd: Path) -> str:
    """Run the command as a user does and return what it prints; fail if it fails."""
    result = subprocess.run(["potstill", *arguments], cwd=cwd, capture_output=True, text=True)
    assert result.returncode == 0, f"potstill {' '.join(arguments)}: exit code {result.returncode}\n{result.stderr}"
    return result.stdout


def check_content() -> None:
    """Look for everything that is no Python code, and for what must not be there."""
    package = files("potstill")
    assert "site-packages" in str(package), f"{package} is not an installed package"
    wanted = [*INSIDE, *(f"{folder}/{name}" for folder in MODELS for name in MODEL_FILES)]
    missing = [name for name in wanted if not package.joinpath(name).is_file()]
    assert not missing, f"the wheel lacks {', '.join(missing)}"
    heavy = [name for name in ("torch", "transformers", "vllm") if importlib.util.find_spec(name)]
    assert not heavy, f"the base installation brings {', '.join(heavy)}"


def check_pipeline(folder: Path) -> None:
    """Run three steps of a user's own, twice: the second time all are hits."""
    (folder / "smoke.py").write_text(PIPELINE, encoding="utf-8")
    for status in ("ran", "hit"):
        result = json.loads(potstill("run", "smoke.py", "--json", cwd=folder).splitlines()[-1])
        assert [step["status"] for step in result["steps"]] == [status] * 3, result
    metrics = json.loads((Path(folder, result["outputs"]["count"]["path"]) / "metrics.json").read_text())
    assert metrics == {"rows": 5, "last": "ROW 4!"}, metrics
    assert potstill("ls", cwd=folder).count("whole") == 3


def main() -> None:
    """Check everything."""
    check_content()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        assert "potstill" in potstill("--help", cwd=folder)
        assert not potstill("ls", cwd=folder)
        check_pipeline(folder)
    print("the installed package works")


if __name__ == "__main__":
    main()
