"""Several processes at one run: how they join, what they agree on, and what is said when one of them is lost.

All take the same way through the program and compute together; process 0 alone writes and speaks. Where one must know
what another knows they meet: each says a word at the job's coordinator, and hears everyone's. A process that is refused
says so at its next meeting, and all leave. One that dies takes the others with it: jax aborts them when heartbeats stay
away, or their exchange of arrays fails, whichever comes first. One process alone meets nobody, at no cost.
"""

import itertools
import json
import math
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import jax
from jax._src import distributed  # its key-value store has no public name

from experiments.runner.config import RunConfig
from experiments.runner.errors import StoppedElsewhere, UserError

HEARTBEAT_SECONDS = 20  # without any, a process counts as lost
MEETING_SECONDS = 24 * 3600  # who is late is waited for; who is lost is found by heartbeats
LAST_MEETING_SECONDS = 20
SAYS_ITS_LAST_LINE = "import sys\nlast = ''\nfor last in sys.stdin: pass\nprint(end=last.lstrip(), file=sys.stderr)"

_meetings = itertools.count()
_guards: list[subprocess.Popen[str]] = []


def count() -> int:
    """How many processes the job has; 1 where there is no job."""
    return distributed.global_state.num_processes if distributed.global_state.client else 1


def index() -> int:
    """Which of them this is, from 0."""
    return distributed.global_state.process_id if distributed.global_state.client else 0


def writes() -> bool:
    """Whether this is the one that writes and speaks."""
    return index() == 0


def join(config: RunConfig) -> None:
    """Join the job that the flags name, or that jax finds around it.

    Raises:
      UserError: there is none, its address is taken, or nobody answers there. Where jax itself gives up waiting it ends
        the process, and the guard says why.
    """
    if distributed.global_state.client:
        return
    where, seconds = config.coordinator or "the coordinator that jax detects", config.join_seconds
    last_words(f"error: --distributed: the job's processes did not all meet at {where} within {seconds:g} s. Is the "
               f"address right, is process 0 up, and was every process started, with the same --num-processes?")
    jax.config.update("jax_enable_preemption_service", False)  # SIGTERM is heeded by the run
    try:
        if config.coordinator and config.process_id:
            _reach(config.coordinator, seconds)
        jax.distributed.initialize(
            config.coordinator, config.num_processes, config.process_id, initialization_timeout=math.ceil(seconds),
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            cluster_detection_method="deactivate" if config.coordinator else None)
    except (ValueError, RuntimeError, OSError) as error:
        _dismiss()
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(
            f"--distributed: no job to join at {where} ({reason}). It needs a cluster that jax detects, or "
            f"--coordinator HOST:PORT, --num-processes N and --process-id I: process 0 listens at that address, and "
            f"the others reach it within --join-seconds {seconds:g}") from error
    if count() == 1:
        _dismiss()
    else:
        last_words(_lost("its run's directory"))


def meet(word: Any, seconds: float = MEETING_SECONDS) -> list[Any]:
    """Everyone's word, in the order of processes; any JSON. It is a barrier, too.

    Raises:
      StoppedElsewhere: another process was refused, and says why.

    >>> meet({"stop": 0})
    [{'stop': 0}]
    """
    return [word] if count() == 1 else _meet({"word": word}, seconds)


def first(function: Callable[[], Any]) -> Any:
    """What function() returns in process 0, the only one that calls it; any JSON.

    >>> first(lambda: 3)
    3
    """
    return meet(function() if writes() else None)[0]


def require_same(words: Mapping[str, Any]) -> None:
    """Refuse to go on where processes differ.

    Raises:
      UserError: it names what differs, and between whom.

    >>> require_same({"--steps": 3})
    """
    first_says, *others = meet(dict(words))
    for number, other in enumerate(others, start=1):
        for name in first_says | other:
            if other.get(name) != first_says.get(name):
                raise UserError(f"process {number} has {name} {other.get(name)}, process 0 has {first_says.get(name)}: "
                                f"start all processes of a job with the same flags, code and data")


def refuse(message: str, status: int) -> int:
    """Say why this process stops, and let the others know; returns the status.

    All that were refused at the same meeting mean the same, and the first of them says it. Where the others do not come
    (they wait for arrays of this one) it ends here, and they notice.
    """
    try:
        if count() > 1:
            _meet({"refused": status}, LAST_MEETING_SECONDS)
    except StoppedElsewhere as stop:
        if stop.process == index():
            print(f"error: {message}", file=sys.stderr)
    except RuntimeError:
        print(f"error: {message}", file=sys.stderr)
        end(status)
    else:
        print(f"error: {message}", file=sys.stderr)
    return status


def leave() -> None:
    """Wait for the others, and end the job."""
    if distributed.global_state.client:
        jax.distributed.shutdown()
        _dismiss()


def last_words(text: str) -> None:
    """What is said in place of this process if it ends without leaving.

    jax aborts a process whose peers are lost, and no Python runs then: another, small process hears that it is gone.
    """
    if not _guards:
        _guards.append(subprocess.Popen([sys.executable, "-I", "-S", "-c", SAYS_ITS_LAST_LINE], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True))
    pipe = _guards[0].stdin
    assert pipe is not None
    pipe.write(text + "\n")
    pipe.flush()


def watch(directory: os.PathLike) -> None:
    """From here on last words say how to go on with a run."""
    if _guards:
        last_words(_lost(directory))


def is_loss(error: BaseException) -> bool:
    """Whether an error means that another process is gone, whatever class jax gives it; never where there is no job.

    >>> is_loss(ValueError("UNKNOWN: Gloo all-reduce failed: Connection closed by peer"))
    False
    """
    signs = ("Gloo", "NCCL", "UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "CoordinationService")
    return count() > 1 and any(sign in str(error) for sign in signs)


def end(status: int) -> NoReturn:
    """End this process at once, without waiting for those that cannot come any more."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _meet(word: dict[str, Any], seconds: float) -> list[Any]:
    client, number = distributed.global_state.client, next(_meetings)
    assert client is not None
    place = f"sandbox/{number}"
    client.key_value_set(f"{place}/{index():09d}", json.dumps(word))
    client.wait_at_barrier(place, timeout_in_ms=round(1000 * seconds))
    if writes() and number > 0:
        client.key_value_delete(f"sandbox/{number - 1}")  # all have read it, or they would not be here
    said = [json.loads(value) for _, value in sorted(client.key_value_dir_get(place))]
    for process, other in enumerate(said):
        if "refused" in other:
            raise StoppedElsewhere(process, other["refused"])
    return [other["word"] for other in said]


def _lost(directory: Any) -> str:
    return (f"error: process {index()} of {count()} is lost: it failed, was killed, or gave up because another one did "
            f"(the last lines of all say which). Start all of them again with --resume {directory}: the run goes on "
            f"from its last checkpoint")


def _reach(coordinator: str, seconds: float) -> None:
    """Wait until somebody listens at an address: OSError, unless within so many seconds."""
    host, _, port = coordinator.rpartition(":")
    until = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=max(0.1, until - time.monotonic())).close()
            return
        except OSError:
            if time.monotonic() + 0.5 >= until:
                raise
            time.sleep(0.5)


def _dismiss() -> None:
    """Send the guard away: there are no last words."""
    while _guards:
        guard = _guards.pop()
        guard.communicate("\n")
