"""The conditional laws that the Gibbs samplers draw from: rows of coefficients, their prior, the noise."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sandbox.matrix_factorization.cholesky import inverse_factor
from sandbox.matrix_factorization.model import rows
from sandbox.matrix_factorization.ragged import Block

__all__ = [
    "Gaussian", "Hyperprior", "by_row", "draw_noise_precision", "draw_normal_wishart", "draw_normals",
    "draw_prior", "draw_rows", "gram", "rows_or_mean", "squared_error",
]


class Gaussian(NamedTuple):
    """N(mean, precision⁻¹) of F coordinates: mean (F,), precision (F, F)."""

    mean: jax.Array
    precision: jax.Array


class Hyperprior(NamedTuple):
    """What is believed before any rating.

    Rows of coefficients: x_r ~ N(μ, Λ⁻¹), μ ~ N(0, (β Λ)⁻¹), Λ ~ Wishart(F + ν, (s I)⁻¹).
    Noise of group g (a user): τ_g ~ Gamma(a, b), b ~ Exponential(1).

    mean_strength: β > 0, in rows. extra_degrees: ν >= 0. scale: s > 0, in squared units of a coefficient.
    noise_shape: a > 0; the larger, the more alike the groups.
    """

    mean_strength: float = 2.0
    extra_degrees: int = 0
    scale: float = 1.0
    noise_shape: float = 12.0


def gram(regressors: jax.Array, target: jax.Array, weight: jax.Array) -> jax.Array:
    """All that a linear regression needs to know of its data: Σ_l w_l z_l z_lᵀ, z = [regressors, target].

    Args:
      regressors: (B, L, F). target, weight: (B, L).
    Returns:
      (B, F + 1, F + 1): the normal equations' matrix, vector and sum of squares in one.

    >>> gram(jnp.array([[[1.0], [2.0]]]), jnp.array([[3.0, 4.0]]), jnp.ones((1, 2)))
    Array([[[ 5., 11.],
            [11., 25.]]], dtype=float32)
    """
    z = jnp.concatenate([regressors, target[..., None]], axis=-1)
    return jnp.einsum("bld,ble->bde", z * weight[..., None], z, precision="highest")


def by_row(parts: Sequence[jax.Array], blocks: Sequence[Block], num_rows: int) -> jax.Array:
    """Results of ragged blocks, (B, ...) each, put into the order of the rows: (R, ...).

    >>> by_row([jnp.array([5.0, 6.0, 0.0])], [Block(jnp.array([1, 0, 2]), jnp.zeros((3, 8)))], 2)
    Array([6., 5.], dtype=float32)
    """
    row = jnp.concatenate([jnp.asarray(block.rows) for block in blocks])
    return jnp.concatenate(list(parts))[jnp.argsort(row)[:num_rows]]  # padding sorts last


def squared_error(grams: jax.Array, coefficients: jax.Array) -> jax.Array:
    """Σ_l w_l (target_l − xᵀ regressors_l)² of each row, from its Gram matrix: zᵀ G z with z = [x, −1].

    Args:
      grams: (R, F + 1, F + 1). coefficients: (R, F).
    Returns:
      (R,) >= 0.

    >>> squared_error(jnp.array([[[5.0, 11.0], [11.0, 25.0]]]), jnp.array([[2.0]]))
    Array([1.], dtype=float32)
    """
    z = jnp.pad(coefficients, ((0, 0), (0, 1)), constant_values=-1.0)
    return jnp.maximum(jnp.einsum("rd,rde,re->r", z, grams, z, precision="highest"), 0)


def draw_rows(key: jax.Array, grams: jax.Array, mean: jax.Array, precision: jax.Array) -> jax.Array:
    r"""Coefficients of each row, given its data and its prior, independently of all other rows.

    x_r ~ N(S_r⁻¹ (Λ m_r + g_r), S_r⁻¹),   S_r = Λ + G_r,   with [[G, g], [gᵀ, ·]] the row's Gram matrix.

    Args:
      key: PRNG key.
      grams: (R, F + 1, F + 1), already multiplied by the noise precision.
      mean: (R, F) m. precision: (F, F) Λ.
    Returns:
      (R, F).
    Source: Salakhutdinov and Mnih 2008, eqs. 11 to 13.

    >>> sure = 1e12 * jnp.array([[[1.0, 2.0], [2.0, 4.0]]])
    >>> draw_rows(jax.random.key(0), sure, jnp.zeros((1, 1)), jnp.eye(1)).round(2)
    Array([[2.]], dtype=float32)
    """
    whiten = inverse_factor(precision[None] + grams[:, :-1, :-1])  # W with S⁻¹ = Wᵀ W, so x = Wᵀ (W linear + z)
    linear = jnp.matmul(mean, precision, precision="highest") + grams[:, :-1, -1]
    white = jnp.einsum("rij,rj->ri", whiten, linear, precision="highest")
    noise = jax.random.normal(key, mean.shape, mean.dtype)
    return jnp.einsum("rji,rj->ri", whiten, white + noise, precision="highest")


def draw_normal_wishart(key: jax.Array, mean: jax.Array, scatter: jax.Array, *, num_rows: int,
                        total_weight: jax.typing.ArrayLike, hyperprior: Hyperprior) -> Gaussian:
    r"""Mean and precision of the Gaussian that R rows came from.

    Λ ~ Wishart(F + ν + R, W),   W⁻¹ = s I + S + (β n / (β + n)) x̄ x̄ᵀ;   μ ~ N(n x̄ / (β + n), ((β + n) Λ)⁻¹).

    Args:
      key: PRNG key.
      mean: (F,) weighted mean x̄ of the rows. scatter: (F, F) weighted scatter S about it.
      num_rows: R. total_weight: n, the number of rows where they weigh alike.
      hyperprior: β, ν, s.
    Returns:
      Gaussian.
    Source: Salakhutdinov and Mnih 2008, eq. 14. The Wishart by its definition, a sum of outer
      products of normals: cheaper to compile than Bartlett's gammas, and to run no dearer than the rows.

    >>> draw_normal_wishart(jax.random.key(0), jnp.ones(2), 1e6 * jnp.eye(2), num_rows=10**6,
    ...                     total_weight=1e6, hyperprior=Hyperprior()).precision.round(1) + 0
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    size, dtype = mean.shape[0], mean.dtype
    strength, n = hyperprior.mean_strength, total_weight
    inverse_scale = (hyperprior.scale * jnp.eye(size, dtype=dtype) + scatter
                     + strength * n / (strength + n) * mean[:, None] * mean[None, :])
    precision_key, mean_key = jax.random.split(key)
    degrees = size + hyperprior.extra_degrees + num_rows
    normals = draw_normals(precision_key, inverse_scale, degrees)
    precision = jnp.matmul(normals.T, normals, precision="highest")
    shift = draw_normals(mean_key, precision, 1)[0] / jnp.sqrt(strength + n)
    return Gaussian(n * mean / (strength + n) + shift, precision)


def draw_normals(key: jax.Array, precision: jax.Array, count: int) -> jax.Array:
    """Independent rows from N(0, precision⁻¹): (count, F).

    >>> draw_normals(jax.random.key(0), 1e6 * jnp.eye(2), 1).round(1) + 0
    Array([[0., 0.]], dtype=float32)
    """
    normals = jax.random.normal(key, (count, precision.shape[0]), precision.dtype)
    return jnp.matmul(normals, inverse_factor(precision[None])[0], precision="highest")


def draw_prior(key: jax.Array, table: jax.Array, hyperprior: Hyperprior) -> Gaussian:
    """Mean and precision of the Gaussian that the rows of a table (R, F) came from.

    >>> draw_prior(jax.random.key(0), jnp.ones((1000, 2)), Hyperprior()).mean.round(1)
    Array([1., 1.], dtype=float32)
    """
    mean = jnp.mean(table, axis=0)
    centred = table - mean[None]
    return draw_normal_wishart(key, mean, jnp.matmul(centred.T, centred, precision="highest"),
                               num_rows=table.shape[0], total_weight=table.shape[0], hyperprior=hyperprior)


def draw_noise_precision(key: jax.Array, squared_errors: jax.Array, counts: jax.Array, current: jax.Array, *,
                         shape: float) -> jax.Array:
    r"""Noise precision τ of each of G groups of ratings, given their errors.

    b ~ Gamma(1 + G a, 1 + Σ_g τ_g);   τ_g ~ Gamma(a + n_g / 2, b + E_g / 2)   (shape, rate).

    Args:
      key: PRNG key.
      squared_errors: (G,) E, weighted. counts: (G,) n, ratings of positive weight.
      current: (G,) τ so far, which b is drawn from. shape: a > 0.
    Returns:
      (G,), in 1 / (rating units)².
    Source: conjugacy of the gamma with a normal's precision and with a gamma's rate.

    >>> draw_noise_precision(jax.random.key(0), jnp.array([4e6]), jnp.array([1e6]), jnp.ones(1),
    ...                      shape=1.0).round(2)
    Array([0.25], dtype=float32)
    """
    groups = current.shape[0]
    shapes = jnp.append(shape + counts / 2, 1 + groups * shape).astype(current.dtype)
    gammas = jax.random.gamma(key, shapes)  # one call: it is the dearest thing here to compile
    rate = gammas[-1] / (1 + jnp.sum(current))
    return gammas[:-1] / (rate + squared_errors / 2)


def rows_or_mean(table: jax.Array, ids: jax.Array, prior: Gaussian) -> jax.Array:
    """Rows of a table (R, F) by id; an id outside 0 <= id < R reads as the prior's mean.

    >>> rows_or_mean(jnp.array([[1.0], [2.0]]), jnp.array([1, 5]), Gaussian(jnp.array([9.0]), jnp.eye(1)))
    Array([[2.],
           [9.]], dtype=float32)
    """
    known = (ids >= 0) & (ids < table.shape[0])
    return jnp.where(known[..., None], rows(table, ids), jnp.expand_dims(prior.mean, tuple(range(ids.ndim))))
