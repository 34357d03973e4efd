"""Ridge regressions by the million: one for each row of a ragged matrix, all on the same regressors."""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from sandbox.matrix_factorization import cholesky
from sandbox.matrix_factorization.packing import Rows

__all__ = ["Ridge", "fold", "solve_rows"]

CHUNK_SIZE = 2**18  # numbers gathered at a time, 1 MiB in float32: what a core's own cache holds
LANES = 128  # numbers to which a TPU fills up every row that it keeps

Ridge = Callable[[jax.Array], jax.Array]


def fold(table: jax.Array) -> jax.Array:
    """Rows side by side, as many as fit in a TPU's 128 lanes: at D = 64 the table takes half the memory there.

    Args:
      table: (C, D).
    Returns:
      (C / f, f D), the same numbers in the same order; f divides C.

    >>> fold(jnp.zeros((16, 64))).shape, fold(jnp.zeros((16, 65))).shape
    ((8, 128), (16, 65))
    """
    count, rank = table.shape
    side_by_side = math.gcd(count, max(LANES // rank, 1))
    return table.reshape(count // side_by_side, side_by_side * rank)


def solve_rows(design: jax.Array, blocks: Sequence[Rows], *, rank: int, ridge: Ridge,
               offset: jax.Array | None = None) -> jax.Array:
    r"""Weighted ridge regressions, one for each row of a ragged matrix, all on the same design.

    x_r = argmin_x Σ_{e in row r} w_e (v_e − o_c(e) − xᵀ y_{c(e)})² + xᵀ diag(d_r) x,   d_r = ridge(Σ_e w_e):

    (Yᵀ W Y + diag(d)) x = Yᵀ W (v − o) where the row has D entries or more; where it has fewer, the same x from
    the smaller system: x = d⁻¹ Zᵀ (I + Z d⁻¹ Zᵀ)⁻¹ W^½ (v − o),  Z = W^½ Y.

    Dimensions: R rows in all blocks, C columns, D coefficients.

    Args:
      design: (C, D) regressors y_c as rows, or these folded.
      blocks: Rows; 0 <= column < C.
      rank: D.
      ridge: from the total weights (B,) of some rows to their penalties d (B, D), positive.
      offset: (C,) o, what a column says by itself; default: 0.
    Returns:
      (R, D), the rows of one block after those of the other.
    Source: normal equations; the second form by the push-through identity (Woodbury).

    >>> blocks = [Rows(jnp.array([[0, 1]]), jnp.array([[1.0, 1.0]]), jnp.ones((1, 2)))]
    >>> solve_rows(jnp.array([[1.0], [3.0]]), blocks, rank=1, ridge=lambda total: 0.0 * total[:, None] + 6.0)
    Array([[0.25]], dtype=float32)
    """
    def solve_chunk(rows):
        value = rows.value if offset is None else rows.value - offset[rows.column]
        return _solve_chunk(design, rows._replace(value=value), rank, ridge)

    return jnp.concatenate([_map_chunks(solve_chunk, rows, size=CHUNK_SIZE // rank) for rows in blocks])


def _look_up(design, column, rank):
    """Rows of a table that may be folded, which only a TPU minds: elsewhere unfolding costs nothing."""
    if design.shape[1] == rank:
        return design[column]

    def among_neighbours(design, column):
        count = design.shape[1] // rank
        neighbours, place = jnp.split(design[column // count], count, axis=-1), (column % count)[..., None]
        return jnp.select([place == k for k in range(count)], neighbours)

    return jax.lax.platform_dependent(design, column, tpu=among_neighbours,
                                      default=lambda design, column: design.reshape(-1, rank)[column])


def _solve_chunk(design, rows, rank, ridge):
    if rows.column.shape[1] < rank:
        return _solve_short(design, rows, rank, ridge)
    gram, moment = _sum_pieces(design, rows, rank, piece=max(CHUNK_SIZE // rank, 1))
    return cholesky.solve(gram + _diagonal(ridge(jnp.sum(rows.weight, axis=1))), moment)


def _sum_pieces(design, rows, rank, *, piece):
    """Yᵀ W Y and Yᵀ W v of each row, of at most `piece` columns at a time."""
    if rows.column.shape[1] <= piece:
        return _normal_equations(design, rows, rank)

    def add(total, part):
        return jax.tree.map(jnp.add, total, _normal_equations(design, part, rank)), None

    count = rows.column.shape[0]
    zero = (jnp.zeros((count, rank, rank), design.dtype), jnp.zeros((count, rank), design.dtype))
    return jax.lax.scan(add, zero, jax.tree.map(lambda array: _split_columns(array, piece), rows))[0]


def _normal_equations(design, rows, rank):
    root = jnp.sqrt(rows.weight)
    z = _look_up(design, rows.column, rank) * root[..., None]
    gram = jnp.einsum("bld,ble->bde", z, z, precision="highest")
    return gram, jnp.einsum("bld,bl->bd", z, root * rows.value, precision="highest")


def _solve_short(design, rows, rank, ridge):
    root, shrink = jnp.sqrt(rows.weight), jax.lax.rsqrt(ridge(jnp.sum(rows.weight, axis=1)))
    z = _look_up(design, rows.column, rank) * root[..., None] * shrink[:, None, :]
    kernel = jnp.einsum("bld,bmd->blm", z, z, precision="highest") + jnp.eye(root.shape[1], dtype=z.dtype)[None]
    dual = cholesky.solve(kernel, root * rows.value)
    return shrink * jnp.einsum("bld,bl->bd", z, dual, precision="highest")


def _diagonal(d):
    return d[:, :, None] * jnp.eye(d.shape[1], dtype=d.dtype)[None]


def _map_chunks(function, rows, *, size):
    """Rows (B, L) through `function` in chunks of at most `size` entries, at least one row.

    Nothing is padded, which would copy the block: the last chunk begins so early that it ends with the block.
    """
    count, width = rows.column.shape
    steps = -(-count // max(size // width, 1))
    if steps <= 1:
        return function(rows)
    chunk = -(-count // steps)

    def solve(first):
        return function(jax.tree.map(lambda array: jax.lax.dynamic_slice_in_dim(array, first, chunk), rows))

    def step(k, solved):
        first = jnp.minimum(k * chunk, count - chunk)
        return jax.lax.dynamic_update_slice_in_dim(solved, solve(first), first, 0)

    blank = jax.eval_shape(solve, 0)
    return jax.lax.fori_loop(0, steps, step, jnp.zeros((count, *blank.shape[1:]), blank.dtype))


def _split_columns(array, piece):
    rows, width = array.shape
    padded = jnp.pad(array, ((0, 0), (0, -width % piece)))
    return padded.reshape(rows, -1, piece).swapaxes(0, 1)
