"""What holds of the objectives whatever the code: symmetries, special cases, derivatives, learning."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree
from jax.test_util import check_grads

from sandbox.identities import relative_error
from sandbox.matrix_factorization import losses
from sandbox.matrix_factorization.losses import SoftmaxBatch, SvdppParams
from sandbox.matrix_factorization.model import Params, init, predict
from sandbox.training import chunk_of, init_state, step_of
from tests.sandbox.matrix_factorization import cases
from tests.sandbox.matrix_factorization.cases import ITEMS, PARAMS, SVDPP, TRIPLETS, USERS

CASES = [case for case in cases.CASES if case.loss.__module__ == losses.__name__]

every_loss = pytest.mark.parametrize("case", CASES, ids=[case.loss.__name__ for case in CASES])

ITEM_FIELDS = ("item", "history", "positive", "negative", "negatives")
ABSURD = {"user": -7, "item": 10**6, "history": 10**6, "positive": -7, "negative": 10**6, "negatives": -7,
          "rating": 1e9, "log_q": -1e3, "weight": 0}


def in_float64(tree):
    return jax.tree.map(
        lambda leaf: jnp.asarray(leaf, jnp.float64) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, tree)


def value_and_grad(case):
    return jax.jit(jax.value_and_grad(lambda *both: case.loss(*both, **case.keywords)[0]))


@every_loss
@pytest.mark.usefixtures("float64")
def test_renaming_users_and_items_changes_nothing(case):
    params, batch = in_float64((case.params, case.batch))
    rng = np.random.default_rng(0)
    users, items = rng.permutation(USERS), rng.permutation(ITEMS)  # the old id of each new one

    def renamed(params):
        if isinstance(params, SvdppParams):
            return SvdppParams(renamed(params.explicit), params.implicit_factors[items])
        return Params(params.mean, params.user_bias[users], params.item_bias[items],
                      params.user_factors[users], params.item_factors[items])

    new_user, new_item = np.argsort(users), np.append(np.argsort(items), ITEMS)  # padding keeps its id
    ids = {"user": new_user[batch.user]} | {
        name: new_item[getattr(batch, name)] for name in ITEM_FIELDS if name in batch._fields}
    evaluate = value_and_grad(case)
    value, gradient = evaluate(params, batch)
    assert relative_error(evaluate(renamed(params), batch._replace(**ids)), (value, renamed(gradient))) < 1e-10


@every_loss
@pytest.mark.usefixtures("float64")
def test_padding_changes_neither_value_nor_gradient(case):
    params, batch = in_float64((case.params, case.batch))

    def with_two_more(name, leaf):
        return np.concatenate([leaf, np.full((2, *leaf.shape[1:]), ABSURD[name], leaf.dtype)])

    padded = type(batch)(*map(with_two_more, batch._fields, batch))
    evaluate = value_and_grad(case)
    assert relative_error(evaluate(params, padded), evaluate(params, batch)) < 1e-10


@every_loss
@pytest.mark.usefixtures("float64")
def test_finite_differences(case):
    params, batch = in_float64((case.params, case.batch))
    flat, unravel = ravel_pytree(params)
    loss = jax.jit(lambda z: case.loss(unravel(z), batch, **case.keywords)[0])
    check_grads(loss, (flat,), order=2, modes="rev", rtol=1e-5)


@every_loss
def test_training_lowers_it(case):
    optimizer = optax.adam(0.02)
    step = step_of(lambda *both: case.loss(*both, **case.keywords), optimizer, lambda key, batch: batch)
    trained = jax.jit(chunk_of(step, 50))(init_state(case.params, optimizer, jax.random.key(0)), case.batch)
    first, last = trained.metrics["loss"][0], trained.metrics["loss"][-1]
    assert trained.finite and last < 0.8 * first


@pytest.mark.usefixtures("float64")
def test_bpr_and_sampled_softmax_are_blind_to_the_mean_and_to_user_biases():
    for case in CASES:
        if case.loss in (losses.bpr, losses.sampled_softmax):
            params, batch = in_float64((case.params, case.batch))
            other = params._replace(mean=params.mean + 2, user_bias=params.user_bias + np.arange(USERS))
            evaluate = jax.jit(lambda p, b, case=case: case.loss(p, b, **case.keywords)[0])
            np.testing.assert_allclose(evaluate(other, batch), evaluate(params, batch), rtol=1e-12)


def test_bpr_of_swapped_items_is_the_other_outcome():
    """σ(m) + σ(−m) = 1: what is lost one way and the other are the surprises at two exclusive outcomes."""
    swapped = TRIPLETS._replace(positive=TRIPLETS.negative, negative=TRIPLETS.positive)
    one, other = (losses.bpr(PARAMS, batch)[1].margin for batch in (TRIPLETS, swapped))
    np.testing.assert_allclose(jnp.exp(-jax.nn.softplus(-one)) + jnp.exp(-jax.nn.softplus(-other)), 1, rtol=1e-6)


def test_svdpp_without_histories_is_the_biased_model():
    user, item = np.arange(USERS), np.tile(np.arange(ITEMS), (USERS, 1))
    unknown = np.full((USERS, 3), ITEMS)
    np.testing.assert_allclose(losses.svdpp_predict(SVDPP, user, item, unknown),
                               predict(PARAMS, user[:, None], item), rtol=1e-6)


@pytest.mark.usefixtures("float64")
def test_sampled_softmax_with_every_other_item_once_is_the_full_softmax():
    params = in_float64(PARAMS)
    user, item = np.arange(USERS), np.arange(USERS) + 2
    others = np.array([[j for j in range(ITEMS) if j != i] for i in item])
    batch = SoftmaxBatch(user, item, others, np.full(others.shape, -np.log(ITEMS - 1.0)), np.ones(USERS))
    score = predict(params, user[:, None], np.arange(ITEMS)[None])
    expected = -jax.nn.log_softmax(score, axis=1)[user, item]
    value, aux = jax.jit(losses.sampled_softmax)(params, batch)
    np.testing.assert_allclose(-aux.log_likelihood, expected, rtol=1e-12)
    np.testing.assert_allclose(value, np.mean(expected), rtol=1e-12)


@pytest.mark.usefixtures("float64")
def test_the_estimated_partition_function_is_right_on_average():
    """Over all 4² ways to draw two negatives from four items, each by its probability."""
    params = init(jax.random.key(3), num_users=1, num_items=4, rank=2, scale=1.0, dtype=jnp.float64)
    q = np.array([0.1, 0.2, 0.3, 0.4])
    draws = np.array(list(itertools.product(range(4), repeat=2)))
    chosen = np.zeros(len(draws), int)
    batch = SoftmaxBatch(chosen, chosen + 1, draws, np.log(q)[draws], np.ones(len(draws)))
    score = predict(params, np.zeros(4, int), np.arange(4))
    partition = np.exp(score[1] - losses.sampled_softmax(params, batch)[1].log_likelihood)
    np.testing.assert_allclose(np.sum(q[draws].prod(axis=1) * partition), np.sum(np.exp(score)), rtol=1e-12)
