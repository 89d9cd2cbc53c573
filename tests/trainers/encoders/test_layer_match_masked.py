"""LayerMatch on plain text: a masked language model learns from another what stands behind the masks."""

import pytest
import torch

import learning
import tiny
from potstill.errors import BadInput
from potstill.trainers.encoders.layer_match import LayerMatch
from potstill.trainers.encoders.masked_language_model import Masking, example

TEXTS = [{"id": str(number), "text": text} for number, text in enumerate(tiny.CORPUS * 3)]
MASKING = Masking(mask=1, special=(0, 1, 2, 3), vocabulary=40, padding=0)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A masked language model of four layers; its unknown token serves as its mask."""
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    folder = tiny.encoder(tmp_path_factory.mktemp("teacher"), layers=4, seed=3)
    tokenizer = AutoTokenizer.from_pretrained(folder, mask_token="[UNK]")
    model = AutoModelForMaskedLM.from_pretrained(folder)
    # so that it has something to say
    model.cls.predictions.bias.data.copy_(torch.arange(len(tokenizer)) % 5 * 2.0)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


def train(folder, student, teacher, made=None, **fields):
    context = learning.context(folder)
    step = LayerMatch(
        None,
        student=str(student),
        teacher=str(teacher),
        task="masked-lm",
        **{"batch_size": 5, "learning_rate": 5e-3, **fields},
    )
    step.run(learning.dataset(TEXTS if made is None else made), str(student), str(teacher), context)
    return context


def test_the_student_learns_what_the_teacher_would_fill_in(tmp_path, teacher):
    from transformers import AutoModelForMaskedLM

    from potstill.steps.compression.keep_layers import KeepLayers

    half = learning.context(tmp_path / "half")
    KeepLayers(str(teacher)).run(str(teacher), half)
    student = tiny.encoder(tmp_path / "narrow", hidden=24)
    (tmp_path / "narrow" / "tokenizer_config.json").write_bytes((teacher / "tokenizer_config.json").read_bytes())
    context = train(tmp_path / "run", student, teacher, epochs=8, hidden=1.0)
    first, last = context.notes["curve"][0], context.notes["curve"][-1]
    assert set(first) > {"hard", "soft", "cosine", "hidden", "agreement"}
    assert last["soft"] < first["soft"] / 2 and last["cosine"] < first["cosine"]
    assert not any("projection" in name for name in learning.weights(context.out))
    assert AutoModelForMaskedLM.from_pretrained(context.out).config.num_hidden_layers == 2
    assert 'pipeline_tag: "fill-mask"' in (context.out / "README.md").read_text()
    again = train(tmp_path / "again", half.out, teacher, epochs=1)
    assert again.notes["curve"][0]["soft"] < first["soft"]


def test_targets_are_drawn_among_the_usual_tokens_as_many_as_were_counted():
    rows = [example([2, *range(5, 25), 3], MASKING.special), example([2, 7, 3], MASKING.special)]
    batch = MASKING.collate(rows)
    assert batch["counts"].tolist() == [3, 1] and len(batch["labels"]) == 4
    torch.manual_seed(0)
    fates = []
    for _ in range(300):
        shown, chosen = MASKING.drawn(batch)
        assert chosen.sum(dim=1).tolist() == [3, 1]
        assert not chosen[torch.isin(batch["input_ids"], torch.tensor(MASKING.special))].any()
        assert torch.equal(shown[~chosen], batch["input_ids"][~chosen])
        fates += [(int(new), int(old)) for new, old in zip(shown[chosen], batch["input_ids"][chosen], strict=True)]
    masked = sum(new == MASKING.mask for new, _ in fates) / len(fates)
    kept = sum(new == old for new, old in fates) / len(fates)
    assert masked == pytest.approx(0.8, abs=0.04) and kept == pytest.approx(0.1, abs=0.03)
    assert example([2, 3], MASKING.special) == "no text"


def test_what_fills_no_masks_is_refused(tmp_path, teacher):
    plain = tiny.encoder(tmp_path / "plain")
    with pytest.raises(BadInput, match="has no mask token"):
        train(tmp_path / "1", plain, plain)
    (plain / "tokenizer_config.json").write_bytes((teacher / "tokenizer_config.json").read_bytes())
    with pytest.raises(BadInput, match="is a BertModel and no masked language model"):
        train(tmp_path / "2", plain, plain)
    step = LayerMatch(None, student="x", teacher="y", task="masked-lm", classes=("a", "b"))
    assert [problem.field for problem in step.check()] == ["classes"] and step.needs() == {"rows": ("text",)}
