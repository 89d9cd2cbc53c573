"""Licences: read from what lies beside a source, never assumed, and the most restrictive one counts."""

from __future__ import annotations

import pytest

from potstill.engine.context import Ancestor
from potstill.models.licences import (
    KNOWN,
    PERMISSIVE,
    RESTRICTIVE,
    SHARE_ALIKE,
    licence_at,
    most_restrictive,
    sources_of,
)
from potstill.models.licences import Licence as Named


def step(name, kind, makes, inputs=None, **params):
    flat = tuple(one for names in (inputs or {}).values() for one in names)
    return Ancestor(name, kind, "k", flat, {"params": params, "makes": makes, "inputs": inputs or {}})


@pytest.mark.parametrize(
    ("name", "text", "licence", "terms"),
    [
        ("README.md", "---\nlicense: apache-2.0\n---\n# x", "apache-2.0", "permissive"),
        ("README.md", "---\nlicense:\n- mit\n- cc-by-nc-4.0\n---\n", "cc-by-nc-4.0", "restrictive"),
        ("README.md", "---\nlicense: other\nlicense_name: mine\nlicense_link: LICENSE\n---\n", "other", "restrictive"),
        ("README.md", "---\nlicense: made-up\n---\n", "made-up", "unknown"),
        ("README.md", "---\n{ no yaml\n---\n", "", "unknown"),
        ("README.md", "no front matter: license: mit", "", "unknown"),
        ("LICENSE", "   Apache License\n   Version 2.0, January 2004", "apache-2.0", "permissive"),
        ("LICENSE.txt", "LLAMA 3.2 COMMUNITY LICENSE AGREEMENT", "llama3.2", "restrictive"),
        ("LICENCE", "You may do as I say.", "other", "restrictive"),
        ("notes.txt", "MIT License", "", "unknown"),
    ],
)
def test_a_folder_stands_under_what_its_card_or_licence_file_names(tmp_path, name, text, licence, terms):
    (tmp_path / name).write_text(text)
    (tmp_path / "rows.jsonl").write_text("{}")
    for place in (tmp_path, tmp_path / "rows.jsonl"):
        assert (licence_at(place).id, licence_at(place).terms) == (licence, terms)


def test_a_folder_that_is_gone_says_nothing(tmp_path):
    assert licence_at(tmp_path / "gone" / "rows.jsonl").terms == "unknown"


def test_each_licence_has_terms_of_one_kind():
    assert len(KNOWN) == len(PERMISSIVE) + len(SHARE_ALIKE) + len(RESTRICTIVE)


def test_unknown_goes_before_restrictive_before_share_alike_before_permissive():
    order = [Named("mit"), Named("cc-by-sa-4.0"), Named("gemma"), Named("")]
    for number in range(1, 5):
        assert most_restrictive(reversed(order[:number])) == order[number - 1]
    assert most_restrictive([]).terms == "unknown"


def test_base_data_and_teacher_are_read_from_a_lineage_and_test_sets_are_not(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "README.md").write_text("---\nlicense: cc-by-sa-4.0\n---\n")
    lineage = [
        step("seeds", "LoadSeeds", "rows", path=str(tmp_path / "train" / "seeds.jsonl")),
        step("held out", "LoadSeeds", "rows", path=str(tmp_path / "test.jsonl")),
        step("clean", "Decontaminate", "rows", {"rows": ["seeds"], "against": ["held out"]}),
        step("labels", "PseudoLabel", "rows", {"rows": ["clean"]}, teacher={"model": "big/Teacher", "system": ""}),
        step("student", "HardLabel", "model", {"rows": ["labels"]}, student="small/Base"),
        step("figures", "Evaluate", "metrics", {"model": ["student"], "rows": ["held out"]}, model="other/Judged"),
    ]
    sources = {(one.role, one.name, str(one.licence), one.is_on_hub) for one in sources_of(lineage)}
    assert sources == {
        ("data", "seeds.jsonl", "cc-by-sa-4.0", False),
        ("teacher", "big/Teacher", "unknown", True),
        ("base", "small/Base", "unknown", True),
    }


def test_a_model_behind_an_address_is_a_teacher_of_unknown_terms():
    teacher = {"base_url": "https://api.example/v1", "model": "m"}
    [source] = sources_of([step("labels", "PseudoLabel", "rows", teacher=teacher)])
    assert (source.role, source.name, source.licence.terms) == ("teacher", "https://api.example/v1 m", "unknown")
