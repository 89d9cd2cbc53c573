"""A push: what it would take, what stops it, and what then arrives at a server that speaks the Hub's interface."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import yaml

import hub
import running
from potstill import Model, Rows, Step
from potstill.cli import main
from potstill.errors import RequestError
from potstill.models.licences import Licence
from potstill.publishing.cards import MARK
from potstill.publishing.push import File, Push, planned, refuse_name
from potstill.publishing.upload import merged, outdated
from potstill.steps import FilterRows, LoadJSON

CARD = "---\nlicense: {}\n---\n# Seeds\n"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Rows under three licences."""
    folder = tmp_path_factory.mktemp("push")
    for name, licence in (("free", "apache-2.0"), ("narrow", "cc-by-nc-4.0"), ("silent", "")):
        (folder / name).mkdir()
        (folder / name / "seeds.jsonl").write_text(f'{{"text": "a"}}\n{{"text": "{name}"}}\n')
        if licence:
            (folder / name / "README.md").write_text(CARD.format(licence))
        running.artifact_of(
            FilterRows(LoadJSON(folder / name / "seeds.jsonl"), keep=keeps, name=name), folder / "store"
        )
    return folder / "store"


def keeps(row):
    return True


def key_of(store, name):
    manifests = [json.loads(path.read_text()) for path in store.glob("artifacts/*/manifest.json")]
    return next(one["key"] for one in manifests if one["name"] == name)


def push(store, name, *options):
    return main(["push", key_of(store, name), "me/thing", "--store", str(store), *options])


def test_a_dry_run_says_what_would_be_pushed_and_asks_nobody(store, capsys, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert push(store, "free", "--dry-run", "--json") == 0
    *_, line = capsys.readouterr().out.splitlines()
    plan = json.loads(line)
    assert (plan["kind"], plan["licence"], plan["pushed"], plan["obstacles"]) == ("dataset", "apache-2.0", False, [])
    assert [(file["name"], file["lfs"]) for file in plan["files"]] == [
        ("README.md", False),
        ("data/part-00000.parquet", True),
    ]
    assert plan["bytes"] == sum(file["bytes"] for file in plan["files"])


@pytest.mark.parametrize(
    ("name", "why"), [("silent", "licence of the data seeds.jsonl is unknown"), ("narrow", "cc-by-nc-4.0")]
)
def test_unknown_and_restrictive_licences_stop_it_until_accepted(store, capsys, name, why):
    assert push(store, name, "--dry-run") == 2
    assert why in capsys.readouterr().out
    assert push(store, name, "--dry-run", "--accept-licences") == 0


def test_the_card_names_configs_sizes_and_sources_and_no_path(store):
    card = planned(str(store), key_of(store, "free"), "me/thing").card
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["license"] == "apache-2.0"
    assert front["configs"] == [
        {"config_name": "default", "data_files": [{"split": "train", "path": "data/*.parquet"}]}
    ]
    assert front["size_categories"] == "n<1K"
    assert front["tags"] == ["potstill"]  # no teacher wrote any of it
    assert "| data | seeds.jsonl | apache-2.0 |" in card
    assert str(store.parent) not in card


def test_what_is_no_model_and_no_rows_or_no_repository_is_refused(store):
    with pytest.raises(RequestError, match="OWNER/NAME"):
        planned(str(store), key_of(store, "free"), "thing")
    with pytest.raises(RequestError, match="no artifact"):
        planned(str(store), "ffffffff", "me/thing")


def test_what_a_person_wrote_in_a_card_stays(tmp_path):
    card_file = tmp_path / "README.md"
    ours = f"---\nlicense: mit\ntags:\n- potstill\n---\n\n# Ours\n\n{MARK}\n"
    card_file.write_text("---\nlicense: apache-2.0\nlanguage: en\n---\n# By hand\n")
    text = merged(card_file, ours)
    assert yaml.safe_load(text.split("---\n")[1]) == {"license": "mit", "language": "en", "tags": ["potstill"]}
    assert text.endswith("# By hand\n")
    card_file.write_text(text.replace("# By hand", f"# Theirs\n{MARK}"))
    assert "# Ours" in merged(card_file, ours)


def test_figures_and_terms_of_earlier_weights_do_not_stand_beside_new_ones(tmp_path):
    there = tmp_path / "README.md"
    front = {"license": "other", "license_name": "theirs", "model-index": [{"name": "old"}], "base_model": ["a/b"]}
    there.write_text(f"---\n{yaml.safe_dump({**front, 'language': 'en'})}---\n# By hand\n")
    ours = f"---\nlicense: mit\n---\n\n# Ours\n\n{MARK}\n"
    left = yaml.safe_load(merged(there, ours).split("---\n")[1])
    assert left == {"license": "mit", "base_model": ["a/b"], "language": "en"}
    there.write_text(there.read_text() + MARK)  # nobody wrote in it: the base is that of an earlier push
    assert "base_model" not in merged(there, ours)


@pytest.mark.parametrize(
    ("kind", "pushed", "there", "gone"),
    [
        (
            "model",
            ("model-00001-of-00002.safetensors", "model.safetensors.index.json", "config.json"),
            ("model.safetensors", "adapter_config.json", "chat_template.jinja", "config.json", "q4.gguf", "notes.md"),
            ["adapter_config.json", "chat_template.jinja", "model.safetensors"],
        ),
        ("model", ("model.gguf",), ("model.safetensors", "config.json"), []),
        (
            "dataset",
            ("data/part-00000.parquet",),
            ("data/part-00000.parquet", "data/part-00001.parquet", "data/train/part-00000.parquet", "raw.parquet"),
            ["data/part-00001.parquet", "data/train/part-00000.parquet"],
        ),
    ],
)
def test_what_would_be_read_in_place_of_a_push_goes_and_all_else_stays(kind, pushed, there, gone):
    files = tuple(File(name, None, 1) for name in pushed)
    push = Push("k", "n", "me/thing", kind, "", files, Licence("mit"), (), (), ())
    assert outdated(push, there) == gone


@pytest.mark.slow
def test_a_push_arrives_whole_and_private_each_in_one_commit(store):
    with hub.serving() as served:
        environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
        # the second way of the Hub to keep large files, Xet, is a service of its own
        environment |= {"HF_ENDPOINT": served.address, "HF_TOKEN": "hf_test", "HF_HUB_DISABLE_XET": "1"}
        arguments = ["push", key_of(store, "free"), "me/thing", "--store", str(store)]
        command = [sys.executable, "-m", "potstill", *arguments]
        process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert process.returncode == 0, process.stderr
        repo = served.repos["dataset:me/thing"]
        first = dict(repo["files"])
        repo["files"]["data/part-00001.parquet"] = b"of an earlier push"
        again = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert again.returncode == 0, again.stderr
        wrong = subprocess.run(
            command, env=environment | {"HF_TOKEN": "hf_wrong"}, capture_output=True, text=True, check=False
        )
    assert repo["made"]["visibility"] == "private"
    assert len(repo["commits"]) == 2
    assert set(first) == set(repo["files"]) == {"README.md", "data/part-00000.parquet"}
    [parquet] = store.glob(f"artifacts/{key_of(store, 'free')}/data/*.parquet")
    assert repo["files"]["data/part-00000.parquet"] == parquet.read_bytes()
    assert "pushed: http://127.0.0.1" in process.stdout
    assert wrong.returncode == 2
    assert "is HF_TOKEN set" in wrong.stderr
    assert "hf_wrong" not in wrong.stdout + wrong.stderr


def test_nothing_is_pushed_offline(store, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert push(store, "free") == 2


class MakeModel(Step):
    makes = "model"
    name_of_it: str = "student"

    def run(self, context):
        context.out.mkdir(parents=True, exist_ok=True)
        (context.out / "config.json").write_text("{}")
        (context.out / "README.md").write_text(f"---\nlicense: mit\n---\n# {self.name_of_it}\n")
        return context.out


class Answers(Step):
    teacher: Model

    def run(self, teacher):
        return [{"id": "1", "output": "on"}]


class Shortened(Step):
    rows: Rows

    def run(self, rows):
        return [{"id": "1", "output": "o"}]


class EvaluateGrades(Step):
    rows: Rows

    def run(self, rows):
        return {"sets": {"hard": {"grade": 3.5}}}


def test_grades_of_the_answers_that_a_model_gave_are_results_of_it(tmp_path):
    student, other = MakeModel(name="student"), MakeModel("other", name="other")
    grades = EvaluateGrades(Shortened(Answers(student)))
    running.artifact_of(grades, tmp_path)
    running.artifact_of(EvaluateGrades(Answers(other)), tmp_path)
    cards = {name: planned(str(tmp_path), key_of(tmp_path, name), "me/x").card for name in ("student", "other")}
    results = [yaml.safe_load(card.split("---\n")[1])["model-index"][0]["results"] for card in cards.values()]
    assert [len(one) for one in results] == [1, 1]


NAMES = [
    "a/",
    "a/\u0431",
    f"a/{'x' * 200}",
    "a/x--y",
    "a/x..y",
    "a/x.git",
    "a/-x",
    "a/x.",
    "a/x\\n",
    "a/b c",
    "../x",
    "a",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_the_hub_refuses_is_refused_before_anything_is_looked_for(name):
    with pytest.raises(RequestError, match=r"OWNER/NAME|the Hub takes no repository"):
        planned(None, "no such key", name)


@pytest.mark.parametrize("name", ["a/x", "A_b/x-1.0_y", "some-org/Model.v2"])
def test_a_name_that_the_hub_takes_is_not_refused(name):
    refuse_name(name)
