from __future__ import annotations

import pytest
import yaml

from potstill.models.card import name_of, write_card

FIELDS = {"made_from": "base", "recipe": {}, "figures": {}}


def front_matter(path):
    return yaml.safe_load(path.read_text().split("---\n")[1])


def test_front_matter_survives_hostile_values(tmp_path):
    licence = 'apache: "2.0"\n---\n# injected'
    path = write_card(tmp_path, title="a: b\n---\n<script>", licence=licence, **FIELDS)
    assert front_matter(path)["license"] == licence
    assert "<script>" not in path.read_text().replace("\\<script\\>", "")


def test_a_hub_model_is_named_as_the_base(tmp_path):
    path = write_card(tmp_path, title="t", made_from="Qwen/Qwen3-0.6B", recipe={}, figures={})
    assert front_matter(path)["base_model"] == "Qwen/Qwen3-0.6B"
    assert "base_model" not in front_matter(write_card(tmp_path, title="t", **FIELDS))


def test_tables_hold_recipe_and_figures(tmp_path):
    text = write_card(
        tmp_path, title="t", made_from="base", recipe={"learning rate": 1e-3, "odd|name": "x"}, figures={"loss": 0.125}
    ).read_text()
    assert "| learning rate | 0.001 |" in text
    assert "| odd\\|name | x |" in text
    assert "| loss | 0.125 |" in text
    assert "vllm serve FOLDER" in text


def test_a_card_names_its_model(tmp_path):
    write_card(tmp_path, title="soft_student, 50% *pruned*", **FIELDS)
    assert name_of(tmp_path) == "soft_student, 50% *pruned*"
    assert name_of("Qwen/Qwen3-0.6B") == "Qwen/Qwen3-0.6B"
    (tmp_path / "README.md").unlink()
    assert name_of(tmp_path) == tmp_path.name


@pytest.mark.parametrize(
    ("name", "harmless", "much", "text"),
    [
        (
            "calibration kl",
            0.05,
            0.15,
            "**Much is lost: by its divergence from the model it was made from, the perplexity is 16 %",
        ),
        (
            "calibration error against rounding",
            0.6,
            0.99,
            "**No better than rounding: on the calibration rows the error",
        ),
    ],
)
def test_a_card_says_that_much_is_lost_or_nothing_gained(tmp_path, name, harmless, much, text):
    def card(value):
        write_card(tmp_path, title="small", made_from="big", recipe={}, figures={name: value})
        return (tmp_path / "README.md").read_text()

    assert text in card(much)
    assert text not in card(harmless)


@pytest.mark.parametrize("name", ["top1", "calibration top1"])
def test_a_card_says_that_a_model_is_not_fit_to_serve(tmp_path, name):
    def card(value):
        write_card(tmp_path, title="small", made_from="big", recipe={}, figures={name: value})
        return (tmp_path / "README.md").read_text()

    assert "**Not fit to serve as it is: it has the same next token" in card(0.4)
    assert "at 40 % of the positions" in card(0.4)
    assert "Not fit to serve" not in card(0.9)
