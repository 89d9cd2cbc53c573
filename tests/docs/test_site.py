"""What the site says exists: names in the reference, commands and options, imports in code blocks."""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import potstill
from potstill import metrics, recipes, steps, trainers
from potstill.cli import _parser
from potstill.lazy_names import stub_names

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
FACES = {
    "potstill": potstill,
    "potstill.metrics": metrics,
    "potstill.recipes": recipes,
    "potstill.steps": steps,
    "potstill.trainers": trainers,
}


def canonical(name: str) -> str:
    """Return the path at which a public name is defined."""
    face, _, last = name.rpartition(".")
    if face not in FACES:
        return name
    return f"{stub_names(face)[last]}.{last}"


def documented() -> dict[str, str]:
    """Return the page of each name in the reference."""
    actual = {}
    for page in DOCS.joinpath("reference").rglob("*.md"):
        for name in re.findall(r"^::: ([\w.]+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
            assert canonical(name) not in actual, f"{name} stands in the reference twice"
            actual[canonical(name)] = str(page.relative_to(DOCS))
    return actual


def public() -> Iterator[str]:
    """Yield every name that users import, by where it is defined."""
    for face, module in FACES.items():
        yield from (canonical(f"{face}.{name}") for name in module.__all__)


def test_every_public_name_is_in_the_reference() -> None:
    assert not set(public()) - documented().keys()


def test_every_name_in_the_reference_exists() -> None:
    for name in documented():
        module, _, last = name.rpartition(".")
        assert hasattr(importlib.import_module(module), last), name


def test_the_fields_that_a_public_class_inherits_are_in_the_reference() -> None:
    known = documented()
    for name in public():
        module, _, last = name.rpartition(".")
        value = getattr(importlib.import_module(module), last)
        for base in value.__mro__[1:] if isinstance(value, type) else ():
            fields = [
                field
                for field, text in vars(base).get("__annotations__", {}).items()
                if field != "_" and "ClassVar" not in str(text)
            ]
            if fields and base.__module__.startswith("potstill") and not base.__name__.startswith("_"):
                assert f"{base.__module__}.{base.__name__}" in known, f"{name} has {fields} of {base}"


def options_of(command: str) -> set[str]:
    """Return the options of a command."""
    (action,) = (one for one in _parser()._actions if isinstance(one, argparse._SubParsersAction))
    return {option for one in action.choices[command]._actions for option in one.option_strings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_every_command_and_option_named_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for command, rest in re.findall(r"(?:^\$ |^|`)potstill ([a-z]+)\b([^`\n|]*)", text, re.MULTILINE):
        known = options_of(command)
        for option in re.findall(r"(?<!\S)(--[a-z-]+)", rest.partition(" -- ")[0]):
            assert option in known, f"potstill {command} {option}"
    commands = ("run", "plan", "gc", "show", "lost", "push", "ui", "serve", "new", "make")
    everywhere = {option for command in commands for option in options_of(command)}
    for option in re.findall(r"`(--[a-z-]+)", text) if page.parent.name in ("howto", "tutorials") else ():
        assert option in everywhere, option


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_what_code_blocks_import_exists_and_fields_have_those_names(page: Path) -> None:
    for code in re.findall(r"^```python[^\n]*\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        names: dict[str, Any] = {**{name: getattr(steps, name) for name in steps.__all__}}
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("potstill"):
                module = importlib.import_module(str(node.module))
                names |= {alias.name: getattr(module, alias.name) for alias in node.names}
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                fields = getattr(names[node.func.id], "__dataclass_fields__", None)
                spelled = getattr(names[node.func.id], "spelled", {})
                given = {keyword.arg for keyword in node.keywords if keyword.arg}
                assert fields is None or given <= fields.keys() | spelled.keys(), f"{node.func.id}: {given}"


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    """The module that mkdocs and griffe load."""
    pytest.importorskip("griffe")
    spec = importlib.util.spec_from_file_location("docs_site", ROOT / "scripts" / "docs_site.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_the_command_line_has_every_command_and_option(hook: ModuleType) -> None:
    page = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    result = hook.on_page_markdown(page)
    (action,) = (one for one in _parser()._actions if isinstance(one, argparse._SubParsersAction))
    assert hook.COMMANDS not in result
    for command in action.choices:
        section = result.split(f"## potstill {command}\n")[1].split("\n## ")[0]
        assert all(f"`{option}" in section for option in options_of(command)), command


def test_links_to_source_files_lead_to_the_reference(hook: ModuleType) -> None:
    result = hook.on_page_markdown((DOCS / "steps.md").read_text(encoding="utf-8"))
    assert "../src" not in result
    known = documented()
    assert set(re.findall(r"\]\[(potstill[\w.]+)\]", result)) <= known.keys()


def test_examples_in_docstrings_become_code_blocks(hook: ModuleType) -> None:
    text = "Adds.\n\nMore.\n\n    >>> 1 + 1\n    2\n\nThe end."
    assert hook.fenced(text) == "Adds.\n\nMore.\n\n```pycon\n>>> 1 + 1\n2\n```\n\nThe end."
    assert hook.fenced("No example.") == "No example."


def test_what_would_be_loaded_from_another_host_is_known(hook: ModuleType) -> None:
    assert hook.LOADED.search('<script src="https://example.com/a.js">')
    assert hook.LOADED.search('<link rel="stylesheet" href="https://example.com/a.css">')
    assert not hook.LOADED.search('<script src="assets/a.js"></script> <a href="https://example.com">')


def test_nothing_of_the_theme_is_loaded_from_elsewhere() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert settings["theme"]["font"] is False
    assert not {"extra_css", "extra_javascript"} & settings.keys()
    assert set(settings["validation"]["links"].values()) == {"warn"}
