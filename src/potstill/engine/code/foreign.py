"""Tables, arrays, tensors and templates of well-known libraries, by content; none of them is imported for it."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from potstill.engine.code.walk import Encoded, Walk
from potstill.engine.digests import file_digest, path_digest

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from datasets import Dataset, DatasetDict

    ArrowValue: TypeAlias = pa.Table | pa.RecordBatch | pa.Array | pa.Scalar | pa.Schema | pa.Field | pa.DataType

_ROWS = 65536
"""Rows of a table that are written at once."""


def encode_foreign(walk: Walk, value: object, label: str) -> Encoded | None:
    """Return what stands for a value of a known library; None for anything else."""
    for cls in type(value).__mro__:
        encode = _BY_LIBRARY.get(cls.__module__.partition(".")[0])
        encoded = encode(walk, value, cls.__name__, label) if encode is not None else None
        if encoded is not None:
            extra = [] if cls is type(value) else [walk.encode(type(value), label)]
            attributes = getattr(value, "__dict__", {}) if extra and cls.__module__.startswith("numpy") else {}
            metadata_names = getattr(value, "_metadata", ()) if extra and cls.__module__.startswith("pandas") else ()
            # the content of a mapped array is in it, whatever it is mapped by
            attributes = {name: one for name, one in attributes.items() if name != "_mmap"}
            attributes |= {name: getattr(value, name, None) for name in metadata_names}
            return [*encoded, *extra, *walk.encode_named(dict(attributes), label)]
    return None


def _numpy(walk: Walk, value: Any, kind: str, label: str) -> Encoded | None:
    """Return an array or number of NumPy by content; objects in it one by one."""
    if kind == "dtype":
        return ["dtype", str(value), walk.encode(dict(value.metadata or {}), label)]
    if kind == "ufunc":
        import numpy as np

        name = str(getattr(value, "__name__", ""))
        return ["ufunc", name] if getattr(np, name, None) is value else walk.refuse(value, label)
    if kind not in ("ndarray", "generic"):
        return None
    # code may ask whether it can write, so that a read-only array is another value
    fixed = kind == "ndarray" and not value.flags.writeable
    order = [] if kind == "generic" else memory_order(value)
    return [*_array(walk, value, label), *(["can't be written"] if fixed else []), *order]


def memory_order(array: np.ndarray[Any, Any]) -> Encoded:
    """Return how an array lies in memory if not row by row: `ravel("K")` and the order of sums depend on it."""
    return [] if array.flags.c_contiguous else ["strides", list(array.strides)]


def _array(walk: Walk, value: np.ndarray[Any, Any] | np.generic, label: str) -> Encoded:
    """Return an array or number by type, shape and content."""
    walk.remember(value, label)
    start: Encoded = ["array", str(value.dtype), list(value.shape)]
    mask = walk.encode(value.mask, label) if hasattr(value, "mask") and hasattr(value, "fill_value") else []
    # of a masked array: what lies under the mask counts, as code may lift it
    value = getattr(value, "data", value) if mask else value
    # the bytes of an array of objects are addresses
    if value.dtype.hasobject:
        return [*start, walk.encode(value.tolist(), label), mask]
    return [*start, hashlib.sha256(value.tobytes()).hexdigest(), mask]


def _pandas(walk: Walk, value: Any, kind: str, label: str) -> Encoded | None:
    """Return a frame, series or index of pandas by content: columns, types, index, names."""
    if kind == "DataFrame":
        walk.remember(value, label)
        # by place: a frame may have two columns of one name
        columns = [_pandas(walk, value.iloc[:, place], "Series", label) for place in range(value.shape[1])]
        return [
            "frame",
            _pandas(walk, value.columns, "Index", label),
            columns,
            _pandas(walk, value.index, "Index", label),
            walk.encode(dict(value.attrs), label),
            value.flags.allows_duplicate_labels,
        ]
    if kind not in ("Series", "Index"):
        return None
    walk.remember(value, label)
    attributes = dict(getattr(value, "attrs", {}))
    names = list(value.names) if kind == "Index" else [value.name]
    index = _pandas(walk, value.index, "Index", label) if kind == "Series" else []
    content = _array(walk, value.to_numpy(), label)
    steps = str(getattr(value, "freq", None)) if kind == "Index" else ""
    return [
        kind,
        str(value.dtype),
        walk.encode(names, label),
        content,
        index or [],
        steps,
        _categories(walk, value, label),
        *([walk.encode(attributes, label)] if attributes else []),
    ]


def _categories(walk: Walk, value: Any, label: str) -> Encoded:
    """Return the categories of a categorical series or index, in their order."""
    categories = getattr(value.dtype, "categories", None)
    return [] if categories is None else walk.encode([list(categories), bool(value.dtype.ordered)], label)


def _arrow(walk: Walk, value: ArrowValue, kind: str, label: str) -> Encoded | None:
    """Return a table, batch or array of Arrow by content."""
    import pyarrow as pa

    if kind in ("RecordBatch",):
        value, kind = pa.Table.from_batches([value]), "Table"
    if kind in ("Array", "ChunkedArray"):
        value, kind = pa.table({"": value}), "Table"
    if kind == "Table":
        sink = hashlib.sha256()
        # as a stream of one chunk a batch: how a table is cut into chunks is no content
        with pa.ipc.new_stream(_Sink(sink), value.schema) as writer:
            whole = value.combine_chunks()
            for first in range(0, len(whole), _ROWS):  # taken out of what they may be a part of, by their offsets
                part = range(first, min(first + _ROWS, len(whole)))
                writer.write_table(whole.take(pa.array(part, pa.int64())).combine_chunks())
        return ["table", sink.hexdigest()]
    if kind == "Scalar":
        return _arrow(walk, pa.array([value.as_py()], value.type), "Array", label)
    if kind in ("Field", "DataType"):
        value = pa.schema([value if kind == "Field" else pa.field("", value)])
    if kind in ("Schema", "Field", "DataType"):
        return ["arrow", kind, hashlib.sha256(value.serialize()).hexdigest()]
    return None


class _Sink:
    """A file that only takes the digest of what is written."""

    closed = False

    def __init__(self, digest: hashlib._Hash) -> None:
        self._digest = digest

    def write(self, data: bytes | memoryview) -> int:
        """Take the digest of some bytes."""
        self._digest.update(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def writable(self) -> bool:
        """Return that it can be written."""
        return True

    def readable(self) -> bool:
        """Return that it can't be read."""
        return False

    def seekable(self) -> bool:
        """Return that it has no positions."""
        return False


def _datasets(walk: Walk, value: Dataset | DatasetDict, kind: str, label: str) -> Encoded | None:
    """Return a dataset by its rows and their format."""
    if kind == "DatasetDict":
        return ["data sets", *([name, walk.encode(value[name], label)] for name in value)]
    if kind != "Dataset":
        return None
    walk.remember(value, label)
    rows = value.with_format("arrow")[:].replace_schema_metadata(None)  # holds a fingerprint
    table = _arrow(walk, rows, "Table", label)
    return ["data set", table, repr(value.features), walk.encode(dict(value.format), label)]


def _torch(walk: Walk, value: Any, kind: str, label: str) -> Encoded | None:
    """Return a tensor by type, shape and content."""
    import torch

    if kind in ("dtype", "device", "Size", "layout", "memory_format"):
        return ["torch", str(value)]
    if kind == "Generator":
        return ["torch", hashlib.sha256(value.get_state().numpy().tobytes()).hexdigest()]
    if kind != "Tensor" and kind != "TensorBase":
        return None
    # no plain bytes behind it: sparse, quantized, or on the meta device
    if value.layout is not torch.strided or value.is_quantized or value.is_meta:
        return walk.refuse(value, label)
    walk.remember(value, label)
    # viewed as bytes: NumPy has no bfloat16
    flat = value.detach().cpu().contiguous().flatten().view(torch.uint8)
    return [
        "tensor",
        str(value.dtype),
        list(value.shape),
        *([] if value.is_contiguous() else [list(value.stride())]),
        value.requires_grad,
        hashlib.sha256(flat.numpy().tobytes()).hexdigest(),
    ]


def _jinja(walk: Walk, value: Any, kind: str, label: str) -> Encoded | None:
    """Return a template, environment or loader of Jinja: what was compiled, and the files it may load."""
    if kind == "Template":
        walk.remember(value, label)
        blocks = {name: block.__code__ for name, block in value.blocks.items()}
        return [
            "template",
            value.name,
            walk.encode(value.root_render_func.__code__, label),
            walk.encode_named(blocks, label),
            walk.encode(value.environment, label),
            walk.encode_named({k: v for k, v in value.globals.items() if isinstance(k, str)}, label),
        ]
    if kind == "Environment":
        walk.remember(value, label)
        state = {name: one for name, one in vars(value).items() if name not in ("cache", "_lexer", "extensions")}
        kinds = [walk.encode(type(value.extensions[name]), label) for name in sorted(value.extensions)]
        return ["environment", kinds, *walk.encode_named(state, label)]
    if kind == "FileSystemLoader":
        return ["loader", [path_digest(Path(folder)) for folder in value.searchpath if Path(folder).exists()]]
    if kind == "PackageLoader":
        return ["loader", value.package_name, path_digest(Path(value._template_root))]
    return None


def _ctypes(walk: Walk, value: object, kind: str, label: str) -> Encoded | None:
    """Return a shared library by the bytes of its file; a field of a structure by its type and place."""
    if kind == "CField":
        return ["field", repr(value)]
    if not isinstance(value, ctypes.CDLL):
        return None
    file = Path(value._name or "")
    return ["shared library", file_digest(file) if file.is_file() else str(value._name)]


_BY_LIBRARY: dict[str, Callable[[Walk, Any, str, str], Encoded | None]] = {
    "numpy": _numpy,
    "pandas": _pandas,
    "pyarrow": _arrow,
    "datasets": _datasets,
    "torch": _torch,
    "jinja2": _jinja,
    "ctypes": _ctypes,
    "_ctypes": _ctypes,
}
