"""What the processes that these tests start share."""

import matplotlib.pyplot as plt
import pytest


@pytest.fixture(scope="session", autouse=True)
def compiled_programs(tmp_path_factory):
    """What one process compiles, those after it load: a new directory for every worker of every run of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("compiled")))
        yield


@pytest.fixture(autouse=True)
def no_figures_left():
    """Pyplot keeps every figure that is drawn and not saved, and warns of twenty."""
    yield
    plt.close("all")
