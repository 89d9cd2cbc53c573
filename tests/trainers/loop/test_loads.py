"""Every model's weights are read once by a training: the student's, and a live teacher's."""

import pytest
import transformers

import learning
from potstill.trainers import HardLabel, LoRA, SoftLabel


@pytest.fixture
def loads(monkeypatch):
    """Return the folders whose weights are read, as it happens; on the meta device only headers are."""
    seen = []
    real = transformers.PreTrainedModel.from_pretrained.__func__

    def counted(cls, folder, *args, **options):
        if options.get("device_map") != "meta":
            seen.append(str(folder))
        return real(cls, folder, *args, **options)

    monkeypatch.setattr(transformers.PreTrainedModel, "from_pretrained", classmethod(counted))
    return seen


@pytest.mark.parametrize("fields", [{}, {"lora": LoRA(rank=2, merge=False)}], ids=["all weights", "adapters"])
def test_a_student_is_loaded_once(tmp_path, student, loads, fields):
    step = HardLabel(None, student=str(student), epochs=1, batch_size=4, **fields)
    step.run(learning.dataset(learning.rows(4)), str(student), learning.context(tmp_path))
    assert loads == [str(student)]


def test_adapters_are_merged_into_a_second_reading_when_the_first_is_freed(tmp_path, student, loads):
    step = HardLabel(None, student=str(student), epochs=1, batch_size=4, lora=LoRA(rank=2))
    step.run(learning.dataset(learning.rows(4)), str(student), learning.context(tmp_path))
    assert loads == [str(student)] * 2


def test_student_and_live_teacher_are_loaded_once_each(tmp_path, student, learned, loads):
    fields = {"student": str(student), "teacher": str(learned), "epochs": 1, "batch_size": 4, "alpha": 1.0}
    context = learning.context(tmp_path)
    SoftLabel(None, **fields).run(learning.dataset(learning.rows(4)), str(student), str(learned), context=context)
    assert sorted(loads) == sorted([str(student), str(learned)])
