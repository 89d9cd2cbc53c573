"""The packed store: what goes in comes out, in few bytes, also through files; sidecars tell what it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import tiny
from fakes import EchoTeacher
from potstill.engine.rows import files as rows_on_disk
from potstill.errors import BadInput
from potstill.teachers.cache.soft_labels import (
    LARGEST_VOCABULARY,
    TOP_COLUMNS,
    Sidecar,
    TokenLabels,
    bytes_per_token,
    own_logprobs,
    pack_ids,
    sidecar_of,
    unpack_ids,
)

SIDECAR = Sidecar("a" * 16, "b" * 16, "c" * 16, "d" * 16, 32, "generated", "bfloat16", "vllm 0.32.0")


@pytest.mark.parametrize("vocabulary", [2, 400, 65_536, 65_537, 131_072, 151_936, 262_144, 2**31])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 8, 9, 1000])
def test_ids_of_any_vocabulary_come_back(vocabulary: int, count: int) -> None:
    ids = np.random.default_rng(count).integers(0, vocabulary, count)
    if count:
        ids[-1] = vocabulary - 1
    packed = pack_ids(ids)
    assert np.array_equal(unpack_ids(packed), ids)
    assert len(packed) <= 2 + count * max(16, (vocabulary - 1).bit_length()) / 8


def labels(draw: np.random.Generator, tokens: int, k: int, vocabulary: int) -> TokenLabels:
    """Return soft labels that compress as badly as any: unrelated ids and log-probabilities."""
    mass = draw.dirichlet(np.full(k + 1, 0.3), tokens)
    logs = np.log(np.sort(mass, axis=1)[:, :0:-1] + 1e-7)
    ids = np.stack([draw.choice(vocabulary, k, replace=False) for _ in range(tokens)])
    return TokenLabels(ids[:, 0], logs[:, 0], ids, logs)


@pytest.mark.parametrize(("k", "vocabulary"), [(16, 65_536), (32, LARGEST_VOCABULARY), (64, 151_936)])
def test_in_the_file_a_kept_entry_takes_at_most_four_and_a_half_bytes(tmp_path: Path, k: int, vocabulary: int) -> None:
    draw = np.random.default_rng(0)
    sidecar = SIDECAR.text
    result = [{"id": str(n), **labels(draw, 40, k, vocabulary).columns(SIDECAR)} for n in range(60)]
    rows_on_disk.write(iter(result), tmp_path)
    [file] = tmp_path.glob("*.parquet")
    group = pq.ParquetFile(file).metadata.row_group(0)
    sizes = {group.column(n).path_in_schema: group.column(n).total_compressed_size for n in range(group.num_columns)}
    total = sum(size for name, size in sizes.items() if name in TOP_COLUMNS)
    assert total / (60 * 40 * k) <= 4.5
    assert sizes["teacher_sidecar"] < 5 * len(sidecar)  # once a file, not once a row
    assert bytes_per_token(k, vocabulary) / k <= 4.5


def test_what_was_stored_comes_back_from_the_file_to_half_precision(tmp_path: Path) -> None:
    given = labels(np.random.default_rng(1), 30, 8, 100_000)
    rows_on_disk.write(iter([{"id": "x", **given.columns(SIDECAR)}]), tmp_path / "data")
    row = rows_on_disk.read(tmp_path / "data", tmp_path / "scratch")[0]
    actual = TokenLabels.read(row, 8)
    assert np.array_equal(actual.token_ids, given.token_ids)
    assert np.array_equal(actual.top_ids, given.top_ids)
    np.testing.assert_allclose(actual.top_logprobs, given.top_logprobs, rtol=2**-11)
    np.testing.assert_allclose(actual.token_logprobs, given.token_logprobs, rtol=2**-11)
    np.testing.assert_allclose(np.frombuffer(row["teacher_tail"], "<f2"), given.tail, rtol=2**-10, atol=1e-7)
    np.testing.assert_allclose(actual.tail, given.tail, atol=2e-3)
    assert Sidecar.parse(row["teacher_sidecar"], "row 'x'") == SIDECAR


def test_a_tokens_own_log_probability_is_found_among_the_kept_ones() -> None:
    own = own_logprobs(
        np.array([7, 3, 9]), np.array([[7, 1], [1, 3], [1, 2]]), np.array([[-0.1, -3], [-0.5, -1], [0, -9.0]])
    )
    assert own[:2].tolist() == pytest.approx([-0.1, -1.0])
    assert np.isnan(own[2])


def test_damaged_columns_and_sidecars_are_named() -> None:
    row = {"id": "r", **labels(np.random.default_rng(0), 3, 4, 50).columns(SIDECAR)}
    with pytest.raises(BadInput, match=r"row 'r': .* hold 3, 3, 12 and 12 values, which must be T, T, 5 T"):
        TokenLabels.read(row, 5)
    with pytest.raises(BadInput, match="can't be unpacked"):
        TokenLabels.read(row | {"teacher_top_ids": None}, 4)
    for text in (None, "{}", "no json", "[]"):
        with pytest.raises(BadInput, match="row 'r': its soft labels have no readable teacher_sidecar"):
            Sidecar.parse(text, "row 'r'")


def test_a_sidecar_changes_with_tokenizer_template_weights_and_prompt(tmp_path: Path) -> None:
    from potstill.teachers.vllm.teacher import VLLM

    folder = tiny.causal_lm(tmp_path / "a")
    other = tiny.causal_lm(tmp_path / "b", seed=1)
    words = tiny.causal_lm(tmp_path / "c", vocab_size=300)

    def made(model: Path, prompt: str = "answer.jinja") -> Sidecar:
        return sidecar_of(VLLM(str(model)), prompt=prompt, k=4, mode="generated")

    first = made(folder)
    assert made(folder) == first
    assert first.engine.startswith("vllm")
    assert first.dtype == "bfloat16"
    assert (made(other).tokenizer, made(other).template) == (first.tokenizer, first.template)
    assert made(other).teacher != first.teacher
    assert made(words).tokenizer != first.tokenizer
    assert made(folder, "{{ instruction }}").prompt != first.prompt
    (folder / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    assert made(folder).template != first.template


def test_a_teacher_that_shows_no_tokenizer_leaves_it_open() -> None:
    sidecar = sidecar_of(EchoTeacher(), prompt="answer.jinja", k=4, mode="generated")
    assert (sidecar.tokenizer, sidecar.template) == ("", "")
    assert sidecar.teacher and sidecar.engine == "EchoTeacher"
