import pytest
import tiny


@pytest.fixture(scope="session")
def student(tmp_path_factory):
    """A tiny student that no test writes to."""
    return tiny.causal_lm(tmp_path_factory.mktemp("student"))


@pytest.fixture(scope="session")
def teacher(tmp_path_factory):
    """Another tiny model with the same tokenizer."""
    return tiny.causal_lm(tmp_path_factory.mktemp("teacher"), hidden=96, seed=1)
