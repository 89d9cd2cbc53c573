"""Teachers served by vLLM, whose own names are in `arguments.py` and `engine.py`."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from potstill.errors import Problem
from potstill.models.preload import ENGINE
from potstill.teachers.vllm.settings import Settings, missing

if TYPE_CHECKING:
    from potstill.teachers.protocol import Session


@dataclass(frozen=True)
class VLLM(Settings):
    """A teacher (or any chat model) run by vLLM (Kwon et al. 2023), in the step's process or in servers beside it.

    Log-probabilities are those of the temperature-1 distribution, whatever the sampling is; where the response is held
    to a form, of that distribution among the tokens that the form allows.
    """

    heavy: ClassVar[bool] = True

    @property
    def preload(self) -> tuple[str, ...]:
        """Modules that a step's process imports; of a server only the tokenizer is needed."""
        return ("transformers",) if self.is_served else ENGINE

    def check(self) -> Iterable[Problem]:
        """Yield what would keep the teacher from starting, without importing vLLM."""
        if importlib.util.find_spec("vllm") is None:
            yield Problem("", "teacher", str(missing()))
        if self.data_parallel > 1 and not self.is_served:
            text = f"data_parallel={self.data_parallel} needs several processes: add mode='server'"
            yield Problem("", "teacher", text)

    def open(self, *, threads: int) -> AbstractContextManager[Session]:
        """Load the model, or connect to a server that has; on exit free what was taken.

        Raises:
            MissingExtra: vLLM is not installed.
            BadInput: the model can't be loaded, or can't chat.
        """
        if self.is_served:
            from potstill.teachers.vllm.server import serve

            return serve(self, threads=threads)
        from potstill.teachers.vllm.engine import offline

        return offline(self, threads=threads)

    def service_gpus(self) -> dict[str, int]:
        """Return the GPUs of each server that steps share, by its name; nothing where there is none."""
        from potstill.teachers.vllm.replicas import service_names

        return dict.fromkeys(service_names(self), self.gpus_each) if self.is_served else {}

    def server_arguments(self) -> list[str]:
        """Return the command line of vLLM's OpenAI server for this model, without host, port and key.

        The server knows the model, with its adapter if there is one, by the name `vllm_arguments.SERVED_NAME`.
        """
        from potstill.teachers.vllm.arguments import command_line

        return command_line(self)
