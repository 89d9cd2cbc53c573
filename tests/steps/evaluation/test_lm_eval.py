"""LMEval: the scores of lm-evaluation-harness's own backend, through our teachers, from files and rows of the store."""

from __future__ import annotations

import json
from pathlib import Path

import pandas
import pytest
from datasets import Dataset

from fakes import EchoTeacher, calls, context_in
from potstill import Endpoint, Price, Transformers
from potstill.data import home
from potstill.errors import BadInput
from potstill.metrics.kept_rows import FILE
from potstill.prompts import template_text
from potstill.steps import LMEval, LoadRows
from potstill.steps.evaluation.harness import definitions
from running import problems_of

pytest.importorskip("lm_eval")

TEACHER = home.FOLDER / "teacher"
SYSTEM = template_text("home.jinja").partition("{% block system %}")[2].partition("{% endblock %}")[0].strip()
ANSWER = '{"device":"light","room":"kitchen","action":"on","value":null}'
LIGHT = "turn on the light in the kitchen"
DOCUMENTS = [
    {"id": "a", "text": LIGHT, "thing": "light", "answer": ANSWER},
    {"id": "b", "text": "play some jazz in the office", "thing": "speaker", "answer": ANSWER},
    {"id": "c", "text": "turn off the fan in the bedroom", "thing": "fan", "answer": "no"},
    # longer than the model reads, so that it is read in windows
    {"id": "d", "text": "set the heating to 20 degrees, please. " * 160, "thing": "thermostat", "answer": "no"},
]
CHOICE = {
    "task": "things",
    "output_type": "multiple_choice",
    "doc_to_text": "{{text}}. What is meant? The",
    "doc_to_choice": ["light", "speaker", "fan", "thermostat"],
    "doc_to_target": "thing",
    "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
}
READING = {
    "task": "reading",
    "output_type": "loglikelihood_rolling",
    "doc_to_text": "",
    "doc_to_target": "{{text}}",
    "metric_list": [{"metric": name} for name in ("word_perplexity", "byte_perplexity", "bits_per_byte")],
}
WRITING = {
    "task": "writing",
    "output_type": "generate_until",
    "doc_to_text": "{{text}}",
    "doc_to_target": "{{answer}}",
    "generation_kwargs": {"until": ["\n"], "max_gen_toks": 48},
    "metric_list": [{"metric": "exact_match"}],
}
NEXT = {
    "task": "next",
    "output_type": "loglikelihood",
    "doc_to_text": "turn on the",
    "doc_to_target": "{{thing}}",
    "metric_list": [{"metric": "acc"}, {"metric": "perplexity"}],
}


def folder_of(where: Path, *tasks: dict, data=DOCUMENTS) -> Path:
    where.mkdir(exist_ok=True)
    (where / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in data))
    reads = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": "rows.jsonl"}}, "test_split": "test"}
    for task in tasks:
        (where / f"{task['task']}.yaml").write_text(json.dumps({**reads, **task}))
    return where


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return folder_of(tmp_path_factory.mktemp("harness") / "tasks", CHOICE, READING, WRITING, NEXT)


NAMES = ("things", "reading", "writing", "next")


@pytest.fixture(scope="module")
def harness(folder):
    """What the harness's own backend says, with and without the chat template."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    model = HFLM(str(TEACHER), batch_size=4, device="cpu", dtype="float32")

    def measured(chat: bool):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            return simple_evaluate(
                model,
                tasks=list(NAMES),
                task_manager=TaskManager(include_path=folder, include_defaults=False),
                bootstrap_iters=0,
                apply_chat_template=chat,
                system_instruction=SYSTEM if chat else None,
            )["results"]

    return {chat: measured(chat) for chat in (True, False)}


@pytest.fixture(scope="module")
def ours(folder, tmp_path_factory):
    """What LMEval says, and where it ran."""

    def measured(chat: bool):
        context = context_in(tmp_path_factory.mktemp("ours"))
        step = LMEval(str(TEACHER), NAMES, folder=folder, chat_template=chat, system=SYSTEM if chat else "")
        return step.run(Transformers(str(TEACHER), dtype="float32"), context), context.out

    return {chat: measured(chat) for chat in (True, False)}


@pytest.mark.slow
@pytest.mark.parametrize("chat", [True, False])
def test_the_scores_are_those_of_the_harness_s_own_backend(harness, ours, chat):
    metrics, _ = ours[chat]
    theirs = harness[chat]
    for name in NAMES:
        figures = {key.partition(",")[0]: value for key, value in theirs[name].items() if key.endswith(",none")}
        figures = {key: value for key, value in figures.items() if not key.endswith("_stderr")}
        assert figures
        for metric, value in figures.items():
            assert metrics["sets"][name][metric] == pytest.approx(value, rel=1e-3), (name, metric)
    assert metrics["engine"]["chat_template"] is chat
    assert metrics["engine"]["shortened"] >= 1


@pytest.mark.slow
def test_in_bfloat16_the_scores_are_those_of_the_harness_where_it_takes_the_logarithm_in_float32(folder, tmp_path):
    """By itself it does so in the model's type, which has 8 bits: that is off by almost a percent."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    def theirs(softmax_dtype: str | None) -> dict[str, dict[str, float]]:
        options = {"batch_size": 4, "device": "cpu", "dtype": "bfloat16", "softmax_dtype": softmax_dtype}
        manager = TaskManager(include_path=folder, include_defaults=False)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            model = HFLM(str(TEACHER), **options)
            return simple_evaluate(model, tasks=["reading", "next"], task_manager=manager, bootstrap_iters=0)["results"]

    step = LMEval(str(TEACHER), ("reading", "next"), folder=folder, chat_template=False)
    own = step.run(Transformers(str(TEACHER), dtype="bfloat16"), context_in(tmp_path))["sets"]
    exact, rounded = theirs("float32"), theirs(None)
    for name, metric in (("reading", "word_perplexity"), ("reading", "bits_per_byte"), ("next", "perplexity")):
        assert own[name][metric] == pytest.approx(exact[name][f"{metric},none"], rel=1e-4)
    assert abs(rounded["reading"]["word_perplexity,none"] / own["reading"]["word_perplexity"] - 1) > 4e-3


@pytest.mark.slow
def test_with_its_template_the_embedded_teacher_answers_and_without_it_does_not(ours):
    assert ours[True][0]["sets"]["writing"]["exact_match"] >= 0.25
    assert ours[False][0]["sets"]["writing"]["exact_match"] == 0.0


@pytest.mark.slow
def test_rows_are_kept_and_figures_have_intervals(ours):
    metrics, out = ours[True]
    rows = pandas.read_parquet(out / FILE)
    assert rows.set.value_counts().to_dict() == dict.fromkeys(NAMES, 4)
    first = rows.iloc[0]
    assert (first.id, first.gold, first.score_acc in (0.0, 1.0)) == ("a", "light", True)
    assert LIGHT in first.input
    read = rows[rows.set == "reading"]
    assert read.correct.isna().all() and (read.score_word_perplexity > 0).all()
    figures = metrics["sets"]["things"]
    assert figures["acc_low"] <= figures["acc"] <= figures["acc_high"]
    assert metrics["sets"]["reading"]["word_perplexity_low"] < metrics["sets"]["reading"]["word_perplexity_high"]
    json.dumps(metrics, allow_nan=False)


def answered(where, tasks, teacher=None, **options):
    log = where / "calls"
    teacher = teacher or EchoServer(log=str(log))
    return LMEval(teacher, tasks, **options), teacher, context_in(where)


class EchoServer(EchoTeacher):
    """Answers, but gives no scores of a given text."""

    gives_scores = False


def test_rows_of_the_store_are_a_task_and_another_task_asks_only_for_its_own(tmp_path):
    rows = Dataset.from_list(DOCUMENTS[:3])
    step, teacher, context = answered(tmp_path, [WRITING], rows={"writing": LoadRows(DOCUMENTS[:3])})
    before = step.run(teacher, context, {"writing": rows})
    assert before["sets"]["writing"]["n"] == 3
    count = len(calls(tmp_path / "calls"))
    assert count == 3
    shorter = {**WRITING, "task": "other", "doc_to_target": "{{thing}}"}
    both, teacher, context = answered(tmp_path, [WRITING, shorter])
    after = both.run(teacher, context, {"writing": rows, "other": rows})
    assert len(calls(tmp_path / "calls")) == count
    assert after["sets"]["writing"] == before["sets"]["writing"]


def test_two_runs_give_the_same_bytes(tmp_path):
    written = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        step, teacher, context = answered(tmp_path / name, [WRITING])
        metrics = step.run(teacher, context, {"writing": Dataset.from_list(DOCUMENTS[:3])})
        written.append((json.dumps(metrics), (context.out / FILE).read_bytes()))
    assert written[0] == written[1]


def test_few_shot_examples_and_a_limit_are_the_harness_s(tmp_path):
    shots = {**WRITING, "fewshot_split": "test"}
    step, teacher, context = answered(tmp_path, [shots], few_shot=1, limit=2)
    metrics = step.run(teacher, context, {"writing": Dataset.from_list(DOCUMENTS[:3])})
    assert metrics["tasks"]["writing"]["n_shot"] == 1
    assert metrics["sets"]["writing"]["n"] == 2


def test_a_teacher_without_scores_is_told_which_tasks_need_them(tmp_path):
    step, teacher, context = answered(tmp_path, [WRITING, CHOICE, READING])
    rows = Dataset.from_list(DOCUMENTS[:3])
    with pytest.raises(BadInput, match="things, reading ask for log-probabilities"):
        step.run(teacher, context, dict.fromkeys(("writing", "things", "reading"), rows))
    before = problems_of(LMEval(Endpoint("http://localhost:1/v1", "m"), [CHOICE], rows={"things": LoadRows(DOCUMENTS)}))
    assert any("things ask for log-probabilities" in problem for problem in before)


def test_what_fails_is_said_and_what_was_answered_is_kept(tmp_path):
    from potstill.errors import PotstillError

    rows = {"writing": Dataset.from_list(DOCUMENTS[:3])}
    broken = EchoServer(log=str(tmp_path / "calls"), failing=("jazz",))
    step, _, context = answered(tmp_path, [WRITING], broken)
    with pytest.raises(PotstillError, match=r"failed for 1 of 3 requests.*injected failure"):
        step.run(broken, context, rows)
    step, teacher, context = answered(tmp_path, [WRITING])
    step.run(teacher, context, rows)
    assert sum("jazz" not in line for line in calls(tmp_path / "calls")) == 2  # those of the first run


@pytest.mark.parametrize(
    ("task", "text"),
    [
        ({**WRITING, "metric_list": [{"metric": "rougeL"}]}, "no metric 'rougeL'"),
        ({**WRITING, "metric_list": [{"metric": "exact_matsch"}]}, "did you mean 'exact_match'?"),
        ({**WRITING, "metric_list": [{"metric": "wer", "hf_evaluate": True}]}, "code from the Hub"),
        ({**WRITING, "output_type": "multiplechoice"}, "did you mean 'multiple_choice'?"),
        ({**WRITING, "unsafe_code": True}, "which Potstill never does"),
        ({"doc_to_text": "a"}, "a task has no name"),
    ],
)
def test_what_is_wrong_with_a_task_is_said_before_anything_runs(task, text):
    step = LMEval(Endpoint("http://localhost:1/v1", "m"), [task])
    assert any(text in problem for problem in problems_of(step)), problems_of(step)


def test_rows_without_a_task_are_refused():
    step = LMEval(Endpoint("http://localhost:1/v1", "m"), [WRITING], rows={"writng": LoadRows(DOCUMENTS)})
    assert any("rows are given for the task 'writng'" in problem for problem in problems_of(step))


def test_names_of_metrics_are_those_of_the_harness():
    from lm_eval.api import metrics  # noqa: F401 - registers them
    from lm_eval.api.registry import METRIC_REGISTRY

    assert set(definitions.METRICS) == set(METRIC_REGISTRY)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"dataset_kwargs": {"data_files": {"test": "../outside.jsonl"}}}, "which is not below"),
        ({"dataset_kwargs": {"data_files": {"test": "absent.jsonl"}}}, "which is not below"),
        ({"include": "../other.yaml"}, "which is not below"),
    ],
)
def test_files_outside_of_the_folder_which_no_key_would_cover_are_refused(tmp_path, change, text):
    (tmp_path / "outside.jsonl").write_text("{}\n")
    (tmp_path / "other.yaml").write_text("{}\n")
    where = folder_of(tmp_path / "tasks", {**WRITING, **change})
    step = LMEval(Endpoint("http://localhost:1/v1", "m"), ["writing"], folder=where)
    assert any(text in problem for problem in problems_of(step)), problems_of(step)


def test_an_edited_file_of_the_folder_is_another_key(tmp_path):
    from potstill import Pipeline

    where = folder_of(tmp_path / "tasks", WRITING)

    def key():
        step = LMEval(Endpoint("http://localhost:1/v1", "m"), ["writing"], folder=where)
        return Pipeline("keys", outputs={"score": step}).plan(store=tmp_path / "store")[-1].key

    first = key()
    assert key() == first
    (where / "utils.py").write_text("def nothing(): ...\n")
    assert key() != first


def test_an_unknown_task_and_a_missing_column_are_clear_statements(tmp_path):
    where = folder_of(tmp_path / "tasks", {**WRITING, "doc_to_text": "{{question}}"})
    step, teacher, context = answered(tmp_path, ["writing"], folder=where)
    with pytest.raises(BadInput, match=r"'writing' can't be built.*question.*columns? that the rows lack"):
        step.run(teacher, context)
    step, teacher, context = answered(tmp_path, [WRITING])
    with pytest.raises(BadInput, match="its rows are empty"):
        step.run(teacher, context, {"writing": Dataset.from_dict({"text": [], "answer": []})})


def planned(step, store):
    from potstill import Pipeline

    return Pipeline("costs", outputs={"score": step}).plan(store=store)[-1].estimate


PAID = Endpoint("http://localhost:1/v1", "m", price=Price(prompt=1_000_000.0, completion=0.0))


def test_a_plan_counts_what_tasks_will_ask_and_what_a_paid_teacher_takes_for_it(tmp_path, folder):
    estimate = planned(LMEval(PAID, ["writing"], folder=folder), tmp_path)
    characters = sum(len(row["text"]) for row in DOCUMENTS)
    assert estimate.calls == len(DOCUMENTS) and not estimate.unknown
    # a dollar a token read
    assert estimate.dollars == pytest.approx(characters / 4, abs=len(DOCUMENTS) * 30)
    assert estimate.tokens == estimate.dollars + len(DOCUMENTS) * 48
    limited = planned(LMEval(PAID, ["writing"], folder=folder, limit=1), tmp_path)
    assert limited.calls == 1 and limited.dollars < 30


@pytest.mark.slow
def test_a_plan_counts_each_choice_and_each_window_that_is_scored(tmp_path, folder):
    teacher = Transformers(str(TEACHER))
    choices = planned(LMEval(teacher, ["things"], folder=folder), tmp_path)
    assert choices.calls == 4 * 4
    read = planned(LMEval(teacher, ["reading"], folder=folder), tmp_path)
    assert read.calls > len(DOCUMENTS)  # the long one is read in windows
    assert read.tokens > 1_024


@pytest.mark.slow
def test_a_plan_counts_what_the_journal_lacks(tmp_path):
    rows = {"writing": LoadRows(DOCUMENTS[:3])}
    teacher = EchoServer(log=str(tmp_path / "calls"))
    from potstill import Pipeline

    step = LMEval(teacher, [WRITING], rows=rows, limit=2)
    Pipeline("first", outputs={"score": step}).run(store=tmp_path / "store", threads=1)
    estimate = planned(LMEval(teacher, [WRITING], rows=rows), tmp_path / "store")
    assert (estimate.calls, estimate.cached) == (1, 2)


def test_a_plan_says_that_it_can_not_know_what_a_task_of_the_hub_asks(tmp_path, monkeypatch):
    monkeypatch.setattr(LMEval, "check", lambda self: ())  # no Hub here
    hub = {**WRITING, "dataset_path": "owner/rows"}
    monkeypatch.setattr("potstill.steps.loading.hub.HubRevision.commit", "0" * 40)
    estimate = planned(LMEval(PAID, [hub]), tmp_path)
    assert "unknown until it runs" in estimate.unknown
