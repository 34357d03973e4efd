"""The smallest GAN: its eigenvalues, what circles and what comes home, and that it is the GAN that the losses make."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.gan.criteria import CRITERIA, NON_SATURATING
from sandbox.gan.dirac import dirac_gan
from sandbox.gan.game import Players, eigenvalues, field, game_of, gradients, jacobian
from sandbox.gan.game_derivatives import DIRAC_SLOPES, dirac_eigenvalues, dirac_jacobian
from sandbox.gan.losses import Pairs, discriminator_loss, generator_loss

AT = Players(np.array(0.8), np.array(-0.6))
REST = Players(np.array(0.0), np.array(0.0))
CIRCLING = ("minimax", "non-saturating", "relativistic")  # of slopes ∓½ at rest


JACOBIAN = jax.jit(lambda r1: jacobian(dirac_gan(r1=r1), REST))


def by_imaginary(values):
    return np.array(sorted(np.asarray(values), key=lambda one: (one.imag, one.real)))


@pytest.mark.parametrize("r1, expected", [
    (0.0, [-0.5j, 0.5j]),  # circles
    (0.6, [-0.3 - 0.4j, -0.3 + 0.4j]),  # spirals in: under-damped
    (1.0, [-0.5, -0.5]),  # critically
    (2.6, [-2.5, -0.1]),  # over-damped, and slower
])
def test_eigenvalues_with_r1(r1, expected, float64):
    J = JACOBIAN(r1)
    for values in (eigenvalues(J), dirac_eigenvalues(jnp.asarray(r1)), np.linalg.eigvals(J)):
        tolerance = 1e-7 if r1 == 1 else 1e-12  # where they meet, LAPACK's rounding moves them by its root
        np.testing.assert_allclose(by_imaginary(values), expected, atol=tolerance)


def test_both_penalties_damp_alike_whatever_the_criterion(float64):
    for by_r1, by_r2, plain in jax.jit(lambda: [[jacobian(dirac_gan(criterion, **how), AT) for how in (
            {"r1": 0.7}, {"r2": 0.7}, {})] for criterion in CRITERIA.values()])():
        np.testing.assert_allclose(by_r1, by_r2, atol=1e-15)
        np.testing.assert_allclose(by_r1 - plain, [[0, 0], [0, -0.7]], atol=1e-15)


def test_every_criterion_has_its_slopes_by_hand():
    assert set(DIRAC_SLOPES) == set(CRITERIA)


@pytest.mark.parametrize("name", CIRCLING)
def test_at_rest_these_criteria_are_alike(name, float64):
    np.testing.assert_allclose(dirac_jacobian(REST, criterion=name, r1=0.3), [[0, 0.5], [-0.5, -0.3]], atol=1e-15)


@pytest.mark.parametrize("name", ["minimax", "wasserstein"])
def test_zero_sum_without_a_penalty_goes_round_and_never_in(name, float64):
    """The field is at right angles to the way home, wherever; with a penalty it leans in."""
    free, damped = jax.jit(lambda: [field(dirac_gan(CRITERIA[name], r1=r1), AT) for r1 in (0.0, 0.5)])()
    assert abs(float(free.generator * AT.generator + free.discriminator * AT.discriminator)) < 1e-15
    assert float(damped.generator * AT.generator + damped.discriminator * AT.discriminator) < -0.1


def flow(r1, *, seconds=40.0, num_steps=4000):
    """Gradient flow by Runge-Kutta of fourth order: distances from rest."""
    game, h = dirac_gan(r1=r1), seconds / num_steps

    def along(z, k, share):
        return jax.tree.map(lambda one, slope: one + share * h * slope, z, k)

    def step(z, _):
        k1 = field(game, z)
        k2 = field(game, along(z, k1, 0.5))
        k3 = field(game, along(z, k2, 0.5))
        k4 = field(game, along(z, k3, 1.0))
        z = jax.tree.map(lambda one, a, b, c, d: one + h / 6 * (a + 2 * b + 2 * c + d), z, k1, k2, k3, k4)
        return z, jnp.hypot(*z)

    start = Players(jnp.array(0.1), jnp.array(0.0))
    return jax.lax.scan(step, start, length=num_steps)[1]


def test_flow_comes_home_at_the_rate_of_its_eigenvalues(float64):
    """−½ γ where it spirals, the slower of both where it does not: from 1 on, more penalty is slower."""
    r1 = jnp.array([0.0, 0.4, 0.6, 2.6])
    distances = np.asarray(jax.jit(jax.vmap(flow))(r1))
    assert 0.05 < distances[0].min() and distances[0].max() < 0.15
    period = 2 * np.pi / np.imag(np.asarray(dirac_eigenvalues(r1))[1:3, 0])
    for log, gamma, turn in zip(np.log(distances[1:3]), r1[1:3], period):
        steps = round(turn * 100)  # a whole turn, so that the angle is the same at both ends
        assert abs((log[1000 + steps] - log[1000]) / (steps / 100) + gamma / 2) < 2e-3
    slow = np.log(distances[3])
    assert abs((slow[-1] - slow[2000]) / 19.99 + 0.1) < 1e-3


@pytest.mark.parametrize("name", ["minimax", "non-saturating", "relativistic"])
def test_it_is_the_gan_that_the_losses_make(name, float64):
    """Data at 0, fakes at θ, D(x) = ψ x, in the wing's own losses and penalties."""
    networks = {"generate": lambda theta, z: theta * z, "discriminate": lambda psi, x: psi * x[:, 0],
                "criterion": CRITERIA[name]}
    batch = Pairs(jnp.zeros((2, 1)), jnp.ones((2, 1)), jnp.zeros(2), jnp.ones(2))
    losses = Players(partial(generator_loss, **networks), partial(discriminator_loss, r1=0.5, r2=0.2, **networks))
    whole, small = game_of(losses, batch, held=False), dirac_gan(CRITERIA[name], r1=0.5, r2=0.2)

    def all_of(game):
        return (game.generator(AT.generator, AT.discriminator), game.discriminator(AT.discriminator, AT.generator),
                gradients(game, AT), jacobian(game, AT))

    for ours, truth in zip(*map(jax.tree.leaves, jax.jit(lambda: (all_of(small), all_of(whole)))())):
        np.testing.assert_allclose(ours, truth, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ["r1", "r2"])
def test_a_negative_penalty_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 0, got -0.1"):
        dirac_gan(NON_SATURATING, **{name: -0.1})
