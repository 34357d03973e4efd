"""One device and four agree; what does not fit the mesh is refused by name."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec as P

from sandbox import sharding
from sandbox.matrix_factorization import Ratings, biased_squared_error, init, sampling
from sandbox.training import chunk_of, init_state, step_of

RULES = [("factors", P("data")), ("bias", P("data"))]
LOSS = partial(biased_squared_error, l2=0.05)
OPTIMIZER = optax.adam(0.05)


def mesh_of(count):
    return sharding.make_mesh({"data": count}, jax.devices()[:count])


def problem(num_ratings=64):
    keys = jax.random.split(jax.random.key(1), 4)
    params = init(keys[0], num_users=16, num_items=8, rank=4, mean=3.0, scale=0.3)
    user, item = (jax.random.randint(key, (num_ratings,), 0, count) for key, count in zip(keys[1:], (16, 8)))
    return params, Ratings(user, item, 3 + jax.random.normal(keys[3], (num_ratings,)), jnp.ones(num_ratings))


def assert_trees_close(left, right, tolerance):
    for one, other in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=tolerance, atol=tolerance)


def test_loss_and_gradient_agree_on_1_and_4_devices():
    params, ratings = problem()
    evaluate = jax.jit(jax.value_and_grad(LOSS, has_aux=True))
    on_one = evaluate(params, ratings)
    mesh = mesh_of(4)
    on_four = evaluate(sharding.place(mesh, params, RULES), sharding.place_batch(mesh, ratings))
    assert_trees_close(on_one, on_four, 1e-6)


def test_twenty_steps_agree_on_1_and_4_devices():
    params, ratings = problem()
    draw = partial(sampling.draw_ratings, size=32)

    def after_twenty(count):
        mesh = mesh_of(count)
        step = step_of(LOSS, OPTIMIZER, sharding.constrain_batch(mesh, draw))
        state = sharding.place(mesh, init_state(params, OPTIMIZER, jax.random.key(5)), RULES)
        return jax.jit(chunk_of(step, 20))(state, sharding.replicate(mesh, ratings))

    one, four = after_twenty(1), after_twenty(4)
    assert four.state.params.user_factors.sharding.num_devices == 4
    assert_trees_close(one.metrics, four.metrics, 1e-5)
    assert_trees_close(one.state.params, four.state.params, 1e-5)


def test_rules_divide_parameters_among_the_devices():
    params, _ = problem()
    placed = sharding.place(mesh_of(4), params, RULES)
    assert placed.user_factors.addressable_shards[0].data.shape == (4, 4)
    assert placed.mean.sharding.is_fully_replicated


@pytest.mark.parametrize(("call", "words"), [
    (lambda: sharding.make_mesh({"data": 3}, jax.devices()[:4]), "a mesh of data=3 needs 3 devices, there are 4"),
    (lambda: sharding.make_mesh({"data": 2, "model": 3}, jax.devices()[:4]), "data=2 x model=3 needs 6 devices"),
    (lambda: sharding.make_mesh({}), "axes of size 1 or more"),
    (lambda: sharding.make_mesh({"data": 0}), "axes of size 1 or more"),
    (lambda: sharding.place_batch(mesh_of(4), jnp.ones(6)), "does not divide into 4 parts"),
    (lambda: sharding.place_batch(mesh_of(4), jnp.ones(())), "no axis to divide"),
    (lambda: sharding.place_batch(mesh_of(4), jnp.ones(4), axis="model"), "axes ('data',), not 'model'"),
])
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError) as refusal:
        call()
    assert words in str(refusal.value)


@pytest.mark.parametrize("rule, shape, spec", [
    (sharding.longest_axes("data"), (64, 256), P(None, "data")),
    (sharding.longest_axes("data"), (64, 64), P(None, "data")),  # of two alike the last
    (sharding.longest_axes("data", "model"), (64, 256), P("model", "data")),
    (sharding.longest_axes("data"), (64, 257), P("data")),
    (sharding.longest_axes("data", skip=1), (4096, 3), P()),  # what is skipped is never divided
    (sharding.longest_axes("data"), (8, 8), P()),  # not worth it
    (sharding.where_it_fits(None, "data", "model"), (1, 8, 6), P(None, "data", "model")),
    (sharding.where_it_fits("data", "expert"), (6, 8), P(None, None)),
])
def test_rules_by_shape_divide_what_divides(rule, shape, spec):
    mesh = sharding.make_mesh({"data": 4, "model": 2})
    assert rule(mesh, shape) == spec
    leaf = jax.ShapeDtypeStruct(shape, jnp.float32)
    assert sharding.sharding_by_rules(mesh, leaf, [("", rule)]).spec == spec
