from __future__ import annotations

import subprocess

from potstill.exporting.exporter import Serving
from potstill.exporting.folder import command_of, point_to_serving, write_digests, write_serving
from potstill.models.card import write_card
from potstill.models.licences import licence_at


def test_digests_are_those_that_sha256sum_checks(tmp_path):
    (tmp_path / "a b.txt").write_text("one")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c").write_text("two")
    write_digests(tmp_path)
    check = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    assert subprocess.run(check, cwd=tmp_path, check=False, capture_output=True).returncode == 0
    (tmp_path / "sub" / "c").write_text("three")
    assert subprocess.run(check, cwd=tmp_path, check=False, capture_output=True).returncode == 1


def test_serve_md_holds_the_command(tmp_path):
    serving = Serving("pip install it", "It runs.", "\nrun --model .\n", more="```sh\nother\n```")
    path = write_serving(tmp_path, serving, "Checked by it 1.0.")
    assert command_of(tmp_path) == "run --model ."
    assert "Checked by it 1.0." in path.read_text()


def test_the_card_sends_to_serve_md_and_keeps_the_licence(tmp_path):
    card = write_card(tmp_path, title="x", made_from="y", recipe={"a": 1}, figures={}, licence="apache-2.0")
    point_to_serving(card)
    text = card.read_text()
    assert "vllm serve" not in text
    assert text.endswith("## Use\n\nSee [SERVE.md](SERVE.md).\n")
    assert "| a | 1 |" in text
    assert licence_at(tmp_path).id == "apache-2.0"


def test_a_card_without_a_licence_or_no_card_names_none(tmp_path):
    assert not licence_at(tmp_path).id
    write_card(tmp_path, title="license: mit", made_from="y", recipe={}, figures={})
    assert not licence_at(tmp_path).id
