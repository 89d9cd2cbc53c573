"""What a user's own code does, as a digest a part: edits count, comments, docstrings and layout don't.

A function is its source plus all that it can reach: helper functions, classes, modules by any form of import, captured
variables, defaults, and the state of every object on the way. Where code looks names up at run time, all of the user's
modules count as a whole. What can't be seen is refused by name: nothing is left out in silence.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Callable, Iterator
from typing import Any

from potstill.engine.code.origins import is_entry, is_first_party, is_own_name, public_name
from potstill.engine.code.walk import SCHEME, Walk, project_folder

__all__ = ["class_code", "function_code", "is_first_party", "object_code"]


def class_code(cls: type) -> dict[str, str]:
    """Return the digests of all that the methods of `cls` depend on; empty for Potstill's own and library classes.

    Raises:
        RequestError: something that they depend on can't be seen; all of it together.
    """
    return {} if public_name(cls) else object_code(cls)


def function_code(function: Callable[..., Any]) -> dict[str, str]:
    """Return the digests of all that `function` depends on, by name.

    Raises:
        RequestError: something that it depends on can't be seen; all of it together.
    """
    return object_code(function)


def object_code(value: object) -> dict[str, str]:
    """Return the digests of all that any object depends on, by name.

    Raises:
        RequestError: something that it depends on can't be seen; all of it together.
    """
    from potstill.engine.code.values import encode_value

    module = getattr(value if hasattr(value, "__qualname__") else type(value), "__module__", None)
    walk = Walk(encode_value, project_folder(module))
    with _without_collector():
        walk.parts["what is asked for"] = walk.encode(value, "what is asked for")
        walk.visit(lambda walk: _more(walk, module))
    # a ["see", label] only points to the part that the class or function has of its own
    if walk.parts.get("what is asked for", [])[:1] == ["see"]:
        del walk.parts["what is asked for"]
    return {**walk.digests(), "scheme": SCHEME, **_python(walk)}


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Keep the collector of garbage from going through the millions of lists that a large value is written as."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _python(walk: Walk) -> dict[str, str]:
    """Return the version of Python where a part depends on it."""
    from potstill.engine.code.walk import PYTHON

    return {PYTHON: f"{sys.version_info[0]}.{sys.version_info[1]}"} if PYTHON in walk.parts else {}


def _more(walk: Walk, module: object) -> None:
    """Add what the code that was reached depends on beside the names in it."""
    from potstill.engine.code import modules, scripts, statements
    from potstill.engine.code.functions import annotation_values
    from potstill.engine.code.syntax import sha

    starts = list(walk.spaces.values())
    own = {name for name in ("__main__", str(module)) if name in sys.modules and is_own_name(name)}
    starts += [vars(sys.modules[name]) for name in sorted(own)]
    reached = modules.reachable(starts)
    for one in reached:
        statements.effects(walk, one)
    if "names" in walk.flags:
        for one in reached:
            modules.whole(walk, one)
    if "imports" in walk.flags and walk.folder:
        modules.named_by(walk, walk.words, walk.folder)
        walk.parts["files of the project"] = modules.project_sources(walk, walk.folder)
    scripts.named_files(walk)
    if "subclasses" in walk.flags:
        for cls in list(walk.classes.values()):
            below: type
            # type's own method: a metaclass may have another of that name
            for below in type.__subclasses__(cls):
                walk.encode(below, "subclasses")
    if "modules" in walk.flags:
        walk.parts["modules"] = ["modules", sha(repr(sorted(walk.homes.items())))]
    for flag in ("docstrings", "annotations"):
        if flag in walk.flags:
            wanted = flag == "annotations"
            chosen = [(name, text) for name, text in walk.texts.items() if name.endswith("(annotations)") == wanted]
            texts = [(name, text if isinstance(text, str) else text.__doc__ or "") for name, text in chosen]
            walk.parts[flag] = [flag, sha(repr(sorted(texts)))]
    if "annotations" in walk.flags:
        for label, function in list(walk.annotated.items()):
            held = annotation_values(walk, function, label)
            if held:
                walk.parts[f"{label} (values of annotations)"] = held
        walk.annotated.clear()
    if "source" in walk.flags:
        sources = [[one.__name__ if not is_entry(one.__name__) else "", modules.raw(one)] for one in reached]
        walk.parts["text of the source"] = ["text", sources]
