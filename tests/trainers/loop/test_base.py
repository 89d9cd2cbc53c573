"""What all trainers share: evaluation, the best weights, what is logged of a training, and what can go wrong."""

import csv

import pytest
import torch

import learning
from potstill.engine.code import class_code
from potstill.engine.encoding import keyed_fields
from potstill.errors import BadInput, MissingExtra, PotstillError
from potstill.trainers import HardLabel, LoRA, SoftLabel
from potstill.trainers.loop.checkpoints import best_step, is_exhausted
from potstill.trainers.loop.context import set_up
from potstill.trainers.loop.lora import check_targets
from potstill.trainers.loop.session import in_bf16, memory_explained, schedule_of

FIELDS = {"epochs": 6, "batch_size": 4, "learning_rate": 2e-3}


def train(folder, student, rows=None, validation=None, progress=None, **fields):
    """Train in `folder`; return its context."""
    context = learning.context(folder, progress=progress)
    step = HardLabel(None, student=str(student), **{**FIELDS, **fields})
    result = learning.dataset(learning.rows(8) if rows is None else rows)
    step.run(result, str(student), context, validation=validation and learning.dataset(validation))
    return context


def other_answers():
    """Return answers other than those that `learned` knows: while it learns them it gets worse at its own."""
    return [row | {"output": row["output"][::-1]} for row in learning.rows(8)]


def same_weights(one, other):
    ours, theirs = learning.weights(one), learning.weights(other)
    return all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory, learned):
    """A training whose validation loss rises."""
    return train(tmp_path_factory.mktemp("evaluated"), learned, other_answers(), learning.rows(4))


def test_the_weights_with_the_lowest_validation_loss_are_the_result(tmp_path, evaluated):
    losses = {point["step"]: point["validation_loss"] for point in evaluated.notes["evaluations"]}
    assert list(losses) == [2, 4, 6, 8, 10, 12], "after each pass"
    best = min(losses, key=losses.get)
    assert best < 12 and evaluated.notes["best step"] == best
    # what is written has that loss: nothing is learned in a step of no size
    again = train(tmp_path, evaluated.out, validation=learning.rows(4), epochs=0.5, learning_rate=1e-30)
    rounding = 0.05 * losses[best]  # of the folder's bfloat16
    assert again.notes["evaluations"][0]["validation_loss"] == pytest.approx(losses[best], abs=rounding)
    assert losses[12] - losses[best] > 2 * rounding


def test_evaluation_changes_nothing_in_what_is_learned(tmp_path, learned, evaluated):
    plain = train(tmp_path, learned, other_answers())
    reported = [[(point["loss"], point["grad_norm"]) for point in run.notes["curve"]] for run in (plain, evaluated)]
    assert reported[0] == reported[1]
    assert "evaluations" not in plain.notes and not list((plain.work / "checkpoints").glob("best-*"))


def test_training_stops_when_it_gets_no_better_and_a_stopped_one_is_not_gone_on_with(tmp_path, learned, evaluated):
    best = evaluated.notes["best step"]
    for _ in range(2):
        stopped = train(tmp_path, learned, other_answers(), learning.rows(4), patience=2)
        assert stopped.notes["steps"] == best + 4 and stopped.notes["best step"] == best
        assert same_weights(stopped.out, evaluated.out)


def test_a_resumed_training_with_evaluations_ends_with_the_same_weights(tmp_path, learned, evaluated):
    def stop(done, total=None, **_):
        if done == 7:
            raise KeyboardInterrupt

    given = (learned, other_answers(), learning.rows(4))
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, *given, progress=stop, checkpoint_every=3)
    left = {path.name for path in (tmp_path / "work" / "checkpoints").iterdir()}
    assert left == {"checkpoint-6", f"best-{evaluated.notes['best step']}"}
    resumed = train(tmp_path, *given, checkpoint_every=3)
    assert same_weights(resumed.out, evaluated.out)
    assert resumed.notes["evaluations"] == evaluated.notes["evaluations"]


def test_validation_rows_are_read_like_the_others(tmp_path, student, teacher):
    context = learning.context(tmp_path)
    step = SoftLabel(None, student=str(student), epochs=1)
    soft = learning.dataset(learning.with_soft_labels(learning.rows(4), teacher, 4))
    with pytest.raises(BadInput, match="validation: the rows have no column 'teacher_"):
        step.run(soft, str(student), None, context, validation=learning.dataset(learning.rows(2)))
    with pytest.raises(BadInput, match="validation: no row to evaluate on: 1 x no output"):
        train(tmp_path / "none", student, validation=[learning.rows(1)[0] | {"output": " "}])


def test_the_curve_tells_the_parts_of_the_loss_and_the_agreement_with_the_teacher(tmp_path, student, teacher):
    seen = []
    context = learning.context(tmp_path, progress=lambda *_, note="", tokens=0, **__: seen.append((note, tokens)))
    step = SoftLabel(None, student=str(student), epochs=4, batch_size=8, learning_rate=5e-3, alpha=0.5)
    rows = learning.dataset(learning.with_soft_labels(learning.rows(8), teacher, 8))
    step.run(rows, str(student), None, context, validation=rows)
    for point in context.notes["curve"]:
        assert point["soft"] + point["hard"] == pytest.approx(point["loss"], rel=1e-4)
        assert point["soft"] == pytest.approx(0.5 * point["divergence"], rel=1e-4)
        assert 0 <= point["agreement"] <= 1 and point["tokens_per_second"] > 0 and point["grad_norm"] > 0
    assert {"validation_soft", "validation_agreement"} <= set(context.notes["evaluations"][0])
    assert context.notes["peak_memory_bytes"] > 10**7
    assert "validation loss" in seen[-1][0] and "agreement" in seen[-1][0] and seen[-1][1] > seen[0][1] > 0


def test_activations_that_are_computed_again_change_nothing(tmp_path, student):
    again = train(tmp_path, student, gradient_checkpointing=True, epochs=2, schedule="constant", warmup=0)
    plain = train(tmp_path / "plain", student, epochs=2, schedule="constant", warmup=0)
    reported = [[(p["loss"], p["grad_norm"]) for p in run.notes["curve"]] for run in (plain, again)]
    assert torch.tensor(reported[0]) == pytest.approx(torch.tensor(reported[1]), rel=1e-5)
    assert {point["learning_rate"] for point in plain.notes["curve"]} == {2e-3}


def test_a_wsd_schedule_stays_up_until_the_last_fifth(tmp_path, student):
    context = train(tmp_path, student, learning.rows(4), epochs=10, schedule="wsd", warmup=0.2)
    rates = [point["learning_rate"] for point in context.notes["curve"]]
    assert rates[0] < rates[1] < 2e-3
    assert rates[2:8] == [2e-3] * 6 and rates[9] < rates[8] <= 2e-3


def test_a_broken_number_names_the_rows_and_keeps_the_last_good_checkpoint(tmp_path, student):
    rows = [row | {"id": f"command {row['id']}"} for row in learning.rows(4)]
    with pytest.raises(PotstillError, match=r"became .* batch of the rows 'command .', 'command .'") as caught:
        train(
            tmp_path,
            student,
            rows,
            epochs=20,
            batch_size=2,
            learning_rate=1e30,
            clip=1e30,
            warmup=0,
            checkpoint_every=1,
        )
    [kept] = (tmp_path / "work" / "checkpoints").glob("checkpoint-*")
    assert f"are kept in {kept}" in str(caught.value) and "lower the learning_rate (1e+30 now)" in str(caught.value)
    from safetensors.torch import load_file

    assert all(tensor.isfinite().all() for tensor in load_file(kept / "model.safetensors").values())


def test_memory_that_runs_out_names_what_helps(student):
    schedule = schedule_of(HardLabel(None, student=str(student), micro_batch_tokens=777), 1e-3)
    remedies = r"lower micro_batch_tokens \(777 now.*gradient_checkpointing=True.*qlora=True"
    with pytest.raises(PotstillError, match=remedies), memory_explained(schedule):
        torch.empty(2**60)
    with pytest.raises(RuntimeError, match="another thing"), memory_explained(schedule):
        raise RuntimeError("another thing")


def test_adapters_for_layers_that_the_model_lacks_are_refused_with_those_it_has(student):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(student)
    with pytest.raises(BadInput, match=r"'c_attn': the model has no such layer; .* down_proj, gate_proj"):
        check_targets(model, LoRA(targets=("q_proj", "c_attn")))
    with pytest.raises(BadInput, match="has no such layer"):
        check_targets(model, LoRA(targets=".*attention.*"))
    for targets in ("all-linear", ("q_proj", "self_attn.v_proj"), r".*\.layers\.0\..*q_proj"):
        check_targets(model, LoRA(targets=targets))


def test_trackers_that_are_not_installed_are_named_with_the_remedy(tmp_path, student, monkeypatch):
    with pytest.raises(MissingExtra, match=r'report_to=\("mlflow",\) needs the package mlflow'):
        train(tmp_path, student, report_to=("mlflow",))
    [problem] = HardLabel(None, student="x", report_to=("wandb", "csv")).check()
    assert problem.field == "report_to" and 'pip install "potstill[wandb]"' in problem.message
    monkeypatch.chdir(tmp_path)
    train(tmp_path / "csv", student, learning.rows(4), epochs=2, report_to=("csv",), validation=learning.rows(2))
    with next((tmp_path / "runs").glob("*/curve.csv")).open() as file:
        table = list(csv.DictReader(file))
    assert [line["step"] for line in table if line["loss"]] == ["1", "2"]
    assert all(float(line["validation_loss"]) > 0 for line in table if line["validation_loss"])


def test_what_cant_change_the_result_is_not_part_of_the_key():
    names = {name for name, _ in keyed_fields(HardLabel(None, student="x"))}
    assert {"validation", "patience", "evaluate_every", "precision"} <= names
    assert not {"processes", "gradient_checkpointing", "report_to", "micro_batch_tokens"} & names


def test_a_trainer_of_ones_own_is_keyed_by_what_it_does():
    class Own(HardLabel):
        def run(self, rows, student, context, *, validation=None):
            return super().run(rows.select(range(4)), student, context, validation=validation)

    assert any(name.endswith("Own.run") for name in class_code(Own))
    assert not class_code(HardLabel)


def test_a_trainer_that_another_one_runs_finds_all_set_up(tmp_path):
    step, context = HardLabel(None, student="x", processes=2), learning.context(tmp_path)
    rows = learning.dataset(learning.rows(1))
    with set_up(HardLabel(None, student="x"), {}, context, rows) as outer, set_up(step, {}, outer, None) as inner:
        assert inner is outer and inner.validation is rows
        assert inner.notes is context.notes and inner.common_work == context.work


def test_patience_without_validation_rows_is_refused():
    step = HardLabel(None, student="x", patience=2, evaluate_every=5)
    assert {problem.field for problem in step.check()} == {"patience", "evaluate_every"}
    assert not list(HardLabel(None, student="x", patience=2, validation=step).check())


def test_the_precision_is_what_was_asked_for():
    assert in_bf16("bfloat16") and not in_bf16("float32")


def test_what_is_best_and_when_to_stop_follow_from_the_log():
    log = [{"step": step, "validation_loss": loss} for step, loss in enumerate([3.0, 2.0, 2.0, 2.5, 1.9], 1)]
    assert best_step(log[:4]) == 2 and best_step(log) == 5 and best_step([{"step": 1, "loss": 1.0}]) is None
    assert is_exhausted(log[:4], 2) and not is_exhausted(log[:4], 3) and not is_exhausted(log, 1)
    assert not is_exhausted(log, 0) and not is_exhausted([], 2)
