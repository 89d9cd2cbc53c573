"""Columns of speed: no two runtimes in one."""

from potstill.reporting.kinds import ANSWERS
from potstill.reporting.model_table import Measured, Section
from potstill.reporting.speeds import UNNAMED, speed_columns


def model(label, runtime, speed, reference=False):
    metrics = {"sets": {}, "tokens_per_s": speed, "first_token_ms_p50": 9.0, "engine": {"runtime": runtime}}
    return Measured(label, label, metrics, None, reference=reference, rows={})


def test_models_of_one_runtime_share_the_columns():
    section = Section(ANSWERS, (model("a", "vLLM 0.32", 5.0, True), model("b", "vLLM 0.32", 6.0)))
    assert [one.title for one in speed_columns(section)] == ["Tokens/s", "First token, ms"]
    assert [speed_columns(section)[0].of(one) for one in section.models] == [5.0, 6.0]


def test_each_runtime_has_columns_of_its_own():
    section = Section(
        ANSWERS, (model("a", "vLLM 0.32", 5.0, True), model("b", "OpenVINO 2026", 6.0), model("c", "", 7.0))
    )
    columns = speed_columns(section)
    assert [one.title for one in columns[::2]] == [
        "Tokens/s, vLLM 0.32",
        "Tokens/s, OpenVINO 2026",
        f"Tokens/s, {UNNAMED}",
    ]
    shown = [[column.of(one) for one in section.models] for column in columns[::2]]
    assert shown == [[5.0, None, None], [None, 6.0, None], [None, None, 7.0]]


def test_a_model_whose_speed_is_unknown_makes_no_column():
    section = Section(ANSWERS, (model("a", "vLLM 0.32", 5.0, True), model("gguf", "transformers", None)))
    without = model("gguf", "transformers", None)
    without.metrics.pop("first_token_ms_p50")
    section = Section(ANSWERS, (section.models[0], without))
    assert len(speed_columns(section)) == 2


def test_a_step_that_loads_its_model_itself_runs_it_by_transformers_where_it_names_nothing():
    torch, onnx = model("a", "", 5.0, True), model("b", "onnxruntime 1.31", 6.0)
    torch.metrics["engine"] = {"threads": 1, "batch_size": 8}
    titles = [one.title for one in speed_columns(Section(ANSWERS, (torch, onnx)))]
    assert titles[::2] == ["Tokens/s, transformers", "Tokens/s, onnxruntime 1.31"]
