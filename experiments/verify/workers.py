"""Work handed out piece by piece to a process a core: a compiler, and the tracer before it, keep to one."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import jax

from experiments.runner.errors import UserError
from experiments.verify.certificate import QUICKLY


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def spread(function: Callable[[Any], Any], work: list[Any], num_workers: int) -> Iterator[tuple[Any, Any]]:
    """(work, what the function made of it) of each, as they come; with one worker, in this process."""
    num_workers = min(num_workers, len(work))
    if num_workers <= 1:
        yield from ((one, function(one)) for one in work)
        return
    fresh = multiprocessing.get_context("spawn")  # a fork would have jax's locks without its threads
    pool = ProcessPoolExecutor(num_workers, mp_context=fresh, initializer=_on_cpu)
    try:
        asked = {pool.submit(function, one): one for one in work}
        for future in as_completed(asked):
            yield asked[future], future.result()
    except BrokenProcessPool as error:
        raise UserError("a process at work was ended from outside: perhaps memory ran short. --workers 1 needs the "
                        "least") from error
    except KeyboardInterrupt:
        for worker in multiprocessing.active_children():  # or they would finish what they have begun, unheard
            worker.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _on_cpu() -> None:
    """Leave accelerators alone, since each process would take one's whole memory; compile quickly; and leave Ctrl-C,
    which all processes of a terminal get, to the first of them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    jax.config.update("jax_platforms", "cpu")
    flags = [f"--{name}={str(value).lower()}" for name, value in QUICKLY.items()]
    os.environ["XLA_FLAGS"] = " ".join([*flags, os.environ.get("XLA_FLAGS", "")])
