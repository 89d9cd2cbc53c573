from __future__ import annotations

from potstill.compression.processor import flags, int4_problem


def test_avx_512_serves_4_bits_and_avx2_does_not(tmp_path):
    old = tmp_path / "old"
    old.write_text("processor\t: 0\nflags\t\t: fpu sse avx2\nbugs\t\t:\n")
    new = tmp_path / "new"
    new.write_text("processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_bf16\n")
    assert flags(new) == {"fpu", "avx2", "avx512f", "avx512_bf16"}
    assert int4_problem(flags(new)) is None
    assert "no AVX-512" in (int4_problem(flags(old)) or "")


def test_where_nothing_can_be_read_nothing_is_said(tmp_path):
    assert int4_problem(flags(tmp_path / "missing")) is None
