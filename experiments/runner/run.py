"""A run from its first line to its summary: start, (train stages,) finish."""

import contextlib
import dataclasses
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import jax

from experiments.runner import devices, files, processes
from experiments.runner import directory as directories
from experiments.runner.config import RunConfig, require
from experiments.runner.errors import UserError
from experiments.runner.progress import say
from sandbox import sharding

JUDGING = 2**31  # folded into a seed's key; steps are folded in, too, and are fewer


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
    asked_to_stop: int = 0  # the signal's number
    metrics_bytes: int = 0  # size of metrics.jsonl at the last checkpoint
    began: float = dataclasses.field(default_factory=time.perf_counter)
    earlier_seconds: float = 0.0  # of training in earlier tries at the same run


@contextlib.contextmanager
def start(name: str, config: RunConfig, data: str = "") -> Iterator[Run]:
    """Open the run's directory, new or resumed, say what it runs on, and listen for SIGTERM and Ctrl-C.

    Use as `with start(...) as run:`; at the end the directory and the signals are given back. `data` is a
    fingerprint of what the run learns from: it goes on only with the same.

    Raises:
      UserError: --out is taken, --resume cannot go on, the mesh does not fit the devices.
    """
    processes.require_same({"data of fingerprint": data})
    device, many = jax.devices()[0], processes.count()  # counted by all together, before one of them goes ahead
    mesh = _mesh(config.mesh)
    with contextlib.ExitStack() as held:
        def claim() -> str:
            directory = directories.create(name, config, data) if config.resume is None else _gone_on_with(
                name, config, config.resume, data)
            held.enter_context(directories.hold(directory))
            files.remove_leftovers(directory)
            return str(directory)

        run = Run(name, config, Path(processes.first(claim)), mesh)
        processes.watch(run.directory)
        say(f"{name}, preset {config.preset}, {config.subject}, on {jax.device_count()} x {device.device_kind} "
            f"({device.platform})" + (f" of {many} processes" if many > 1 else "")
            + ("" if config.resume is None else f"; going on with {run.directory}"))
        if unused := devices.unused_accelerator():
            say(unused)
        if config.compilation_cache is not None:
            devices.keep_programs(config.compilation_cache)
        with devices.at_precision(config.precision), _stop_later(run), _profile(run):
            yield run


def parse_mesh(text: str) -> dict[str, int]:
    """Axis sizes from "data=4,model=2".

    Raises:
      UserError: not of that form.

    >>> parse_mesh("data=4,model=2")
    {'data': 4, 'model': 2}
    """
    try:
        pairs = [part.split("=") for part in text.split(",")]
        axes = {name.strip(): int(size) for name, size in pairs}
    except ValueError:
        raise UserError(f"--mesh must read like data=4 or data=4,model=2, got {text!r}") from None
    if len(axes) < len(pairs) or "" in axes:
        raise UserError(f"--mesh must name each axis once, got {text!r}")
    return axes


def require_mesh(config: RunConfig, flag: str, number: int, *, axes: tuple[str, ...] = ("data",)) -> None:
    """Refuse a mesh of other axes than these, or whose axis `data` cannot divide the number that a flag names.

    Raises:
      UserError: it has no such axis, another, or the number is no multiple of it.

    >>> require_mesh(RunConfig(mesh="data=2"), "--seeds", 4)
    """
    if config.mesh is not None:
        found = parse_mesh(config.mesh)
        require("data" in found and set(found) <= set(axes), "--mesh", "of an axis called data" + "".join(
            f", and if wanted {axis}" for axis in axes[1:]), config.mesh)
        require(number % found["data"] == 0, flag, f"a multiple of data={found['data']}", number)


def num_devices(config: RunConfig) -> int:
    """Devices on the axis `data` of the mesh.

    >>> num_devices(RunConfig()), num_devices(RunConfig(mesh="data=2"))
    (1, 2)
    """
    return 1 if config.mesh is None else parse_mesh(config.mesh).get("data", 1)


def seeds_divide(config: RunConfig) -> bool:
    """Whether a mesh has the seeds divided among its devices; otherwise each step's batch is.

    >>> seeds_divide(RunConfig(mesh="data=2")), seeds_divide(RunConfig(mesh="data=2", seeds=4))
    (False, True)
    """
    return config.mesh is not None and config.seeds % num_devices(config) == 0


def seed_keys(config: RunConfig) -> jax.Array:
    """A key for each seed: (K,)."""
    return jax.numpy.stack([jax.random.key(seed) for seed in range(config.seed, config.seed + config.seeds)])


def seed_labels(config: RunConfig) -> list[str]:
    """A name for each seed.

    >>> seed_labels(RunConfig(seed=3, seeds=2))
    ['seed 3', 'seed 4']
    """
    return [f"seed {seed}" for seed in range(config.seed, config.seed + config.seeds)]


def judging_keys(run: Run) -> jax.Array:
    """A key for each seed, for what it is judged by: none that it learns with."""
    return jax.vmap(lambda key: jax.random.fold_in(key, JUDGING))(seed_keys(run.config))


def total_seconds(run: Run) -> dict[str, float]:
    """Seconds: compile and run over all stages, those of each stage, and in total, from first to last line."""
    compiled = sum(stage["compile"] for stage in run.seconds.values())
    ran = sum(stage["run"] for stage in run.seconds.values())
    stages = {name: stage["compile"] + stage["run"] for name, stage in run.seconds.items()}
    total = run.earlier_seconds + time.perf_counter() - run.began
    return {"compile": compiled, "run": ran, "total": total, **stages}


def _gone_on_with(name: str, config: RunConfig, directory: Path, data: str) -> Path:
    """The directory of an unfinished run that this config and these data may go on with: UserError, if they may not."""
    old = directories.read_config(name, directory, type(config))
    directories.refuse_changes(directory, old, config)
    directories.refuse_other_data(directory, data)
    if (directory / "summary.json").exists():
        raise UserError(f"{directory} is finished: experiments.load({str(directory)!r}) brings it back")
    if old.mesh != config.mesh:
        say(f"The mesh was {old.mesh}, and is {config.mesh}: the run goes on to the same numbers up to rounding, no "
            f"longer to the bit.")
    return directory


def _mesh(text: str | None) -> jax.sharding.Mesh | None:
    if text is None:
        return None
    try:
        return sharding.make_mesh(parse_mesh(text))
    except ValueError as error:
        raise UserError(f"--mesh: {error}") from error


@contextlib.contextmanager
def _stop_later(run: Run) -> Iterator[None]:
    """Turn SIGTERM and the first Ctrl-C into a request that `train` heeds between two chunks."""
    def handler(number: int, frame: FrameType | None) -> None:
        if run.asked_to_stop and number == signal.SIGINT:
            raise KeyboardInterrupt
        run.asked_to_stop = number
        say("Stopping at the end of this chunk of steps, to save first.")

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may listen to signals
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _profile(run: Run) -> contextlib.AbstractContextManager:
    wanted = run.config.profile and processes.writes()
    return jax.profiler.trace(run.directory / "profile") if wanted else contextlib.nullcontext()
