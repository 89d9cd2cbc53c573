"""Writing a ready pipeline into a user's folder, with sample rows and a README."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from potstill.errors import RequestError
from potstill.scaffold.answer import answered, without_unused_imports
from potstill.scaffold.template import Question, Template, for_hub_models, for_shipped_models

README = """# {title}

{summary}

1. Put your rows in place of the samples, and answer at the head of `{file}`: {names}.
2. `potstill plan {file}` shows what will run, and what it costs.
3. `potstill run {file}` runs it. What is finished is kept: run it again after a change, and only what changed runs.
4. The report is `index.html` in the folder that `report:` names; `potstill ui` shows everything else.
5. {models}
"""
SHIPPED = "`potstill new {kind} --real` writes it for models of the Hub, with vLLM as the teacher's engine."
HUB = "The models come from the Hub at the first run; the teacher needs a GPU, or an `Endpoint` in its place."


def write(template: Template, file: Path, answers: Mapping[str, str], *, real: bool = False) -> list[Path]:
    """Write a pipeline with the user's answers, its sample rows and a README; return the files.

    Raises:
        RequestError: an answer is wrong or a file is there already, all of them together; nothing was written.
    """
    source = text_of(template, file, answers, real=real)
    contents: dict[Path, bytes] = {file: source.encode()}
    contents |= {file.parent / sample.name: sample.read_bytes() for sample in template.samples(source)}
    contents |= _readme(template, file, real)
    taken = [path for path, content in contents.items() if path.exists() and path.read_bytes() != content]
    if taken:
        raise RequestError(*(f"{path} is there already: move it, or name another file" for path in taken))
    file.parent.mkdir(parents=True, exist_ok=True)
    for path, content in contents.items():
        path.write_bytes(content)
    return list(contents)


def text_of(template: Template, file: Path, answers: Mapping[str, str], *, real: bool) -> str:
    """Return the text of the pipeline.

    Raises:
        RequestError: naming each answer that is wrong.
    """
    source = _for_models(template, real)
    questions = questions_of(template, real=real)
    names = [question.name for question in questions]
    unknown = [name for name in answers if name not in names]
    if unknown:
        raise RequestError(*(_unknown(template.kind, name, names) for name in unknown))
    try:
        return answered(source, questions, answers, file.parent)
    except ValueError as error:
        raise RequestError(str(error)) from None


def questions_of(template: Template, *, real: bool) -> list[Question]:
    """Return a template's questions, with the defaults of its shipped models or of those of the Hub."""
    return Template(template.kind, _for_models(template, real)).questions()


def read_settings(settings: Sequence[str]) -> dict[str, str]:
    """Return answers by the names of constants, from `name=value` as `--set` takes it.

    Raises:
        RequestError: there is no `=`, or no value.
    """
    wrong = [setting for setting in settings if not all(setting.partition("="))]
    if wrong:
        raise RequestError(*(f"--set takes NAME=VALUE, got {setting!r}" for setting in wrong))
    parts = (setting.partition("=") for setting in settings)
    return {name.strip().upper(): value for name, _, value in parts}


def ask(questions: Sequence[Question], reply: Callable[[str], str]) -> dict[str, str]:
    """Return what the user typed to each question; an empty line leaves the default."""
    typed = {question.name: reply(f"{question.text}\n  [{question.shown()}] ").strip() for question in questions}
    return {name: text for name, text in typed.items() if text}


def _for_models(template: Template, real: bool) -> str:
    """Return a template's text with one of its sets of models."""
    return without_unused_imports((for_hub_models if real else for_shipped_models)(template.source))


def _unknown(kind: str, name: str, names: Sequence[str]) -> str:
    """Return that a template has no such question, and which is near."""
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0].lower()}?" if near else f"it asks for {', '.join(names).lower()}"
    return f"{kind} has no question {name.lower()}: {hint}"


def _readme(template: Template, file: Path, real: bool) -> dict[Path, bytes]:
    """Return the README of a pipeline by its path: named like the pipeline where the folder has one of the user's."""
    names = ", ".join(f"`{question.name}`" for question in template.questions())
    models = HUB if real else SHIPPED.format(kind=template.kind)
    title, _, summary = template.summary.partition(": ")
    summary = f"{summary[:1].upper()}{summary[1:]}"
    text = README.format(title=title, summary=summary, file=file.name, names=names, models=models).encode()
    usual = file.parent / "README.md"
    return {usual if not usual.exists() or usual.read_bytes() == text else file.with_suffix(".md"): text}
