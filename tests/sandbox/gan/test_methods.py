"""Steps of two players: against their formulas with all matrices written out, and as training runs them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from sandbox.averaging import averaged, with_average
from sandbox.gan.bilinear import bilinear_game
from sandbox.gan.competitive import competitive
from sandbox.gan.game import Game, Players, field_norm, gradients, jacobian, losses_of
from sandbox.gan.methods import alternating, consensus, extra_gradient, optimistic, simultaneous
from sandbox.gan.playing import game_step, init_game
from sandbox.training import chunk_of

SIZES = Players(0.2, 0.05)
SGD = Players(*(optax.sgd(size) for size in SIZES))
METHODS = {
    "simultaneous": simultaneous(), "alternating": alternating(), "3 critic steps": alternating(3),
    "extra-gradient": extra_gradient(), "consensus": consensus(0.3), "competitive": competitive(SIZES, tolerance=1e-12),
    "competitive, zero-sum": competitive(SIZES, zero_sum=True, tolerance=1e-12),
}


def value(x, y):
    return jnp.sum(jnp.tanh(x["a"]) * y) + x["b"] ** 2 * jnp.sum(jnp.exp(-y))


ZERO_SUM = Game(value, lambda y, x: -value(x, y))
GENERAL = Game(value, lambda y, x: jnp.sum(jnp.sin(x["a"] * y)) + jnp.sum(y**2) * x["b"])
AT = Players({"a": np.array([0.3, -0.7]), "b": np.array(0.5)}, np.array([0.2, 1.1]))
NUM_X = 3


def no_batch(key):
    return None


def play(game, method, optimizers=SGD, at=AT, num_steps=1):
    """Where the players are after some steps, as one vector."""
    step = game_step(losses_of(game), optimizers, no_batch, method=method)
    end = jax.jit(chunk_of(step, num_steps))(init_game(at, optimizers, jax.random.key(0)))
    return np.asarray(ravel_pytree(end.state.params)[0]), end


@functools.cache
def parts_of(name):
    """A game, with ξ and ξ′ of the players as one vector."""
    game, (_, unravel) = {"zero-sum": ZERO_SUM, "general": GENERAL}[name], ravel_pytree(AT)
    return (game, jax.jit(lambda z: ravel_pytree(gradients(game, unravel(z)))[0]),
            jax.jit(lambda z: -jacobian(game, unravel(z))))


def by_formula(method, gradient, curvature):
    z, H = np.asarray(ravel_pytree(AT)[0]), np.diag([SIZES[0]] * NUM_X + [SIZES[1]] * 2)
    xi, X = gradient(z), np.arange(5) < NUM_X
    if method == "simultaneous":
        return z - H @ xi
    if method == "extra-gradient":
        return z - H @ gradient(z - H @ xi)
    if method == "consensus":
        return z - H @ (xi + 0.3 * curvature(z).T @ xi)
    if method.startswith("competitive"):
        mixed = np.where(X[:, None] == X[None], 0, curvature(z))
        return z - np.linalg.solve(np.eye(5) + H @ mixed, H @ xi)
    for _ in range({"alternating": 1, "3 critic steps": 3}[method]):
        z = z - np.where(X, 0, H @ gradient(z))
    return z - np.where(X, H @ gradient(z), 0)


@pytest.mark.parametrize("method", METHODS)
def test_a_step_is_its_formula(method, float64):
    """With two time scales, in a game that is not linear; by solving with the whole matrix what is done by products."""
    game, gradient, curvature = parts_of("zero-sum" if "zero-sum" in method else "general")
    ours, end = play(game, METHODS[method])
    np.testing.assert_allclose(ours, by_formula(method, gradient, curvature), rtol=1e-10, atol=1e-14)
    if method in ("alternating", "3 critic steps"):
        return
    losses = game.generator(*AT), game.discriminator(AT.discriminator, AT.generator)
    for ours, truth in zip((end.metrics["generator"], end.metrics["discriminator"]), losses):
        np.testing.assert_allclose(ours, truth, rtol=1e-12)
    norms = end.metrics["generator_field_norm"], end.metrics["discriminator_field_norm"]
    np.testing.assert_allclose(np.hypot(*norms), field_norm(game, AT), rtol=1e-12)


def test_in_turn_the_critic_sees_the_players_before_and_the_generator_the_new_critic(float64):
    game = bilinear_game(jnp.array([[2.0]]))
    ours, end = play(game, alternating(), at=Players(jnp.array([1.0]), jnp.array([3.0])))
    y = 3 + 0.05 * 2 * 1.0
    np.testing.assert_allclose(ours, [1 - 0.2 * 2 * y, y], rtol=1e-14)
    np.testing.assert_allclose([end.metrics[name][0] for name in (
        "discriminator", "discriminator_field_norm", "generator", "generator_field_norm")], [-6, 2, 2 * y, 2 * y])


def drawn(key, scale):
    return scale * jax.random.uniform(key)


def by_batch(params, batch, *, opponent):
    return params * batch, None


@pytest.mark.parametrize("method, of_critic, of_generator", [
    (simultaneous(), [0], 0), (extra_gradient(), [0], 0), (alternating(), [0], 1), (alternating(redraw=False), [0], 0),
    (alternating(3), [0, 1, 2], 3), (alternating(3, redraw=False), [0, 1, 2], 2)])
def test_every_critic_step_has_a_batch_of_its_own(method, of_critic, of_generator):
    optimizers = Players(optax.sgd(1.0), optax.sgd(1.0))
    step = game_step(Players(by_batch, by_batch), optimizers, drawn, method=method)
    state = init_game(Players(jnp.zeros(()), jnp.zeros(())), optimizers, jax.random.key(3))._replace(step=jnp.array(7))
    (x, y), *_ = jax.jit(step)(state, 2.0)[0]
    batches = [float(drawn(jax.random.fold_in(jax.random.fold_in(jax.random.key(3), 7), i), 2.0)) for i in range(4)]
    np.testing.assert_allclose([x, y], [-batches[of_generator], -sum(batches[i] for i in of_critic)], rtol=1e-6)
    assert len(set(batches)) == 4


@jax.custom_vjp
def never_differentiated(y):
    return y


def _refuse(residual, cotangent):
    raise AssertionError("the opponent was differentiated")


never_differentiated.defvjp(lambda y: (y, None), _refuse)


@pytest.mark.parametrize("critic_steps, critic_traces", [(1, 1), (5, 2)])
def test_in_turn_each_player_is_differentiated_once_and_by_its_own_parameters_alone(critic_steps, critic_traces):
    """Traced once each; the critic's further steps are one loop."""
    traced = {"generator": 0, "discriminator": 0}

    def loss_of(name):
        def loss(params, batch, *, opponent):
            traced[name] += 1
            return jnp.sum(params * never_differentiated(opponent)), None
        return loss

    optimizers = Players(optax.adam(1e-3), optax.adam(1e-3))
    step = game_step(Players(loss_of("generator"), loss_of("discriminator")), optimizers, no_batch,
                     method=alternating(critic_steps))
    jax.jit(step).lower(init_game(Players(jnp.ones(2), jnp.ones(2)), optimizers, jax.random.key(0)))
    assert traced == {"generator": 1, "discriminator": critic_traces}


def test_in_turn_with_adam_it_is_the_loop_that_one_would_write(float64):
    optimizers = Players(optax.adam(1e-2, b1=0.5), optax.adamw(3e-2))
    ours, _ = play(GENERAL, None, optimizers, num_steps=5)
    x, y = AT
    memory_x, memory_y = optimizers.generator.init(x), optimizers.discriminator.init(y)
    of_y, of_x = jax.jit(jax.grad(GENERAL.discriminator)), jax.jit(jax.grad(GENERAL.generator))
    for _ in range(5):
        updates, memory_y = optimizers.discriminator.update(of_y(y, x), memory_y, y)
        y = optax.apply_updates(y, updates)
        updates, memory_x = optimizers.generator.update(of_x(x, y), memory_x, x)
        x = optax.apply_updates(x, updates)
    np.testing.assert_allclose(ours, ravel_pytree((x, y))[0], rtol=1e-12)


def test_optimistic_descent_is_optaxs(float64):
    ours, _ = play(GENERAL, simultaneous(), Players(*map(optimistic, SGD)), num_steps=5)
    truth, _ = play(GENERAL, simultaneous(), Players(*map(optax.optimistic_gradient_descent, SIZES)), num_steps=5)
    np.testing.assert_allclose(ours, truth, rtol=1e-13)
    assert np.max(np.abs(ours - play(GENERAL, simultaneous(), num_steps=5)[0])) > 1e-3


def test_a_look_ahead_is_not_remembered():
    _, end = play(GENERAL, extra_gradient(), Players(optax.adam(0.1), optax.adam(0.1)), num_steps=3)
    assert [int(state[0].count) for state in end.state.opt_states] == [3, 3]


def test_penalties_may_follow_the_step():
    def losses(step):
        def loss(params, batch, *, opponent):
            return params * step, None
        return Players(loss, loss)

    optimizers = Players(optax.sgd(1.0), optax.sgd(1.0))
    step = game_step(losses, optimizers, no_batch, method=simultaneous())
    end = jax.jit(chunk_of(step, 4))(init_game(Players(jnp.zeros(()), jnp.zeros(())), optimizers, jax.random.key(0)))
    assert float(end.state.params.generator) == -(0 + 1 + 2 + 3)


def test_only_who_asks_for_mixed_derivatives_has_opponents_let_go():
    asked = []

    def loss(params, batch, *, opponent, held=True):
        asked.append(held)
        return params * opponent, None

    for method in METHODS.values():
        asked.clear()
        step = game_step(Players(loss, loss), SGD, no_batch, method=method)
        jax.eval_shape(step, init_game(Players(jnp.ones(()), jnp.ones(())), SGD, jax.random.key(0)))
        assert asked and all(held is not method.mixed for held in asked)


def noisy(params, batch, *, opponent, held=True):
    return jnp.sum(jnp.tanh(params * opponent)) + jnp.sum(params * batch), None


@pytest.mark.parametrize("method", ["3 critic steps", "competitive, zero-sum"])
def test_seeds_train_together_as_alone_and_one_that_diverges_stops_alone(method):
    """Under vmap and scan, of methods with loops of their own, with Adam and averages; the third begins at infinity."""
    optimizers = Players(optax.adam(1e-2), optax.adam(3e-2))
    step = game_step(Players(noisy, noisy), optimizers, lambda key: jax.random.normal(key, (2,)),
                     method=METHODS[method])

    def begin(key, start):
        return with_average(init_game(Players(jnp.ones(2) * start, -jnp.ones(2)), optimizers, key))

    keys, starts = jax.random.split(jax.random.key(0), 3), jnp.array([1.0, 0.5, jnp.inf])
    together = jax.jit(chunk_of(averaged(step, decay=0.9), 5, runs="vmap"))(jax.vmap(begin)(keys, starts))
    np.testing.assert_array_equal(together.finite, [True, True, False])
    np.testing.assert_array_equal(together.state.state.step, [5, 5, 0])
    alone = jax.jit(chunk_of(averaged(step, decay=0.9), 5))(begin(keys[1], starts[1]))
    for one, other in zip(jax.tree.leaves(alone.state.average), jax.tree.leaves(together.state.average)):
        np.testing.assert_allclose(one, other[1], rtol=1e-4)
    assert np.max(np.abs(alone.state.average.generator - 0.5)) > 1e-3


@pytest.mark.parametrize("zero_sum", [True, False])
def test_competitive_steps_are_finite_where_there_is_nothing_to_solve(zero_sum):
    """At rest, uncoupled, and of low rank, in single precision, under vmap."""
    low = jnp.ones((3, 3)) / 3
    coupling = jnp.stack([jnp.eye(3), 0 * low, low])
    starts = jnp.stack([jnp.zeros(3), jnp.ones(3), jnp.arange(1.0, 4)])

    def move(A, start):
        game = bilinear_game(A, Q=jnp.eye(3))
        step = game_step(losses_of(game), SGD, no_batch, method=competitive(SIZES, zero_sum=zero_sum))
        return step(init_game(Players(start, start), SGD, jax.random.key(0)))[0].params

    x, y = jax.jit(jax.vmap(move))(coupling, starts)
    for k, (A, z) in enumerate(zip(np.asarray(coupling, float), np.asarray(starts, float))):
        matrix = np.block([[np.eye(3), SIZES[0] * A], [-SIZES[1] * A.T, np.eye(3)]])
        moves = np.linalg.solve(matrix, np.concatenate([-SIZES[0] * A @ z, SIZES[1] * (A.T @ z - z)]))
        np.testing.assert_allclose(np.concatenate([x[k], y[k]]), np.concatenate([z, z]) + moves, atol=1e-5)


@pytest.mark.parametrize("make, kind, words", [
    (lambda: alternating(0), ValueError, "critic_steps must be at least 1, got 0"),
    (lambda: alternating(1.5), TypeError, "critic_steps must be an integer, got 1.5"),
    (lambda: alternating(True), TypeError, "critic_steps must be an integer, got True"),
    (lambda: consensus(-0.1), ValueError, "weight must be at least 0, got -0.1"),
    (lambda: consensus(float("nan")), ValueError, "weight must be at least 0, got nan"),
    (lambda: competitive(Players(0.1, 0.0)), ValueError, "step_sizes must be above 0, got 0.0"),
    (lambda: competitive(Players(-0.1, 0.1)), ValueError, "step_sizes must be above 0, got -0.1"),
    (lambda: competitive(SIZES, tolerance=0.0), ValueError, "tolerance must be above 0, got 0.0"),
    (lambda: competitive(SIZES, max_iterations=0), ValueError, "max_iterations must be at least 1, got 0"),
])
def test_what_makes_no_method_is_refused(make, kind, words):
    with pytest.raises(kind, match=words):
        make()
