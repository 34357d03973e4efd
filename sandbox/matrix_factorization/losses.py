"""Five objectives of a recommender: two on ratings, three on what was chosen at all."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sandbox.matrix_factorization.model import Params, Ratings, predict, rows
from sandbox.reductions import weighted_mean

__all__ = [
    "Histories", "PairAux", "RatingAux", "SoftmaxAux", "SoftmaxBatch", "SvdppParams", "Triplets",
    "biased_squared_error", "bpr", "implicit_squared_error", "sampled_softmax", "svdpp_predict",
    "svdpp_squared_error",
]


class RatingAux(NamedTuple):
    """Unreduced diagnostics on ratings: prediction and error r − r̂, both shaped as the ratings."""

    prediction: jax.Array
    error: jax.Array


def biased_squared_error(params: Params, batch: Ratings, *, l2: float = 0.0) -> tuple[jax.Array, RatingAux]:
    r"""Squared error of the biased factor model, with L2.

    L = mean_w [ (r − r̂)² + λ (b_u² + b_i² + |p_u|² + |q_i|²) ],   r̂ = μ + b_u + b_i + q_iᵀ p_u.

    The penalty counts once per rating, so a row that is rated more often is penalised more often.

    Dimensions: N ratings, U users, I items, D factors.

    Args:
      params: Params of U users, I items.
      batch: N Ratings.
      l2: λ >= 0, dimensionless.
    Returns:
      Scalar in squared rating units, and RatingAux with (N,) arrays.
    Raises:
      ValueError: the batch's arrays differ in shape.
    Source: Koren, Bell, Volinsky 2009, eq. 5.

    >>> params = Params(jnp.array(3.0), jnp.zeros(1), jnp.zeros(1), jnp.ones((1, 2)), jnp.ones((1, 2)))
    >>> zero = jnp.array([0])
    >>> biased_squared_error(params, Ratings(zero, zero, jnp.array([4.0]), jnp.ones(1)), l2=0.1)[0]
    Array(1.4, dtype=float32)
    """
    _same_shape(batch, batch._fields)
    prediction = predict(params, batch.user, batch.item)
    error = batch.rating - prediction
    penalty = _penalty(params, batch.user, batch.item)
    return weighted_mean(error**2 + l2 * penalty, batch.weight), RatingAux(prediction, error)


class SvdppParams(NamedTuple):
    """Params of the biased model, and implicit_factors (I, D): y_j, what having rated j tells."""

    explicit: Params
    implicit_factors: jax.Array


class Histories(NamedTuple):
    """Ratings grouped by user: B users, each with up to L ratings and a history of up to H items.

    user: (B,) ids. item, rating, weight: (B, L); weight 0 marks padding.
    history: (B, H) ids of the items that the user is known to have rated; an id outside
    0 <= id < I marks padding.
    """

    user: jax.Array
    item: jax.Array
    rating: jax.Array
    weight: jax.Array
    history: jax.Array


def svdpp_predict(params: SvdppParams, user: jax.Array, item: jax.Array, history: jax.Array) -> jax.Array:
    r"""Predicted ratings r̂_ui = μ + b_u + b_i + q_iᵀ (p_u + |N(u)|^{-½} Σ_{j∈N(u)} y_j).

    Args:
      params: SvdppParams.
      user: (B,) ids; item: (B, L) ids; history: (B, H) ids of N(u), padded outside 0 <= id < I.
    Returns:
      (B, L) rating units.
    Source: Koren 2008, eq. 15.

    >>> explicit = Params(jnp.array(3.0), jnp.zeros(1), jnp.zeros(2), jnp.zeros((1, 1)), jnp.ones((2, 1)))
    >>> svdpp_predict(SvdppParams(explicit, jnp.array([[0.5], [0.25]])), jnp.array([0]),
    ...               jnp.array([[0]]), jnp.array([[1, 2]]))
    Array([[3.25]], dtype=float32)
    """
    num_items = params.implicit_factors.shape[0]
    count = jnp.sum((history >= 0) & (history < num_items), axis=1)
    scale = jax.lax.rsqrt(jnp.maximum(count, 1).astype(params.implicit_factors.dtype))
    implied = scale[:, None] * jnp.sum(rows(params.implicit_factors, history), axis=1)
    p, q = rows(params.explicit.user_factors, user) + implied, rows(params.explicit.item_factors, item)
    bias = rows(params.explicit.user_bias, user)[:, None] + rows(params.explicit.item_bias, item)
    return params.explicit.mean + bias + jnp.einsum("bld,bd->bl", q, p, precision="highest")


def svdpp_squared_error(params: SvdppParams, batch: Histories, *, l2: float = 0.0,
                        implicit_l2: float = 0.0) -> tuple[jax.Array, RatingAux]:
    r"""Squared error of SVD++, with L2.

    L = mean_w [ (r − r̂)² + λ (b_u² + b_i² + |p_u|² + |q_i|²) ] + λ_y mean_j |y_j|²,

    r̂ as in `svdpp_predict`.

    Dimensions: B users, L ratings and H items of history each, D factors.

    Args:
      params: SvdppParams.
      batch: Histories.
      l2: λ >= 0. implicit_l2: λ_y >= 0. Both dimensionless.
    Returns:
      Scalar in squared rating units, and RatingAux with (B, L) arrays.
    Raises:
      ValueError: item, rating and weight differ in shape.
    Source: Koren 2008, eq. 15 and 16.

    >>> explicit = Params(jnp.array(3.0), jnp.zeros(1), jnp.zeros(2), jnp.zeros((1, 1)), jnp.ones((2, 1)))
    >>> one = jnp.ones((1, 1))
    >>> svdpp_squared_error(SvdppParams(explicit, jnp.array([[0.5], [0.25]])),
    ...                     Histories(jnp.array([0]), jnp.array([[0]]), 4 * one, one, jnp.array([[1, 2]])))[0]
    Array(0.5625, dtype=float32)
    """
    _same_shape(batch, ("item", "rating", "weight"))
    prediction = svdpp_predict(params, batch.user, batch.item, batch.history)
    error = batch.rating - prediction
    penalty = _penalty(params.explicit, batch.user[:, None], batch.item)
    value = weighted_mean(error**2 + l2 * penalty, batch.weight)
    value += implicit_l2 * jnp.sum(params.implicit_factors**2) / params.implicit_factors.shape[0]
    return value, RatingAux(prediction, error)


def implicit_squared_error(params: Params, batch: Ratings, *, unobserved_weight: float = 1.0,
                           l2: float = 0.0) -> tuple[jax.Array, RatingAux]:
    r"""Squared error of implicit feedback over all user–item pairs, which are never formed.

    L = mean_w (r − p_uᵀ q_i)² + α₀/(U I) Σ_u Σ_i (p_uᵀ q_i)² + λ (mean_u |p_u|² + mean_i |q_i|²),

    the double sum as the inner product of two Gramians, ⟨PᵀP, QᵀQ⟩, in O((U + I) D²).
    Biases and mean take no part. iALS states sums where this has means.

    Dimensions: N observed pairs, U users, I items, D factors.

    Args:
      params: Params; only the factors are used.
      batch: N Ratings: the observed pairs, `rating` the target (1, as a rule), `weight` the confidence.
      unobserved_weight: α₀ >= 0, the weight of all pairs together against the observed ones together.
      l2: λ >= 0.
    Returns:
      Scalar, and RatingAux with (N,) arrays.
    Raises:
      ValueError: the batch's arrays differ in shape.
    Source: Hu, Koren, Volinsky 2008; Rendle et al. 2021, "Revisiting the performance of iALS", eq. 3 to 6.

    >>> params = Params(jnp.array(0.0), jnp.zeros(1), jnp.zeros(2), jnp.ones((1, 1)), jnp.array([[1.0], [0.5]]))
    >>> zero = jnp.array([0])
    >>> implicit_squared_error(params, Ratings(zero, zero, jnp.ones(1), jnp.ones(1)))[0]
    Array(0.625, dtype=float32)
    """
    _same_shape(batch, batch._fields)
    p, q = params.user_factors, params.item_factors
    prediction = jnp.sum(rows(p, batch.user) * rows(q, batch.item), axis=-1)
    error = batch.rating - prediction
    gramians = [jnp.matmul(table.T, table, precision="highest") for table in (p, q)]
    everywhere = jnp.sum(gramians[0] * gramians[1]) / (p.shape[0] * q.shape[0])
    penalty = jnp.sum(p**2) / p.shape[0] + jnp.sum(q**2) / q.shape[0]
    value = weighted_mean(error**2, batch.weight) + unobserved_weight * everywhere + l2 * penalty
    return value, RatingAux(prediction, error)


class Triplets(NamedTuple):
    """N comparisons: user prefers `positive` to `negative`; all (N,), weight 0 marks padding."""

    user: jax.Array
    positive: jax.Array
    negative: jax.Array
    weight: jax.Array


class PairAux(NamedTuple):
    """Unreduced diagnostics of BPR: margin r̂_up − r̂_un, (N,)."""

    margin: jax.Array


def bpr(params: Params, batch: Triplets, *, l2: float = 0.0) -> tuple[jax.Array, PairAux]:
    r"""Bayesian personalised ranking: the log-odds that the chosen item ranks above another.

    L = mean_w [ −log σ(r̂_up − r̂_un) + λ (b_p² + b_n² + |p_u|² + |q_p|² + |q_n|²) ].

    Dimensions: N triplets, D factors.

    Args:
      params: Params; mean and user biases cancel.
      batch: N Triplets.
      l2: λ >= 0, nats per squared unit.
    Returns:
      Scalar in nats, and PairAux with an (N,) array.
    Raises:
      ValueError: the batch's arrays differ in shape.
    Source: Rendle et al. 2009, section 4.

    >>> params = Params(jnp.array(0.0), jnp.zeros(1), jnp.zeros(2), jnp.ones((1, 1)), jnp.ones((2, 1)))
    >>> bpr(params, Triplets(*jnp.array([[0], [0], [1]]), jnp.ones(1)))[0]
    Array(0.6931472, dtype=float32)
    """
    _same_shape(batch, batch._fields)
    margin = predict(params, batch.user, batch.positive) - predict(params, batch.user, batch.negative)
    items = jnp.stack([batch.positive, batch.negative])
    penalty = _squared_norm(params.user_factors, batch.user) + jnp.sum(
        _squared_norm(params.item_bias, items) + _squared_norm(params.item_factors, items), axis=0)
    return weighted_mean(jax.nn.softplus(-margin) + l2 * penalty, batch.weight), PairAux(margin)


class SoftmaxBatch(NamedTuple):
    """N chosen items, each against M sampled ones.

    user, item: (N,) ids. negatives: (N, M) item ids, drawn with probability q; log_q: (N, M) = log q
    of each, nats. weight: (N,), 0 marks padding.
    """

    user: jax.Array
    item: jax.Array
    negatives: jax.Array
    log_q: jax.Array
    weight: jax.Array


class SoftmaxAux(NamedTuple):
    """Unreduced diagnostics: log_likelihood (N,), nats, and accidental (N, M), negatives left out."""

    log_likelihood: jax.Array
    accidental: jax.Array


def sampled_softmax(params: Params, batch: SoftmaxBatch, *, l2: float = 0.0) -> tuple[jax.Array, SoftmaxAux]:
    r"""Cross-entropy of the chosen item, its partition function estimated from sampled items.

    L = mean_w [ −r̂_ui + log( e^{r̂_ui} + Σ_{m: j_m ≠ i} e^{r̂_uj_m − log(M q_jm)} ) ] + λ penalty.

    The logQ correction makes the sum an unbiased estimate of Σ_{j≠i} e^{r̂_uj} for any sampling
    distribution q with full support; accidental hits of the chosen item are left out. The penalty
    is mean_w (b_i² + |p_u|² + |q_i|²).

    Dimensions: N rows, M negatives each, D factors.

    Args:
      params: Params; mean and user biases cancel.
      batch: SoftmaxBatch.
      l2: λ >= 0, nats per squared unit.
    Returns:
      Scalar in nats, and SoftmaxAux.
    Raises:
      ValueError: user, item and weight, or negatives and log_q, differ in shape.
    Source: Bengio and Senécal 2008; Yi et al. 2019, eq. 3.

    >>> params = Params(jnp.array(0.0), jnp.zeros(1), jnp.zeros(2), jnp.ones((1, 1)), jnp.ones((2, 1)))
    >>> zero = jnp.array([0])
    >>> sampled_softmax(params, SoftmaxBatch(zero, zero, jnp.array([[1]]), jnp.zeros((1, 1)), jnp.ones(1)))[0]
    Array(0.6931472, dtype=float32)
    """
    _same_shape(batch, ("user", "item", "weight"))
    _same_shape(batch, ("negatives", "log_q"))
    chosen = predict(params, batch.user, batch.item)
    sampled = predict(params, batch.user[:, None], batch.negatives)
    accidental = batch.negatives == batch.item[:, None]
    corrected = sampled - batch.log_q - jnp.log(batch.negatives.shape[1])
    corrected = jnp.where(accidental, -jnp.inf, corrected)
    log_partition = jax.nn.logsumexp(jnp.concatenate([chosen[:, None], corrected], axis=1), axis=1)
    log_likelihood = chosen - log_partition
    penalty = (_squared_norm(params.user_factors, batch.user) + _squared_norm(params.item_bias, batch.item)
               + _squared_norm(params.item_factors, batch.item))
    value = weighted_mean(l2 * penalty - log_likelihood, batch.weight)
    return value, SoftmaxAux(log_likelihood, accidental)


def _squared_norm(table: jax.Array, ids: jax.Array) -> jax.Array:
    """|row|² of each id: ids (...), table (K,) or (K, D)."""
    squared = rows(table, ids) ** 2
    return squared if table.ndim == 1 else jnp.sum(squared, axis=-1)


def _penalty(params: Params, user: jax.Array, item: jax.Array) -> jax.Array:
    return (_squared_norm(params.user_bias, user) + _squared_norm(params.item_bias, item)
            + _squared_norm(params.user_factors, user) + _squared_norm(params.item_factors, item))


def _same_shape(batch: NamedTuple, fields: tuple[str, ...]) -> None:
    shapes = {field: getattr(batch, field).shape for field in fields}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"{type(batch).__name__} needs one shape for {', '.join(fields)}, got {shapes}")
