"""Strict settings for every test: several CPU devices, no silent broadcasting, no warnings, both precisions."""

import os

# Before jax starts: XLA's own threads would fight with xdist's workers for the cores.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = " ".join([
    os.environ.get("XLA_FLAGS", ""), "--xla_cpu_multi_thread_eigen=false", "intra_op_parallelism_threads=1"])

import jax
import numpy as np
import pytest

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", False)

TOLERANCE = {np.dtype(np.float64): 1e-10, np.dtype(np.float32): 1e-5}
"""Relative tolerance of two computations of the same thing, by type; sums over 10⁴ terms lose two digits more."""


@pytest.fixture
def float64():
    """A test in double precision."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(autouse=True)
def _names_for_doctests(doctest_namespace):
    doctest_namespace.update(jax=jax, jnp=jax.numpy, np=np)


@pytest.fixture(scope="session")
def real_data():
    """The directory of real data sets; skips where there is none."""
    folder = os.environ.get("SANDBOX_DATA")
    if not folder:
        pytest.skip("SANDBOX_DATA names no folder of real data")
    from pathlib import Path
    return Path(folder)
