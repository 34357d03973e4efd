"""A drawn figure, once a process."""

import pytest

from tests.experiments.gallery import made


@pytest.fixture(scope="session")
def figure(tmp_path_factory):
    """Path of a figure of realistic size."""
    return made.figure(tmp_path_factory.mktemp("drawn"))
