from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

from potstill.exporting.decoders.onnx_graph import linear_as_matmul, products_in_bytes, rounded_rows, tables_in_bytes  # noqa: E402
from potstill.exporting.encoders.onnx import EXACT  # noqa: E402

DRAW = np.random.default_rng(0)
TABLE = DRAW.normal(size=(9, 8)).astype(np.float32)
INNER, OUTER = DRAW.normal(size=(6, 8)).astype(np.float32), DRAW.normal(size=(3, 6)).astype(np.float32)
IDS = np.array([1, 8, 0, 1])


def graph():
    """Look up rows of a table, then two linear layers; the weights are stored [O, I]."""
    from onnx import TensorProto, helper, numpy_helper

    constants = {
        "table": TABLE,
        "inner": INNER,
        "b": np.arange(6, dtype=np.float32),
        "outer": OUTER,
        "c": np.ones(3, np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"], name="look"),
        helper.make_node("Gemm", ["rows", "inner", "b"], ["between"], name="one", transB=1),
        helper.make_node("Gemm", ["between", "outer", "c"], ["out"], name="two", transB=1),
    ]
    result = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(result, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(model):
    import onnxruntime

    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(*EXACT)
    return onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, {"ids": IDS})[0]


def expected(table):
    return (table[IDS] @ INNER.T + np.arange(6)) @ OUTER.T + 1


def test_linear_layers_become_products_but_for_the_last():
    model = graph()
    linear_as_matmul(model.graph)
    assert [node.op_type for node in model.graph.node] == ["Gather", "MatMul", "Add", "Gemm"]
    assert "inner" not in {tensor.name for tensor in model.graph.initializer}
    np.testing.assert_allclose(run(model), expected(TABLE), rtol=1e-4, atol=1e-4)


def test_tables_are_looked_up_as_bytes():
    model = graph()
    assert tables_in_bytes(model.graph) == ["table"]
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert stored["table_int8"].dtype == np.int8 and "table" not in stored
    np.testing.assert_allclose(run(model), expected(stored["table_int8"] * stored["table_scale"]), rtol=1e-4, atol=1e-4)


def test_products_are_those_of_the_rounded_numbers():
    """One scale and zero point for all looked-up numbers, which span 255 steps with 0; one scale for each output."""
    model = graph()
    linear_as_matmul(model.graph)
    products_in_bytes(model.graph)
    given = TABLE[IDS]
    step = (max(given.max(), 0) - min(given.min(), 0)) / 255
    zero = np.rint(-min(given.min(), 0) / step)
    read = (np.clip(np.rint(given / step) + zero, 0, 255) - zero) * step
    whole, scales = rounded_rows(INNER)
    between = read @ (whole * scales).T + np.arange(6)
    np.testing.assert_allclose(run(model), between @ OUTER.T + 1, rtol=1e-4, atol=1e-4)
    assert np.abs(run(model) - expected(TABLE)).max() > 1e-3
    assert [node.op_type for node in model.graph.node].count("MatMulInteger") == 1


def test_rows_are_rounded_to_nearest_within_their_own_range():
    whole, scales = rounded_rows(np.array([[0.5, -1.0, 0.0], [254.0, 127.0, -3.0], [0, 0, 0]], np.float32))
    assert whole.tolist() == [[64, -127, 0], [127, 64, -2], [0, 0, 0]]  # 63.5 and 1.5 go to the even number
    assert scales[:, 0].tolist() == pytest.approx([1 / 127, 2, 1])
    whole, scales = rounded_rows(TABLE)
    assert (np.abs(whole * scales - TABLE) <= scales * 0.5001).all()
