"""Ridge regressions by the million: one for each row of a ragged matrix, all on the same regressors."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from sandbox.matrix_factorization import cholesky
from sandbox.matrix_factorization.ragged import Block, take

__all__ = ["Ridge", "solve_rows"]

CHUNK_SIZE = 2**18  # numbers gathered at a time, 1 MiB in float32: what a core's own cache holds

Ridge = Callable[[jax.Array], jax.Array]


def solve_rows(design: jax.Array, blocks: Sequence[Block], column: jax.Array, value: jax.Array,
               weight: jax.Array, *, num_rows: int, ridge: Ridge,
               mesh: Mesh | None = None) -> jax.Array:
    r"""Weighted ridge regressions, one for each row of a ragged matrix, all on the same design.

    x_r = argmin_x Σ_{e in row r} w_e (v_e − xᵀ y_{c(e)})² + xᵀ diag(d_r) x,   d_r = ridge(Σ_e w_e):

    (Yᵀ W Y + diag(d)) x = Yᵀ W v where the row has D entries or more; where it has fewer, the same x from
    the smaller system: x = d⁻¹ Zᵀ (I + Z d⁻¹ Zᵀ)⁻¹ W^½ v,  Z = W^½ Y.

    Dimensions: N entries, R rows, C columns, D coefficients.

    Args:
      design: (C, D) regressors y_c as rows.
      blocks: the entries of each row, from `ragged.pack`.
      column: (N,) ids 0 <= c < C. value: (N,) v. weight: (N,) w >= 0.
      num_rows: R.
      ridge: from the total weights (B,) of some rows to their penalties d (B, D), positive.
      mesh: devices with an axis "data" to share each block's rows among; default: one device.
    Returns:
      (R, D).
    Source: normal equations; the second form by the push-through identity (Woodbury).

    >>> blocks = [Block(jnp.array([0]), jnp.array([[0, 1]]))]
    >>> solve_rows(jnp.array([[1.0], [3.0]]), blocks, jnp.array([0, 1]), jnp.array([1.0, 1.0]), jnp.ones(2),
    ...            num_rows=1, ridge=lambda total: 0.0 * total[:, None] + 6.0)
    Array([[0.25]], dtype=float32)
    """
    def solve_blocks(design, column, value, weight, blocks):
        def solve_chunk(entries):
            return _solve_chunk(design, take(column, entries), take(value, entries), take(weight, entries),
                                ridge)

        size = CHUNK_SIZE // design.shape[1]
        solved = [_map_chunks(solve_chunk, b.entries, fill=column.shape[0], size=size) for b in blocks]
        return jnp.concatenate(solved), jnp.concatenate([b.rows for b in blocks])

    solve = solve_blocks if mesh is None else _over_mesh(solve_blocks, mesh)
    solved, row = solve(design, column, value, weight, jax.tree.map(jnp.asarray, tuple(blocks)))
    return solved[jnp.argsort(row)[:num_rows]]  # each row stands in one block; padding sorts last


def _over_mesh(solve: Callable[..., Any], mesh: Mesh) -> Callable[..., Any]:
    """The same, each device on its part of every block's rows; all get all of the result."""
    def local(*arrays):
        return jax.tree.map(lambda part: jax.lax.all_gather(part, "data", tiled=True), solve(*arrays))

    copy, divided = PartitionSpec(), PartitionSpec("data")
    return jax.shard_map(local, mesh=mesh, in_specs=(copy, copy, copy, copy, divided), out_specs=copy,
                         check_vma=False)


def _solve_chunk(design, column, value, weight, ridge):
    if column.shape[1] < design.shape[1]:
        return _solve_short(design[column], value, weight, ridge)
    piece = max(CHUNK_SIZE // design.shape[1], 1)
    if column.shape[1] <= piece:
        gram, moment = _normal_equations(design[column], value, weight)
        return cholesky.solve(gram + _diagonal(ridge(jnp.sum(weight, axis=1))), moment)

    def add(total, part):
        column, value, weight = part
        return jax.tree.map(jnp.add, total, _normal_equations(design[column], value, weight)), None

    parts = jax.tree.map(lambda array: _split_columns(array, piece), (column, value, weight))
    rows, rank = column.shape[0], design.shape[1]
    zero = (jnp.zeros((rows, rank, rank), design.dtype), jnp.zeros((rows, rank), design.dtype))
    (gram, moment), _ = jax.lax.scan(add, zero, parts)
    return cholesky.solve(gram + _diagonal(ridge(jnp.sum(weight, axis=1))), moment)


def _normal_equations(y, value, weight):
    z = y * jnp.sqrt(weight)[..., None]
    gram = jnp.einsum("bld,ble->bde", z, z, precision="highest")
    return gram, jnp.einsum("bld,bl->bd", z, jnp.sqrt(weight) * value, precision="highest")


def _solve_short(y, value, weight, ridge):
    shrink = jax.lax.rsqrt(ridge(jnp.sum(weight, axis=1)))
    z = y * jnp.sqrt(weight)[..., None] * shrink[:, None, :]
    kernel = jnp.einsum("bld,bmd->blm", z, z, precision="highest") + jnp.eye(y.shape[1], dtype=y.dtype)[None]
    dual = cholesky.solve(kernel, jnp.sqrt(weight) * value)
    return shrink * jnp.einsum("bld,bl->bd", z, dual, precision="highest")


def _diagonal(d):
    return d[:, :, None] * jnp.eye(d.shape[1], dtype=d.dtype)[None]


def _map_chunks(function, entries, *, fill, size):
    """Rows of `entries` (B, L) through `function` in chunks of at most `size` entries, at least one row.

    A chunk takes every n-th row, so that blocks whose rows are sharded stay so inside the loop.
    """
    rows, width = entries.shape
    steps = -(-rows // max(size // width, 1))
    if steps <= 1:
        return function(entries)
    chunk = -(-rows // steps)
    padded = jnp.pad(entries, ((0, chunk * steps - rows), (0, 0)), constant_values=fill)
    solved = jax.lax.map(function, padded.reshape(chunk, steps, width).swapaxes(0, 1))
    return solved.swapaxes(0, 1).reshape(chunk * steps, -1)[:rows]


def _split_columns(array, piece):
    rows, width = array.shape
    padded = jnp.pad(array, ((0, 0), (0, -width % piece)))
    return padded.reshape(rows, -1, piece).swapaxes(0, 1)
