"""Finding the pipeline in a user's file, which runs as the main module that it is under `python FILE`."""

from __future__ import annotations

import importlib.machinery
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from potstill.engine.pipeline import Pipeline
from potstill.errors import PotstillError, RequestError, described

MAIN = "__mp_main__"
"""The file's module name: the one under which `multiprocessing` runs a main file again in processes that it spawns."""


def load(target: str, arguments: Sequence[str] = ()) -> Pipeline:
    """Return the pipeline of `FILE.py` or `FILE.py:NAME`; the file finds `arguments` in `sys.argv`.

    Raises:
        RequestError: there is no such file, it raises, or it does not hold exactly one pipeline (of that name).
    """
    file, _, wanted = target.partition(".py:")
    path = Path(file + ".py" if wanted else target)
    if not path.is_file():
        raise RequestError(f"no pipeline file {path}" + ("" if path.is_absolute() else f" in {Path.cwd()}"))
    variables = vars(_executed(path, arguments))
    pipelines = {name: value for name, value in variables.items() if isinstance(value, Pipeline)}
    if wanted:
        if wanted not in pipelines:
            raise RequestError(f"{path} has no pipeline {wanted!r}; it has {', '.join(pipelines) or 'none'}")
        return pipelines[wanted]
    if not pipelines:
        example = '`pipeline = Pipeline("name", outputs={...})`'
        raise RequestError(f"{path} has no pipeline: it needs a line like {example}")
    if len(set(map(id, pipelines.values()))) > 1:
        raise RequestError(
            f"{path} has several pipelines: say which, as in {path}:{next(iter(pipelines))}; it has "
            + ", ".join(pipelines)
        )
    return next(iter(pipelines.values()))


def _executed(path: Path, arguments: Sequence[str]) -> ModuleType:
    """Run the file as the main module of this process, but for its `if __name__ == "__main__":` block."""
    import cloudpickle

    module = _main_module(path)
    sys.argv[:] = [str(path), *arguments]
    for folder in {str(path.parent.absolute()): 0, str(path.resolve().parent): 0}:  # the file may be a link
        sys.path.insert(0, folder)
    try:
        # compiled from what is in the file now: a bytecode cache goes by whole seconds and may hold an earlier text
        sys.dont_write_bytecode = True
        code = compile(path.read_bytes(), str(path.absolute()), "exec", dont_inherit=True)
        exec(code, vars(module))  # noqa: S102 - the user's own file
    except (PotstillError, KeyboardInterrupt):
        raise
    except SystemExit as leaving:
        raise RequestError(_left(path, leaving)) from leaving
    except BaseException as error:
        raise RequestError(f"{path} raises {described(error)}{_line(path, error)}{_remedy(error)}") from error
    cloudpickle.register_pickle_by_value(module)  # a step's process can't import it by its name
    return module


def _main_module(path: Path) -> ModuleType:
    """Return an empty module for the file, known as the main one.

    Functions and classes of the file can then be pickled by name: the processes that a `spawn` pool or a loader of a
    step starts look for them in the main file, which they run under the same name.
    """
    module = ModuleType(MAIN)
    module.__file__ = str(path.absolute())
    module.__loader__ = importlib.machinery.SourceFileLoader(MAIN, module.__file__)
    module.__dict__["__builtins__"] = __builtins__
    sys.modules[MAIN] = sys.modules["__main__"] = module
    return module


def _left(path: Path, leaving: SystemExit) -> str:
    """Return what to say of a file that calls `sys.exit`, as `argparse` does when it is not content."""
    return (
        f"{path} ends Python (SystemExit: {leaving.code}){_line(path, leaving)}. Arguments of the file's own stand "
        f"behind `--`, as in `potstill run {path} -- --size 3`; what is only for `python {path}` stands under "
        '`if __name__ == "__main__":`'
    )


def _line(path: Path, error: BaseException) -> str:
    """Return the last line of the file that was running when `error` was raised."""
    name = str(path.absolute())
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name]
    return f" (line {lines[-1]})" if lines else ""


def _remedy(error: BaseException) -> str:
    """Return what to do about an error that is not the file's own, where that is known."""
    if isinstance(error, ImportError) and "attempted relative import" in str(error):
        return ": a pipeline file belongs to no package; write `import helpers` for a helpers.py beside it"
    if isinstance(error, EOFError):
        return ": nobody answers `input()` here; take the value from `sys.argv` or the environment"
    return ""
