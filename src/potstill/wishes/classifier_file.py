"""The pipeline file of a classifier, written from its parts: an ordinary page that the user can read and change."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from potstill.scaffold.answer import quoted
from potstill.text.inert import written_out
from potstill.wishes.bases import Choice
from potstill.wishes.teacher import Teacher

HEAD = '''"""A classifier made from one sentence: @TITLE@

Written by `potstill make`, and an ordinary pipeline: read it, change it, run it by `potstill run FILE`. What the
sentence was taken to mean stands in `task.json`, which is read below.
"""

@IMPORTS@

HERE = Path(__file__).parent
TASK = json.loads((HERE / "task.json").read_text(encoding="utf-8"))
LABELS = tuple(TASK["labels"])
# the teacher's instruction; the text of a row follows
ASKED = json.dumps(TASK["instruction"] + " Answer with one of these labels and nothing else:", ensure_ascii=False)
PROMPT = (
    "{% block system %}{{ " + ASKED + " }}\\n{% for class in classes %}{{ class }}\\n{% endfor %}{% endblock %}"
    "{% block user %}{{ instruction }}{% endblock %}"
)

teacher = @TEACHER@
base = @BASE@
'''
FUNCTIONS = """

def task_of(rows: list[dict]) -> list[dict]:
    \"\"\"Return the task with some examples, as the teacher is shown it.\"\"\"
    instruction = f"{TASK['instruction']} The output is one of: {', '.join(LABELS)}."
    pairs = [{"input": row["text"], "output": row["gold"]} for row in rows]
    return [{"instruction": instruction, "examples": pairs}]


def with_known_label(row: dict) -> dict | None:
    \"\"\"Return a new example as a text and a label, or None where the label is none of ours.\"\"\"
    labels = {label.lower(): label for label in LABELS}
    label = labels.get(row["output"].strip(" .\\"'").lower())
    return label and {"text": row["input"], "written": label}


def written_by(grown: Step) -> Step:
    \"\"\"Return new examples as rows with an id, a text, and the label that it was written with.\"\"\"
    return Select(Map(grown, with_known_label, adds=("text", "written")), ["id", "text", "written"])

"""
EXAMPLES = """
# a gate: the teacher labels the given examples, and is asked for nothing else where it can't
examples = LoadJSON(HERE / "examples.jsonl")
shown = Rename(examples, {"label": "gold"})
"""
PILOT = """
# a gate: the teacher writes a few examples and labels them, and is asked for nothing else where the labels differ
few = GrowFromExamples(LoadRows(task_of([])), teacher=teacher, target=4 * len(LABELS))
shown = Rename(written_by(few), {"written": "gold"})
"""
GATE = """asked = ClassifyWithTeacher(shown, teacher=teacher, text="text", prompt=PROMPT, classes=LABELS)
passed = Gate(asked, least=TASK["gate"])
"""
GROW = """
# new examples, ever more boldly sampled; of those with one text the label that most have, if most do
task = MapBatches(passed, task_of, batch_size=1_000_000)
grown = GrowFromExamples(task, teacher=teacher, target=TASK["rows"])
agreed = Drop(Consensus(written_by(grown), by=("text",), column="written", min_share=0.6), ["votes", "samples"])
"""
TEXTS = """
# texts that the user has, without labels
agreed = @TEXTS@
"""
CLEAN = """
# near copies are left out before rows are parted, so that none stands on both sides
different = DeduplicateNear(agreed, column="text")
"""
CLEAN_OF_EXAMPLES = """
# near copies are left out before rows are parted, and what is too like a row of the gate: that measures the model
different = DeduplicateNear(agreed, column="text")
clean = Decontaminate(different, against=[passed], column="text")
"""
LABEL = """
# the teacher's label and probabilities@KEPT_WHY@
labels = ClassifyWithTeacher(@CLEAN@, teacher=teacher, text="text", prompt=PROMPT, classes=LABELS, max_failed=0.1)
@KEPT@data = Split(@LABELLED@, test=0.15, stratified="label")
student = Classifier(data.train, student=base, epochs=10, batch_size=16, alpha=0.5)
model = ExportEncoder(student, precision=@PRECISION@, probe=data.train)
"""
KEPT = """kept = Map(labels, lambda row: row if row["label"] == row["written"] else None)
"""
MEASURE = """
# measured on @SETS@;
# one text at a time, as it is served
tests = @TESTS@
golds = {name: Rename(rows, {"label": "gold"}) for name, rows in tests.items()}
names = LoadRows([{"text": label} for label in LABELS])


def most_frequent(rows: list[dict]) -> list[dict]:
    \"\"\"Give every row the label that most rows have.\"\"\"
    label = Counter(row["gold"] for row in rows).most_common(1)[0][0]
    return [{"text": row["text"], "gold": row["gold"], "label": label} for row in rows]


def nearest(row: dict) -> dict:
    \"\"\"Give a row the label whose name means what is nearest to it.\"\"\"
    return {"label": row["passages"][0]}


def zero_shot(rows: Step) -> Step:
    \"\"\"Label rows by the untrained base.\"\"\"
    bare = Select(rows, ["text", "gold"])
    return Map(Retrieve(bare, names, k=1, model=base, query_column="text"), nearest, adds=("label",))


majority = {name: MapBatches(rows, most_frequent, batch_size=1_000_000) for name, rows in golds.items()}
untrained = {name: zero_shot(rows) for name, rows in golds.items()}
report = Report(
    {
@TEACHER_SCORE@        "student": EvaluateClassifier(student, tests, batch_size=1),
        "model": EvaluateClassifier(model, tests, batch_size=1),
        "base, untrained": EvaluateLabels(untrained),
        "majority": EvaluateLabels(majority),
        "leaks": LeakCheck(data.train, tests, column="text"),
    },
    title=TASK["wish"],
)

pipeline = Pipeline(@NAME@, outputs={"report": report, "model": model})
"""
STEPS = (
    "ClassifyWithTeacher Consensus Decontaminate DeduplicateNear Drop EvaluateClassifier EvaluateLabels ExportEncoder "
    "Gate GrowFromExamples LeakCheck LoadJSON LoadRows Map MapBatches Rename Report Retrieve Select Split"
).split()


@dataclass(frozen=True)
class Parts:
    """What a file is written from."""

    name: str
    """Name of the pipeline."""
    wish: str
    """The sentence."""
    teacher: Teacher
    """Who writes and labels."""
    choice: Choice
    """What is trained, and how it is stored."""
    examples: bool
    """Whether there are examples, in `examples.jsonl`."""
    texts: str = ""
    """File with texts to label, in place of those that the teacher writes."""
    column: str = "text"
    """Column of these."""


def text_of(parts: Parts) -> str:
    """Return the text of the pipeline file."""
    page, values = "".join(_blocks(parts)), _values(parts)
    values["IMPORTS"] = _imports(_filled(page, {**values, "TITLE": ""}), parts.teacher)
    return _filled(page, values)


def _filled(page: str, values: Mapping[str, str]) -> str:
    """Return a page with its marks replaced, in one pass, so that nothing in a value is taken for a mark."""
    return re.sub("@([A-Z_]+)@", lambda mark: values.get(mark[1], mark[0]), page)


def _blocks(parts: Parts) -> list[str]:
    """Return the parts of the page, in order."""
    grown, gated = not parts.texts, parts.examples or not parts.texts
    return [
        HEAD,
        *([FUNCTIONS] if grown else []),
        *([EXAMPLES if parts.examples else PILOT, GATE] if gated else []),
        GROW if grown else TEXTS,
        CLEAN_OF_EXAMPLES if gated else CLEAN,
        LABEL,
        MEASURE,
    ]


def _values(parts: Parts) -> dict[str, str]:
    """Return what stands for each mark."""
    grown = not parts.texts
    held_out = '"held out": Drop(data.test, ["confidence", "probabilities"])'
    return {
        "SETS": "the given examples, which no model has learned from, and on rows that the teacher labelled"
        if parts.examples
        else "rows that the teacher labelled, as no others were given",
        "TESTS": f'{{"examples": examples, {held_out}}}' if parts.examples else f"{{{held_out}}}",
        "TEACHER_SCORE": '        "teacher": EvaluateLabels({"examples": asked}),\n' if parts.examples else "",
        "CLEAN": "clean" if parts.examples or grown else "different",
        "KEPT_WHY": "; a row stays where the label that it was written with is the same" if grown else "",
        "KEPT": KEPT if grown else "",
        "LABELLED": "kept" if grown else "labels",
        "TEXTS": _texts(parts),
        "TEACHER": parts.teacher.code,
        "BASE": quoted(parts.choice.base.id),
        "PRECISION": quoted(parts.choice.precision),
        "NAME": quoted(parts.name),
        "TITLE": _title(parts.wish),
    }


def _texts(parts: Parts) -> str:
    """Return what loads the user's texts."""
    loaded = f"LoadJSON({quoted(parts.texts)})"
    return loaded if parts.column == "text" else f'Rename({loaded}, {{{quoted(parts.column)}: "text"}})'


def _title(wish: str) -> str:
    """Return a wish as it can stand in a docstring: one line, without what ends it."""
    line = written_out(" ".join(wish.split())).replace("\\", "/").replace('"', "'")
    return line if len(line) <= 80 else f"{line[:77]}..."


def _imports(body: str, teacher: Teacher) -> str:
    """Return the import lines of what a page uses."""
    own = ["Pipeline", "Step", teacher.kind, *(["Price"] if "Price(" in teacher.code else [])]
    used = [name for name in STEPS if re.search(rf"\b{name}\(", body)]
    steps = "\n".join(f"    {name}," for name in used)
    return (
        "import json\nfrom collections import Counter\nfrom pathlib import Path\n\n"
        f"from potstill import {', '.join(sorted(own, key=lambda name: (not name.isupper(), name)))}\n"
        f"from potstill.steps import (\n{steps}\n)\nfrom potstill.trainers import Classifier"
    )
