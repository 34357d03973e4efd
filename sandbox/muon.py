"""Muon: momentum, made orthogonal, for whatever in a network multiplies as a matrix."""

from typing import Any, cast

import jax
import jax.numpy as jnp
import optax

__all__ = ["muon", "stacked"]


def muon(learning_rate: optax.ScalarOrSchedule, *, beta: float = 0.95) -> optax.GradientTransformation:
    """One step for all matrices: m ← β m + (1 − β) g;  W ← W − η √max(1, out/in) O(β m + (1 − β) g).

    O(U S Vᵀ) ≈ U Vᵀ, by five steps of Newton–Schulz; m and g with optax's correction of their bias in the first steps.
    A kernel (*taps, in, out) of a convolution is the matrix (taps · in, out).

    Args:
      learning_rate: η, or its schedule. beta: β.
    Returns:
      optax transformation, for leaves of two axes or more.
    Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".

    >>> optimizer, kernel = muon(1.0), jnp.ones((1, 4, 1))
    >>> np.asarray(optimizer.update(kernel, optimizer.init(kernel), kernel)[0]).ravel().round(1)
    array([-0.3, -0.3, -0.3, -0.3], dtype=float32)
    """
    return stacked(optax.chain(
        optax.contrib.scale_by_muon(beta=beta, weight_dimension_numbers=_of_stacks),
        optax.stateless(lambda stacks, _: jax.tree.map(_scaled_to_shape, stacks)),
        optax.scale_by_learning_rate(learning_rate)))


def stacked(inner: optax.GradientTransformation) -> optax.GradientTransformation:
    """The same optimiser on all matrices of one shape at once, as (n, rows, columns) by the name of the shape.

    Args:
      inner: an optimiser that treats the entries of a leading axis apart.
    Returns:
      optax transformation, for leaves of two axes or more: all but the last are rows.

    >>> optimizer = stacked(optax.scale(2.0))
    >>> matrices = {"a": jnp.ones((1, 2)), "b": jnp.ones((2, 1)), "c": jnp.zeros((1, 2))}
    >>> optimizer.update(matrices, optimizer.init(matrices))[0]["a"]
    Array([[2., 2.]], dtype=float32)
    """
    def stack(tree: Any) -> dict[str, jax.Array]:
        return {name: jnp.stack(leaves) for name, leaves in _by_shape(tree).items()}

    def update(updates, state, params=None):
        new, state = inner.update(stack(updates), state, None if params is None else stack(params))
        of_shape = {name: iter(one) for name, one in cast(dict[str, jax.Array], new).items()}
        return jax.tree.map(lambda leaf: next(of_shape[_shape(_matrix(leaf))]).reshape(leaf.shape), updates), state

    return optax.GradientTransformation(lambda params: inner.init(stack(params)), update)


def _by_shape(tree: Any) -> dict[str, list[jax.Array]]:
    """Leaves as matrices, in their order, by the name of their shape."""
    found: dict[str, list[jax.Array]] = {}
    for matrix in map(_matrix, jax.tree.leaves(tree)):
        found.setdefault(_shape(matrix), []).append(matrix)
    return found


def _matrix(leaf: jax.Array) -> jax.Array:
    return leaf.reshape(-1, leaf.shape[-1])


def _shape(matrix: jax.Array) -> str:
    return "x".join(map(str, matrix.shape))


def _of_stacks(stacks: Any) -> Any:
    return jax.tree.map(lambda stack: optax.contrib.MuonDimensionNumbers(1, 2), stacks)


def _scaled_to_shape(stack: jax.Array) -> jax.Array:
    """√max(1, out/in): what keeps the update of an output the same whatever the widths."""
    return stack * max(1, stack.shape[2] / stack.shape[1]) ** 0.5
