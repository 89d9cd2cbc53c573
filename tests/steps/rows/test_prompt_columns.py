"""What a template uses is known without rendering it."""

from __future__ import annotations

from potstill.steps.rows.prompt_columns import item_fields, prompt_columns, prompt_problems


def test_columns_are_what_neither_the_step_gives_nor_the_template_can_do_without() -> None:
    template = "{{ question }} {{ criterion }} {% if hint is defined %}{{ hint }}{% endif %}"
    assert prompt_columns(template, ("criterion",)) == ("question",)


def test_fields_of_listed_items_are_found_unless_optional() -> None:
    template = (
        "{% for e in examples %}{{ e.q }}{% if e.note is defined %}{{ e.note }}{% endif %}{{ other.x }}{% endfor %}"
    )
    assert item_fields(template, "examples") == ("q",)
    assert item_fields("{% for e in others %}{{ e.q }}{% endfor %}", "examples") == ()


def test_all_that_is_wrong_is_told() -> None:
    actual = [problem.message for problem in prompt_problems("{{ a }} {{ b }}", allowed=("a", "c"), wanted=("c",))]
    assert actual[0] == "the template uses b, which nothing gives; known are: a, c"
    assert "never uses c" in actual[1]
    assert not list(prompt_problems("answer.jinja"))
