"""Changes of an ONNX graph before and while its weights are quantized.

Shapes: V rows of a table, H its columns; I input and O output features of a linear layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import GraphProto, NodeProto, TensorProto

    from potstill.compression.quantization.rounding import Quantized

CONTRIB = "com.microsoft"
"""Domain of the operators that only ONNX Runtime has."""


def linear_as_matmul(graph: GraphProto) -> None:
    """Write every `Gemm` with a constant weight as `MatMul` and `Add`, which quantizers of weights look for.

    The one that gives the graph's output stays: a classifier's head is small, and the answers depend on it.
    """
    import numpy as np
    from onnx import helper, numpy_helper

    constants = _constants(graph)
    ends = {output.name for output in graph.output}

    def written(node: NodeProto) -> Iterator[NodeProto]:
        set_to = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        plain = set_to.get("alpha", 1.0) == set_to.get("beta", 1.0) == 1.0 and not set_to.get("transA", 0)
        if node.op_type != "Gemm" or node.output[0] in ends or not plain or node.input[1] not in constants:
            yield node
            return
        weight = numpy_helper.to_array(constants[node.input[1]])
        name, product = f"{node.name}/weight", f"{node.name}/product"
        turned = np.ascontiguousarray(weight.T if set_to.get("transB", 0) else weight)
        graph.initializer.append(numpy_helper.from_array(turned, name))
        yield helper.make_node("MatMul", [node.input[0], name], [product], name=f"{node.name}/matmul")
        yield helper.make_node("Add", [product, node.input[2]], list(node.output), name=f"{node.name}/add")

    _rewrite(graph, (new for node in graph.node for new in written(node)))


def tables_in_bytes(graph: GraphProto) -> list[str]:
    """Store every table of embeddings [V, H] in int8 with a scale a row, and return their names.

    Rows are rounded to nearest of 127 steps to each side of 0 up to their largest value. Looked up are the bytes, which
    then become floats: `DequantizeLinear` before `Gather` would be computed for the whole table when it is loaded.
    """
    from onnx import TensorProto, helper, numpy_helper

    constants, done = _constants(graph), []

    def written(node: NodeProto) -> Iterator[NodeProto]:
        table = _table(node, constants)
        if table is None:
            yield node
            return
        name = table.name
        if name not in done:
            whole, scales = rounded_rows(numpy_helper.to_array(table))
            graph.initializer.append(numpy_helper.from_array(whole, f"{name}_int8"))
            graph.initializer.append(numpy_helper.from_array(scales, f"{name}_scale"))
            done.append(name)
        whole_row, float_row, scale = (f"{node.name}/{part}" for part in ("int8", "float", "scale"))
        yield helper.make_node("Gather", [f"{name}_int8", node.input[1]], [whole_row], name=f"{node.name}/gather_int8")
        yield helper.make_node("Gather", [f"{name}_scale", node.input[1]], [scale], name=f"{node.name}/gather_scale")
        yield helper.make_node("Cast", [whole_row], [float_row], to=TensorProto.FLOAT, name=f"{node.name}/cast")
        yield helper.make_node("Mul", [float_row, scale], list(node.output), name=f"{node.name}/multiply")

    _rewrite(graph, (new for node in graph.node for new in written(node)))
    return done


def tables_in_nibbles(graph: GraphProto, group: int) -> list[str]:
    """Store every table of embeddings [V, H] in 4 bits with a scale for each `group` of a row, and return their names.

    Looked up by `GatherBlockQuantized`, a contrib operator of ONNX Runtime. Tables of another width stay as they are.
    """
    from onnx import helper, numpy_helper

    constants, done = _constants(graph), []

    def written(node: NodeProto) -> Iterator[NodeProto]:
        table = _table(node, constants)
        if table is None or table.dims[1] % group:
            yield node
            return
        name = table.name
        if name not in done:
            packed, scales = rounded_groups(numpy_helper.to_array(table), group)
            graph.initializer.append(numpy_helper.from_array(packed, f"{name}_int4"))
            graph.initializer.append(numpy_helper.from_array(scales, f"{name}_scale"))
            done.append(name)
        read = [f"{name}_int4", node.input[1], f"{name}_scale"]
        yield helper.make_node(
            "GatherBlockQuantized",
            read,
            list(node.output),
            name=node.name,
            domain=CONTRIB,
            gather_axis=0,
            quantize_axis=1,
            block_size=group,
            bits=4,
        )

    _rewrite(graph, (new for node in graph.node for new in written(node)))
    return done


def products_in_bytes(graph: GraphProto) -> None:
    """Compute every product with a constant weight [I, O] in int8: a scale for each of its O columns.

    The other factor is rounded while it runs, with one scale and zero point for all of its numbers
    (`DynamicQuantizeLinear`), the products are summed in int32 (`MatMulInteger`), and multiplied by both scales.
    """
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    constants, rounded = _constants(graph), set()

    def written(node: NodeProto) -> Iterator[NodeProto]:
        weight = constants.get(node.input[1]) if node.op_type == "MatMul" else None
        if weight is None or len(weight.dims) != 2:
            yield node
            return
        whole, scales = rounded_rows(numpy_helper.to_array(weight).T)
        for part, value in (("int8", np.ascontiguousarray(whole.T)), ("scale", scales[:, 0])):
            graph.initializer.append(numpy_helper.from_array(value, f"{weight.name}_{part}"))
        zeros = numpy_helper.from_array(np.zeros(len(whole), np.int8), f"{weight.name}_zero")
        graph.initializer.append(zeros)
        input_name = node.input[0]
        read = [f"{input_name}/{part}" for part in ("uint8", "scale", "zero")]
        if input_name not in rounded:
            rounded.add(input_name)
            yield helper.make_node("DynamicQuantizeLinear", [input_name], read, name=f"{input_name}/round")
        summed, real, scale = (f"{node.name}/{part}" for part in ("int32", "float", "scale"))
        factors = [read[0], f"{weight.name}_int8", read[2], zeros.name]
        yield helper.make_node("MatMulInteger", factors, [summed], name=f"{node.name}/multiply")
        yield helper.make_node("Cast", [summed], [real], to=TensorProto.FLOAT, name=f"{node.name}/cast")
        yield helper.make_node("Mul", [read[1], f"{weight.name}_scale"], [scale], name=f"{node.name}/scales")
        yield helper.make_node("Mul", [real, scale], list(node.output), name=f"{node.name}/scaled")

    _rewrite(graph, (new for node in graph.node for new in written(node)))


def rounded_rows(table: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the int8 numbers [V, H] and the scales [V, 1] of a table [V, H]."""
    rounded = _rounded(table, 8, None)
    return rounded.values.numpy(), rounded.scale.numpy()


def rounded_groups(table: NDArray[Any], group: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return a table [V, H] in 4 bits [V, H / 2], and its scales [V, H / group].

    A byte holds two numbers, each plus 8, the first in the lower four bits.
    """
    from potstill.compression.formats.gemma import pack

    rounded = _rounded(table, 4, group)
    return pack(rounded.values).numpy(), rounded.scale.numpy()


def _rounded(table: NDArray[Any], bits: int, group: int | None) -> Quantized:
    import torch

    from potstill.compression.quantization import rounding

    return rounding.quantize(torch.tensor(table), bits, group)


def _table(node: NodeProto, constants: Mapping[str, TensorProto]) -> TensorProto | None:
    """Return the float32 table that `node` looks rows up in, if it does."""
    from onnx import TensorProto

    if node.op_type != "Gather" or _axis(node):
        return None
    table = constants.get(node.input[0])
    return table if table is not None and table.data_type == TensorProto.FLOAT and len(table.dims) == 2 else None


def _constants(graph: GraphProto) -> dict[str, TensorProto]:
    return {tensor.name: tensor for tensor in graph.initializer}


def _axis(node: NodeProto) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)


def _rewrite(graph: GraphProto, nodes: Iterable[NodeProto]) -> None:
    """Let the graph have `nodes`, and only the constants that they read."""
    remaining = list(nodes)
    read = {name for node in remaining for name in node.input}
    constants = [tensor for tensor in graph.initializer if tensor.name in read]
    # a repeated field of protobuf takes no assignment
    del graph.node[:]
    graph.node.extend(remaining)
    del graph.initializer[:]
    graph.initializer.extend(constants)
