"""Alternating least squares: with the items held, every user is a small ridge regression, and back.

On a mesh each device solves its own users, then its own items, with its own ratings; only factors travel.
"""

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from sandbox.matrix_factorization.model import Params
from sandbox.matrix_factorization.packing import (
    Data,
    Rows,
    Sides,
    arrange,
    by_id,
    layouts,
    pack_ratings,
    pack_sides,
)
from sandbox.matrix_factorization.row_solves import fold, solve_rows
from sandbox.tracing import is_concrete

__all__ = [
    "Data", "Sides", "arrange", "by_id", "explicit_fold_in", "explicit_sweep", "implicit_fold_in", "implicit_sweep",
    "layouts", "pack_ratings", "pack_sides",
]


def explicit_sweep(params: Params, sides: Sides, *, l2: jax.typing.ArrayLike, bias_l2: jax.typing.ArrayLike,
                   power: jax.typing.ArrayLike = 0.0, mesh: Mesh | None = None) -> Params:
    r"""One sweep of ALS on ratings: every [b_u, p_u] at its optimum, then every [b_i, q_i].

    Both halves lower L = Σ w (r − r̂)² + Σ_u n_u^ν (λ_b b_u² + λ |p_u|²) + Σ_i n_i^ν (λ_b b_i² + λ |q_i|²),

    r̂ = μ + b_u + b_i + q_iᵀ p_u, where n is the sum of a row's weights (1 for an empty row).

    Dimensions: N ratings, U users, I items, D factors.

    Args:
      params: Params in position order, see `arrange`; μ stays as it is.
      sides: Sides from `pack_sides`.
      l2: λ > 0. bias_l2: λ_b > 0. At 0, a row with fewer ratings than D + 1 is singular: NaN.
      power: ν, 0 for one penalty per row, 1 for one per rating.
      mesh: devices with an axis "data" that share the rows; each holds its part of every array's leading axis.
        Default: one device.
    Returns:
      Params in position order.
    Raises:
      ValueError: the rank is 0, l2 or bias_l2 is negative, or `sides` are not of these params and devices.
    Source: Zhou et al. 2008, "Large-scale parallel collaborative filtering for the Netflix prize" (ν = 1);
      the normal equations with biases are those of ridge regression on [1, q_i].

    >>> from sandbox.matrix_factorization.model import Ratings
    >>> ratings = Ratings(np.array([0, 0]), np.array([0, 1]), np.array([4.0, 2.0]), np.ones(2))
    >>> params = Params(jnp.array(3.0), jnp.zeros(1), jnp.zeros(2), jnp.zeros((1, 1)), jnp.zeros((2, 1)))
    >>> sides = pack_sides(ratings, num_users=1, num_items=2)
    >>> explicit_sweep(arrange(params, sides), sides, l2=1.0, bias_l2=1.0).item_bias[:2].round(3)
    Array([ 0.5, -0.5], dtype=float32)
    """
    _check(params, l2=l2, bias_l2=bias_l2)
    ridge = _explicit_ridge(params, l2, bias_l2, power)

    def half(mean, bias, factors, side):
        design = _everywhere(fold(_with_ones(factors)), mesh)
        offset = mean + _everywhere(bias, mesh)
        solved = solve_rows(design, side.blocks, rank=factors.shape[1] + 1, ridge=ridge, offset=offset)
        solved = _as_table(solved, side)
        return solved[:, 0], solved[:, 1:]

    def sweep(params, sides):
        user_bias, user_factors = half(params.mean, params.item_bias, params.item_factors, sides.by_user)
        item_bias, item_factors = half(params.mean, user_bias, user_factors, sides.by_item)
        return Params(params.mean, user_bias, item_bias, user_factors, item_factors)

    return _on_devices(sweep, params, sides, mesh)


def implicit_sweep(params: Params, sides: Sides, *, unobserved_weight: jax.typing.ArrayLike,
                   l2: jax.typing.ArrayLike, power: jax.typing.ArrayLike = 0.0,
                   mesh: Mesh | None = None) -> Params:
    r"""One sweep of iALS: every p_u at its optimum over all items, then every q_i over all users.

    Both halves lower

    L = Σ_observed w (r − p_uᵀ q_i)² + α₀ Σ_u Σ_i (p_uᵀ q_i)² + λ (Σ_u s_u |p_u|² + Σ_i s_i |q_i|²),

    s_u = (n_u + α₀ I)^ν, s_i = (n_i + α₀ U)^ν, n the sum of a row's weights. The pairs that were not
    observed enter by the Gramian QᵀQ (PᵀP) alone.

    Dimensions: N observed pairs, U users, I items, D factors.

    Args:
      params: Params in position order, see `arrange`; only the factors are used, and changed.
      sides: Sides from `pack_sides`; a rating is the target r (1, as a rule).
      unobserved_weight: α₀ >= 0.
      l2: λ >= 0.
      power: ν; 0 is plain L2.
      mesh: devices with an axis "data" that share the rows; each holds its part of every array's leading axis.
        Default: one device.
    Returns:
      Params in position order.
    Raises:
      ValueError: the rank is 0, unobserved_weight or l2 is negative, or `sides` are not of these params and devices.
    Source: Hu, Koren, Volinsky 2008; Rendle et al. 2021, "Revisiting the performance of iALS", eq. 3 to 8.

    >>> from sandbox.matrix_factorization.model import Ratings
    >>> ratings = Ratings(np.array([0]), np.array([0]), np.ones(1), np.ones(1))
    >>> params = Params(jnp.array(0.0), jnp.zeros(1), jnp.zeros(2), jnp.ones((1, 1)), jnp.ones((2, 1)))
    >>> sides = pack_sides(ratings, num_users=1, num_items=2)
    >>> implicit_sweep(arrange(params, sides), sides, unobserved_weight=1.0, l2=1.0).user_factors[:1]
    Array([[0.25]], dtype=float32)
    """
    _check(params, unobserved_weight=unobserved_weight, l2=l2)

    def half(factors, others, side):
        solved = _solve_implicit(factors, _total(jnp.sum(others.ids >= 0), mesh), side.blocks, mesh=mesh,
                                 unobserved_weight=unobserved_weight, l2=l2, power=power)
        return _as_table(solved, side)

    def sweep(params, sides):
        user_factors = half(params.item_factors, sides.by_item, sides.by_user)
        item_factors = half(user_factors, sides.by_user, sides.by_item)
        return params._replace(user_factors=user_factors, item_factors=item_factors)

    return _on_devices(sweep, params, sides, mesh)


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
    design = _with_ones(params.item_factors)
    solved = solve_rows(design, _one_row(item, rating, design), rank=design.shape[1],
                        ridge=_explicit_ridge(params, l2, bias_l2, power), offset=params.mean + params.item_bias)
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
    factors = params.item_factors
    return _solve_implicit(factors, factors.shape[0], _one_row(item, jnp.ones(item.shape, factors.dtype), factors),
                           unobserved_weight=unobserved_weight, l2=l2, power=power)[0]


def _solve_implicit(factors, count, blocks, *, unobserved_weight, l2, power, mesh=None):
    """Rows of iALS on `count` others. In the eigenbasis of the Gramian, all that a row did not observe is a ridge."""
    gramian = _total(jnp.einsum("id,ie->de", factors, factors, precision="highest"), mesh)
    spectrum, basis = jnp.linalg.eigh(gramian)
    spectrum = jnp.maximum(spectrum, 0)

    def ridge(total):
        scale = (total + unobserved_weight * count) ** power
        return unobserved_weight * spectrum[None] + l2 * scale[:, None]

    rotated = _everywhere(fold(jnp.matmul(factors, basis, precision="highest")), mesh)
    solved = solve_rows(rotated, blocks, rank=factors.shape[1], ridge=ridge)
    return jnp.matmul(solved, basis.T, precision="highest")


def _on_devices(sweep, params, sides, mesh):
    """A sweep, each device with its part of the tables and of the ratings; the sweep itself says what travels."""
    shards, devices = sides.by_user.ids.shape[0], 1 if mesh is None else mesh.shape["data"]
    if shards != devices:
        raise ValueError(f"sides are packed for {shards} shards, but there are {devices} devices to share them")
    for side, table, name in zip(sides, (params.user_factors, params.item_factors), ("user", "item"), strict=True):
        if side.ids.size != table.shape[0]:
            raise ValueError(f"{side.ids.size} rows of {name}_factors expected, got {table.shape[0]}: see `arrange`")
    if mesh is None:
        return sweep(params, sides)
    copy, part = PartitionSpec(), PartitionSpec("data")
    tables = Params(copy, part, part, part, part)
    return jax.shard_map(sweep, mesh=mesh, in_specs=(tables, part), out_specs=tables, check_vma=False)(params, sides)


def _everywhere(part, mesh):
    return part if mesh is None else jax.lax.all_gather(part, "data", tiled=True)


def _total(part, mesh):
    return part if mesh is None else jax.lax.psum(part, "data")


def _as_table(solved, side):
    """The rows that were solved as the table of a side: zero in the rows that only fill it up."""
    ids = side.ids.ravel()
    table = jnp.pad(solved, ((0, len(ids) - len(solved)), (0, 0)))
    return jnp.where((ids >= 0)[:, None], table, 0)


def _explicit_ridge(params, l2, bias_l2, power):
    rank, dtype = params.item_factors.shape[1], params.item_factors.dtype
    penalty = jnp.concatenate([jnp.full(1, bias_l2, dtype), jnp.full(rank, l2, dtype)])
    return lambda total: jnp.where(total > 0, total, 1)[:, None] ** power * penalty[None]


def _with_ones(factors):
    return jnp.concatenate([jnp.ones_like(factors[:, :1]), factors], axis=1)


def _one_row(item, rating, table):
    known = (item >= 0) & (item < table.shape[0])
    return (Rows(*(array[None] for array in (jnp.where(known, item, 0), rating, known.astype(table.dtype)))),)


def _check(params, **penalties):
    if params.user_factors.shape[1] < 1:
        raise ValueError(f"rank must be at least 1, got {params.user_factors.shape[1]}")
    for name, value in penalties.items():
        if is_concrete(value) and np.any(np.asarray(value) < 0):
            raise ValueError(f"{name} must not be negative, got {value}")
