"""A loss and an optimiser made into a step, many steps into one compiled chunk, many runs into one.

A step is a pure function step(state, *data) -> (state, metrics) of any pytree. Nothing outside the
state decides what comes next: batches are drawn by its key and its step. So a run that is stopped
and goes on from its state ends with the same bits.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

__all__ = [
    "Chunk", "TrainState", "all_finite", "chunk_of", "first_nonfinite_leaf", "init_state", "step_of",
]

State = Any
Step = Callable[..., tuple[State, Any]]


class TrainState(NamedTuple):
    """The common state: parameters, optimiser state, key and number of steps done."""

    params: Any
    opt_state: optax.OptState
    key: jax.Array
    step: jax.Array


class Chunk(NamedTuple):
    """What a chunk of steps returns.

    state: after the last step, or as it was at the start where finite is False.
    metrics: each with a leading axis of num_steps. finite: () bool.
    """

    state: State
    metrics: Any
    finite: jax.Array


def init_state(params: Any, optimizer: optax.GradientTransformation, key: jax.Array) -> TrainState:
    """A TrainState at step 0.

    >>> int(init_state({"w": jnp.zeros(2)}, optax.sgd(0.1), jax.random.key(0)).step)
    0
    """
    return TrainState(params, optimizer.init(params), key, jnp.zeros((), jnp.int32))


def step_of(loss: Callable[..., tuple[jax.Array, Any]], optimizer: optax.GradientTransformation,
            sample: Callable[..., Any]) -> Step:
    """One optimiser step on a freshly drawn batch.

    batch = sample(fold_in(key, step), *data);   params ← params + optimizer(∇ loss(params, batch)).

    Args:
      loss: (params, batch) -> (scalar, aux), hyperparameters bound.
      optimizer: optax transformation.
      sample: (key, *data) -> batch.
    Returns:
      step(state, *data) -> (state, {"loss"}), for a TrainState.

    >>> def loss(w, x): return jnp.mean((w - x) ** 2), None
    >>> step = step_of(loss, optax.sgd(0.5), lambda key, data: data)
    >>> step(init_state(jnp.array(0.0), optax.sgd(0.5), jax.random.key(0)), jnp.array([1.0, 3.0]))[0].params
    Array(2., dtype=float32)
    """
    def step(state: TrainState, *data):
        batch = sample(jax.random.fold_in(state.key, state.step), *data)
        (value, _), gradient = jax.value_and_grad(loss, has_aux=True)(state.params, batch)
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return TrainState(params, opt_state, state.key, state.step + 1), {"loss": value}

    return step


def chunk_of(step: Step, num_steps: int, *, runs: Literal["one", "vmap", "map"] = "one",
             data_axis: int | None = None) -> Callable[..., Chunk]:
    """Many steps, and many runs, as one function to compile: jax.jit(chunk_of(...), donate_argnums=0).

    If anything in the state or in a metric is no longer finite after the chunk, the state is the one
    that the chunk began with: the run stands still at its last good state, and the others go on.

    Args:
      step: (state, *data) -> (state, metrics).
      num_steps: steps per chunk, at least 1.
      runs: "one" state; or states stacked on a leading axis, trained together ("vmap"), or one after
        another in the same program ("map": less memory, and on a CPU better use of its caches).
      data_axis: None where the runs share the data; 0 where each has its own (folds).
    Returns:
      chunk(state, *data) -> Chunk; with many runs, each of its arrays has a leading axis of runs.
    Raises:
      ValueError: num_steps below 1, or runs unknown.

    >>> chunk = chunk_of(lambda x: (x * 2, {"x": x}), 3, runs="vmap")
    >>> chunk(jnp.array([1.0, jnp.inf])).state, chunk(jnp.array([1.0, 3.0])).metrics["x"]
    (Array([ 8., inf], dtype=float32), Array([[ 1.,  2.,  4.],
           [ 3.,  6., 12.]], dtype=float32))
    """
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1, got {num_steps}")

    def chunk(state, *data):
        end, metrics = jax.lax.scan(lambda carry, _: step(carry, *data), state, length=num_steps)
        finite = all_finite((end, metrics))
        return Chunk(jax.tree.map(lambda new, old: jnp.where(finite, new, old), end, state), metrics, finite)

    if runs == "one":
        return chunk
    if runs == "vmap":
        return lambda state, *data: jax.vmap(chunk, (0, *[data_axis] * len(data)))(state, *data)
    if runs == "map":
        def one_by_one(state, *data):
            if data_axis is None:
                return jax.lax.map(lambda one: chunk(one, *data), state)
            return jax.lax.map(lambda one: chunk(*one), (state, *data))
        return one_by_one
    raise ValueError(f"runs must be 'one', 'vmap' or 'map', got {runs!r}")


def all_finite(tree: Any) -> jax.Array:
    """Whether every floating-point leaf is finite.

    >>> all_finite({"a": jnp.ones(2), "b": jnp.array([0, 1]), "c": jnp.array(jnp.nan)})
    Array(False, dtype=bool)
    """
    floating = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return jnp.all(jnp.array([jnp.all(jnp.isfinite(leaf)) for leaf in floating]))


def first_nonfinite_leaf(tree: Any) -> str | None:
    """Path of the first leaf that is not finite, or None. For the host, on concrete arrays.

    >>> first_nonfinite_leaf({"a": jnp.ones(2), "b": [jnp.array(jnp.inf)]})
    "['b'][0]"
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if jnp.issubdtype(leaf.dtype, jnp.inexact) and not bool(jnp.all(jnp.isfinite(leaf))):
            return jax.tree_util.keystr(path)
    return None
