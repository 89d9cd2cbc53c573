"""On-policy distillation: the student generates, and the teacher scores each of its tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Interval

from potstill.errors import BadInput, Problem
from potstill.models.edge import Model
from potstill.models.loading import config_of
from potstill.models.positions import positions_of
from potstill.prompts import answer_columns, render, required_variables
from potstill.trainers.language_models import vocabulary_check
from potstill.trainers.language_models.base import CausalTraining, Prepared, fit, prepare
from potstill.trainers.language_models.divergence import BETA, Divergence
from potstill.trainers.language_models.hard_label import text_example
from potstill.trainers.loop import student_model as students
from potstill.trainers.loop.context import set_up

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.compression.pretrained import PretrainedModel
    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource, Tokenizer
    from potstill.trainers.language_models.rollouts import Sampler, Writing
    from potstill.trainers.loop.context import TrainingContext
    from potstill.trainers.loop.examples import Example
    from potstill.trainers.loop.schedule import Reading

REMEDY = (
    "the teacher scores the student's very tokens, so both must share one vocabulary; for this pair take "
    "SequenceLevel, which learns from the teacher's text, or a loss made for two vocabularies (ULD)"
)
CHUNK = 256
"""Tokens whose logits are in memory at once."""


class OnPolicy(CausalTraining):
    """Train a student on texts that it generates itself, by the divergence from the teacher at every token.

    Generalized knowledge distillation (Agarwal et al. 2024, arXiv 2306.13649, algorithm 1), with the reverse KL of
    MiniLLM (Gu et al. 2024, arXiv 2306.08543) token by token unless `divergence` says otherwise. At each step the
    current student answers every prompt of the batch; the loss is temperature^2 * divergence, averaged over the
    generated tokens, and no gradient flows through the sampling. So the student learns from its own mistakes, which
    other texts don't contain, and needs no answers: rows hold what `prompt` needs. Both models must share one
    vocabulary and end their turns alike. A resumed run samples the same texts.

    >>> rows = LoadRows([{"instruction": "turn on the lamp"}, {"instruction": "lock the front door"}])
    >>> show(OnPolicy(rows, student=student, teacher=student, epochs=1, max_tokens=4))
    {'parameters': 1049984, 'zeros': 0.0, 'bits': 16}
    """

    # each process samples for its rows: the draws of equal prompts in a batch depend on their order in it
    unkeyed: ClassVar[frozenset[str]] = (CausalTraining.unkeyed - {"processes"}) | {"rows_at_once", "vllm_memory"}

    _: KW_ONLY
    teacher: Model
    """Model that scores the student's tokens: a teacher, a step, a folder or a Hub id; loaded beside the student."""
    divergence: Literal["reverse_kl", "forward_kl", "jensen_shannon"] = "reverse_kl"
    """Divergence of the distributions. Reverse KL keeps a small student to what the teacher finds likely, forward
    KL makes it cover all of it, `jensen_shannon` lies between them."""
    beta: Annotated[float, Interval(ge=0, le=1)] = BETA
    """Of `jensen_shannon`: the teacher's share of the mixture. 0 is forward KL, 1 reverse KL; 0.5 treats both alike."""
    on_policy_share: Annotated[float, Interval(gt=0, le=1)] = 1.0
    """Chance of a row, each time it comes, to be answered by the student; otherwise its own `output` is scored. The
    lambda of GKD, which draws it for a batch instead of a row."""
    max_tokens: Annotated[int, Ge(1)] = 256
    """Longest text that the student generates; a prompt that leaves less room within `max_length` is left out."""
    temperature: Annotated[float, Gt(0)] = 1.0
    """Softens both distributions in the loss, which is multiplied by its square, as the gradient shrinks by that."""
    sampling_temperature: Annotated[float, Gt(0)] = 1.0
    """Divides the logits that the student samples from; at 1, as in GKD, texts are those of its own distribution."""
    sampler: Literal["auto", "transformers", "vllm"] = "auto"
    """Engine that generates the student's texts. vLLM needs a GPU and holds a second copy of the student; `auto` takes
    it where there is one."""
    rows_at_once: Annotated[int, Ge(1)] = 64
    """Texts that transformers generates at once; sets the memory."""
    vllm_memory: Annotated[float, Interval(gt=0, lt=1)] = 0.3
    """Share of the GPU's memory that vLLM may take."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the prompt needs, and the answers if some of them are scored."""
        answers = answer_columns(self.prompt) if self.on_policy_share < 1 else ()
        return {"rows": (*required_variables(self.prompt), *answers)}

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters, and with the vocabularies where both are at hand."""
        yield from super().check()
        yield from Divergence(self.divergence, self.beta).problems(self.temperature)
        if self.max_tokens >= self.max_length:
            yield Problem(
                "", "max_tokens", f"is {self.max_tokens}, which leaves no prompt within max_length={self.max_length}"
            )
        if self.sharding:
            text = "splits the student, but each process needs it whole to write: leave it out, or train by SoftLabel"
            yield Problem("", "sharding", text)
        folders = [vocabulary_check.plain_folder(model) for model in (self.teacher, self.student)]
        vocabularies = [vocabulary_check.vocabulary_of(folder) if folder else None for folder in folders]
        if vocabularies[0] is not None and vocabularies[1] is not None:
            paddings = [vocabulary_check.padding_in(folder) if folder else None for folder in folders]
            message = vocabulary_check.difference(
                vocabularies[0], vocabularies[1], REMEDY, paddings=(paddings[0], paddings[1])
            )
            if message:
                yield Problem("", "student", message)

    def recipe(self) -> dict[str, object]:
        """Return the parameters that the model card names."""
        return {
            **super().recipe(),
            "divergence": self.divergence,
            **({"beta": self.beta} if self.divergence == "jensen_shannon" else {}),
            "on-policy share": self.on_policy_share,
            "temperature": self.temperature,
            "sampling temperature": self.sampling_temperature,
            "longest text": self.max_tokens,
        }

    def figures(self, learned: Mapping[str, float], context: Context) -> Mapping[str, float]:
        """Return the metrics of the training, with those of the student's texts at its end."""
        from potstill.trainers.language_models.on_policy_objective import lengths

        context.notes["written"] = written = [lengths(point) for point in context.notes["curve"]]
        rest = {name: value for name, value in learned.items() if name != "target tokens"}
        return rest | {name: value for name, value in (written or [{}])[-1].items() if name != "step"}

    def run(
        self,
        rows: Dataset,
        student: ModelSource,
        teacher: ModelSource,
        context: Context,
        *,
        validation: Dataset | None = None,
    ) -> Path:
        """Train the student on `rows` and write its folder."""
        inputs = {"rows": rows, "student": student, "teacher": teacher}
        with set_up(self, inputs, context, validation) as training:
            return self._trained(rows, students.folder_of(student), teacher, training)

    def _trained(self, rows: Dataset, folder: Path, teacher: ModelSource, context: TrainingContext) -> Path:
        """Train the student in `folder`, and return the folder that is written."""
        from potstill.trainers.language_models.on_policy_objective import OnPolicyObjective, drawn
        from potstill.trainers.language_models.rollouts import Mixture, steps_to_come
        from potstill.trainers.language_models.soft_objective import SoftObjective, live
        from potstill.trainers.loop.schedule import CAUSAL

        check_pair(folder, teacher, context)
        longest = self._longest_prompt(folder)

        def example_of(row: Mapping[str, Any], tokenizer: Tokenizer) -> Example | str:
            example = self._example(row, tokenizer)
            if isinstance(example, str) or example.prompt <= longest:
                return example
            return f"the prompt is longer than {longest} tokens, which leaves no room for {self.max_tokens}"

        prepared = prepare(self, rows, folder, context, example_of)
        writing = self._writing(prepared, students.folder_of(teacher))
        divergence = Divergence(self.divergence, self.beta)
        soft = SoftObjective(1.0, self.temperature, divergence, live(teacher, CAUSAL), CHUNK)

        def reading_of(model: PretrainedModel) -> Reading:
            sampler = self._sampler(model, prepared, writing)
            return drawn(Mixture(sampler, self.on_policy_share, self.seed, steps_to_come(context.common_work)))

        return fit(self, prepared, OnPolicyObjective(soft, writing.ends), context, reading_of)

    def _example(self, row: Mapping[str, Any], tokenizer: Tokenizer) -> Example | str:
        """Return a row's prompt with its answer; where no answers are scored, with an end token in place of one."""
        from potstill.models.chat import end_of_turn, prompt_ids
        from potstill.trainers.loop.examples import Example

        if self.on_policy_share < 1:
            return text_example(row, tokenizer, self.prompt)
        prompt = prompt_ids(tokenizer, render(self.prompt, row))
        return Example([*prompt, end_of_turn(tokenizer)], len(prompt))

    def _longest_prompt(self, folder: Path) -> int:
        """Return the longest prompt, in tokens, that leaves room for a text.

        Raises:
            BadInput: none does.
        """
        positions = positions_of(config_of(folder)) or self.max_length
        longest = min(self.max_length, positions) - self.max_tokens
        if longest < 1:
            raise BadInput(
                f"max_tokens is {self.max_tokens}, but the student has only {positions} positions: lower max_tokens"
            )
        return int(longest)

    def _writing(self, prepared: Prepared, teacher: Path) -> Writing:
        """Return how the student's texts are generated."""
        from potstill.trainers.language_models.rollouts import Writing

        sizes = (config_of(folder).get_text_config().vocab_size for folder in (prepared.folder, teacher))
        ends = ends_of(prepared.folder, prepared.tokenizer)
        return Writing(self.max_tokens, self.sampling_temperature, ends, min(sizes))

    def _sampler(self, model: PretrainedModel, prepared: Prepared, writing: Writing) -> Sampler:
        """Return what generates the texts of `model`.

        Raises:
            BadInput: vLLM is asked for where it can't run.
        """
        import torch

        from potstill.trainers.language_models.rollouts import TransformersSampler

        gpu = torch.cuda.is_available()
        if self.sampler == "vllm" and not gpu:
            raise BadInput("sampler is vllm, which shares a GPU with the training, and there is none: leave it out")
        if self.sampler == "transformers" or not gpu or (self.sampler == "auto" and not find_spec("vllm")):
            return TransformersSampler(model, writing, self.rows_at_once)
        from potstill.trainers.language_models.trl_vllm import VLLMSampler

        return VLLMSampler(model, prepared.tokenizer, prepared.folder, writing, self.max_length, self.vllm_memory)


def check_pair(student: Path, teacher: ModelSource, context: Context) -> None:
    """Check that a teacher can score what a student generates.

    Raises:
        BadInput: it can't, or the student would not learn to stop.
    """
    from potstill.models.chat import end_of_turn
    from potstill.trainers.language_models.architecture import ENCODER_DECODER, architecture_of, check_alike

    check_alike(student, teacher, "")
    if architecture_of(student) is ENCODER_DECODER:
        raise BadInput("OnPolicy trains causal models; for an encoder-decoder take SequenceLevel or SoftLabel")
    if getattr(teacher, "system", None):
        raise BadInput(
            "the teacher has a system prompt of its own, which the student's tokens don't hold: put it into the "
            "template's system block"
        )
    student_tokenizer, teacher_tokenizer = (
        students.load_tokenizer(folder) for folder in (student, students.folder_of(teacher))
    )
    paddings = (vocabulary_check.padding_in(students.folder_of(teacher)), vocabulary_check.padding_in(student))
    message = vocabulary_check.difference(
        teacher_tokenizer.get_vocab(), student_tokenizer.get_vocab(), REMEDY, paddings=paddings
    )
    if message:
        raise BadInput(message)
    ends = [tokens.convert_ids_to_tokens([end_of_turn(tokens)])[0] for tokens in (student_tokenizer, teacher_tokenizer)]
    if ends[0] != ends[1]:
        raise BadInput(
            f"the student ends its turn with {ends[0]!r}, the teacher with {ends[1]!r}: scored by this "
            "teacher it would never learn to stop, and its texts "
            "would grow. Put the teacher's chat_template.jinja and its eos_token (tokenizer_config.json) into the "
            "student's folder, train it on the teacher's texts with HardLabel or SequenceLevel first, and take the "
            "result as the student here"
        )
    if student_tokenizer.chat_template != teacher_tokenizer.chat_template:
        text = "the student's chat template isn't the teacher's, which scores texts after prompts of a form new to it"
        context.notes.setdefault("warnings", []).append(text)
        context.logger.warning(text)


def ends_of(folder: Path, tokenizer: Tokenizer) -> tuple[int, ...]:
    """Return the tokens at which the model in `folder` stops writing when it is served: its end of turn first."""
    from transformers import GenerationConfig

    from potstill.models.chat import end_of_turn

    try:
        more = GenerationConfig.from_pretrained(folder).eos_token_id
    except OSError:
        more = None
    others = [] if more is None else more if isinstance(more, list) else [more]
    return tuple(dict.fromkeys((end_of_turn(tokenizer), tokenizer.eos_token_id, *others)))
