"""Whether teacher and student share a vocabulary with the same ids, without which soft labels mean nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from potstill.engine.json_text import json_in

REMEDY = (
    "soft labels are defined token by token, so both must share one vocabulary; train this student on the teacher's "
    "text instead: SequenceLevel(rows, teacher=..., student=...), or HardLabel(rows, student=...) where rows hold it; "
    'or take SoftLabel(rows, teacher=..., divergence="uld"), which is made for two vocabularies'
)


def vocabulary_of(folder: Path) -> dict[str, int] | None:
    """Return the vocabulary in `folder`/tokenizer.json, without loading any library; None where there is none."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        return None
    try:
        content = json_in(path.read_text(encoding="utf-8"))
        entries = content["model"]["vocab"]
        # a unigram model lists [token, score] by id
        vocabulary = dict(entries) if isinstance(entries, Mapping) else {item[0]: n for n, item in enumerate(entries)}
        return vocabulary | {token["content"]: token["id"] for token in content.get("added_tokens") or ()}
    except (KeyError, TypeError, ValueError, IndexError):
        return None


def padding_in(folder: Path) -> str | None:
    """Return the token that only pads texts, by `folder`/tokenizer_config.json; None where the end of a text does."""
    path = folder / "tokenizer_config.json"
    try:
        named = json_in(path.read_text(encoding="utf-8"))
        padding, end = (_content(named.get(field)) for field in ("pad_token", "eos_token"))
    except (OSError, ValueError, AttributeError):
        return None
    return None if padding == end else padding


def _content(token: object) -> str | None:
    """Return the text of a special token, which is stored as one or with its settings."""
    text = token.get("content") if isinstance(token, Mapping) else token
    return text if isinstance(text, str) else None


def difference(
    teacher: Mapping[str, int],
    student: Mapping[str, int],
    remedy: str = REMEDY,
    names: tuple[str, str] = ("", ""),
    paddings: tuple[str | None, str | None] = (None, None),
) -> str:
    """Return how two vocabularies differ and what to do, or nothing.

    Args:
        teacher: the teacher's tokens.
        student: the student's tokens.
        remedy: what to do.
        names: those of teacher and student.
        paddings: their tokens that only pad. One that the other lacks (a `[PAD]` added to a Llama) makes no difference:
            it is in no text.
    """
    teacher, student = _unpadded(teacher, student, paddings[0]), _unpadded(student, teacher, paddings[1])
    if teacher == student:
        return ""
    only_teacher, only_student = _first(teacher, student), _first(student, teacher)
    examples = [
        f"{who}: {token!r} is {here[token]}, for the other {there.get(token, 'unknown')}"
        for who, token, here, there in (
            ("teacher", only_teacher, teacher, student),
            ("student", only_student, student, teacher),
        )
        if token is not None
    ]
    teacher_name, student_name = (f"{name}: " if name else "" for name in names)
    return (
        f"the student's vocabulary ({student_name}{len(student)} tokens) differs from the teacher's "
        f"({teacher_name}{len(teacher)} tokens; {'; '.join(examples)}): {remedy}"
    )


def _unpadded(here: Mapping[str, int], there: Mapping[str, int], padding: str | None) -> Mapping[str, int]:
    """Return a vocabulary without its token for padding, where the other has neither that token nor its id."""
    if padding is None or padding not in here or padding in there or here[padding] in there.values():
        return here
    return {token: number for token, number in here.items() if token != padding}


def _first(here: Mapping[str, int], there: Mapping[str, int]) -> str | None:
    """Return the token with the lowest id whose id differs in the other vocabulary."""
    differing = [token for token in here if there.get(token) != here[token]]
    return min(differing, key=lambda token: here[token], default=None)


def plain_folder(model: object) -> Path | None:
    """Return the folder of `model`, if it is one that exists already or a teacher that names one; else None."""
    named = getattr(model, "model", model)
    if not isinstance(named, (str, Path)):
        return None
    folder = Path(named).expanduser()
    return folder if folder.is_dir() else None
