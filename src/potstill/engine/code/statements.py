"""What a module of the user's does to libraries and the interpreter when it is imported.

`random.seed(1)`, `pandas.set_option(...)`, `json.x = ...` or a decorator that enters a function in a library's table
change what other code does, and leave no trace in the module's own variables. Such statements count as code.
"""

from __future__ import annotations

import ast
from types import ModuleType
from typing import Any

from potstill.engine.code import lookup
from potstill.engine.code.actions import Actions
from potstill.engine.code.expressions import chains
from potstill.engine.code.origins import file_label, module_file
from potstill.engine.code.sources import module_source
from potstill.engine.code.syntax import sha, statement_text
from potstill.engine.code.walk import Encoded, Walk


def effects(walk: Walk, module: ModuleType) -> None:
    """Add the statements of a module that act on what is not its own, if there are any."""
    file, space = module_file(module), vars(module)
    if file is None or file in walk.read:
        return
    walk.read.add(file)
    source = module_source(file, space) if file.endswith(".py") else None
    acting = list(Actions(space, source.tree.body).acting(source.tree.body)) if source is not None else []
    if acting:
        walk.part(source, f"statements of {file_label(module.__name__, file)}", _writer(acting, space))


def _writer(nodes: list[ast.stmt], space: dict[str, Any]) -> Any:
    """Return a handler that writes out statements and follows the names in them."""

    def write(walk: Walk, source: object, label: str) -> Encoded:
        del source
        named = sorted({chain for node in nodes for chain in chains(node) if chain[0] in space})
        followed = [lookup.follow_global(walk, space, chain, label) for chain in named]
        return ["statements", sha(repr([statement_text(node) for node in nodes])), followed]

    return write
