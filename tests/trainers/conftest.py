import pytest

import learning
import tiny


@pytest.fixture(scope="session")
def student(tmp_path_factory):
    """A tiny student that no test writes to."""
    return tiny.causal_lm(tmp_path_factory.mktemp("student"))


@pytest.fixture(scope="session")
def teacher(tmp_path_factory):
    """Another tiny model with the same tokenizer."""
    return tiny.causal_lm(tmp_path_factory.mktemp("teacher"), hidden=96, seed=1)


@pytest.fixture(scope="session")
def learned(tmp_path_factory, teacher):
    """The teacher, after it has learned the answers."""
    from potstill.trainers import HardLabel

    folder = tmp_path_factory.mktemp("learned")
    step = HardLabel(None, student=str(teacher), epochs=50, batch_size=8, learning_rate=5e-3)
    return step.run(learning.dataset(learning.rows()), str(teacher), learning.context(folder))
