"""SVD++ fitted to a whole data set: batches of whole users, so that a user's batch is the user's history.

With N(u) at hand, SVD++ is the biased factor model with implied user factors; `implied_params` makes the
one from the other, and so the loss, `model.predict` and all of `serving` are those of that model.
"""

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.matrix_factorization.losses import RatingAux, SvdppParams
from sandbox.matrix_factorization.model import Params, Ratings, predict, rows
from sandbox.reductions import weighted_mean

__all__ = ["draw_group", "group_users", "implied_params", "map_error", "penalties"]


def implied_params(params: SvdppParams, known: Ratings) -> Params:
    r"""The biased factor model that predicts what SVD++ predicts: p_u + |N(u)|^{-½} Σ_{j∈N(u)} y_j for p_u.

    Args:
      params: SvdppParams.
      known: N Ratings, each pair at most once: N(u) is what u has rated here, with a weight above 0. Users
        who have rated nothing keep p_u.
    Returns:
      Params.
    Source: Koren 2008, eq. 15.

    >>> explicit = Params(jnp.array(3.0), jnp.zeros(1), jnp.zeros(4), jnp.zeros((1, 1)), jnp.ones((4, 1)))
    >>> known = Ratings(jnp.zeros(4, int), jnp.arange(4), jnp.ones(4), jnp.ones(4))
    >>> implied_params(SvdppParams(explicit, jnp.array([[1.0], [1.0], [0.5], [0.5]])), known).user_factors
    Array([[1.5]], dtype=float32)
    """
    factors = params.explicit.user_factors
    num_users, num_items = factors.shape[0], params.implicit_factors.shape[0]
    real = (known.weight > 0) & (known.item >= 0) & (known.item < num_items)
    user = jnp.where(real, known.user, num_users)  # one past the last: dropped

    def per_user(values):
        start = jnp.zeros((num_users, *values.shape[1:]), factors.dtype)
        return start.at[user].add(values, mode="drop", wrap_negative_indices=False)

    count = per_user(jnp.ones(user.shape, factors.dtype))
    implied = per_user(rows(params.implicit_factors, known.item))
    scale = jax.lax.rsqrt(jnp.maximum(count, 1))
    return params.explicit._replace(user_factors=factors + scale[:, None] * implied)


def map_error(params: SvdppParams, batch: Ratings, *, penalties: SvdppParams) -> tuple[jax.Array, RatingAux]:
    r"""Squared error of SVD++ under a Gaussian prior; its minimum is the maximum of the posterior (MAP).

    L = mean_w (r − r̂)² + Σ_rows λ_row |row|²,   r̂ of the `implied_params`.

    With noise N(0, σ²) on N ratings and rows drawn from N(0, σ² / (N λ_row)), this is 2σ²/N times the
    negative log posterior, up to a constant.

    Dimensions: N ratings, U users, I items, D factors.

    Args:
      params: SvdppParams.
      batch: N Ratings; N(u) is what they say, so each user's are all there or not at all.
      penalties: λ of every row of the parameters, see `penalties`.
    Returns:
      Scalar in squared rating units, and RatingAux with (N,) arrays.
    Source: Koren 2008, eq. 15; Salakhutdinov and Mnih 2008, "Probabilistic matrix factorization", eq. 4.

    >>> explicit = Params(jnp.array(3.0), jnp.zeros(1), jnp.zeros(2), jnp.zeros((1, 1)), jnp.ones((2, 1)))
    >>> params = SvdppParams(explicit, jnp.array([[0.5], [0.25]]))
    >>> zero = jnp.array([0])
    >>> free = jax.tree.map(jnp.zeros_like, params)
    >>> map_error(params, Ratings(zero, zero, jnp.array([4.0]), jnp.ones(1)), penalties=free)[0]
    Array(0.25, dtype=float32)
    """
    prediction = predict(implied_params(params, batch), batch.user, batch.item)
    error = batch.rating - prediction
    penalty = jax.tree.map(lambda l2, leaf: jnp.sum(l2 * leaf**2), penalties, params)
    return weighted_mean(error**2, batch.weight) + sum(jax.tree.leaves(penalty)), RatingAux(prediction, error)


def penalties(ratings: Ratings, *, num_users: int, num_items: int, l2: float, bias_l2: float,
              implicit_l2: float, power: float = 0.5) -> SvdppParams:
    r"""The prior's λ of every row: a row with more ratings is penalised more, but less for each of them.

    λ n^ν / N for p_u and q_i, λ_b n^ν / N for b_u and b_i, λ_y / N for y_j, 0 for μ, where a row has n of
    the N ratings (at least 1).

    Args:
      ratings: Ratings, which count by their weights.
      num_users, num_items: U, I.
      l2: λ >= 0. bias_l2: λ_b >= 0. implicit_l2: λ_y >= 0.
      power: ν, 0 for one penalty per row, 1 for one per rating.
    Returns:
      SvdppParams with a value per row: (), (U,), (I,), (U, 1), (I, 1); and one for all y_j, (1, 1).

    >>> ratings = Ratings(np.array([0, 0, 1, 1]), np.zeros(4, int), np.ones(4), np.ones(4))
    >>> penalties(ratings, num_users=2, num_items=1, l2=1.0, bias_l2=2.0, implicit_l2=3.0).explicit.item_bias
    array([1.])
    """
    weight = np.asarray(ratings.weight)
    total = weight.sum()

    def per_row(ids, size):
        return (np.maximum(np.bincount(ids, weight, size), 1) ** power / total).astype(weight.dtype)

    user, item = per_row(ratings.user, num_users), per_row(ratings.item, num_items)
    explicit = Params(np.zeros_like(total), bias_l2 * user, bias_l2 * item, l2 * user[:, None], l2 * item[:, None])
    return SvdppParams(explicit, np.full((1, 1), implicit_l2 / total, weight.dtype))


def group_users(ratings: Ratings, *, num_groups: int) -> Ratings:
    """Ratings dealt out in groups of whole users, busy and idle ones in each, on the host.

    Users are dealt in the order of their number of ratings, there and back (0, 1, 2, 2, 1, 0, 0, ...), so
    the groups are of nearly one length, and little is padding.

    Args:
      ratings: Ratings of N entries; those of weight 0 are left out.
      num_groups: G, at least 1.
    Returns:
      Ratings of (G, T) arrays, T the longest group's; padding is zeros.
    Raises:
      ValueError: num_groups below 1, or a user id is negative.

    >>> ratings = Ratings(np.array([0, 1, 1, 2]), np.array([5, 6, 7, 8]), np.ones(4), np.ones(4))
    >>> group_users(ratings, num_groups=2).item
    array([[6, 7],
           [5, 8]])
    """
    if num_groups < 1:
        raise ValueError(f"num_groups must be at least 1, got {num_groups}")
    ratings = Ratings(*(np.asarray(leaf)[np.asarray(ratings.weight) > 0] for leaf in ratings))
    lengths = np.bincount(ratings.user)
    there_and_back = np.concatenate([np.arange(num_groups), np.arange(num_groups)[::-1]])
    group_of = np.empty(len(lengths), int)
    group_of[np.argsort(-lengths, kind="stable")] = np.resize(there_and_back, len(lengths))
    group = group_of[ratings.user]
    order = np.argsort(group, kind="stable")
    sizes = np.bincount(group, minlength=num_groups)
    column = np.arange(len(group)) - np.repeat(np.cumsum(sizes) - sizes, sizes)

    def dealt(values):
        table = np.zeros((num_groups, sizes.max()), values.dtype)
        table[group[order], column] = values[order]
        return table

    return Ratings(*map(dealt, ratings))


def draw_group(key: jax.Array, groups: Ratings) -> Ratings:
    """One of the groups, each as likely.

    Args:
      key: PRNG key. groups: Ratings of (G, T) arrays, from `group_users`.
    Returns:
      T Ratings.

    >>> groups = Ratings(*(jnp.zeros((3, 2), int),) * 2, *(jnp.ones((3, 2)),) * 2)
    >>> draw_group(jax.random.key(0), groups).rating
    Array([1., 1.], dtype=float32)
    """
    at = jax.random.randint(key, (), 0, groups.user.shape[0])
    return jax.tree.map(lambda leaf: leaf[at], groups)
