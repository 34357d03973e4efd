"""What a run computes on and in: precision, dtype, kept programs; and what of the machine it leaves unused."""

import contextlib
import os
import platform
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.compilation_cache import compilation_cache

PRECISIONS = ("default", "high", "highest")
"""Of products of float32 matrices. On a CPU all are float32; on a GPU the first two are TensorFloat32; on a TPU
bfloat16 in one pass, in three, in six. Filters and solves ask for the highest by themselves."""

DTYPES: Mapping[str, Any] = {"float32": None, "bfloat16": jnp.bfloat16}
"""What a network computes in, by the flag's value. Parameters, losses and what an optimiser remembers are float32."""

SMALL_LOOPS: Mapping[str, Any] = {"xla_cpu_use_fusion_emitters": False} if jax.__version_info__ < (0, 11) else {}
"""XLA's options for loops over a few numbers, filters say: the emitters that jaxlib 0.10 had for a CPU take half of
their compilation, and make them no faster."""

GOOGLE = "0x1ae0"
TPU_CHIPS = {"0x0027", "0x005e", "0x0062", "0x0063", "0x006f", "0x0076"}  # as the PCI bus knows v2 to v7


def unused_accelerator(root: Path = Path("/")) -> str | None:
    """An accelerator that the machine has while jax computes on the CPU, and what to do; None where all is well.

    Whoever sets JAX_PLATFORMS has chosen.
    """
    if jax.default_backend() != "cpu" or os.environ.get("JAX_PLATFORMS"):
        return None
    for extra, name, is_here in (("cuda", "GPU of NVIDIA", _has_nvidia), ("tpu", "TPU", _has_tpu)):
        if is_here(root):
            return (f"This machine has a {name}, and jax computes on the CPU: `make run-experiment EXTRAS={extra}` "
                    f"installs what jax lacks, JAX_PLATFORMS=cpu says that it is meant so.")
    return None


def at_precision(precision: str) -> contextlib.AbstractContextManager:
    """What is traced meanwhile multiplies at one of PRECISIONS, unless it asks for another."""
    return contextlib.nullcontext() if precision == "default" else jax.default_matmul_precision(precision)


def keep_programs(where: Path) -> Path:
    """Keep compiled programs there for the runs to come, apart by versions and host; returns the folder."""
    kept = where / f"jax-{jax.__version__}-python-{platform.python_version()}" / (platform.node() or "host")
    jax.config.update("jax_compilation_cache_dir", str(kept.absolute()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    return kept


@contextlib.contextmanager
def programs_kept_meanwhile() -> Iterator[None]:
    """Compile once what is compiled again and again meanwhile, unless programs are kept anyway."""
    if jax.config.values["jax_compilation_cache_dir"] is not None:
        yield
        return
    least = jax.config.values["jax_persistent_cache_min_compile_time_secs"]
    with tempfile.TemporaryDirectory() as folder:
        try:
            compilation_cache.reset_cache()  # jax asks only once whether there is any
            jax.config.update("jax_compilation_cache_dir", folder)
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
            yield
        finally:
            jax.config.update("jax_compilation_cache_dir", None)
            jax.config.update("jax_persistent_cache_min_compile_time_secs", least)
            compilation_cache.reset_cache()


def _has_nvidia(root: Path) -> bool:
    return any(root.glob("proc/driver/nvidia/gpus/*")) or any(root.glob("dev/nvidia[0-9]*"))


def _has_tpu(root: Path) -> bool:
    """By device, or, where a TPU is passed through as any card might be, by its numbers on the PCI bus."""
    cards = [path.parent for path in root.glob("sys/bus/pci/devices/*/vendor") if path.read_text().strip() == GOOGLE]
    return any(root.glob("dev/accel[0-9]*")) or any((one / "device").read_text().strip() in TPU_CHIPS for one in cards)
