"""Public names of a package, written once: in its stub `__init__.pyi`, which type checkers and this module both read.

Like `attach_stub` of the package lazy-loader, from which it differs in two ways: a name may come from another package,
as `trainers` offers recipes, which lazy-loader refuses; and a stub is read line by line, without `ast`, so that
`import potstill` stays as quick as with the names in a dictionary.
"""

from __future__ import annotations

import importlib
import sys
from io import FileIO

TYPE_CHECKING = False
if TYPE_CHECKING:  # these modules take longer to import than all stubs to read
    from collections.abc import Callable
    from typing import Any


def attach(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return `__getattr__`, `__dir__` and `__all__` of a package; each name is imported when it is first used.

    Args:
        package: Its `__name__`; it calls this while it is imported.

    Raises:
        ValueError: if its stub has an import of another form than `from MODULE import NAME as NAME`.
    """
    names = stub_names(package)

    def get_name(name: str) -> Any:
        if name not in names:
            # with the name and the module, Python adds the nearest name: "Did you mean: 'Map'?"
            message = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(message, name=name, obj=sys.modules[package])
        return getattr(importlib.import_module(names[name]), name)

    return get_name, lambda: sorted({*vars(sys.modules[package]), *names}), [*names]


def stub_names(package: str) -> dict[str, str]:
    """Return the public names of a package, as its stub has them, each with the module that defines it.

    Raises:
        ValueError: if its stub has an import of another form than `from MODULE import NAME as NAME`.
    """
    module = sys.modules[package]
    assert module.__file__ is not None
    names = {}
    with FileIO(f"{module.__file__.removesuffix('.py')}.pyi") as file:
        lines = file.read().decode().splitlines()
    for line in lines:
        match line.split():
            case ["from", home, "import", name, "as", alias] if name == alias:
                names[name] = home
            case ["from" | "import", *_]:
                raise ValueError(f"the stub of {package} has `{line}`, not `from MODULE import NAME as NAME`")
    return names
