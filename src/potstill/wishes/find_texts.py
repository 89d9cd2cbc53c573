"""Texts for a task among the files of a folder of the user's, by BM25 over what they say of themselves, or none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from potstill.errors import RequestError
from potstill.text.bm25 import BM25
from potstill.wishes.rows import TEXTS, rows_in

PAGES = ("README.md", "README.txt", "README")
"""Files that say what lies beside them."""
READ = 50
"""Rows of a file that are read."""
ENOUGH = 0.4
"""Share of the weight of the task's words that a file must have; below that none fits."""
MOST = 2_000
"""Files of a folder that are looked at."""
EMPTY = frozenset(
    """
    a an and any are as at be by classify categorize sort label tag into in is it of on one or other say tell text texts
    that the their these this to what whether which with class category for from i me my our your please
    """.split()
)
"""Words that say nothing about a task's texts."""


def find(description: str, labels: Sequence[str], folder: Path) -> Path | None:
    """Return the file of JSON Lines in a folder whose texts fit a description best, or None if none fits.

    A file is known by its name and those of its folders, by a README beside it, and by its first rows.
    """
    files = [file for file in sorted(islice(folder.rglob("*.jsonl"), MOST)) if _has_texts(file)]
    if not files:
        return None
    index = BM25([_words_of(file, folder) for file in files])
    # labels say what the answers are; a text need not have their words
    query = [word for word in dict.fromkeys(words(description)) if word not in words(" ".join(labels))]
    scores = index.scores(query)
    best = max(range(len(files)), key=scores.__getitem__)
    return files[best] if _share(index, query, best) >= ENOUGH else None


def words(text: str) -> list[str]:
    """Return the words of a text that say something, in lower case and without the s of a plural.

    >>> words("Classify support mails as billing")
    ['support', 'mail', 'billing']
    """
    every = (word.lower() for word in re.findall(r"[^\W\d_]{2,}", text))
    return [word.removesuffix("s") if len(word) > 3 else word for word in every if word not in EMPTY]


def _share(index: BM25, query: Sequence[str], place: int) -> float:
    """Return the share of the weight of a query's words that a document has."""
    weights = {word: index.weight(word) for word in query}
    present = set(index.documents[place])
    total = sum(weights.values())
    return sum(weight for word, weight in weights.items() if word in present) / total if total else 0.0


def _words_of(file: Path, folder: Path) -> list[str]:
    """Return the words by which a file is known."""
    pages = [page for page in (file.parent / name for name in PAGES) if page.is_file()]
    said = [" ".join(file.relative_to(folder).with_suffix("").parts).replace("_", " ").replace("-", " ")]
    said += [page.read_text(encoding="utf-8", errors="replace") for page in pages]
    said += [str(row.get(name, "")) for row in _first_rows(file) for name in TEXTS]
    return words(" ".join(said))


def _has_texts(file: Path) -> bool:
    """Return whether the first rows of a file have a text."""
    return any(isinstance(row.get(name), str) for row in _first_rows(file)[:1] for name in TEXTS)


def _first_rows(file: Path) -> list[dict[str, object]]:
    """Return the first rows of a file; none of one that can't be read."""
    try:
        return [row for _, row in islice(rows_in(file), READ)]
    except RequestError:
        return []
