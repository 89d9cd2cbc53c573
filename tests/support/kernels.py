"""What this machine's processor can serve: tests that want more are left out by name."""

from __future__ import annotations

import pytest

from potstill.compression.cpu_kernels import flags, int4_problem

HAS_INT4 = int4_problem(flags()) is None
"""Whether vLLM has its 4-bit kernel here."""
HAS_EXACT_INT8 = not flags() or any("vnni" in flag for flag in flags())
"""Whether vLLM's int8 products are exact: oneDNN's sums saturate on x86 processors without VNNI."""
needs_int4 = pytest.mark.skipif(not HAS_INT4, reason="vLLM has no 4-bit kernel on a processor without AVX-512")
