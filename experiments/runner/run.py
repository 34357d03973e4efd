"""A run from its first line to its summary: start, (train stages,) finish."""

import contextlib
import dataclasses
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import jax

from experiments.runner import devices, files, processes, tracking
from experiments.runner import directory as directories
from experiments.runner.config import RunConfig
from experiments.runner.errors import UserError
from experiments.runner.meshes import mesh_of
from experiments.runner.progress import say


class Failure(NamedTuple):
    """A run that turned non-finite: which, where, when, and in what."""

    stage: str
    label: str
    step: int
    leaf: str


@dataclasses.dataclass
class Run:
    """A run under way: where it writes, what it was asked, what it has spent and lost so far."""

    name: str
    config: RunConfig
    directory: Path
    mesh: jax.sharding.Mesh | None
    seconds: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)
    failures: list[Failure] = dataclasses.field(default_factory=list)
    metrics_bytes: int = 0  # size of metrics.jsonl at the last checkpoint
    began: float = dataclasses.field(default_factory=time.perf_counter)
    earlier_seconds: float = 0.0  # of training in earlier tries at the same run
    tell: Callable[[], None] = lambda: None  # a tracker, what metrics.jsonl has of news

    @property
    def asked_to_stop(self) -> int:
        """The signal's number, or 0."""
        return _request.signal_number


@dataclasses.dataclass
class Request:
    """What SIGTERM or Ctrl-C ask of all runs that are under way: a sweep, say, and one of its points."""

    signal_number: int = 0
    awaited: bool = False


_request = Request()


@contextlib.contextmanager
def start(name: str, config: RunConfig, data: str = "") -> Iterator[Run]:
    """Open the run's directory, new or resumed, say what it runs on, and listen for SIGTERM and Ctrl-C.

    Use as `with start(...) as run:`; at the end the directory and the signals are given back. `data` is a
    fingerprint of what the run learns from: it goes on only with the same.

    Raises:
      UserError: --out is taken, --resume cannot go on, the mesh does not fit the devices.
    """
    processes.require_same({"data of fingerprint": data})
    jax.devices()  # counted by all together, before one of them goes ahead
    mesh = mesh_of(config)
    with contextlib.ExitStack() as held:
        def claim() -> str:
            directory = directories.create(name, config, data) if config.resume is None else _gone_on_with(
                name, config, config.resume, data)
            held.enter_context(directories.hold(directory))
            files.remove_leftovers(directory)
            return str(directory)

        run = Run(name, config, Path(processes.first(claim)), mesh)
        processes.watch(run.directory)
        if not _request.awaited:  # or it is a point of a sweep, which said it
            say(f"{name}, preset {config.preset}, {config.subject}, on {_devices(mesh)}"
                + ("" if config.resume is None else f"; going on with {run.directory}"))
            if unused := devices.unused_accelerator():
                say(unused)
        if config.compilation_cache is not None:
            devices.keep_programs(config.compilation_cache)
        with devices.at_precision(config.precision), _stop_later(), _profile(run), tracking.tracked(run):
            yield run


def total_seconds(run: Run) -> dict[str, float]:
    """Seconds: compile and run over all stages, those of each stage, and in total, from first to last line."""
    compiled = sum(stage["compile"] for stage in run.seconds.values())
    ran = sum(stage["run"] for stage in run.seconds.values())
    stages = {name: stage["compile"] + stage["run"] for name, stage in run.seconds.items()}
    total = run.earlier_seconds + time.perf_counter() - run.began
    return {"compile": compiled, "run": ran, "total": total, **stages}


def _devices(mesh: jax.sharding.Mesh | None) -> str:
    """What a run computes on, in words."""
    device, there, many = jax.devices()[0], jax.device_count(), processes.count()
    words = f"{there} x {device.device_kind} ({device.platform})" + (f" of {many} processes" if many > 1 else "")
    return words if mesh is not None or there == 1 else f"1 of {words}; --mesh data={there} takes all"


def _gone_on_with(name: str, config: RunConfig, directory: Path, data: str) -> Path:
    """The directory of an unfinished run that this config and these data may go on with: UserError, if they may not."""
    old = directories.read_config(name, directory, type(config))
    directories.refuse_changes(directory, old, config)
    directories.refuse_other_data(directory, data)
    if directories.is_finished(directory):
        raise UserError(f"{directory} is finished: experiments.load({str(directory)!r}) brings it back")
    if old.mesh != config.mesh:
        say(f"The mesh was {old.mesh}, and is {config.mesh}: the run goes on to the same numbers up to rounding, no "
            f"longer to the bit.")
    return directory


@contextlib.contextmanager
def _stop_later() -> Iterator[None]:
    """Turn SIGTERM and the first Ctrl-C into a request that `train` heeds between two chunks."""
    def handler(number: int, frame: FrameType | None) -> None:
        if _request.signal_number and number == signal.SIGINT:
            raise KeyboardInterrupt
        _request.signal_number = number
        say("Stopping at the end of this chunk of steps, to save first.")

    if _request.awaited or threading.current_thread() is not threading.main_thread():
        yield  # the outermost run listens for all; and only the main thread may
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    _request.awaited = True
    try:
        yield
    finally:
        _request.signal_number, _request.awaited = 0, False
        for number, old in before.items():
            signal.signal(number, old)


def _profile(run: Run) -> contextlib.AbstractContextManager:
    wanted = run.config.profile and processes.writes()
    return jax.profiler.trace(run.directory / "profile") if wanted else contextlib.nullcontext()
