"""Sets as features: what a user has rated says who they are like, before any rating is read."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sandbox.matrix_factorization.conjugate import Gaussian, Hyperprior, by_row, draw_normal_wishart, draw_normals
from sandbox.matrix_factorization.ragged import Block, take

__all__ = ["PRECISION_GRID", "SetBasis", "draw_set_prior", "set_basis"]

PRECISION_GRID = tuple(10 ** (step / 10) for step in range(-20, 41))
"""Values that λ may take, in equal steps of its logarithm, alike in probability before any data."""


class SetBasis(NamedTuple):
    """The K leading eigenvectors (R, K) and eigenvalues (K,) >= 0 of the cosine similarity of R sets."""

    vectors: jax.Array
    values: jax.Array


def set_basis(key: jax.Array, row_blocks: Sequence[Block], column_blocks: Sequence[Block], row: jax.Array,
              column: jax.Array, *, num_rows: int, num_columns: int, size: int,
              iterations: int = 4) -> SetBasis:
    r"""Leading eigenvectors of the cosine similarity of R sets, never forming it.

    K = N Nᵀ,   N_rj = [j in the set of r] / √n_r:   K_rs = |set r ∩ set s| / √(n_r n_s).

    Dimensions: E members of all sets together, R sets, C things that they hold, K eigenvectors.

    Args:
      key: PRNG key, for the first guess.
      row_blocks, column_blocks: the E members grouped by set and by thing, from `ragged.pack`.
      row, column: (E,) set and thing of each member; what the blocks leave out (padding) is no member.
      num_rows, num_columns: R, C. size: K. iterations: of orthogonal iteration.
    Returns:
      SetBasis, by falling eigenvalue. An empty set is like no other.
    Raises:
      ValueError: size is below 1 or above R.
    Source: Halko, Martinsson and Tropp 2011, algorithms 4.4 and 5.3.

    >>> pairs = Block(jnp.arange(2), jnp.array([[0, 4], [1, 2]]))  # sets {0} and {0, 1}
    >>> items = Block(jnp.arange(2), jnp.array([[0, 1], [2, 4]]))
    >>> set_basis(jax.random.key(0), [pairs], [items], jnp.array([0, 1, 1, 0]), jnp.array([0, 0, 1, 0]),
    ...           num_rows=2, num_columns=2, size=2).values * 4  # 4 ± 4 / √2
    Array([6.828..., 1.171...], dtype=float32)
    """
    if not 1 <= size <= num_rows:
        raise ValueError(f"size must be between 1 and num_rows = {num_rows}, got {size}")
    one = jnp.ones(row.shape[0])
    counts = _sum_rows(row_blocks, one, jnp.zeros_like(row), jnp.ones((1, 1)), num_rows)
    scale = jax.lax.rsqrt(jnp.maximum(counts, 1))

    def similarity(q):
        held = _sum_rows(column_blocks, one, row, scale * q, num_columns)
        return scale * _sum_rows(row_blocks, one, column, held, num_rows)

    def iterate(q, _):
        return jnp.linalg.qr(similarity(q))[0], None

    guess = jax.random.normal(key, (num_rows, min(size + 8, num_rows)))
    q, _ = jax.lax.scan(iterate, jnp.linalg.qr(guess)[0], length=iterations)
    values, vectors = jnp.linalg.eigh(jnp.matmul(q.T, similarity(q), precision="highest"))
    leading = jnp.matmul(q, vectors[:, ::-1][:, :size], precision="highest")
    return SetBasis(leading, jnp.maximum(values[::-1][:size], 0))


def draw_set_prior(key: jax.Array, table: jax.Array, basis: SetBasis, current: Gaussian,
                   hyperprior: Hyperprior) -> tuple[Gaussian, jax.Array, jax.Array]:
    r"""What a table's rows are expected to be, given their sets, and what spread remains: one joint draw.

    v_r ~ N(μ + f_r, Λ⁻¹),   f_r = Σ_j N_rj y_j,   y_j ~ N(0, (λ Λ)⁻¹).

    The f_r are a Gaussian process over the rows with covariance N Nᵀ / λ; in its eigenbasis, coordinate k of
    v has covariance (1 + s_k / λ) Λ⁻¹, and s_k / (s_k + λ) of it is f. So λ, then (μ, Λ), are drawn with f
    integrated out, and f given them.

    Args:
      key: PRNG key.
      table: (R, F) rows v. basis: of the similarity of their sets. current: (μ, Λ) so far, for λ's draw.
      hyperprior: of μ and Λ.
    Returns:
      Gaussian (μ, Λ); μ + f (R, F), the rows' means; λ ().
    Source: Simm et al. 2017, "Macau: scalable Bayesian factorization with high-dimensional side information
      using MCMC", whose link matrix y is integrated out here.

    >>> basis = SetBasis(jnp.eye(3)[:, :1], jnp.array([2.0]))
    >>> current = Gaussian(jnp.zeros(2), jnp.eye(2))
    >>> draw_set_prior(jax.random.key(0), jnp.ones((3, 2)), basis, current, Hyperprior())[1].shape
    (3, 2)
    """
    vectors, values = basis
    grid_key, gaussian_key, effect_key = jax.random.split(key, 3)
    ones = jnp.sum(vectors, axis=0)  # the eigenbasis' coordinates of the constant
    dot = functools.partial(jnp.matmul, precision="highest")
    coordinates = dot(vectors.T, table)

    along = coordinates - ones[:, None] * current.mean[None]
    squares = jnp.sum(dot(along, current.precision) * along, axis=1)
    set_precision = _draw_set_precision(grid_key, squares, values, table.shape[1])

    shrink = values / (values + set_precision)
    weight = table.shape[0] - jnp.sum(shrink * ones**2)
    mean = (jnp.sum(table, axis=0) - dot(shrink * ones, coordinates)) / weight
    centred, along = table - mean[None], coordinates - ones[:, None] * mean[None]
    scatter = dot(centred.T, centred) - dot(along.T, shrink[:, None] * along)
    gaussian = draw_normal_wishart(gaussian_key, mean, scatter, num_rows=table.shape[0], total_weight=weight,
                                   hyperprior=hyperprior)

    noise = draw_normals(effect_key, gaussian.precision, len(values))
    along = coordinates - ones[:, None] * gaussian.mean[None]
    effect = shrink[:, None] * along + jnp.sqrt(shrink)[:, None] * noise
    return gaussian, gaussian.mean[None] + dot(vectors, effect), set_precision


def _draw_set_precision(key, squares, values, size):
    grid = jnp.array(PRECISION_GRID, squares.dtype)
    variance = 1 + values[None, :] / grid[:, None]
    log_density = -0.5 * jnp.sum(size * jnp.log(variance) + squares[None, :] / variance, axis=1)
    return grid[jax.random.categorical(key, log_density)]


def _sum_rows(blocks, weight, other, table, num_rows):
    """Σ over the members of each row of the other side's rows: (R, K), one member of every row at a time."""
    def add(total, member):
        ids, weights = member
        return total + weights[:, None] * table[ids], None

    def one(block):
        members = take(other, block.entries).T, take(weight, block.entries).T
        return jax.lax.scan(add, jnp.zeros((block.entries.shape[0], table.shape[1]), table.dtype), members)[0]

    return by_row([one(block) for block in blocks], blocks, num_rows)
