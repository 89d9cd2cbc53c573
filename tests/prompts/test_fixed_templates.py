"""A step's templates are what they were when its key was made, whatever becomes of their files while it runs."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from potstill import Step
from potstill.engine.keys.identity import fixed_fields, step_identity
from potstill.prompts import Template, render


class Asks(Step):
    prompt: Template
    more: tuple[Template, ...] = ()
    number: int = 1

    def run(self) -> Any:
        return []


def test_a_template_that_is_edited_after_its_key_was_made_is_rendered_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "t.jinja"
    file.write_text("OLD {{ x }}")
    step = Asks(str(file), more=(str(file), "own {{ x }}"))
    fixed = fixed_fields(step)
    file.write_text("NEW {{ x }}")
    for values in (fixed, pickle.loads(pickle.dumps(fixed))):
        prompts = [values["prompt"], *values["more"]]
        assert [render(prompt, {"x": 1})[0]["content"] for prompt in prompts] == ["OLD 1", "OLD 1", "own 1"]
    assert fixed["prompt"] == str(file)


def test_the_key_is_made_of_the_text_that_the_step_gets(tmp_path: Path) -> None:
    file = tmp_path / "t.jinja"
    file.write_text("OLD {{ x }}")
    step = Asks(str(file))
    before, fixed = identity(step), fixed_fields(step)
    file.write_text("NEW {{ x }}")
    assert identity(step, fixed) == before != identity(step)


def identity(step: Step, fixed: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what the key of a step without inputs covers."""
    return step_identity(step, lambda node: node, {}, None, fixed)  # type: ignore[arg-type, return-value]  # no edges
