"""What the closed forms of this wing satisfy: each gradient by hand against automatic differentiation."""

from functools import partial

import jax
import jax.numpy as jnp

from sandbox.identities import Identity, finite_difference
from sandbox.matrix_factorization import derivatives, losses, svdpp
from sandbox.matrix_factorization.losses import Histories, SoftmaxBatch, SvdppParams, Triplets
from sandbox.matrix_factorization.model import Params, Ratings, init, predict

__all__ = ["IDENTITIES"]

USERS, ITEMS, RANK, ROWS, NEGATIVES = 5, 7, 3, 40, 6
L2 = 0.3


def _params(key, dtype) -> Params:
    keys = jax.random.split(key, 4)
    params = init(keys[0], num_users=USERS, num_items=ITEMS, rank=RANK, mean=3.5, scale=1.0, dtype=dtype)
    return params._replace(mean=3 + jax.random.normal(keys[1], (), dtype),
                           user_bias=jax.random.normal(keys[2], (USERS,), dtype),
                           item_bias=jax.random.normal(keys[3], (ITEMS,), dtype))


def _ids(key, count, *shape):
    """Ids of which some are unknown (-1 and `count`), since those must count as nothing."""
    return jax.random.randint(key, shape, -1, count + 1)


def _ratings(key, dtype) -> tuple[Params, Ratings]:
    """Of which four are padding."""
    keys = jax.random.split(key, 5)
    return _params(keys[0], dtype), Ratings(
        _ids(keys[1], USERS, ROWS), _ids(keys[2], ITEMS, ROWS), 3 + jax.random.normal(keys[3], (ROWS,), dtype),
        jax.random.uniform(keys[4], (ROWS,), dtype).at[:4].set(0))


def _histories(key, dtype) -> tuple[SvdppParams, Histories]:
    keys = jax.random.split(key, 7)
    params = SvdppParams(_params(keys[0], dtype), jax.random.normal(keys[1], (ITEMS, RANK), dtype))
    return params, Histories(
        _ids(keys[2], USERS, 4), _ids(keys[3], ITEMS, 4, 6), 3 + jax.random.normal(keys[4], (4, 6), dtype),
        jax.random.uniform(keys[5], (4, 6), dtype), _ids(keys[6], ITEMS, 4, 5))


def _penalised(key, dtype) -> tuple[SvdppParams, Ratings, SvdppParams]:
    keys = jax.random.split(key, 3)
    params, batch = _ratings(keys[0], dtype)
    penalties = jax.tree.map(jnp.ones_like, params)
    return (SvdppParams(params, jax.random.normal(keys[1], (ITEMS, RANK), dtype)), batch,
            SvdppParams(penalties, jax.random.uniform(keys[2], (1, 1), dtype)))


def _triplets(key, dtype) -> tuple[Params, Triplets]:
    keys = jax.random.split(key, 5)
    return _params(keys[0], dtype), Triplets(
        _ids(keys[1], USERS, ROWS), _ids(keys[2], ITEMS, ROWS), _ids(keys[3], ITEMS, ROWS),
        jax.random.uniform(keys[4], (ROWS,), dtype))


def _softmax(key, dtype) -> tuple[Params, SoftmaxBatch]:
    keys = jax.random.split(key, 6)
    return _params(keys[0], dtype), SoftmaxBatch(
        _ids(keys[1], USERS, ROWS), _ids(keys[2], ITEMS, ROWS), _ids(keys[3], ITEMS, ROWS, NEGATIVES),
        -jax.random.exponential(keys[4], (ROWS, NEGATIVES), dtype), jax.random.uniform(keys[5], (ROWS,), dtype))


def _dense_implicit(params: Params, batch: Ratings, *, unobserved_weight, l2):
    """`implicit_squared_error` from its definition, every pair formed."""
    p, q = params.user_factors, params.item_factors
    known = predict(params._replace(mean=0 * params.mean, user_bias=0 * params.user_bias,
                                    item_bias=0 * params.item_bias), batch.user, batch.item)
    observed = jnp.sum(batch.weight * (batch.rating - known) ** 2) / jnp.sum(batch.weight)
    penalty = jnp.mean(jnp.sum(p**2, axis=1)) + jnp.mean(jnp.sum(q**2, axis=1))
    return observed + unobserved_weight * jnp.mean((p @ q.T) ** 2) + l2 * penalty


def _block_gradient(loss, params, batch, user, names, **keywords):
    """Autodiff gradient and Hessian of a loss in one user's coordinates, ordered as `names`."""
    def at(z):
        rows = {"user_bias": z[0], "user_factors": z[-RANK:]}
        changed = {name: getattr(params, name).at[user].set(rows[name]) for name in names}
        return loss(params._replace(**changed), batch, **keywords)[0]

    here = jnp.concatenate([jnp.atleast_1d(getattr(params, name)[user]) for name in names])
    half = jnp.sum(batch.weight) / 2
    return half * jax.grad(at)(here), half * jax.hessian(at)(here)


def _normal_autodiff(params, batch, *, user=2):
    return _block_gradient(losses.biased_squared_error, params, batch, user, ("user_bias", "user_factors"), l2=L2)


def _normal_by_hand(params, batch, *, user=2):
    a, c = derivatives.normal_equations(params, batch, user, l2=L2)
    z = jnp.concatenate([params.user_bias[user][None], params.user_factors[user]])
    return a @ z - c, a


def _implicit_normal_autodiff(params, batch, *, user=2):
    return _block_gradient(losses.implicit_squared_error, params, batch, user, ("user_factors",),
                           unobserved_weight=0.7, l2=L2)


def _implicit_normal_by_hand(params, batch, *, user=2):
    a, c = derivatives.implicit_normal_equations(params, batch, user, unobserved_weight=0.7, l2=L2)
    return a @ params.user_factors[user] - c, a


def _gradient(name: str, draw, **keywords) -> Identity:
    """The closed form `<name>_grad` against jax.grad of the loss of that name."""
    loss, by_hand = getattr(losses, name), getattr(derivatives, f"{name}_grad")
    autodiff = jax.grad(lambda params, batch: loss(params, batch, **keywords)[0])
    return Identity(f"∇ {name}", partial(by_hand, **keywords), autodiff, draw)


IDENTITIES = (
    _gradient("biased_squared_error", _ratings, l2=L2),
    _gradient("svdpp_squared_error", _histories, l2=L2, implicit_l2=0.2),
    _gradient("implicit_squared_error", _ratings, unobserved_weight=0.7, l2=L2),
    _gradient("bpr", _triplets, l2=L2),
    _gradient("sampled_softmax", _softmax, l2=L2),
    Identity("∇ map_error (SVD++ under a prior)",
             lambda params, batch, penalties: derivatives.map_error_grad(params, batch, penalties=penalties),
             jax.grad(lambda params, batch, penalties: svdpp.map_error(params, batch, penalties=penalties)[0]),
             _penalised),
    Identity("implicit loss by Gramians = by all pairs",
             lambda *inputs: losses.implicit_squared_error(*inputs, unobserved_weight=0.7, l2=L2)[0],
             partial(_dense_implicit, unobserved_weight=0.7, l2=L2), _ratings),
    Identity("∇ biased_squared_error = by finite differences",
             partial(derivatives.biased_squared_error_grad, l2=L2),
             lambda params, batch: finite_difference(
                 lambda p: losses.biased_squared_error(p, batch, l2=L2)[0], params),
             _ratings, tolerance=1e-6, float32_tolerance=0.02),
    Identity("normal equations of a user's block", _normal_by_hand, _normal_autodiff, _ratings),
    Identity("implicit normal equations of a user's block", _implicit_normal_by_hand,
             _implicit_normal_autodiff, _ratings),
)
