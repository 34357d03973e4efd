"""The one training loop: compiled chunks of steps, and between them metrics, checkpoints, signals."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.runner import checkpoints, metrics, processes
from experiments.runner.config import digest
from experiments.runner.errors import Interrupted
from experiments.runner.placing import bring_home, place, readable
from experiments.runner.progress import bar, say
from experiments.runner.run import Failure, Run
from experiments.runner.stage import Stage, chunk, placements
from sandbox.training import Chunk, Step, first_nonfinite_leaf


class Trained(NamedTuple):
    """State of K runs after their last step; finite: (K,) bool, False where a run turned non-finite
    (its state is its last good one)."""

    state: Any
    finite: np.ndarray


class Ahead(NamedTuple):
    """A stage whose training was done elsewhere. given: what it began with, as of Stage. state: of its K runs at the
    end. step: at which that was. lines: of metrics.jsonl. seconds, failures: as of Run."""

    given: tuple
    state: Any
    step: int
    lines: list[dict[str, Any]]
    seconds: dict[str, float]
    failures: list[Failure]


ahead: ContextVar[Mapping[str, Ahead]] = ContextVar("ahead", default=MappingProxyType({}))
"""What `train` takes as done, by stage: it lays it down in the run's directory, and finds it there."""


def train(run: Run, stage: Stage) -> Trained:
    """Take a stage's runs to their last step, from the newest checkpoint if there is one.

    Raises:
      Interrupted: SIGTERM or Ctrl-C; the state is saved.
      CheckpointError: the newest checkpoint is damaged or of another run.
    """
    name, num_steps, labels = stage.name, stage.num_steps, stage.labels
    identity = {"experiment": run.name, "stage": name, "config": digest(run.config)}
    of_state, of_data = placements(stage, run.mesh)
    if name in ahead.get() and not processes.first(lambda: checkpoints.steps(run.directory, name)):
        _lay_down(run, stage, ahead.get()[name], of_state, identity)
    state = begin(run, name, stage.initial, *stage.given, out_shardings=of_state)
    data = place(stage.data, of_data)
    seconds = run.seconds[name]
    done, saved_at = 0, time.monotonic()
    if restored := checkpoints.load_newest(run.directory, name, state, identity):
        state, record = restored
        done = record["step"]
        seconds.update(record["seconds"])
        run.failures += [Failure(*failure) for failure in record["failures"]]
        run.metrics_bytes = record["metrics_bytes"]
        run.earlier_seconds += sum(seconds.values())
    if done < num_steps and not _all_failed(run, stage) and processes.writes():
        metrics.cut(run.directory, run.metrics_bytes)  # drops what an earlier try wrote after its checkpoint
    chunks: dict[int, Callable[..., Chunk]] = {}

    with bar(name, num_steps, done) as show:
        heed_signals(run, name, done, num_steps)
        while done < num_steps and not _all_failed(run, stage):
            length = min(stage.chunk_steps, num_steps - done)
            if length not in chunks:
                show(done, "compiling")
                began = time.perf_counter()
                chunks[length] = _compile(chunk(stage, length, platform=jax.default_backend(), mesh=run.mesh),
                                          of_state, state, data, stage.compiler_options)
                seconds["compile"] += time.perf_counter() - began
            began = time.perf_counter()
            state, traces, finite = chunks[length](state, *data)
            _note_failures(run, stage, state, data, done, length, np.asarray(finite))
            done += length
            means = {metric: np.asarray(trace).mean(axis=1) for metric, trace in traces.items()}
            if processes.writes():
                metrics.append(run.directory, name, done, labels, means, seconds["run"] + time.perf_counter() - began)
                run.tell()
            show(done, "  ".join(f"{metric} {np.mean(value):.4f}" for metric, value in means.items()))
            seconds["run"] += time.perf_counter() - began
            at_end = done == num_steps or _all_failed(run, stage)
            stop, due = _agreed(run, time.monotonic() - saved_at >= run.config.checkpoint_seconds)
            if at_end or stop or due:
                _save(run, name, state, done, identity)
                saved_at = time.monotonic()
                heed_signals(run, name, done, num_steps)
    failed = {failure.label for failure in run.failures if failure.stage == name}
    return Trained(bring_home(state), np.array([label not in failed for label in labels]))


def begin(run: Run, stage: str, function: Callable[..., Any], *arguments: Any, out_shardings: Any = None,
          compiler_options: Mapping[str, Any] | None = None) -> Any:
    """function(*arguments), compiled: a stage's initial state, say. Compiling and running count as the stage's."""
    seconds = run.seconds.setdefault(stage, {"compile": 0.0, "run": 0.0})
    began = time.perf_counter()
    compiled = jax.jit(function, out_shardings=out_shardings).lower(*arguments).compile(dict(compiler_options or {}))
    seconds["compile"] += time.perf_counter() - began
    with spending(run, stage):
        return jax.block_until_ready(compiled(*arguments))


@contextlib.contextmanager
def spending(run: Run, stage: str) -> Iterator[None]:
    """What is done meanwhile counts as running of a stage."""
    seconds = run.seconds.setdefault(stage, {"compile": 0.0, "run": 0.0})
    began = time.perf_counter()
    yield
    seconds["run"] += time.perf_counter() - began


def heed_signals(run: Run, stage: str, done: int, num_steps: int) -> None:
    """Stop here if that was asked for, of any process; what `train` saved stays.

    Raises:
      Interrupted: SIGTERM or Ctrl-C.
    """
    stop, _ = _agreed(run, False)
    if stop:
        raise Interrupted(f"Stopped in {stage} at step {done} of {num_steps}, and saved. Go on with "
                          f"--resume {run.directory}", stop)


def _agreed(run: Run, due: bool) -> tuple[int, bool]:
    """The signal that any process was sent, or 0; and whether the first one finds a checkpoint due."""
    said = processes.meet([run.asked_to_stop, due])
    return max(stop for stop, _ in said), said[0][1]


def _compile(function: Callable[..., Chunk], of_state: Any, state: Any, data: tuple, options: Mapping[str, Any]
             ) -> Callable[..., Chunk]:
    """Compiled ahead of time: the state donated, and placed at the end as it was at the start; the rest to be read."""
    jitted = jax.jit(function, donate_argnums=0, out_shardings=Chunk(of_state, readable(), readable()))
    return jitted.lower(state, *data).compile(dict(options))


def _save(run: Run, stage: str, state: Any, step: int, identity: dict[str, Any]) -> None:
    if processes.writes():
        run.metrics_bytes = metrics.flush(run.directory)
    record = {**identity, "step": step, "seconds": run.seconds[stage], "metrics_bytes": run.metrics_bytes,
              "failures": [failure for failure in run.failures if failure.stage == stage]}
    checkpoints.save(checkpoints.step_path(run.directory, stage, step), state, record)
    if processes.writes():
        checkpoints.prune(run.directory, stage)


def _lay_down(run: Run, stage: Stage, done: Ahead, of_state: Any, identity: dict[str, Any]) -> None:
    """Write what was trained elsewhere as if it had been trained here, unless this stage begins with something else."""
    if not same(stage.given, done.given):
        return
    metrics.cut(run.directory, run.metrics_bytes)
    metrics.append_lines(run.directory, done.lines)
    run.tell()
    run.seconds[stage.name] = dict(done.seconds)
    run.failures += done.failures
    _save(run, stage.name, place(done.state, of_state), done.step, identity)
    run.failures = [failure for failure in run.failures if failure.stage != stage.name]  # `train` reads them back


def same(one: Any, other: Any) -> bool:
    """Whether two trees have the same leaves, to the bit; keys, too."""
    def equal(a: Any, b: Any) -> bool:
        if not (hasattr(a, "dtype") and hasattr(b, "dtype")):
            return bool(a == b)
        return a is b or (a.shape == b.shape and a.dtype == b.dtype and np.array_equal(bits(a), bits(b)))

    return jax.tree.structure(one) == jax.tree.structure(other) and all(
        map(equal, jax.tree.leaves(one), jax.tree.leaves(other)))


def bits(leaf: Any) -> np.ndarray:
    """An array's numbers on the host; of keys their words."""
    return np.asarray(jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf)


def _all_failed(run: Run, stage: Stage) -> bool:
    return {failure.label for failure in run.failures if failure.stage == stage.name} >= set(stage.labels)


def _note_failures(run: Run, stage: Stage, state: Any, data: tuple, done: int, length: int, finite: np.ndarray) -> None:
    """Find the step and the leaf at which each newly failed run turned non-finite, by taking its chunk
    again, step by step, from the state at which it stands still."""
    known = {failure.label for failure in run.failures if failure.stage == stage.name}
    for k in np.flatnonzero(~finite).tolist():
        label = stage.labels[k]
        if label not in known:
            at_home, data = bring_home((state, data))
            own_data = data if stage.data_axis is None else _nth(data, k)
            offset, leaf = _replay(stage.step, _nth(at_home, k), own_data, length)
            run.failures.append(Failure(stage.name, label, done + offset, leaf))
            say(f"{stage.name}, {label}: {leaf} is not finite at step {done + offset}. It stands still at step "
                f"{done}, its last good one; the others go on.")


def _replay(step: Step, state: Any, data: tuple, length: int) -> tuple[int, str]:
    """After how many of a chunk's steps something is not finite, and what."""
    one_step = jax.jit(step)
    for offset in range(1, length + 1):
        state, values = one_step(state, *data)
        if leaf := first_nonfinite_leaf(state) or first_nonfinite_leaf(values):
            return offset, leaf
    return length, "a value that is finite where its run is alone"


def _nth(stacked: Any, k: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[k], stacked)
