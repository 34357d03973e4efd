"""The gradient of each loss by hand, and the normal equations of a block.

Every loss sees the parameters through predictions r̂, so each gradient is one line, ∂L/∂r̂ (called g),
carried back through the model: ∂r̂/∂b_u = 1, ∂r̂/∂p_u = q_i, ∂r̂/∂q_i = p_u.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sandbox.matrix_factorization.losses import Histories, SoftmaxBatch, SvdppParams, Triplets, svdpp_predict
from sandbox.matrix_factorization.model import Params, Ratings, predict, rows
from sandbox.matrix_factorization.svdpp import implied_params

__all__ = [
    "NormalEquations", "biased_squared_error_grad", "bpr_grad", "implicit_normal_equations",
    "implicit_squared_error_grad", "map_error_grad", "normal_equations", "sampled_softmax_grad",
    "svdpp_squared_error_grad",
]


def biased_squared_error_grad(params: Params, batch: Ratings, *, l2: float = 0.0) -> Params:
    r"""Gradient of `biased_squared_error`.

    With e = r − r̂ and weights normalised to Σ w = 1: ∂L/∂p_u = Σ_{n: u_n = u} w_n (−2 e_n q_i + 2 λ p_u),
    likewise for q_i with p_u; ∂L/∂b_u = Σ w_n (−2 e_n + 2 λ b_u); ∂L/∂μ = −2 Σ w_n e_n.

    Args:
      params, batch, l2: as for the loss.
    Returns:
      Params, the gradient.
    Source: Koren, Bell, Volinsky 2009, "Stochastic gradient descent".

    >>> params = Params(jnp.array(3.0), jnp.zeros(1), jnp.zeros(1), jnp.ones((1, 1)), jnp.ones((1, 1)))
    >>> zero = jnp.array([0])
    >>> biased_squared_error_grad(params, Ratings(zero, zero, jnp.array([5.0]), jnp.ones(1))).user_factors
    Array([[-2.]], dtype=float32)
    """
    w = _normalised(batch.weight)
    e = batch.rating - predict(params, batch.user, batch.item)
    return _add(_through_model(params, batch.user, batch.item, -2 * w * e),
                _decay(params, batch.user, batch.item, 2 * l2 * w))


def svdpp_squared_error_grad(params: SvdppParams, batch: Histories, *, l2: float = 0.0,
                             implicit_l2: float = 0.0) -> SvdppParams:
    r"""Gradient of `svdpp_squared_error`.

    With g = −2 w e (Σ w = 1) and s = |N(u)|^{-½}: ∂L/∂p_u = Σ g q_i; ∂L/∂q_i = Σ g (p_u + s Σ_j y_j);
    ∂L/∂y_j = Σ_{u: j∈N(u)} s Σ_i g q_i + 2 λ_y y_j / I; and the L2 terms of the biased model.

    Args:
      params, batch, l2, implicit_l2: as for the loss.
    Returns:
      SvdppParams, the gradient.
    Source: Koren 2008, section 5.

    >>> explicit = Params(jnp.array(3.0), jnp.zeros(1), jnp.zeros(1), jnp.ones((1, 1)), jnp.ones((1, 1)))
    >>> one = jnp.ones((1, 1))
    >>> batch = Histories(jnp.array([0]), jnp.array([[0]]), 4 * one, one, jnp.array([[0]]))
    >>> svdpp_squared_error_grad(SvdppParams(explicit, one), batch).implicit_factors  # −2 e q, e = −1
    Array([[2.]], dtype=float32)
    """
    explicit, y = params
    num_items = y.shape[0]
    w = _normalised(batch.weight)
    g = -2 * w * (batch.rating - svdpp_predict(params, batch.user, batch.item, batch.history))
    known = (batch.history >= 0) & (batch.history < num_items)
    s = jax.lax.rsqrt(jnp.maximum(jnp.sum(known, axis=1), 1).astype(y.dtype))
    z = rows(explicit.user_factors, batch.user) + s[:, None] * jnp.sum(rows(y, batch.history), axis=1)
    through_user = jnp.einsum("bl,bld->bd", g, rows(explicit.item_factors, batch.item), precision="highest")
    gradient = Params(
        mean=jnp.sum(g),
        user_bias=_scatter(explicit.user_bias, batch.user, jnp.sum(g, axis=1)),
        item_bias=_scatter(explicit.item_bias, batch.item, g),
        user_factors=_scatter(explicit.user_factors, batch.user, through_user),
        item_factors=_scatter(explicit.item_factors, batch.item, g[..., None] * z[:, None, :]),
    )
    user = jnp.broadcast_to(batch.user[:, None], batch.item.shape)
    per_item = jnp.broadcast_to((s[:, None] * through_user)[:, None, :], (*batch.history.shape, y.shape[1]))
    return SvdppParams(_add(gradient, _decay(explicit, user, batch.item, 2 * l2 * w)),
                       _scatter(y, batch.history, per_item) + 2 * implicit_l2 * y / num_items)


def map_error_grad(params: SvdppParams, batch: Ratings, *, penalties: SvdppParams) -> SvdppParams:
    r"""Gradient of `svdpp.map_error`.

    The gradient of the biased model at the implied factors z_u = p_u + s_u Σ_j y_j, s_u = |N(u)|^{-½}, is that
    of p_u as it stands; of y_j it is Σ_{u: j∈N(u)} s_u ∂L/∂z_u; and 2 λ row of every row.

    Args:
      params, batch, penalties: as for the loss.
    Returns:
      SvdppParams, the gradient.
    Source: Koren 2008, section 5.

    >>> params = SvdppParams(Params(jnp.array(3.0), jnp.zeros(1), jnp.zeros(1), jnp.ones((1, 1)), jnp.ones((1, 1))),
    ...                      jnp.ones((1, 1)))
    >>> zero = jnp.array([0])
    >>> map_error_grad(params, Ratings(zero, zero, jnp.array([4.0]), jnp.ones(1)),
    ...                penalties=jax.tree.map(jnp.zeros_like, params)).implicit_factors  # −2 e q, e = −1
    Array([[2.]], dtype=float32)
    """
    w = _normalised(batch.weight)
    implied = implied_params(params, batch)
    e = batch.rating - predict(implied, batch.user, batch.item)
    gradient = _through_model(implied, batch.user, batch.item, -2 * w * e)
    num_items = params.implicit_factors.shape[0]
    member = ((batch.weight > 0) & (batch.item >= 0) & (batch.item < num_items)).astype(w.dtype)
    count = _scatter(params.explicit.user_bias, batch.user, member)
    s = member * jax.lax.rsqrt(jnp.maximum(rows(count, batch.user), 1))
    y = _scatter(params.implicit_factors, batch.item, s[:, None] * rows(gradient.user_factors, batch.user))
    return jax.tree.map(lambda slope, l2, leaf: slope + 2 * l2 * leaf, SvdppParams(gradient, y), penalties, params)


def implicit_squared_error_grad(params: Params, batch: Ratings, *, unobserved_weight: float = 1.0,
                                l2: float = 0.0) -> Params:
    r"""Gradient of `implicit_squared_error`.

    With e = r − p_uᵀ q_i and Σ w = 1: ∂L/∂P = −2 Σ w e q_i (in row u) + 2 α₀/(U I) P QᵀQ + 2 λ P / U,
    and the same with P and Q exchanged.

    Args:
      params, batch, unobserved_weight, l2: as for the loss.
    Returns:
      Params, the gradient; zero for mean and biases.
    Source: Hu, Koren, Volinsky 2008, eq. 4.

    >>> params = Params(jnp.array(0.0), jnp.zeros(1), jnp.zeros(1), jnp.ones((1, 1)), jnp.ones((1, 1)))
    >>> zero = jnp.array([0])
    >>> implicit_squared_error_grad(params, Ratings(zero, zero, jnp.ones(1), jnp.ones(1))).user_factors  # 2 p q²
    Array([[2.]], dtype=float32)
    """
    p, q = params.user_factors, params.item_factors
    w = _normalised(batch.weight)
    e = batch.rating - jnp.sum(rows(p, batch.user) * rows(q, batch.item), axis=-1)
    observed = _through_model(params, batch.user, batch.item, -2 * w * e)
    everywhere = 2 * unobserved_weight / (p.shape[0] * q.shape[0])
    return Params(
        mean=jnp.zeros_like(params.mean),
        user_bias=jnp.zeros_like(params.user_bias),
        item_bias=jnp.zeros_like(params.item_bias),
        user_factors=observed.user_factors + everywhere * _dot(p, _dot(q.T, q)) + 2 * l2 * p / p.shape[0],
        item_factors=observed.item_factors + everywhere * _dot(q, _dot(p.T, p)) + 2 * l2 * q / q.shape[0],
    )


def bpr_grad(params: Params, batch: Triplets, *, l2: float = 0.0) -> Params:
    r"""Gradient of `bpr`.

    ∂L/∂r̂_up = −w σ(−(r̂_up − r̂_un)) = −∂L/∂r̂_un (Σ w = 1), carried through the model, and 2 λ w
    times each penalised row.

    Args:
      params, batch, l2: as for the loss.
    Returns:
      Params, the gradient.
    Source: Rendle et al. 2009, section 4.

    >>> params = Params(jnp.array(0.0), jnp.zeros(1), jnp.zeros(2), jnp.ones((1, 1)), jnp.ones((2, 1)))
    >>> bpr_grad(params, Triplets(*jnp.array([[0], [0], [1]]), jnp.ones(1))).item_bias  # σ(0) each way
    Array([-0.5,  0.5], dtype=float32)
    """
    w = _normalised(batch.weight)
    margin = predict(params, batch.user, batch.positive) - predict(params, batch.user, batch.negative)
    g = -w * jax.nn.sigmoid(-margin)
    gradient = _add(_through_model(params, batch.user, batch.positive, g),
                    _through_model(params, batch.user, batch.negative, -g))
    decay = _decay(params, batch.user, batch.positive, 2 * l2 * w)
    negative = _decay(params, batch.user, batch.negative, 2 * l2 * w)
    return _add(gradient, decay._replace(
        user_bias=jnp.zeros_like(params.user_bias),
        item_bias=decay.item_bias + negative.item_bias,
        item_factors=decay.item_factors + negative.item_factors,
    ))


def sampled_softmax_grad(params: Params, batch: SoftmaxBatch, *, l2: float = 0.0) -> Params:
    r"""Gradient of `sampled_softmax`.

    With π the softmax over the chosen item and its corrected negatives: ∂L/∂r̂_chosen = −w (1 − π_chosen),
    ∂L/∂r̂_m = w π_m (Σ w = 1), carried through the model, and 2 λ w times each penalised row.

    Args:
      params, batch, l2: as for the loss.
    Returns:
      Params, the gradient.
    Source: Bengio and Senécal 2008, eq. 4.

    >>> params = Params(jnp.array(0.0), jnp.zeros(1), jnp.zeros(2), jnp.ones((1, 1)), jnp.ones((2, 1)))
    >>> zero = jnp.array([0])
    >>> batch = SoftmaxBatch(zero, zero, jnp.array([[1]]), jnp.zeros((1, 1)), jnp.ones(1))
    >>> sampled_softmax_grad(params, batch).item_bias
    Array([-0.5,  0.5], dtype=float32)
    """
    w = _normalised(batch.weight)
    chosen = predict(params, batch.user, batch.item)
    sampled = predict(params, batch.user[:, None], batch.negatives)
    corrected = sampled - batch.log_q - jnp.log(batch.negatives.shape[1])
    corrected = jnp.where(batch.negatives == batch.item[:, None], -jnp.inf, corrected)
    pi = jax.nn.softmax(jnp.concatenate([chosen[:, None], corrected], axis=1), axis=1)
    user = jnp.broadcast_to(batch.user[:, None], batch.negatives.shape)
    gradient = _add(_through_model(params, batch.user, batch.item, w * (pi[:, 0] - 1)),
                    _through_model(params, user, batch.negatives, w[:, None] * pi[:, 1:]))
    decay = _decay(params, batch.user, batch.item, 2 * l2 * w)
    return _add(gradient, decay._replace(user_bias=jnp.zeros_like(params.user_bias)))


class NormalEquations(NamedTuple):
    """A symmetric system A z = c: matrix A (K, K), vector c (K,)."""

    matrix: jax.Array
    vector: jax.Array


def normal_equations(params: Params, batch: Ratings, user: jax.Array, *, l2: float = 0.0) -> NormalEquations:
    r"""Normal equations of one user's block z = (b_u, p_u), everything else held.

    A = Σ w (x xᵀ + λ I),   c = Σ w (r − μ − b_i) x,   x = (1, q_i), over the user's ratings; A z = c
    where the gradient of `biased_squared_error` with respect to z, 2 (A z − c) / Σ w, is zero.

    Args:
      params, batch, l2: as for the loss. user: () id.
    Returns:
      NormalEquations with K = D + 1. Exchange users and items (fields of Params and Ratings) for an item's.
    Source: Zhou et al. 2008, "Large-scale parallel collaborative filtering", section 3.1.

    >>> params = Params(jnp.array(3.0), jnp.zeros(1), jnp.zeros(1), jnp.ones((1, 1)), jnp.ones((1, 1)))
    >>> zero = jnp.array([0])
    >>> normal_equations(params, Ratings(zero, zero, jnp.array([5.0]), jnp.ones(1)), jnp.array(0)).vector
    Array([2., 2.], dtype=float32)
    """
    w = batch.weight * (batch.user == user)
    q = rows(params.item_factors, batch.item)
    x = jnp.concatenate([jnp.ones_like(q[:, :1]), q], axis=1)
    target = batch.rating - params.mean - rows(params.item_bias, batch.item)
    ridge = l2 * jnp.sum(w) * jnp.eye(x.shape[1], dtype=x.dtype)
    matrix = jnp.einsum("n,nk,nl->kl", w, x, x, precision="highest")
    return NormalEquations(matrix + ridge, _dot(w * target, x))


def implicit_normal_equations(params: Params, batch: Ratings, user: jax.Array, *, unobserved_weight: float = 1.0,
                              l2: float = 0.0) -> NormalEquations:
    r"""Normal equations of one user's factors p_u under `implicit_squared_error`.

    A = Σ w q qᵀ + W (α₀/(U I) QᵀQ + λ/U I),   c = Σ w r q, over the user's pairs, W = Σ w over all of
    them; the gradient with respect to p_u is 2 (A p_u − c) / W.

    Args:
      params, batch, unobserved_weight, l2: as for the loss. user: () id.
    Returns:
      NormalEquations with K = D.
    Source: Hu, Koren, Volinsky 2008, eq. 4.

    >>> params = Params(jnp.array(0.0), jnp.zeros(1), jnp.zeros(1), jnp.ones((1, 1)), jnp.ones((1, 1)))
    >>> zero = jnp.array([0])
    >>> implicit_normal_equations(params, Ratings(zero, zero, jnp.ones(1), jnp.ones(1)), jnp.array(0)).matrix
    Array([[2.]], dtype=float32)
    """
    num_users, num_items = params.user_factors.shape[0], params.item_factors.shape[0]
    w = batch.weight * (batch.user == user)
    q = rows(params.item_factors, batch.item)
    gramian = _dot(params.item_factors.T, params.item_factors)
    everywhere = unobserved_weight / (num_users * num_items) * gramian
    ridge = l2 / num_users * jnp.eye(q.shape[1], dtype=q.dtype)
    matrix = jnp.einsum("n,nk,nl->kl", w, q, q, precision="highest") + jnp.sum(batch.weight) * (everywhere + ridge)
    return NormalEquations(matrix, _dot(w * batch.rating, q))


def _dot(left: jax.Array, right: jax.Array) -> jax.Array:
    return jnp.matmul(left, right, precision="highest")


def _normalised(weight: jax.Array) -> jax.Array:
    total = jnp.sum(weight)
    return weight / jnp.where(total > 0, total, 1)


def _scatter(table: jax.Array, ids: jax.Array, values: jax.Array) -> jax.Array:
    return jnp.zeros_like(table).at[ids].add(values, mode="drop", wrap_negative_indices=False)


def _through_model(params: Params, user: jax.Array, item: jax.Array, g: jax.Array) -> Params:
    """The transpose of the model's derivative at (user, item), applied to g of the same shape."""
    return Params(
        mean=jnp.sum(g),
        user_bias=_scatter(params.user_bias, user, g),
        item_bias=_scatter(params.item_bias, item, g),
        user_factors=_scatter(params.user_factors, user, g[..., None] * rows(params.item_factors, item)),
        item_factors=_scatter(params.item_factors, item, g[..., None] * rows(params.user_factors, user)),
    )


def _decay(params: Params, user: jax.Array, item: jax.Array, weight: jax.Array) -> Params:
    """Weighted rows of the tables, summed at their ids: the gradient of ½ Σ weight |row|²."""
    return Params(
        mean=jnp.zeros_like(params.mean),
        user_bias=_scatter(params.user_bias, user, weight * rows(params.user_bias, user)),
        item_bias=_scatter(params.item_bias, item, weight * rows(params.item_bias, item)),
        user_factors=_scatter(params.user_factors, user, weight[..., None] * rows(params.user_factors, user)),
        item_factors=_scatter(params.item_factors, item, weight[..., None] * rows(params.item_factors, item)),
    )


def _add(left: Params, right: Params) -> Params:
    return jax.tree.map(jnp.add, left, right)
