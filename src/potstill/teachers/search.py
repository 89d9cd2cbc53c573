"""Decoding with transformers: greedy, by beam search, or by drawing; causal models and encoder-decoders alike.

Only the search changes what is written: a model's own settings, such as a repetition penalty, are left out. What is
drawn for a prompt depends on its seed, not on the batch, up to the rounding of the type that is computed in.

Shapes: B prompts of a batch, L tokens of the longest, V vocabulary, T tokens written.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from potstill.models import chat, encoder_decoder
from potstill.models.embeddings import check_tokens, embedded_tokens
from potstill.models.positions import positions_of

if TYPE_CHECKING:
    from torch import Tensor

    from potstill.models.chat import Messages

Method = Literal["greedy", "beam", "best_of"]
"""How an output is searched for."""
KEPT = ("decoder_start_token_id", "forced_bos_token_id", "bad_words_ids")
"""Settings of a model without which it can't write at all: mBART's target language, Marian's padding token."""


@dataclass(frozen=True)
class Search:
    """How an output is searched for."""

    method: Method = "greedy"
    """`greedy` takes the most probable token each time, `beam` keeps the best `beams` outputs so far (Sutskever et al.
    2014, arXiv 1409.3215, section 3.2), `best_of` draws `samples` and ranks them."""
    beams: int = 5
    """Width of the beam."""
    samples: int = 10
    """Outputs drawn."""
    temperature: float = 1.0
    """Of the drawing."""
    length_penalty: float = 1.0
    """Power of the length that an output's log-probability is divided by: 0 favours short outputs, 1 takes the mean."""
    max_tokens: int = 128
    """Longest output."""

    @property
    def draws(self) -> int:
        """Return how often a prompt is written to; a beam is one time."""
        return self.samples if self.method == "best_of" else 1

    def identity(self) -> dict[str, Any]:
        """Return what one time's outputs depend on, before they are ranked."""
        own: dict[str, Any] = {
            "greedy": {},
            "beam": {"beams": self.beams, "length_penalty": self.length_penalty},
            "best_of": {"temperature": self.temperature},
        }[self.method]
        return {"method": self.method, "max_tokens": self.max_tokens, **own}

    def ranked(self, hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
        """Return whole outputs before cut ones, and of each the best first."""
        return sorted(
            hypotheses,
            key=lambda hypothesis: (hypothesis.finish_reason != "stop", -hypothesis.score(self.length_penalty)),
        )


@dataclass(frozen=True)
class Hypothesis:
    """One output."""

    text: str
    """It, without special tokens."""
    finish_reason: str
    """`stop`, or `length` when it was cut."""
    logprob: float
    """Its log-probability, the end token included; not a number where the teacher gives none."""
    tokens: int
    """Its length, the end token included."""

    def score(self, length_penalty: float) -> float:
        """Return the log-probability divided by a power of the length; the least of all where there is none."""
        return self.logprob / max(1, self.tokens) ** length_penalty if self.logprob == self.logprob else float("-inf")


class Decoder:
    """A model that is loaded and writes."""

    runtime = "transformers"
    """What runs it."""

    def __init__(self, folder: Path, dtype: str, threads: int) -> None:
        """Load the model in `folder` to compute in `dtype`.

        Raises:
            BadInput: it can't be loaded, or its tokenizer can't end a text.
        """
        import torch
        from transformers import AutoTokenizer, GenerationConfig

        torch.set_num_threads(max(1, threads))
        self.dtype = dtype
        self.two_sided = encoder_decoder.is_encoder_decoder(folder)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        (encoder_decoder if self.two_sided else chat).check_tokenizer(self.tokenizer)
        model = encoder_decoder.load(folder, "be loaded", {"dtype": dtype})
        own = model.generation_config
        named = own.eos_token_id if isinstance(own.eos_token_id, list) else [own.eos_token_id]
        self.ends = sorted(
            {
                self.tokenizer.eos_token_id,
                chat.end_of_turn(self.tokenizer),
                *(token for token in named if token is not None),
            }
        )
        settings = {name: _first(getattr(own, name, None), getattr(model.config, name, None)) for name in KEPT}
        self._kept = {name: value for name, value in settings.items() if value is not None}
        model.generation_config = GenerationConfig()  # or what ours leaves open would come from the model's own
        self.model: Any = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        self._embedded = embedded_tokens(model)
        self.positions: int | None = positions_of(model.config)

    def ids(self, messages: Messages) -> list[int]:
        """Return the tokens of a prompt.

        Raises:
            BadInput: the model lacks one of them.
        """
        read = encoder_decoder.source_ids if self.two_sided else chat.prompt_ids
        ids = read(self.tokenizer, messages)
        check_tokens(max(ids, default=0), self._embedded)
        return ids

    def refusal(self, ids: Sequence[int], max_tokens: int) -> str:
        """Return why a prompt of these tokens can't be answered by up to `max_tokens`, or nothing."""
        if self.positions is None:
            return ""
        needed = max(len(ids), max_tokens + 1) if self.two_sided else len(ids) + max_tokens
        if needed <= self.positions:
            return ""
        return f"{len(ids)} tokens of the prompt and {max_tokens} of the output: the model has {self.positions} places"

    def write(self, prompts: Sequence[Sequence[int]], search: Search, seeds: Sequence[int]) -> list[list[Hypothesis]]:
        """Return the outputs of each prompt: those of the beam, best first, or one; `seeds` are for drawing."""
        import torch

        inputs, settings = self._inputs(prompts), self._settings(search)
        with torch.inference_mode():
            if search.method == "beam":
                output = self.model.generate(**inputs, generation_config=settings)
                return self._of_beam(output.sequences, output.sequences_scores, max(map(len, prompts)), search)
            drawing = Drawing(seeds, search.temperature if search.method == "best_of" else 0.0, self.ends)
            hooks = {"logits_processor": [drawing.draw], "stopping_criteria": [drawing.done]}
            self.model.generate(**inputs, generation_config=settings, **hooks)
        rows = zip(torch.stack(drawing.drawn, dim=1).tolist(), drawing.logprob.tolist(), strict=True)
        return [[self._hypothesis(ids, logprob)] for ids, logprob in rows]

    def _inputs(self, prompts: Sequence[Sequence[int]]) -> dict[str, Tensor]:
        """Return the tokens and the mask [B, L] of prompts.

        A causal model's are padded on the left, so that all outputs start at one place; an encoder's on the right.
        """
        import torch

        longest = max(map(len, prompts))
        ids, mask = (torch.zeros(len(prompts), longest, dtype=torch.long, device=self.model.device) for _ in range(2))
        for row, prompt in enumerate(prompts):
            place = slice(0, len(prompt)) if self.two_sided else slice(longest - len(prompt), longest)
            ids[row, place] = torch.tensor(prompt, device=ids.device)
            mask[row, place] = 1
        return {"inputs": ids, "attention_mask": mask}

    def _settings(self, search: Search) -> Any:
        """Return what `generate` is to do."""
        from transformers import GenerationConfig

        padding = self.tokenizer.pad_token_id
        settings = GenerationConfig(
            do_sample=False,
            max_new_tokens=search.max_tokens,
            eos_token_id=self.ends,
            pad_token_id=self.ends[0] if padding is None else padding,
            **self._kept,
        )
        if search.method == "beam":
            settings.num_beams = settings.num_return_sequences = search.beams
            settings.length_penalty = search.length_penalty
            settings.return_dict_in_generate = settings.output_scores = True
        return settings

    def _of_beam(self, sequences: Tensor, scores: Tensor, longest: int, search: Search) -> list[list[Hypothesis]]:
        """Return what `generate` found, `beams` for each prompt."""
        # a decoder of its own starts with one token, another one with the prompt
        start = 1 if self.two_sided else longest
        hypotheses = []
        for ids, score in zip(sequences[:, start:].tolist(), scores.tolist(), strict=True):
            length = self._length(ids)
            # transformers divides by a power of the length; what is kept is the log-probability itself
            hypotheses.append(self._hypothesis(ids, score * length**search.length_penalty))
        return [hypotheses[first : first + search.beams] for first in range(0, len(hypotheses), search.beams)]

    def _length(self, ids: Sequence[int]) -> int:
        """Return how many of the tokens are the output's, the first end token included."""
        return next((place + 1 for place, token in enumerate(ids) if token in self.ends), len(ids))

    def _hypothesis(self, ids: Sequence[int], logprob: float) -> Hypothesis:
        """Return an output from its tokens, and what fills up the batch after them."""
        own = ids[: self._length(ids)]
        text = str(self.tokenizer.decode(own, skip_special_tokens=True))
        return Hypothesis(text, "stop" if own and own[-1] in self.ends else "length", logprob, len(own))


class Drawing:
    """Draws each prompt's next token by its own random numbers; hooks into transformers' `generate`.

    As a logits processor it leaves `generate` one token to take, and as a stopping criterion it names those that are
    finished.
    """

    def __init__(self, seeds: Sequence[int], temperature: float, ends: Sequence[int]) -> None:
        """Draw at `temperature`, 0 being the most probable token, until one of `ends`."""
        self._random = [random.Random(seed) for seed in seeds]
        self._temperature = temperature
        self._ends = ends
        self._live: Any = None
        self.logprob: Any = 0.0
        self.drawn: list[Any] = []

    def draw(self, _ids: Tensor, logits: Tensor) -> Tensor:
        """Return scores [B, V] that leave the token that was drawn."""
        import torch

        from potstill.teachers.token_sampling import choose

        logprobs = torch.log_softmax(logits.float(), -1)
        rules = torch.tensor([[self._temperature, 1.0, rng.random()] for rng in self._random], dtype=torch.float64)
        drawn = choose(logprobs, *rules.to(logits.device).unbind(-1))
        own = logprobs.gather(-1, drawn[:, None]).squeeze(-1).double()
        live = torch.ones_like(drawn, dtype=torch.bool) if self._live is None else self._live
        self.logprob = self.logprob + torch.where(live, own, 0.0)
        self._live = live & ~torch.isin(drawn, torch.tensor(self._ends, device=drawn.device))
        self.drawn.append(torch.where(live, drawn, self._ends[0]))
        return torch.full_like(logits, -torch.inf).scatter(-1, drawn[:, None], 0.0)

    def done(self, _ids: Tensor, _scores: object) -> Tensor:
        """Return [B] which prompts are done."""
        done: Tensor = ~self._live
        return done


def _first(*values: Any) -> Any:
    """Return the first value that is given, if any."""
    return next((value for value in values if value is not None), None)
