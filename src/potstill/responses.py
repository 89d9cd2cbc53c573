"""Responses as the journal holds them, and sampling as their keys do.

Shapes: T tokens of the response, K kept entries a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from potstill.teachers.protocol import Response, Sampling

DTYPES = {"ids": "<i4", "top": "<i4", "log": "<f2", "own": "<f4"}
"""How the arrays are written."""


def spelled(sampling: Sampling) -> dict[str, Any]:
    """Return what a key holds of `sampling`: no penalty where it is 0, as older responses knew of none."""
    fields = asdict(sampling)
    if not sampling.presence_penalty:
        del fields["presence_penalty"]
    return fields


def pack(response: Response) -> dict[str, Any]:
    """Return plain data for the journal: 6 bytes a kept log-probability."""
    packed: dict[str, Any] = {
        "text": response.text,
        "finish": response.finish_reason,
        "prompt": response.prompt_tokens,
        "completion": response.completion_tokens,
    }
    for name, array in (
        ("ids", response.token_ids),
        ("top", response.top_ids),
        ("log", response.top_logprobs),
        ("own", response.token_logprobs),
    ):
        if array is not None:
            packed[name] = array.astype(DTYPES[name]).tobytes()
    if response.top_ids is not None:
        packed["k"] = response.top_ids.shape[1]
    return packed


def unpack(packed: Mapping[str, Any]) -> Response:
    """Return the response that was packed."""
    import numpy as np

    from potstill.teachers.protocol import Response

    def array(name: str, shape: tuple[int, ...]) -> NDArray[Any] | None:
        return np.frombuffer(packed[name], DTYPES[name]).reshape(shape) if name in packed else None

    k = packed.get("k", 1)
    return Response(
        packed["text"],
        packed["finish"],
        packed["prompt"],
        packed["completion"],
        array("ids", (-1,)),
        array("top", (-1, k)),
        array("log", (-1, k)),
        array("own", (-1,)),
    )
