"""Many small symmetric positive definite systems at once, as matrix products over the batch.

LAPACK takes a batch one matrix at a time, and its call inside a loop blocks the very threads that it
waits for once two of them run (jaxlib 0.10.2 on CPU, two devices: a deadlock). Here every operation
runs over the whole batch, shards by it, and is plain XLA.
"""

import jax
import jax.numpy as jnp

__all__ = ["inverse_factor", "solve"]

LEAF_SIZE = 12  # below, a matrix is eliminated row by row; above, it is halved


def solve(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    """x with A x = b, for symmetric positive definite A; NaN where A is not.

    Args:
      matrix: (B, N, N); only symmetric input makes sense, both triangles are read.
      vector: (B, N).
    Returns:
      (B, N).

    >>> solve(jnp.array([[[4.0, 0.0], [0.0, 16.0]]]), jnp.array([[8.0, 16.0]]))
    Array([[2., 1.]], dtype=float32)
    """
    if matrix.shape[1] <= LEAF_SIZE:
        return _gauss_jordan(matrix, vector)
    inverse = inverse_factor(matrix)
    return _product("bji,bj->bi", inverse, _product("bij,bj->bi", inverse, vector))


def inverse_factor(matrix: jax.Array) -> jax.Array:
    r"""W = L⁻¹, lower triangular, of the Cholesky factor A = L Lᵀ; so A⁻¹ = Wᵀ W.

    By halves, with S = C − V Vᵀ the Schur complement of A₁₁ = L₁₁ L₁₁ᵀ and V = A₂₁ W₁₁ᵀ:
    W = [[W₁₁, 0], [−W₂₂ V W₁₁, W₂₂]], W₂₂ the inverse factor of S.

    Args:
      matrix: (B, N, N) symmetric positive definite.
    Returns:
      (B, N, N); NaN where a matrix is not positive definite.
    Source: Golub and Van Loan, Matrix Computations, section 4.2 (block Cholesky).

    >>> inverse_factor(jnp.array([[[4.0]]]))
    Array([[[0.5]]], dtype=float32)
    """
    size = matrix.shape[-1]
    if size <= LEAF_SIZE:
        return _eliminate(matrix)
    half = size // 2
    first = inverse_factor(matrix[:, :half, :half])
    panel = _product("bij,bkj->bik", matrix[:, half:, :half], first)
    second = inverse_factor(matrix[:, half:, half:] - _product("bij,bkj->bik", panel, panel))
    corner = -_product("bij,bjk->bik", second, _product("bij,bjk->bik", panel, first))
    upper = jnp.pad(first, ((0, 0), (0, 0), (0, size - half)))
    return jnp.concatenate([upper, jnp.concatenate([corner, second], axis=2)], axis=1)


def _eliminate(matrix):
    """Row elimination of [A, I]: when the left half has become Lᵀ, the right half is L⁻¹."""
    size = matrix.shape[1]
    identity = jnp.broadcast_to(jnp.eye(size, dtype=matrix.dtype)[None], matrix.shape)

    def step(j, rows):
        pivot = jax.lax.dynamic_index_in_dim(rows, j, 1, keepdims=False)
        column = jax.lax.dynamic_index_in_dim(rows, j, 2, keepdims=False)
        scale = jax.lax.rsqrt(jax.lax.dynamic_index_in_dim(pivot, j, 1))
        pivot, column = pivot * scale, column * scale
        below = (jnp.arange(size) > j)[None]
        rows = rows - jnp.where(below, column, 0)[:, :, None] * pivot[:, None, :]
        return jnp.where((jnp.arange(size) == j)[None, :, None], pivot[:, None, :], rows)

    return jax.lax.fori_loop(0, size, step, jnp.concatenate([matrix, identity], axis=2))[:, :, size:]


def _gauss_jordan(matrix, vector):
    """Elimination of [A, b] below and above each pivot: b has become x. A definite A needs no pivoting."""
    size = matrix.shape[1]

    def step(j, rows):
        pivot = jax.lax.dynamic_index_in_dim(rows, j, 1)
        corner = jax.lax.dynamic_index_in_dim(pivot, j, 2)
        pivot = jnp.where(corner > 0, pivot / corner, jnp.nan)
        reduced = rows - jax.lax.dynamic_index_in_dim(rows, j, 2) * pivot
        return jnp.where((jnp.arange(size) == j)[None, :, None], pivot, reduced)

    return jax.lax.fori_loop(0, size, step, jnp.concatenate([matrix, vector[..., None]], axis=2))[:, :, -1]


def _product(spec, left, right):
    return jnp.einsum(spec, left, right, precision="highest")
