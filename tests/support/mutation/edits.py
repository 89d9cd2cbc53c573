"""Edits of a project: one that changes the result of its step, and several that can't."""

from __future__ import annotations

import ast
import random

from mutation.generator import Project

Files = dict[str, str]
WHOLE = ("of a module", "module ", "attribute getter", "import_module")
"""Ways on which a module counts as a whole: functions of it that nothing uses count too."""
OTHER = 'return text + "1"'
"""What the unused function of each module does."""


def changed(project: Project) -> Files:
    """Return the project with another word."""
    return {
        path: text.replace('"OLD"', '"NEW"') if path.endswith(".py") else text.replace("OLD", "NEW")
        for path, text in project.files.items()
    }


def comment(project: Project) -> Files:
    """Return the project with other comments."""
    return {path: text.replace("# COMMENT", "# another\n# and one more") for path, text in project.files.items()}


def docstring(project: Project) -> Files:
    """Return the project with another docstring in a function that is not used, where nothing reads docstrings."""
    if "docstring" in project.ways:
        return comment(project)
    return {
        path: text.replace('"""Do nothing."""', '"""Do\n    nothing at all.\n    """')
        for path, text in project.files.items()
    }


def layout(project: Project) -> Files:
    """Return the project as another formatter would write it."""
    return {
        path: ast.unparse(ast.parse(text)) + "\n" if path.endswith(".py") else text
        for path, text in project.files.items()
    }


def lines(project: Project) -> Files:
    """Return the project with empty lines in front of every definition."""
    return {
        path: text.replace("\ndef ", "\n\n\n\ndef ").replace("\nclass ", "\n\n\nclass ")
        for path, text in project.files.items()
    }


def unused(project: Project) -> Files:
    """Return the project with other functions that nothing uses, where no name is looked up at run time."""
    if project.dynamic or any(word in way for word in WHOLE for way in project.ways):
        return comment(project)
    more = "\ndef more():\n    return 1\n"
    return {
        path: text.replace(OTHER, "return text * 2") + (more if path.endswith(".py") else "")
        for path, text in project.files.items()
    }


def more_files(project: Project) -> Files:
    """Return the project with a module more that nothing imports, where none is imported by a computed name."""
    return comment(project) if project.dynamic else {**project.files, "another.py": "WORD = 1\n"}


NEUTRAL = (comment, docstring, layout, lines, unused, more_files)


def neutral(project: Project) -> tuple[str, Files]:
    """Return the name of an edit that can't change the result, and the project after it."""
    edit = random.Random(project.seed + 1).choice(NEUTRAL)
    return edit.__name__, edit(project)
