"""The field of a game and its Jacobian: what they must satisfy, and that opponents who are held hide half of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from sandbox.gan.bilinear import bilinear_game
from sandbox.gan.game import Game, Players, eigenvalues, field, field_norm, game_of, gradients, jacobian, losses_of
from sandbox.gan.game_derivatives import bilinear_jacobian

RNG = np.random.default_rng(0)
A, B, P, Q = (RNG.normal(size=shape) for shape in ((3, 2), (3, 2), (3, 3), (2, 2)))


def value(x, y):
    return jnp.sum(jnp.tanh(x["a"]) * y) + x["b"] ** 2 * jnp.sum(jnp.exp(-y))


ZERO_SUM = Game(value, lambda y, x: -value(x, y))
AT = Players({"a": np.array([0.3, -0.7]), "b": np.array(0.5)}, np.array([0.2, 1.1]))


def same_set(left, right, tolerance=1e-12):
    """Complex numbers, in whatever order: each has its own of the other side close by."""
    left, right = list(np.asarray(left)), list(np.asarray(right))
    assert len(left) == len(right)
    for one in left:
        nearest = min(right, key=lambda other: abs(one - other))
        assert abs(one - nearest) < tolerance
        right.remove(nearest)


def test_the_field_is_each_players_own_descent(float64):
    x, y = AT
    v, norm = jax.jit(lambda at: (field(ZERO_SUM, at), field_norm(ZERO_SUM, at)))(AT)
    tanh, bent = np.tanh(x["a"]), 1 - np.tanh(x["a"]) ** 2
    np.testing.assert_allclose(v.generator["a"], -bent * y, rtol=1e-12)
    np.testing.assert_allclose(v.generator["b"], -2 * x["b"] * np.sum(np.exp(-y)), rtol=1e-12)
    np.testing.assert_allclose(v.discriminator, tanh - x["b"] ** 2 * np.exp(-y), rtol=1e-12)
    flat = np.concatenate([v.generator["a"], [v.generator["b"]], v.discriminator])
    np.testing.assert_allclose(norm, np.linalg.norm(flat), rtol=1e-12)


def test_the_jacobian_is_that_of_finite_differences(float64):
    J = jax.jit(lambda at: jacobian(ZERO_SUM, at))(AT)
    flat, unravel = ravel_pytree(AT)
    of = jax.jit(jax.vmap(lambda z: ravel_pytree(field(ZERO_SUM, unravel(z)))[0]))
    away = 1e-5 * jnp.eye(len(flat))
    np.testing.assert_allclose(J, (of(flat[None] + away) - of(flat[None] - away)).T / 2e-5, atol=1e-9)


def test_what_one_gains_of_the_others_move_the_other_loses(float64):
    """In a zero-sum game; and in one that is not, not."""
    J, general = jax.jit(lambda at: (jacobian(ZERO_SUM, at), jacobian(bilinear_game(A, B=B), Players(
        jnp.ones(3), jnp.ones(2)))))(AT)
    np.testing.assert_allclose(J[3:, :3], -J[:3, 3:].T, rtol=1e-12)
    assert np.max(np.abs(J[:3, 3:])) > 0.1
    assert np.max(np.abs(general[3:, :3] + general[:3, 3:].T)) > 0.1


def test_a_bilinear_game_only_turns_by_its_singular_values(float64):
    J = jax.jit(lambda A: jacobian(bilinear_game(A), Players(jnp.ones(3), jnp.ones(2))))(A)
    sigma = np.linalg.svd(A, compute_uv=False)
    same_set(eigenvalues(J), [*(1j * sigma), *(-1j * sigma), 0])


def test_two_rows_by_formula_are_as_by_lapack(float64):
    matrices = RNG.normal(size=(20, 2, 2))
    ours = np.asarray(eigenvalues(jnp.asarray(matrices)))
    turning = np.imag(ours) != 0
    assert np.any(turning) and not np.all(turning)
    for one, truth in zip(ours, np.linalg.eigvals(matrices)):
        same_set(one, truth)


def test_a_matrix_that_is_not_square_is_refused():
    for shape in ((2,), (2, 3)):
        with pytest.raises(ValueError, match="matrix must be square, got"):
            eigenvalues(jnp.ones(shape))


@pytest.mark.parametrize("name, matrix, wanted", [("B", B.T, (3, 2)), ("P", Q, (3, 3)), ("Q", P, (2, 2))])
def test_parts_of_a_bilinear_game_that_do_not_fit_are_refused(name, matrix, wanted):
    with pytest.raises(ValueError, match=rf"{name} must be \({wanted[0]}, {wanted[1]}\), as A is \(3, 2\)"):
        bilinear_game(A, **{name: matrix})


def test_players_may_be_of_different_kinds_of_numbers_and_shapes():
    J = jax.eval_shape(lambda at: jacobian(ZERO_SUM, at), jax.tree.map(jnp.float32, AT))
    assert J.shape == (5, 5) and J.dtype == jnp.float32


def test_held_opponents_leave_the_gradients_and_take_the_mixed_derivatives(float64):
    game, at = bilinear_game(A, P=P, Q=Q), Players(np.ones(3), np.ones(2))
    losses = losses_of(game)
    free, held = game_of(losses, None, held=False), game_of(losses, None)
    slopes, (whole, blocks) = jax.jit(lambda at: ([gradients(one, at) for one in (game, free, held)],
                                                  [jacobian(one, at) for one in (free, held)]))(at)
    for ours in slopes[1:]:
        for one, truth in zip(ours, slopes[0]):
            np.testing.assert_allclose(one, truth, rtol=1e-14)
    np.testing.assert_allclose(whole, bilinear_jacobian(A, P, Q, A), rtol=1e-12)
    np.testing.assert_array_equal(blocks[:3, 3:], 0)
    np.testing.assert_array_equal(blocks[3:, :3], 0)
    np.testing.assert_allclose(blocks[:3, :3], whole[:3, :3], rtol=1e-14)


def test_a_loss_is_given_the_batch_and_need_not_know_of_holding():
    def loss(params, batch, *, opponent):
        return params * batch * opponent, "aux"

    assert float(game_of(Players(loss, loss), 2.0).discriminator(3.0, 5.0)) == 30
