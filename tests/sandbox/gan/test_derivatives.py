"""Gradients by hand and penalties: against finite differences, second order too; and what the best D measures."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy.spatial import distance

from sandbox.gan import (
    CRITERIA,
    NON_SATURATING,
    RELATIVISTIC,
    Pairs,
    best_discriminators,
    derivatives,
    discriminator_loss,
    generator_loss,
)
from sandbox.gan.best_discriminators import BEST_DISCRIMINATORS, all_pairs
from sandbox.gan.derivatives import Affine, OneHidden, affine, one_hidden
from sandbox.gan.identities import TABLE

NETWORKS = {"generate": affine, "discriminate": one_hidden}
P, Q = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.3, 0.1, 0.35, 0.25])


def problem(seed=0):
    rng = np.random.default_rng(seed)
    discriminator = OneHidden(*map(jnp.asarray, (rng.normal(size=(4, 2)), rng.normal(size=4), rng.normal(size=4),
                                                 np.array(0.3))))
    generator = Affine(jnp.asarray(rng.normal(size=(2, 3))), jnp.asarray(rng.normal(size=2)))
    return discriminator, generator, Pairs(*map(jnp.asarray, (
        rng.normal(size=(4, 2)), rng.normal(size=(4, 3)), rng.uniform(size=4), np.array([1.0, 2.0, 0.5, 0.0]))))


def test_the_discriminators_loss_by_finite_differences_to_second_order(float64):
    """With all penalties; to the discriminator, and to the generator, where that is let go."""
    discriminator, generator, batch = problem()

    def loss(params, opponent):
        return discriminator_loss(params, batch, opponent=opponent, held=False, r1=1.5, r2=0.7, gradient_penalty=0.4,
                                  **NETWORKS)[0]

    check_grads(jax.jit(loss), (discriminator, generator), order=2, modes=("rev",))


def test_the_generators_loss_by_finite_differences_to_second_order(float64):
    discriminator, generator, batch = problem()

    def loss(params, opponent):
        return generator_loss(params, batch, opponent=opponent, criterion=RELATIVISTIC, held=False, **NETWORKS)[0]

    check_grads(jax.jit(loss), (generator, discriminator), order=2, modes=("rev",))


def test_gradients_by_hand_are_differentiable_again(float64):
    """The Hessian of the loss with its penalties, as the Jacobian of the gradient by hand: three derivatives of D."""
    discriminator, generator, batch = problem()
    how = {"criterion": NON_SATURATING, "r1": 0.7, "r2": 0.3, "gradient_penalty": 1.3}

    def loss(params):
        return discriminator_loss(params, batch, opponent=generator, **NETWORKS, **how)[0]

    by_hand, truth = jax.jit(lambda params: (
        jax.jacfwd(lambda params: derivatives.discriminator_loss_grad(params, generator, batch, **how))(params),
        jax.hessian(loss)(params)))(discriminator)
    for left, right in zip(jax.tree.leaves(by_hand), jax.tree.leaves(truth), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-10, atol=1e-12)


def test_padding_has_no_gradient_and_neither_has_a_batch_of_nothing():
    discriminator, generator, batch = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), problem())
    how = {"criterion": RELATIVISTIC, "r1": 0.7, "r2": 0.3, "gradient_penalty": 1.3}
    of = jax.jit(functools.partial(derivatives.discriminator_loss_grad, **how))
    far = batch._replace(real=batch.real.at[3].set(2), latents=batch.latents.at[3].set(-1))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), of(discriminator, generator, far),
                 of(discriminator, generator, batch))
    nothing = of(discriminator, generator, batch._replace(weights=jnp.zeros(4)))
    assert all(np.all(leaf == 0) for leaf in jax.tree.leaves(nothing))


def test_no_discriminator_is_better_than_the_best(float64):
    """Near it and far from it; and one that is higher everywhere is as good only where a criterion sees no constant."""
    away = np.random.default_rng(0).normal(size=(20, 4))
    away = np.concatenate([np.full((1, 4), 2.0), 1e-3 * away, away])

    def values(p, q, name):
        def loss(logits):
            return discriminator_loss(logits, all_pairs(p, q), opponent=None, criterion=CRITERIA[name], **TABLE)[0]
        return jax.vmap(loss)(BEST_DISCRIMINATORS[name].logits(p, q)[None] + away)

    found = jax.jit(lambda p, q: {name: (values(p, q, name), best.least(p, q))
                                  for name, best in BEST_DISCRIMINATORS.items()})(P, Q)
    for name, ((raised, *others), least) in found.items():
        assert np.all(np.array(others) > least), name
        assert np.isclose(raised, least, rtol=1e-12) == (name == "relativistic")


def test_a_discriminator_of_what_is_the_same_knows_nothing(float64):
    p = jnp.asarray(P)
    np.testing.assert_array_equal(best_discriminators.optimal_discriminator(p, p), 0.5)
    for name in ("jensen_shannon", "pairs_jensen_shannon", "difference_chi_square", "total_variation"):
        np.testing.assert_allclose(getattr(best_discriminators, name)(p, p), 0, atol=1e-15)
    found = {name: float(best.least(p, p)) for name, best in BEST_DISCRIMINATORS.items()}
    expected = {"minimax": np.log(4), "non-saturating": np.log(4), "least-squares": 1 / 4, "hinge": 2,
                "relativistic": np.log(2)}
    assert found == pytest.approx(expected, rel=1e-14)


def test_a_discriminator_of_what_has_nothing_in_common_errs_never(float64):
    far = jnp.array([1 - 1e-12, 1e-12])
    for best in BEST_DISCRIMINATORS.values():
        np.testing.assert_allclose(best.least(far, far[::-1]), 0, atol=1e-10)


def test_divergences_are_those_of_scipy_and_of_plain_sums(float64):
    np.testing.assert_allclose(best_discriminators.jensen_shannon(P, Q), distance.jensenshannon(P, Q) ** 2, rtol=1e-12)
    np.testing.assert_allclose(best_discriminators.pairs_jensen_shannon(P, Q), distance.jensenshannon(
        np.outer(P, Q).ravel(), np.outer(Q, P).ravel()) ** 2, rtol=1e-12)
    np.testing.assert_allclose(best_discriminators.total_variation(P, Q), max(
        abs(sum((P - Q)[k] for k in range(4) if (event >> k) & 1)) for event in range(16)), rtol=1e-12)
    np.testing.assert_allclose(best_discriminators.difference_chi_square(P, Q), np.sum((P + Q - 2 * Q) ** 2 / (P + Q)),
                               rtol=1e-12)


def test_pairs_tell_at_least_as_much_apart_as_single_things(float64):
    """Forgetting one of a pair loses what it said."""
    p, q = np.random.default_rng(0).dirichlet(np.ones(4), (2, 50))
    assert np.all(best_discriminators.pairs_jensen_shannon(p, q) >= best_discriminators.jensen_shannon(p, q))
