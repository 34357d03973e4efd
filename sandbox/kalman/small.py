"""Linear algebra of matrices of a few rows, written out: sizes are static, and loops unrolled, all but one.

LAPACK, and any library's product, takes such matrices one at a time at the price of a call each. Written out
as sums of outer products they compile to vector code that fuses with what stands around it, alone and by the
thousands under `vmap`; and no product of an accelerator's half-precise units is ever involved.
"""

import functools
from collections.abc import Iterable

import jax
import jax.numpy as jnp

__all__ = [
    "cholesky", "congruence", "inverse", "product", "product_transposed", "solve", "solve_lower", "solve_upper",
    "triangularize",
]


def product(a: jax.Array, b: jax.Array) -> jax.Array:
    """A b, as the sum over k of column k of A times row k of b.

    Args:
      a: (n, k). b: (k, m) or (k,).
    Returns:
      (n, m) or (n,).

    >>> product(jnp.array([[1.0, 2.0]]), jnp.array([[3.0], [4.0]]))
    Array([[11.]], dtype=float32)
    """
    if b.ndim == 1:
        return _total(a[:, k] * b[k] for k in range(len(b)))
    return _total(a[:, k, None] * b[None, k] for k in range(len(b)))


def product_transposed(a: jax.Array, b: jax.Array) -> jax.Array:
    """A Bᵀ, without a transposed copy of B.

    Args:
      a: (n, k). b: (m, k).
    Returns:
      (n, m).

    >>> product_transposed(jnp.array([[1.0, 2.0]]), jnp.array([[3.0, 4.0]]))
    Array([[11.]], dtype=float32)
    """
    return _total(a[:, k, None] * b[None, :, k] for k in range(a.shape[1]))


def congruence(a: jax.Array, p: jax.Array) -> jax.Array:
    """A P Aᵀ: the covariance of A x, where P is that of x.

    Args:
      a: (n, k). p: (k, k) symmetric.
    Returns:
      (n, n), symmetric to rounding.

    >>> congruence(jnp.array([[1.0, 1.0]]), jnp.array([[2.0, 1.0], [1.0, 2.0]]))
    Array([[6.]], dtype=float32)
    """
    return product_transposed(product(a, p), a)


def cholesky(a: jax.Array) -> jax.Array:
    """Lower-triangular L with L Lᵀ = A, column by column; NaN where A is not positive definite.

    Args:
      a: (n, n) symmetric positive definite.
    Returns:
      (n, n).
    Source: Golub, Van Loan, Matrix Computations, algorithm 4.2.2.

    >>> cholesky(jnp.array([[4.0, 2.0], [2.0, 5.0]]))
    Array([[2., 0.],
           [1., 2.]], dtype=float32)
    """
    below = _lower(a)
    columns = []
    for j in range(len(a)):
        rest = a[:, j] - sum(column * column[j] for column in columns)
        columns.append(jnp.where(below[:, j], rest / jnp.sqrt(rest[j]), 0))
    return jnp.stack(columns, axis=1)


def inverse(a: jax.Array) -> jax.Array:
    """A⁻¹ by sweeping each pivot in turn; NaN where A is not positive definite.

    Args:
      a: (n, n) symmetric positive definite.
    Returns:
      (n, n).
    Source: Goodnight 1979, "A tutorial on the SWEEP operator".

    >>> inverse(jnp.array([[2.0, 1.0], [1.0, 1.0]]))
    Array([[ 1., -1.],
           [-1.,  2.]], dtype=float32)
    """
    index = jnp.arange(len(a))

    def sweep(k, a):  # a loop, not unrolled: so small a one XLA compiles to a single kernel
        here = index == k
        row, column = jax.lax.dynamic_index_in_dim(a, k, 0), jax.lax.dynamic_index_in_dim(a, k, 1)
        pivot = jax.lax.dynamic_index_in_dim(row, k, 1)
        row = jnp.where(here[None, :], 1, row) / jnp.where(pivot > 0, pivot, jnp.nan)
        return jnp.where(here[:, None], row, jnp.where(here[None, :], 0, a) - column * row)

    return jax.lax.fori_loop(0, len(a), sweep, a)


def solve(a: jax.Array, b: jax.Array) -> jax.Array:
    """A⁻¹ b by Gauss–Jordan elimination with row pivoting, for an A that need not be symmetric.

    Args:
      a: (n, n). b: (n, k).
    Returns:
      (n, k); not finite where A is singular.

    >>> solve(jnp.array([[0.0, 2.0], [1.0, 0.0]]), jnp.array([[2.0], [3.0]]))
    Array([[3.],
           [1.]], dtype=float32)
    """
    n, index = len(a), jnp.arange(len(a))
    rows = jnp.concatenate([a, b], axis=1)
    for k in range(n):
        best = index == jnp.argmax(jnp.where(index >= k, jnp.abs(rows[:, k]), -1))
        pivot = jnp.sum(jnp.where(best[:, None], rows, 0), axis=0)
        rows = jnp.where(best[:, None], rows[k][None, :], rows)
        pivot = pivot / pivot[k]
        rows = jnp.where((index == k)[:, None], pivot[None, :], rows - rows[:, k, None] * pivot[None, :])
    return rows[:, n:]


def solve_lower(lower: jax.Array, b: jax.Array) -> jax.Array:
    """L⁻¹ b by forward substitution.

    Args:
      lower: (n, n) lower triangular. b: (n,) or (n, k).
    Returns:
      As b.

    >>> solve_lower(jnp.array([[2.0, 0.0], [1.0, 2.0]]), jnp.array([2.0, 3.0]))
    Array([1., 1.], dtype=float32)
    """
    solved = []
    for i in range(len(lower)):
        solved.append((b[i] - sum(lower[i, j] * solved[j] for j in range(i))) / lower[i, i])
    return jnp.stack(solved)


def solve_upper(lower: jax.Array, b: jax.Array) -> jax.Array:
    """L⁻ᵀ b by back substitution.

    Args:
      lower: (n, n) lower triangular, L itself. b: (n,) or (n, k).
    Returns:
      As b.

    >>> solve_upper(jnp.array([[2.0, 0.0], [1.0, 2.0]]), jnp.array([3.0, 2.0]))
    Array([1., 1.], dtype=float32)
    """
    return solve_lower(lower.T[::-1, ::-1], b[::-1])[::-1]


def triangularize(a: jax.Array) -> jax.Array:
    """Lower-triangular L with L Lᵀ = A Aᵀ, by modified Gram–Schmidt on the rows of A.

    A Aᵀ is never formed, so that L keeps the digits that squaring would lose; of the two factors of
    A = L Qᵀ only L is wanted, and it is as exact as Householder's. A row of zeros gives zeros, with zero
    derivatives; of a row that depends on those above it rounding is left, and derivatives mean nothing.

    Args:
      a: (n, k).
    Returns:
      (n, n), its diagonal >= 0.
    Source: Björck 1967, "Solving linear least squares problems by Gram–Schmidt orthogonalization".

    >>> np.asarray(triangularize(jnp.array([[3.0, 4.0, 0.0], [5.0, 0.0, 1.0]]))).round(3)
    array([[5.   , 0.   ],
           [3.   , 4.123]], dtype=float32)
    """
    below = _lower(a)
    columns = []
    for j in range(len(a)):
        squared = jnp.sum(a[j] ** 2)
        direction = jnp.where(squared > 0, a[j] / jnp.sqrt(jnp.where(squared > 0, squared, 1)), 0)
        column = jnp.where(below[:, j], jnp.sum(a * direction[None, :], axis=1), 0)
        a = a - column[:, None] * direction[None, :]
        columns.append(column)
    return jnp.stack(columns, axis=1)


def _total(terms: Iterable[jax.Array]) -> jax.Array:
    return functools.reduce(jnp.add, terms)


def _lower(a: jax.Array) -> jax.Array:
    return jnp.tril(jnp.ones((len(a), len(a)), bool))
