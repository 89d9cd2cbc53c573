"""What a code object names: globals with the attributes taken from them, captured variables, imports in its body."""

from __future__ import annotations

import ast
import dis
import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import CodeType

Chain = tuple[str, ...]
"""A name and the attributes taken from it one after the other, as in `helpers.cleaning.clean`."""
_GLOBAL = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_LOCAL = frozenset(
    {
        "LOAD_FAST",
        "LOAD_FAST_CHECK",
        "LOAD_FAST_LOAD_FAST",
        "LOAD_FAST_BORROW",
        "LOAD_FAST_BORROW_LOAD_FAST_BORROW",
        "STORE_FAST_LOAD_FAST",
        "LOAD_DEREF",
        "LOAD_CLASSDEREF",
        "LOAD_FROM_DICT_OR_DEREF",
        "LOAD_CLOSURE",
    }
)
_ATTRIBUTE = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_NOTHING = frozenset({"EXTENDED_ARG", "CACHE", "NOP", "PUSH_NULL", "RESUME", "SWAP", "POP_TOP"})
"""Instructions that may stand between those of a chain or an import."""
_IMPORTERS = frozenset({"import_module", "__import__"})


@dataclass(frozen=True)
class Import:
    """An import in the body of a function."""

    load: str
    """The module that is imported, as it is written."""
    level: int
    """How many packages up it starts; 0 is absolute."""
    base: str
    """The module that the variable stands for, or that its attribute is taken from."""
    attribute: str
    """What is taken from `base`; empty for the module itself."""
    uses: tuple[Chain, ...]
    """The attributes that are taken from the variable; an empty chain where it is used as a whole."""


@dataclass(frozen=True)
class Names:
    """What a code object and those nested in it name."""

    globals: tuple[Chain, ...]
    """Global variables and builtins."""
    locals: dict[str, tuple[Chain, ...]]
    """Attributes taken from local and captured variables, by variable."""
    imports: tuple[Import, ...]
    """Imports."""
    packages: tuple[str, ...]
    """Packages whose modules are imported by a name computed behind them, as in `import_module("plugins." + name)`."""
    attributes: frozenset[str]
    """Every attribute that is taken from anything."""
    words: frozenset[str]
    """Every text in the code."""


@dataclass
class _Uses:
    """What the reader has collected so far."""

    globals: set[Chain] = field(default_factory=set)
    locals: dict[str, set[Chain]] = field(default_factory=dict)
    imports: dict[tuple[str, int, str, str, str], None] = field(default_factory=dict)
    """(load, level, base, attribute, variable)."""
    packages: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)


@functools.lru_cache(maxsize=16384)
def names_used(code: CodeType) -> Names:
    """Return what `code` and the code nested in it name."""
    uses = _Uses()
    stack = [code]
    while stack:
        one = stack.pop()
        _Reader(one, uses).read()
        stack += [constant for constant in one.co_consts if isinstance(constant, CodeType)]
        uses.words |= {constant for constant in one.co_consts if isinstance(constant, str)}
    used = {variable: tuple(sorted(chains)) for variable, chains in uses.locals.items()}
    imports = [
        Import(load, level, base, attribute, used.get(variable, ()) if variable else ((),))
        for load, level, base, attribute, variable in uses.imports
    ]
    return Names(
        globals=tuple(sorted(uses.globals)),
        locals=used,
        imports=tuple(imports),
        packages=tuple(sorted(uses.packages)),
        attributes=frozenset(uses.attributes),
        words=frozenset(uses.words),
    )


class _Reader:
    """Reads the instructions of one code object."""

    def __init__(self, code: CodeType, uses: _Uses) -> None:
        # without fillers: which of them stand between two loads differs between versions of Python
        self._steps = [one for one in dis.get_instructions(code) if one.opname not in _NOTHING]
        self._uses = uses
        self._literal: set[int] = set()
        """Places of attributes that only import a module named there."""

    def read(self) -> None:
        """Add what the instructions name to the uses."""
        for index, step in enumerate(self._steps):
            if step.opname in _GLOBAL:
                self._global(index, str(step.argval))
            elif step.opname in _LOCAL:
                # one instruction may load two variables from Python 3.13 on
                names = step.argval if isinstance(step.argval, tuple) else (step.argval,)
                # only the last one lies on top of the stack, so that attributes are taken from it alone
                for name in names[:-1]:
                    self._uses.locals.setdefault(str(name), set()).add(())
                attributes, _ = self._attributes(index)
                self._uses.locals.setdefault(str(names[-1]), set()).add(attributes)
            elif step.opname in _ATTRIBUTE or step.opname == "LOAD_SUPER_ATTR":
                if index not in self._literal:
                    self._uses.attributes.add(str(step.argval))
            elif step.opname == "IMPORT_NAME":
                self._import(index, str(step.argval))

    def _global(self, index: int, name: str) -> None:
        """Add a chain that starts with a global; `import_module("a.b")` is the import of a.b."""
        attributes, after = self._attributes(index)
        chain = (name, *attributes)
        literal = self._constant(after)
        if chain[-1] not in _IMPORTERS or literal is None or literal.startswith("."):
            self._uses.globals.add(chain)
        # Python 3.11 has a PRECALL before each CALL
        elif self._opname(after + 1) in ("PRECALL", "CALL"):
            self._uses.imports[(literal, 0, literal, "", "")] = None
            self._literal.add(after - 1)
        elif literal.endswith("."):
            self._uses.packages.add(literal.rstrip("."))
            self._literal.add(after - 1)
        else:
            self._uses.globals.add(chain)

    def _attributes(self, index: int) -> tuple[Chain, int]:
        """Return the attributes that are taken from what instruction `index` loads, and the place behind them."""
        place = index + 1
        while self._opname(place) in _ATTRIBUTE:
            place += 1
        return tuple(str(step.argval) for step in self._steps[index + 1 : place]), place

    def _import(self, index: int, module: str) -> None:
        """Add an import, with the variable that each name is kept under."""
        # IMPORT_NAME takes the level and the names from the stack: they are loaded just before it
        level, wanted = self._steps[index - 2].argval, self._steps[index - 1].argval
        level = level if isinstance(level, int) else 0
        # `import a` loads None as its list of names, `from a import b` a tuple
        if wanted is None:
            place = index + 1
            while self._opname(place) == "IMPORT_FROM":  # `import a.b as c`
                place += 1
            # `import a.b` binds a, and `import a.b as c` takes b out of it by IMPORT_FROM
            base = module if place > index + 1 else module.partition(".")[0]
            self._uses.imports[(module, level, base, "", self._stored(place))] = None
            return
        binds = False
        for place, name in self._taken(index + 1):
            self._uses.imports[(module, level, module, name, self._stored(place + 1))] = None
            binds = True
        if not binds:
            self._uses.imports[(module, level, module, "", "")] = None

    def _taken(self, place: int) -> Iterator[tuple[int, str]]:
        """Yield the place and the name of what `from ... import` takes."""
        while self._opname(place) == "IMPORT_FROM":
            yield place, str(self._steps[place].argval)
            place += 2  # and the instruction that stores it

    def _stored(self, place: int) -> str:
        """Return the variable that instruction `place` stores into; empty where it is no local one."""
        step = self._steps[place] if place < len(self._steps) else None
        if step is None or not step.opname.startswith("STORE_") or step.opname == "STORE_GLOBAL":
            return ""
        name = step.argval[0] if isinstance(step.argval, tuple) else step.argval
        return str(name)

    def _constant(self, place: int) -> str | None:
        """Return the text that instruction `place` loads, or None."""
        if self._opname(place) != "LOAD_CONST":
            return None
        value = self._steps[place].argval
        return value if isinstance(value, str) else None

    def _opname(self, place: int) -> str:
        """Return the name of instruction `place`, or nothing behind the last."""
        return self._steps[place].opname if place < len(self._steps) else ""


def names_in(text: str) -> Iterator[Chain]:
    """Yield the names in an annotation."""
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError:
        return
    yield from ((node.id,) for node in ast.walk(tree) if isinstance(node, ast.Name))
