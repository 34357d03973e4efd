"""Trace of the Jacobian of a field of rows: exact, or by random projections."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

__all__ = ["exact_trace", "projected_trace", "quadratic_forms"]

UNROLLED = 8  # directions that are no loop


def exact_trace(field: Callable[[jax.Array], jax.Array], x: jax.Array, *, at_once: int = 1
                ) -> tuple[jax.Array, jax.Array]:
    """f(x) and tr ∂f/∂x of each row, by D directions through one linearisation.

    tr J = Σ_d e_dᵀ J e_d.

    Args:
      field: f, rows (N, *shape) to rows of the same shape, each by itself. x: (N, *shape), D numbers a row.
      at_once: how many of the D directions together, at least 1: more need more memory, and are slow to differentiate.
    Returns:
      f(x), (N, *shape), and traces, (N,).
    Raises:
      ValueError: at_once is below 1.
      ValueError: field does not return rows of x's shape.

    >>> exact_trace(lambda x: x**2, jnp.array([[1.0, 2.0]]))
    (Array([[1., 4.]], dtype=float32), Array([6.], dtype=float32))
    """
    if at_once < 1:
        raise ValueError(f"at_once must be at least 1, got {at_once}")
    value, push = _linearised(field, x)
    size = math.prod(x.shape[1:])

    def entry(d: jax.Array) -> jax.Array:
        direction = (jnp.arange(size) == d).astype(x.dtype).reshape(1, *x.shape[1:])
        pushed = push(jnp.broadcast_to(direction, x.shape))
        return jnp.sum(direction * pushed, axis=tuple(range(1, x.ndim)))  # to pick it out is slow to differentiate

    def add(total: jax.Array, numbers: jax.Array) -> tuple[jax.Array, None]:
        entries = entry(numbers[0]) if at_once == 1 else jnp.sum(jax.vmap(entry)(numbers), axis=0)
        return total + entries, None

    groups = -(-size // at_once)  # a direction beyond the last is 0, and so is what it adds
    numbers = jnp.arange(groups * at_once).reshape(groups, at_once)
    return value, jax.lax.scan(add, jnp.zeros(len(x), value.dtype), numbers, unroll=min(groups, UNROLLED))[0]


def quadratic_forms(field: Callable[[jax.Array], jax.Array], x: jax.Array, projections: jax.Array
                    ) -> tuple[jax.Array, jax.Array]:
    """f(x) and vᵀ (∂f/∂x) v of each row and each of its projections.

    Args:
      field: f, rows (N, *shape) to rows of the same shape, each by itself. x: (N, *shape).
      projections: v, (N, P, *shape).
    Returns:
      f(x), (N, *shape), and forms, (N, P).
    Raises:
      ValueError: projections are not (N, P, *shape).
      ValueError: field does not return rows of x's shape.

    >>> quadratic_forms(lambda x: x**2, jnp.array([[1.0, 2.0]]), jnp.array([[[1.0, 0.0], [1.0, 1.0]]]))[1]
    Array([[2., 6.]], dtype=float32)
    """
    if projections.ndim != x.ndim + 1 or (*projections.shape[:1], *projections.shape[2:]) != x.shape:
        raise ValueError(f"projections must be (N, P, *shape) of x {x.shape}, got {projections.shape}")
    value, push = _linearised(field, x)
    pushed = jax.vmap(push, in_axes=1, out_axes=1)(projections)
    return value, jnp.sum(projections * pushed, axis=tuple(range(2, projections.ndim)))


def projected_trace(field: Callable[[jax.Array], jax.Array], x: jax.Array, projections: jax.Array
                    ) -> tuple[jax.Array, jax.Array]:
    """f(x) and an estimate of tr ∂f/∂x of each row: the mean of vᵀ (∂f/∂x) v over its projections.

    Without bias where E v vᵀ = I; exact where the mean of v vᵀ over a row's projections is I.

    Args:
      field: f, rows (N, *shape) to rows of the same shape, each by itself. x: (N, *shape).
      projections: v, (N, P, *shape), P at least 1.
    Returns:
      f(x), (N, *shape), and traces, (N,).
    Raises:
      ValueError: projections are not (N, P, *shape), P at least 1.
      ValueError: field does not return rows of x's shape.
    Source: Hutchinson 1990, "A stochastic estimator of the trace of the influence matrix".

    >>> projected_trace(lambda x: x**2, jnp.array([[1.0, 2.0]]), jnp.array([[[1.0, 1.0], [1.0, -1.0]]]))[1]
    Array([6.], dtype=float32)
    """
    if projections.shape[1:2] == (0,):
        raise ValueError(f"projections must be (N, P, *shape) with P of at least 1, got {projections.shape}")
    value, forms = quadratic_forms(field, x, projections)
    return value, jnp.mean(forms, axis=1)


def _linearised(field: Callable[[jax.Array], jax.Array], x: jax.Array) -> tuple[jax.Array, Callable]:
    value, push = jax.linearize(field, x)
    if value.shape != x.shape:
        raise ValueError(f"field must return rows of the shape of x, {x.shape}, got {value.shape}")
    return value, push
