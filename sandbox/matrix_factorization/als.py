"""Alternating least squares: with the items held, every user is a small ridge regression, and back."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from sandbox.matrix_factorization.model import Params, Ratings
from sandbox.matrix_factorization.ragged import Block, Layout, layout, pack
from sandbox.matrix_factorization.row_solves import solve_rows

__all__ = [
    "Data", "explicit_fold_in", "explicit_sweep", "implicit_fold_in", "implicit_sweep", "layouts",
    "pack_ratings",
]


class Data(NamedTuple):
    """N ratings, and their positions grouped by user and by item."""

    ratings: Ratings
    by_user: tuple[Block, ...]
    by_item: tuple[Block, ...]


def layouts(data_sets: Sequence[Ratings], *, num_users: int, num_items: int, widths: Sequence[int] = (),
            multiple: int = 1) -> tuple[Layout, Layout]:
    """Block shapes by user and by item that several data sets (folds) share, for one compilation.

    Args:
      data_sets: Ratings; entries of weight 0 are left out.
      num_users, num_items: U, I.
      widths, multiple: as in `ragged.layout`; multiple is the number of devices of `mesh`.
    Returns:
      The layout by user and the layout by item.

    >>> ratings = Ratings(np.array([0, 0, 1]), np.array([0, 1, 1]), np.ones(3), np.ones(3))
    >>> layouts([ratings], num_users=2, num_items=2)
    (((8, 2),), ((8, 2),))
    """
    def shared(side, num_rows):
        return layout([_row_ids(ratings, side, num_rows) for ratings in data_sets], num_rows,
                      widths=widths, multiple=multiple)

    return shared("user", num_users), shared("item", num_items)


def pack_ratings(ratings: Ratings, *, num_users: int, num_items: int,
                 shapes: tuple[Layout, Layout] | None = None) -> Data:
    """Group ratings by user and by item, on the host; memory is proportional to their number.

    Args:
      ratings: Ratings of N entries; those of weight 0 are left out of the groups.
      num_users, num_items: U, I.
      shapes: block shapes from `layouts`, for data sets that share one compilation.
    Returns:
      Data.
    Raises:
      ValueError: an id lies outside its range, a weight is negative, or `shapes` has no room.

    >>> ratings = Ratings(np.array([0, 0, 1]), np.array([0, 1, 1]), np.ones(3), np.ones(3))
    >>> pack_ratings(ratings, num_users=2, num_items=2).by_item[0].entries[:, :3]
    array([[0, 3, 3],
           [1, 2, 3]], dtype=int32)
    """
    if np.any(np.asarray(ratings.weight) < 0):
        raise ValueError("weight must not be negative")
    by_user, by_item = shapes if shapes is not None else (None, None)
    return Data(ratings,
                pack(_row_ids(ratings, "user", num_users), num_users, by_user),
                pack(_row_ids(ratings, "item", num_items), num_items, by_item))


def explicit_sweep(params: Params, data: Data, *, l2: jax.typing.ArrayLike, bias_l2: jax.typing.ArrayLike,
                   power: jax.typing.ArrayLike = 0.0, mesh: Mesh | None = None) -> Params:
    r"""One sweep of ALS on ratings: every [b_u, p_u] at its optimum, then every [b_i, q_i].

    Both halves lower L = Σ w (r − r̂)² + Σ_u n_u^ν (λ_b b_u² + λ |p_u|²) + Σ_i n_i^ν (λ_b b_i² + λ |q_i|²),

    r̂ = μ + b_u + b_i + q_iᵀ p_u, where n is the sum of a row's weights (1 for an empty row).

    Dimensions: N ratings, U users, I items, D factors.

    Args:
      params: Params; μ stays as it is.
      data: Data from `pack_ratings`.
      l2: λ > 0. bias_l2: λ_b > 0. At 0, a row with fewer ratings than D + 1 is singular: NaN.
      power: ν, 0 for one penalty per row, 1 for one per rating.
      mesh: devices with an axis "data" to share each block's rows among; `layouts(..., multiple=...)` sees
        that they divide. Default: one device.
    Returns:
      Params.
    Raises:
      ValueError: the rank is 0, or l2 or bias_l2 is negative.
    Source: Zhou et al. 2008, "Large-scale parallel collaborative filtering for the Netflix prize" (ν = 1);
      the normal equations with biases are those of ridge regression on [1, q_i].

    >>> ratings = Ratings(np.array([0, 0]), np.array([0, 1]), np.array([4.0, 2.0]), np.ones(2))
    >>> params = Params(jnp.array(3.0), jnp.zeros(1), jnp.zeros(2), jnp.zeros((1, 1)), jnp.zeros((2, 1)))
    >>> data = pack_ratings(ratings, num_users=1, num_items=2)
    >>> explicit_sweep(params, data, l2=1.0, bias_l2=1.0).item_bias.round(3)
    Array([ 0.5, -0.5], dtype=float32)
    """
    _check(params, l2=l2, bias_l2=bias_l2)
    ratings = data.ratings
    ridge = _explicit_ridge(params, l2, bias_l2, power)

    def half(factors, bias, ids, blocks, num_rows):
        residual = ratings.rating - params.mean - bias[ids]
        solved = solve_rows(_with_ones(factors), blocks, ids, residual, ratings.weight,
                            num_rows=num_rows, ridge=ridge, mesh=mesh)
        return solved[:, 0], solved[:, 1:]

    user_bias, user_factors = half(params.item_factors, params.item_bias, ratings.item, data.by_user,
                                   params.user_bias.shape[0])
    item_bias, item_factors = half(user_factors, user_bias, ratings.user, data.by_item,
                                   params.item_bias.shape[0])
    return Params(params.mean, user_bias, item_bias, user_factors, item_factors)


def implicit_sweep(params: Params, data: Data, *, unobserved_weight: jax.typing.ArrayLike,
                   l2: jax.typing.ArrayLike, power: jax.typing.ArrayLike = 0.0,
                   mesh: Mesh | None = None) -> Params:
    r"""One sweep of iALS: every p_u at its optimum over all items, then every q_i over all users.

    Both halves lower

    L = Σ_observed w (r − p_uᵀ q_i)² + α₀ Σ_u Σ_i (p_uᵀ q_i)² + λ (Σ_u s_u |p_u|² + Σ_i s_i |q_i|²),

    s_u = (n_u + α₀ I)^ν, s_i = (n_i + α₀ U)^ν, n the sum of a row's weights. The pairs that were not
    observed enter by the Gramian QᵀQ (PᵀP) alone.

    Dimensions: N observed pairs, U users, I items, D factors.

    Args:
      params: Params; only the factors are used, and changed.
      data: Data from `pack_ratings`; `rating` is the target r (1, as a rule).
      unobserved_weight: α₀ >= 0.
      l2: λ >= 0.
      power: ν; 0 is plain L2.
      mesh: devices with an axis "data" to share each block's rows among; `layouts(..., multiple=...)` sees
        that they divide. Default: one device.
    Returns:
      Params.
    Raises:
      ValueError: the rank is 0, or unobserved_weight or l2 is negative.
    Source: Hu, Koren, Volinsky 2008; Rendle et al. 2021, "Revisiting the performance of iALS", eq. 3 to 8.

    >>> ratings = Ratings(np.array([0]), np.array([0]), np.ones(1), np.ones(1))
    >>> params = Params(jnp.array(0.0), jnp.zeros(1), jnp.zeros(2), jnp.ones((1, 1)), jnp.ones((2, 1)))
    >>> data = pack_ratings(ratings, num_users=1, num_items=2)
    >>> implicit_sweep(params, data, unobserved_weight=1.0, l2=1.0).user_factors
    Array([[0.25]], dtype=float32)
    """
    _check(params, unobserved_weight=unobserved_weight, l2=l2)
    ratings = data.ratings

    def half(factors, ids, blocks, num_rows):
        return _solve_implicit(factors, blocks, ids, ratings.rating, ratings.weight, num_rows=num_rows,
                               unobserved_weight=unobserved_weight, l2=l2, power=power, mesh=mesh)

    user_factors = half(params.item_factors, ratings.item, data.by_user, params.user_factors.shape[0])
    item_factors = half(user_factors, ratings.user, data.by_item, params.item_factors.shape[0])
    return params._replace(user_factors=user_factors, item_factors=item_factors)


def explicit_fold_in(params: Params, item: jax.Array, rating: jax.Array, *, l2: jax.typing.ArrayLike,
                     bias_l2: jax.typing.ArrayLike, power: jax.typing.ArrayLike = 0.0
                     ) -> tuple[jax.Array, jax.Array]:
    """Bias and factors of a user that training has not seen, the items held: a user's half of a sweep.

    Args:
      params: fitted Params.
      item: (L,) ids of what the user rated; an id outside 0 <= id < I is ignored.
      rating: (L,) rating units.
      l2, bias_l2, power: as in `explicit_sweep`.
    Returns:
      b_u () and p_u (D,); zeros where no rating is usable.
    Raises:
      ValueError: the rank is 0, or l2 or bias_l2 is negative.

    >>> params = Params(jnp.array(3.0), jnp.zeros(1), jnp.zeros(1), jnp.zeros((1, 1)), jnp.zeros((1, 1)))
    >>> explicit_fold_in(params, jnp.array([0]), jnp.array([5.0]), l2=1.0, bias_l2=1.0)[0].round(3)
    Array(1., dtype=float32)
    """
    _check(params, l2=l2, bias_l2=bias_l2)
    blocks, item, weight = _one_row(item, params.item_factors)
    residual = rating - params.mean - params.item_bias[item]
    solved = solve_rows(_with_ones(params.item_factors), blocks, item, residual, weight, num_rows=1,
                        ridge=_explicit_ridge(params, l2, bias_l2, power))
    return solved[0, 0], solved[0, 1:]


def implicit_fold_in(params: Params, item: jax.Array, *, unobserved_weight: jax.typing.ArrayLike,
                     l2: jax.typing.ArrayLike, power: jax.typing.ArrayLike = 0.0) -> jax.Array:
    """Factors of a user that training has not seen, from the items chosen: a user's half of a sweep.

    Args:
      params: fitted Params.
      item: (L,) ids of what the user chose; an id outside 0 <= id < I is ignored.
      unobserved_weight, l2, power: as in `implicit_sweep`.
    Returns:
      p_u (D,); zeros where no item is known.
    Raises:
      ValueError: the rank is 0, or unobserved_weight or l2 is negative.

    >>> params = Params(jnp.array(0.0), jnp.zeros(1), jnp.zeros(2), jnp.ones((1, 1)), jnp.ones((2, 1)))
    >>> implicit_fold_in(params, jnp.array([0]), unobserved_weight=1.0, l2=1.0)
    Array([0.25], dtype=float32)
    """
    _check(params, unobserved_weight=unobserved_weight, l2=l2)
    blocks, item, weight = _one_row(item, params.item_factors)
    return _solve_implicit(params.item_factors, blocks, item, jnp.ones_like(weight), weight, num_rows=1,
                           unobserved_weight=unobserved_weight, l2=l2, power=power)[0]


def _solve_implicit(factors, blocks, ids, value, weight, *, num_rows, unobserved_weight, l2, power,
                    mesh=None):
    """Rows of iALS. In the eigenbasis of the Gramian, all that a row did not observe is a ridge."""
    spectrum, basis = jnp.linalg.eigh(jnp.einsum("id,ie->de", factors, factors, precision="highest"))
    spectrum = jnp.maximum(spectrum, 0)

    def ridge(total):
        scale = (total + unobserved_weight * factors.shape[0]) ** power
        return unobserved_weight * spectrum[None] + l2 * scale[:, None]

    rotated = jnp.matmul(factors, basis, precision="highest")
    solved = solve_rows(rotated, blocks, ids, value, weight, num_rows=num_rows, ridge=ridge, mesh=mesh)
    return jnp.matmul(solved, basis.T, precision="highest")


def _explicit_ridge(params, l2, bias_l2, power):
    rank, dtype = params.item_factors.shape[1], params.item_factors.dtype
    penalty = jnp.concatenate([jnp.full(1, bias_l2, dtype), jnp.full(rank, l2, dtype)])
    return lambda total: jnp.where(total > 0, total, 1)[:, None] ** power * penalty[None]


def _with_ones(factors):
    return jnp.concatenate([jnp.ones_like(factors[:, :1]), factors], axis=1)


def _one_row(item, table):
    known = (item >= 0) & (item < table.shape[0])
    block = Block(jnp.zeros(1, int), jnp.arange(item.shape[0])[None])
    return (block,), jnp.where(known, item, 0), known.astype(table.dtype)


def _row_ids(ratings, side, num_rows):
    ids = np.asarray(getattr(ratings, side))
    if ids.size and not (0 <= ids.min() and ids.max() < num_rows):
        raise ValueError(f"{side} ids must lie in 0..{num_rows - 1}, got {ids.min()}..{ids.max()}")
    return np.where(np.asarray(ratings.weight) > 0, ids, num_rows)


def _check(params, **penalties):
    if params.user_factors.shape[1] < 1:
        raise ValueError(f"rank must be at least 1, got {params.user_factors.shape[1]}")
    for name, value in penalties.items():
        if not isinstance(value, jax.core.Tracer) and np.any(np.asarray(value) < 0):
            raise ValueError(f"{name} must not be negative, got {value}")
