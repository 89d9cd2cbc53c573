"""LayerMatch: what a student learns from its teacher's layers, and that padding and splits don't change it."""

import pytest
import torch

import learning
import tiny
from potstill.errors import BadInput
from potstill.trainers.encoders import class_teacher
from potstill.trainers.encoders.base import load
from potstill.trainers.encoders.classifier import Classifier
from potstill.trainers.encoders.layer_map import checked, uniform
from potstill.trainers.encoders.layer_match import LayerMatch
from potstill.trainers.encoders.layer_objective import LayerObjective, Weights, row_means
from potstill.trainers.encoders.layer_tasks import read_classes
from potstill.trainers.encoders.text_batches import collate, labelled

WORDS = {"light": "turn on the light in the", "heat": "set the heating in the", "blind": "open the blinds in the"}
NAMES = ["blind", "heat", "light"]
FIELDS = {"epochs": 2, "batch_size": 6, "learning_rate": 5e-3}
ALL = {"alpha": 0.6, "temperature": 2.0, "cosine": 0.5, "hidden": 0.7, "attention": 2.0}
SHORT, LONG = labelled([2, 5, 6, 3], 1, None), labelled([2, 7, 8, 9, 10, 5, 6, 3], 0, None)


def rows(count=24):
    return [
        {"id": f"r{number}", "text": f"{WORDS[label]} {'kitchen ' * (number % 4 + 1)}", "label": label}
        for number in range(count)
        for label in [list(WORDS)[number % 3]]
    ]


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    """Two layers, 32 wide, two heads."""
    return tiny.encoder(tmp_path_factory.mktemp("student"))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A classifier of four layers, 48 wide, that has learned the rows."""
    wide = tiny.encoder(tmp_path_factory.mktemp("wide"), hidden=48, layers=4, seed=3)
    context = learning.context(tmp_path_factory.mktemp("teacher"))
    step = Classifier(None, student=str(wide), **{**FIELDS, "epochs": 8})
    return step.run(learning.dataset(rows()), str(wide), context)


def train(folder, student, teacher, made=None, progress=None, **fields):
    context = learning.context(folder, progress=progress)
    step = LayerMatch(None, student=str(student), teacher=str(teacher), **{**FIELDS, **fields})
    step.run(learning.dataset(rows() if made is None else made), str(student), str(teacher), context)
    return context


def objective(teacher, weights, pairs=((0, 1), (1, 3)), project=None):
    above = class_teacher.load(teacher, NAMES, "eager")
    return LayerObjective(
        weights,
        pairs,
        lambda inputs: above.output(inputs, **weights.wanted()),
        lambda output, seen: above.sorted(output),
        **({"project": project} if project else {}),
    )


def parts(student, teacher, examples, weights, width=None):
    """Return the parts of the loss and the gradient of a student without dropout, padded to `width`."""
    model = load(student, NAMES, 0, 0, "eager").eval()
    torch.manual_seed(1)
    project = torch.nn.Linear(32, 48, bias=False)
    batch = collate(examples, padding=0)
    if width:
        more = (0, width - batch["input_ids"].shape[1])
        batch |= {name: torch.nn.functional.pad(batch[name], more) for name in ("input_ids", "attention_mask")}
    seen = read_classes(model, batch, weights.wanted())
    result = objective(teacher, weights, project=project)(seen, batch)
    result.total().sum().backward()
    return result.parts, model.bert.encoder.layer[0].attention.self.query.weight.grad


@pytest.mark.parametrize("match", ["all", "first"])
def test_padding_changes_neither_parts_nor_gradient(student, teacher, match):
    weights = Weights(**ALL, match=match)
    alone, gradient = parts(student, teacher, [SHORT], weights)
    padded, padded_gradient = parts(student, teacher, [SHORT], weights, width=20)
    assert set(alone) == {"hard", "soft", "cosine", "hidden", "attention"}
    for name, values in alone.items():
        torch.testing.assert_close(padded[name], values)
        assert values.item() > 1e-6
    torch.testing.assert_close(padded_gradient, gradient)
    together, _ = parts(student, teacher, [LONG, SHORT], weights)
    for name, values in alone.items():
        torch.testing.assert_close(together[name][1:], values)


def test_the_parts_are_those_of_the_papers(student, teacher):
    weights = Weights(**ALL, match="all")
    result, _ = parts(student, teacher, [LONG], weights)
    ours, theirs = load(student, NAMES, 0, 0, "eager").eval(), class_teacher.load(teacher, NAMES, "eager").model
    torch.manual_seed(1)
    project = torch.nn.Linear(32, 48, bias=False)
    ids = torch.tensor([LONG.ids[:-1]])
    a, b = (model(ids, output_hidden_states=True, output_attentions=True) for model in (ours, theirs))
    soft, hard = torch.softmax(b.logits / 2, -1), torch.log_softmax(a.logits, -1)
    kl = (soft * (soft.log() - torch.log_softmax(a.logits / 2, -1))).sum()
    cosine = 1 - torch.cosine_similarity(project(a.hidden_states[-1]), b.hidden_states[-1], dim=-1).mean()
    pairs = ((0, 1), (1, 3))
    hidden = sum((project(a.hidden_states[i + 1]) - b.hidden_states[j + 1]).square().mean() for i, j in pairs) / 2
    maps = sum((a.attentions[i] - b.attentions[j]).square().mean() for i, j in pairs) / 2
    wanted = {"hard": -0.4 * hard[0, 0], "soft": 0.6 * 4 * kl, "cosine": 0.5 * cosine, "hidden": 0.7 * hidden}
    for name, value in (wanted | {"attention": 2.0 * maps}).items():
        torch.testing.assert_close(result[name], value[None])
    patient, _ = parts(student, teacher, [LONG], Weights(**ALL, match="first"))
    unit = torch.nn.functional.normalize
    apart = [
        unit(project(a.hidden_states[i + 1][0, 0]), dim=0) - unit(b.hidden_states[j + 1][0, 0], dim=0) for i, j in pairs
    ]
    torch.testing.assert_close(patient["hidden"], 0.7 * sum(each.square().sum() for each in apart)[None] / 2)


def test_a_student_that_is_its_teacher_has_nothing_to_learn(teacher):
    weights = Weights(1.0, 2.0, 1.0, 1.0, 1.0, "all")
    batch = collate([LONG, SHORT], padding=0)
    model = load(teacher, NAMES, 0, 0, "eager").eval()
    result = objective(teacher, weights, pairs=uniform(4, 4))(read_classes(model, batch, weights.wanted()), batch)
    for values in result.parts.values():
        torch.testing.assert_close(values, torch.zeros(2), atol=1e-5, rtol=0)
    assert result.metrics["agreement"].tolist() == [1.0, 1.0]


def test_row_means_are_of_the_tokens_that_are_there():
    values, present = torch.tensor([1.0, 3.0, 5.0]), torch.tensor([[True, True], [True, False]])
    assert row_means(values, present).tolist() == [2.0, 5.0]


def test_the_student_learns_by_all_parts_to_say_what_the_teacher_says(tmp_path, student, teacher):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    fields = {"hidden": 1.0, "attention": 1.0, "epochs": 16, "layers": ((0, 1), (1, 3))}
    context = train(tmp_path, student, teacher, **fields)
    assert context.notes["layer_pairs"] == [[0, 1], [1, 3]]
    first, last = context.notes["curve"][0], context.notes["curve"][-1]
    assert {"hard", "soft", "cosine", "hidden", "attention", "agreement"} <= set(first)
    assert all(last[part] < first[part] for part in ("hard", "soft", "cosine", "hidden"))
    assert last["cosine"] < first["cosine"] / 2
    names = set(learning.weights(context.out))
    assert not any("projection" in name for name in names)
    _, said = AutoModelForSequenceClassification.from_pretrained(context.out, output_loading_info=True)
    assert not said["missing_keys"] and not said["unexpected_keys"]
    texts = AutoTokenizer.from_pretrained(context.out)(
        [row["text"] for row in rows()], padding=True, return_tensors="pt"
    )
    with torch.no_grad():
        ours, theirs = (
            AutoModelForSequenceClassification.from_pretrained(folder).eval()(**texts).logits.softmax(dim=-1)
            for folder in (context.out, teacher)
        )
    assert (ours - theirs).abs().max() < 0.15
    card = (context.out / "README.md").read_text()
    assert "hidden" in card and "attention" in card


def test_unlabelled_rows_do_for_a_student_that_takes_no_labels(tmp_path, student, teacher):
    unlabelled = [{"id": row["id"], "text": row["text"]} for row in rows()]
    context = train(tmp_path, student, teacher, unlabelled, alpha=1.0, epochs=1)
    assert context.ledger.counts()["kept"] == 24 and "hard" not in context.notes["curve"][0]


def test_an_interrupted_training_ends_with_the_same_weights_projection_included(tmp_path, student, teacher):
    def stop(done, total=None, **_):
        if done == 5:
            raise KeyboardInterrupt

    fields = {"hidden": 1.0, "checkpoint_every": 2}
    undisturbed = train(tmp_path / "undisturbed", student, teacher, **fields)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", student, teacher, progress=stop, **fields)
    assert list((tmp_path / "killed" / "work" / "checkpoints").glob("checkpoint-4"))
    resumed = train(tmp_path / "killed", student, teacher, **fields)
    before, after = learning.weights(undisturbed.out), learning.weights(resumed.out)
    assert all(torch.equal(before[name], after[name]) for name in before) and set(before) == set(after)


def test_layers_are_spread_evenly_and_checked():
    assert uniform(3, 6) == [(0, 1), (1, 3), (2, 5)]
    assert uniform(4, 6) == [(0, 1), (1, 2), (2, 4), (3, 5)]
    assert uniform(1, 6) == [(0, 5)] and uniform(3, 2) == [(0, 0), (1, 1), (2, 1)]
    assert checked((), 2, 4) == [(0, 1), (1, 3)] and checked(((1, 0),), 2, 4) == ((1, 0),)
    with pytest.raises(BadInput) as caught:
        checked(((0, 1), (2, 4)), 2, 4)
    assert "(2, 4): the student has 2 layers, numbered 0 to 1" in str(caught.value)
    assert "(2, 4): the teacher has 4 layers, numbered 0 to 3" in str(caught.value)


def test_bad_parameters_are_named(tmp_path, student, teacher):
    with pytest.raises(BadInput, match="layers: \\(0, 9\\): the teacher has 4 layers, numbered 0 to 3"):
        train(tmp_path, student, teacher, hidden=1.0, layers=((0, 9),))
    silent = LayerMatch(None, student="x", teacher="y", alpha=0.0, cosine=0.0, layers=((0, 0),))
    assert [problem.field for problem in silent.check()] == ["alpha", "layers"]
