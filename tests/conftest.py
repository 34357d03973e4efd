"""Strict settings for every test: several CPU devices, no silent broadcasting, no warnings."""

import os

# Before jax starts: XLA's own threads would fight with xdist's workers for the cores.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = " ".join([
    os.environ.get("XLA_FLAGS", ""), "--xla_cpu_multi_thread_eigen=false", "intra_op_parallelism_threads=1"])

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def float64():
    """A test in double precision."""
    with jax.enable_x64(True):
        yield
