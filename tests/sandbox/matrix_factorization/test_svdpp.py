"""SVD++ on batches of whole users: the same loss and gradient as by histories, and nothing lost in the dealing."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree
from jax.test_util import check_grads

from sandbox.identities import relative_error
from sandbox.matrix_factorization import losses, svdpp
from sandbox.matrix_factorization.losses import Histories, SvdppParams
from sandbox.matrix_factorization.model import Ratings, init, predict
from sandbox.training import chunk_of, init_state, step_of

U, I, D, N = 5, 7, 3, 16


class Given(NamedTuple):
    """Ratings and penalties, to be carried together."""

    ratings: Ratings
    penalties: SvdppParams


def map_error(params, given):
    return svdpp.map_error(params, given.ratings, penalties=given.penalties)


def some_ratings(dtype=np.float64):
    """Distinct pairs; user 4 has none, item 6 neither; weights differ."""
    rng = np.random.default_rng(0)
    cell = rng.choice((U - 1) * (I - 1), N, replace=False)
    user, item = np.divmod(cell, I - 1)
    return Ratings(user, item, rng.normal(3, 1, N).astype(dtype), rng.uniform(0.5, 1.5, N).astype(dtype))


def some_params(dtype=jnp.float64):
    keys = jax.random.split(jax.random.key(1), 4)
    explicit = init(keys[0], num_users=U, num_items=I, rank=D, mean=3.0, scale=1.0, dtype=dtype)
    explicit = explicit._replace(user_bias=jax.random.normal(keys[1], (U,), dtype),
                                 item_bias=jax.random.normal(keys[2], (I,), dtype))
    return SvdppParams(explicit, jax.random.normal(keys[3], (I, D), dtype))


def by_history(ratings):
    """The same ratings as Histories, user by user."""
    item = np.full((U, I), I)
    rating, weight = np.zeros((U, I)), np.zeros((U, I))
    for user in range(U):
        own = np.flatnonzero(ratings.user == user)
        item[user, :len(own)] = ratings.item[own]
        rating[user, :len(own)], weight[user, :len(own)] = ratings.rating[own], ratings.weight[own]
    return Histories(np.arange(U), item, rating, weight, item)


def some_penalties(ratings, **changed):
    lambdas = {"l2": 0.3, "bias_l2": 0.2, "implicit_l2": 0.5, **changed}
    return svdpp.penalties(ratings, num_users=U, num_items=I, **lambdas)


def value_and_grad(params, batch):
    return jax.jit(jax.value_and_grad(lambda p: map_error(p, batch)[0]))(params)


@pytest.mark.usefixtures("float64")
def test_without_penalties_it_is_the_loss_by_histories():
    ratings, params = some_ratings(), some_params()
    none = some_penalties(ratings, l2=0.0, bias_l2=0.0, implicit_l2=0.0)
    expected = jax.jit(jax.value_and_grad(lambda p: losses.svdpp_squared_error(p, by_history(ratings))[0]))(params)
    assert relative_error(value_and_grad(params, Given(ratings, none)), expected) < 1e-10


@pytest.mark.usefixtures("float64")
def test_implied_params_predict_what_svdpp_predicts():
    ratings, params = some_ratings(), some_params()
    user, item = np.mgrid[:U, :I]
    expected = losses.svdpp_predict(params, np.arange(U), item, by_history(ratings).history)
    np.testing.assert_allclose(predict(svdpp.implied_params(params, ratings), user, item), expected, rtol=1e-12)


@pytest.mark.usefixtures("float64")
def test_penalties_are_those_of_a_loop():
    ratings, params = some_ratings(), some_params()
    batch = Given(ratings, some_penalties(ratings))
    error = map_error(params, batch)[1].error
    total = np.sum(ratings.weight * error**2)
    for ids, size, bias, factors in ((ratings.user, U, params.explicit.user_bias, params.explicit.user_factors),
                                     (ratings.item, I, params.explicit.item_bias, params.explicit.item_factors)):
        for row in range(size):
            count = max(np.sum(ratings.weight[ids == row]), 1)
            total += np.sqrt(count) * (0.2 * bias[row] ** 2 + 0.3 * np.sum(factors[row] ** 2))
    total += 0.5 * np.sum(params.implicit_factors**2)
    np.testing.assert_allclose(map_error(params, batch)[0], total / np.sum(ratings.weight), rtol=1e-12)


@pytest.mark.usefixtures("float64")
def test_finite_differences():
    ratings = some_ratings()
    batch = Given(ratings, some_penalties(ratings))
    flat, unravel = ravel_pytree(some_params())
    loss = jax.jit(lambda z: map_error(unravel(z), batch)[0])
    check_grads(loss, (flat,), order=2, modes="rev", rtol=1e-5)


@pytest.mark.usefixtures("float64")
def test_padding_changes_neither_value_nor_gradient():
    ratings, params = some_ratings(), some_params()
    penalties = some_penalties(ratings)
    absurd = Ratings([0, -7, 10**6], [-7, 2, 10**6], [1e9, -1e9, 1e9], [0.0, 0.0, 0.0])
    padded = Ratings(*map(np.append, ratings, absurd))
    assert relative_error(value_and_grad(params, Given(padded, penalties)),
                          value_and_grad(params, Given(ratings, penalties))) < 1e-12


@pytest.mark.parametrize("num_groups", [1, 2, 3, U + 1])
def test_groups_have_every_rating_once_and_users_whole(num_groups):
    ratings = some_ratings()
    hidden = ratings._replace(weight=np.where(np.arange(N) == 3, 0, ratings.weight))
    groups = svdpp.group_users(hidden, num_groups=num_groups)
    assert groups.user.shape[0] == num_groups
    real = groups.weight > 0
    dealt = sorted(zip(*(leaf[real] for leaf in groups), strict=True))
    assert dealt == sorted(row for k, row in enumerate(zip(*ratings, strict=True)) if k != 3)
    for user in range(U):
        assert len({group for group in range(num_groups) if user in groups.user[group][real[group]]}) <= 1


def test_groups_differ_by_less_than_the_busiest_user():
    lengths = np.random.default_rng(2).geometric(0.05, 200)
    user = np.repeat(np.arange(200), lengths)
    ones = np.ones(len(user), np.float32)
    sizes = svdpp.group_users(Ratings(user, user, ones, ones), num_groups=7).weight.sum(axis=1)
    assert sizes.max() - sizes.min() <= lengths.max()


@pytest.mark.usefixtures("float64")
def test_groups_by_their_weight_average_to_the_whole():
    ratings, params = some_ratings(), some_params()
    penalties = some_penalties(ratings)
    groups = svdpp.group_users(ratings, num_groups=2)
    values = jax.jit(jax.vmap(lambda group: map_error(params, Given(group, penalties))[0]))
    parts, whole = values(groups), values(Ratings(*(leaf[None] for leaf in ratings)))
    np.testing.assert_allclose(np.average(parts, weights=groups.weight.sum(axis=1)), whole[0], rtol=1e-12)


def test_a_drawn_group_is_one_of_them_and_the_keys_own():
    groups = svdpp.group_users(some_ratings(np.float32), num_groups=3)
    groups = Ratings(*map(jnp.asarray, groups))
    keys = jax.random.split(jax.random.key(0), 64)
    drawn = jax.jit(jax.vmap(lambda key: svdpp.draw_group(key, groups)))(keys)
    again = svdpp.draw_group(keys[5], groups)
    assert all(jnp.array_equal(one[5], other) for one, other in zip(drawn, again, strict=True))
    which = np.argmax(np.all(np.asarray(drawn.rating)[:, None] == np.asarray(groups.rating), axis=2), axis=1)
    assert set(which.tolist()) == {0, 1, 2}  # one is missing with probability 3 (2/3)⁶⁴ < 1e-10


def test_a_group_count_below_one_is_refused():
    with pytest.raises(ValueError, match="num_groups must be at least 1, got 0"):
        svdpp.group_users(some_ratings(), num_groups=0)


def test_what_was_rated_tells_what_will_be_liked():
    """Two camps of opposite tastes, each known by a film that only it has rated, and always a 3.

    The last users have rated that film alone: their ratings tell nothing, that they rated it tells all.
    """
    users, silent, films = 60, 10, 6
    rng = np.random.default_rng(3)
    camp = np.arange(users) % 2
    taste = np.where(np.arange(films) % 2, 1.0, -1.0)
    user, item = (ids.ravel() for ids in np.mgrid[:users, :films])
    rating = 3 + taste[item] * np.where(camp[user], 1, -1)
    heard = (user < users - silent) & (rng.random(user.size) < 0.5)
    everyone = np.arange(users)
    known = Ratings(np.append(user[heard], everyone), np.append(item[heard], films + camp),
                    np.append(rating[heard], np.full(users, 3.0)).astype(np.float32),
                    np.ones(heard.sum() + users, np.float32))
    sizes = {"num_users": users, "num_items": films + 2}
    batch = Given(known, svdpp.penalties(known, **sizes, l2=0.5, bias_l2=0.5, implicit_l2=0.1))
    params = SvdppParams(init(jax.random.key(0), **sizes, rank=2, mean=3.0), jnp.zeros((films + 2, 2)))
    optimizer = optax.adam(0.05)
    chunk = jax.jit(chunk_of(step_of(map_error, optimizer, lambda key, data: data), 200))
    trained = chunk(init_state(params, optimizer, jax.random.key(1)), batch)
    assert trained.metrics["loss"][-1] < 0.2 * trained.metrics["loss"][0]
    asked = user >= users - silent
    predicted = predict(svdpp.implied_params(trained.state.params, known), user[asked], item[asked])
    assert np.all((predicted > 3) == (rating[asked] > 3))
