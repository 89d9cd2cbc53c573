"""A response comes back from the journal as it went in, and its key is that of its sampling."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from potstill.responses import pack, spelled, unpack
from potstill.teachers.protocol import Response, Sampling


def test_a_penalty_that_is_none_leaves_keys_as_they_were() -> None:
    assert spelled(Sampling()).keys() == Sampling.__dataclass_fields__.keys() - {"presence_penalty"}
    assert spelled(Sampling(presence_penalty=2.0)) == spelled(Sampling()) | {"presence_penalty": 2.0}


def test_packing_keeps_every_bit() -> None:
    response = Response(
        "héllo",
        "length",
        3,
        2,
        np.array([5, 70_000], np.int32),
        np.array([[1, 2, 3], [4, 5, 60_000]], np.int32),
        np.array([[-0.1, -2.5, -9.0], [-0.001, -7.0, -20.0]], np.float16),
    )
    back = unpack(pack(response))
    assert (back.text, back.finish_reason, back.prompt_tokens, back.completion_tokens) == ("héllo", "length", 3, 2)
    for name in ("token_ids", "top_ids", "top_logprobs"):
        before, after = getattr(response, name), getattr(back, name)
        assert after.dtype == before.dtype
        assert np.array_equal(before, after)
    assert unpack(pack(replace(response, token_ids=None, top_ids=None, top_logprobs=None))).top_ids is None
    assert sum(len(value) for value in pack(response).values() if isinstance(value, bytes)) == 2 * 4 + 6 * 6
