"""One side of a benchmark, in a process of its own: python -m MODULE TASK FILE OPTIONS.

FILE is an npz, OPTIONS and the one printed line are JSON. Only NumPy is needed here, so that a side may run in
the environment of the libraries that it measures.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


def serve(tasks: Mapping[str, Callable[..., dict[str, Any]]]) -> None:
    """Do the task that the command line names; print its report, and the peak memory of this process."""
    task, path, options = sys.argv[1:]
    with np.load(path) as archive:
        report = tasks[task](dict(archive), **json.loads(options))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(report | {"peak_bytes": peak}))


def compiled(function: Callable, *arguments: Any) -> tuple[float, Any]:
    """Seconds to compile for these arguments, and the executable, a jax.stages.Compiled."""
    import jax

    clock = time.perf_counter()
    executable = jax.jit(function).lower(*arguments).compile()
    return time.perf_counter() - clock, executable


def timed(function: Callable, *arguments: Any) -> tuple[float, Any]:
    """Wall seconds of one call, and what it gave."""
    import jax

    clock = time.perf_counter()
    result = jax.block_until_ready(function(*arguments))
    return time.perf_counter() - clock, result
