"""The README is run: its pipelines, its commands, and what it says about them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tiny
from potstill.cli import main

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SEEDS = ("open the blinds", "start the vacuum in the living room", "mute the tv")


def blocks(language: str) -> list[str]:
    """Return the code blocks of the README in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def block(part: str) -> str:
    """Return the one Python block that holds `part`."""
    (actual,) = (code for code in blocks("python") if part in code)
    return actual


def potstill(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in `folder`, in a process of its own."""
    command = [sys.executable, "-m", "potstill", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.fixture
def folder(tmp_path):
    """A folder with the seed tasks that the examples read."""
    lines = (json.dumps({"instruction": text}) + "\n" for text in SEEDS)
    (tmp_path / "seed_tasks.jsonl").write_text("".join(lines), encoding="utf-8")
    return tmp_path


@pytest.fixture
def shouting(folder):
    """The folder with the README's own-step example."""
    (folder / "shouting.py").write_text(block("class Shout(Step)"), encoding="utf-8")
    return folder


def test_a_step_of_ones_own_runs_and_is_cached(shouting):
    for status in ("ran", "hit"):
        done = potstill(shouting, "run", "shouting.py", "--json")
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout.splitlines()[-1])
        assert [step["status"] for step in result["steps"]] == [status] * 3
        assert [step["name"] for step in result["steps"]] == ["seeds", "loud", "longest"]
    actual = json.loads((shouting / result["outputs"]["longest"]["path"] / "metrics.json").read_text())
    assert actual == {"longest": "START THE VACUUM IN THE LIVING ROOM!"}


def test_an_edit_of_ones_own_step_counts_and_a_comment_does_not(shouting):
    file = shouting / "shouting.py"
    assert potstill(shouting, "run", "shouting.py").returncode == 0
    code = file.read_text()
    file.write_text(code.replace("# a parameter: part of the key", "# another comment"))
    assert not re.search("^miss", potstill(shouting, "plan", "shouting.py").stdout, re.MULTILINE)
    file.write_text(code.replace(".upper()", ".lower()"))
    plan = potstill(shouting, "plan", "shouting.py").stdout
    assert re.search(r"^hit +seeds$", plan, re.MULTILINE)
    assert re.search(r"^miss +loud: .*code", plan, re.MULTILINE)


def test_the_commands_of_the_table_work_on_a_store(shouting, monkeypatch, capsys):
    monkeypatch.chdir(shouting)
    assert main(["run", "shouting.py:pipeline", "--only", "rows", "--set", "loud.suffix=?"]) == 0
    capsys.readouterr()
    assert main(["ls"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[-2:] for line in sorted(listed, key=lambda line: line.split()[-1])] == [
        ["Shout", "loud"],
        ["LoadSeeds", "seeds"],
    ]
    (key,) = (line.split()[0] for line in listed if line.endswith("loud"))
    for command in (["show", key], ["log", key], ["verify"], ["gc"], ["plan", "shouting.py"]):
        assert main(command) == 0, command
    assert "Shout loud" in capsys.readouterr().out


def test_exit_codes_are_those_of_the_table(shouting, monkeypatch, capsys):
    monkeypatch.chdir(shouting)
    assert main(["run", "missing.py"]) == 2
    assert main(["run", "shouting.py", "--set", "loud.sufix=?"]) == 2
    assert "loud.suffix" in capsys.readouterr().err
    code = (shouting / "shouting.py").read_text()
    (shouting / "broken.py").write_text(code.replace("max(rows", "1 / 0 + max(rows"))
    assert main(["run", "broken.py"]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_every_command_and_option_named_exists():
    table, prose = README.split("## The command line")[1].split("\n## ")[0].split("\n\n`--store")
    for command, row in [("run", f"`--store{prose}"), *re.findall(r"^\| `potstill ([a-z]+)(.*)$", table, re.MULTILINE)]:
        help_ = subprocess.run([sys.executable, "-m", "potstill", command, "--help"], capture_output=True, text=True)
        for option in re.findall(r"`(--[a-z]+[a-z-]*)", row):
            assert option in help_.stdout, f"{command} {option}"
    commands = subprocess.run([sys.executable, "-m", "potstill", "--help"], capture_output=True, text=True).stdout
    named = set(re.findall(r"^\| `potstill ([a-z]+)", README, re.MULTILINE))
    assert named == set(re.findall(r"^    ([a-z]+) ", commands, re.MULTILINE))


@pytest.mark.slow
def test_the_first_pipeline_is_valid_and_planned_step_by_step(folder):
    pytest.importorskip("vllm")
    code = block("SelfInstruct")
    for number, name in enumerate(re.findall(r'"(Qwen/[^"]+)"', code)):
        model = tiny.causal_lm(folder / f"model-{number}", seed=number)
        code = code.replace(name, str(model))
    (folder / "tasks.py").write_text(code, encoding="utf-8")
    done = potstill(folder, "plan", "tasks.py", "--json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout.splitlines()[-1])
    names = {step["name"] for step in plan["steps"]}
    assert {"seeds", "tasks", "labels", "data", "hard", "soft", "sparse", "int8", "int4", "report"} <= names
    assert len(names) == 16, sorted(names)
    assert plan["calls"] >= 5_000
    assert not (folder / ".potstill" / "artifacts").exists() or not list((folder / ".potstill" / "artifacts").iterdir())


def test_the_first_pipeline_is_about_twenty_lines():
    lines = [line for line in block("SelfInstruct").splitlines() if line.strip()]
    assert 18 <= len(lines) <= 26, len(lines)


def test_the_two_commands_are_the_makefile_s_targets_with_the_one_for_work_in_between():
    targets = re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"make ([a-z]+)\b", "".join(blocks("console")))
    assert named == ["demo", "test"]
    assert targets == [*named, "check"]


def test_every_link_and_folder_named_exists():
    for target in re.findall(r"\]\(([^):#]+)\)", README):
        assert (ROOT / target).exists(), target
    places = README.split("## The source")[1].split("\n## ")[0]
    for row in re.findall(r"^\| (`[^|]+) \|", places, re.MULTILINE):
        for place in re.findall(r"`([^`]+/)`", row):
            assert (ROOT / place).is_dir(), place


def test_the_extras_named_exist():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extras in re.findall(r'`"\.\[([a-z,]+)\]"`', README):
        assert set(extras.split(",")) <= set(project["optional-dependencies"]), extras


def test_the_figures_are_those_of_the_committed_report():
    def quality(scores: dict) -> str:
        best, low, high = (100 * scores[f"exact_match{end}"] for end in ("", "_low", "_high"))
        return f"{best:.1f} % ({low:.0f} to {high:.0f})"

    report = json.loads((ROOT / "docs" / "demo" / "metrics.json").read_text(encoding="utf-8"))
    assert len(report["models"]) == 7
    for model in report["models"]:
        sets = " | ".join(quality(model["sets"][name]) for name in ("grammar", "handwritten"))
        size, speed = model["weights_bytes"] / 1e6, model["tokens_per_s"]
        row = f"| {model['model']} | {sets} | {size:.2f} MB | {speed:,.0f} | {model['first_token_ms_p50']:.1f} ms |"
        assert row in README.splitlines(), row


def test_the_list_of_what_there_is_names_every_step_teacher_and_trainer():
    from potstill import steps, trainers

    listed = set(re.findall(r"^\| \[`(\w+)`\]", (ROOT / "docs" / "steps.md").read_text(), re.MULTILINE))
    beside = {"LoRA", "QLoRA"}  # settings of a trainer
    assert (
        listed == {"VLLM", "Endpoint", "Pool", "Ensemble", "Transformers", *steps.__all__, *trainers.__all__} - beside
    )
