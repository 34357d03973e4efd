"""Strict settings for every test: several CPU devices, no silent broadcasting, no warnings."""

import importlib.metadata
import os

# Before jax starts: XLA's own threads would fight with xdist's workers for the cores. And nearly all the time goes into
# compiling programs that run for a moment: unoptimised, and each in one piece, they take less than half of it.
# The last flag went with jaxlib 0.10, and a flag that jaxlib does not know ends the process.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = " ".join([
    "--xla_cpu_multi_thread_eigen=false", "--xla_backend_optimization_level=0",
    "--xla_cpu_parallel_codegen_split_count=1",
    "--xla_cpu_use_fusion_emitters=false" if importlib.metadata.version("jaxlib").startswith("0.10.") else "",
    os.environ.get("XLA_FLAGS", "")])

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def float64():
    """A test in double precision."""
    with jax.enable_x64(True):
        yield
