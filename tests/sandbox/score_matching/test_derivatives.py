"""Derivatives by hand and of the losses: finite differences to second order, and minima that are known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from sandbox.score_matching import derivatives
from sandbox.score_matching.batches import Noised
from sandbox.score_matching.derivatives import AffineScore, affine_score
from sandbox.score_matching.losses import denoising_loss, implicit_loss
from sandbox.score_matching.mixtures import gaussian_mixture, mixture_score, ring_mixture
from sandbox.score_matching.processes import by_level, linear_path
from sandbox.score_matching.weightings import likelihood_weighting, unit_weighting
from tests.sandbox.score_matching.cases import BATCH, LOSSES, PARAMS, score_fn

RNG = np.random.default_rng(0)
SIX = np.array([[0.5, 0.2], [0.2, 0.9]])
MIXTURE = gaussian_mixture(np.array([0.4, 0.6]), np.array([[0.0, 1.0], [1.5, -0.5]]), np.stack([SIX, SIX[::-1, ::-1]]))
X = RNG.normal(size=(5, 2))


@pytest.mark.parametrize("name", ["explicit", "implicit", "sliced, plain", "flow"])
def test_losses_by_finite_differences_to_second_order(name, float64):
    """By parameters of the score; those of the implicit ones look at three derivatives of it."""
    batch = jax.tree.map(lambda leaf: jnp.asarray(leaf, float if leaf.dtype == np.float32 else None), BATCH)
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), PARAMS)
    check_grads(jax.jit(lambda params: LOSSES[name](params, batch, score_fn=score_fn)[0]), (params,), order=2,
                modes=("rev",))


@pytest.mark.parametrize("grad", [
    derivatives.implicit_loss_grad, derivatives.denoising_loss_grad,
    functools.partial(derivatives.sliced_loss_grad, variance_reduced=False)], ids=["implicit", "denoising", "sliced"])
def test_gradients_by_hand_are_the_differences_of_a_quadratic(grad, float64):
    """∇(θ + δ) − ∇(θ) = ∇(θ + 2δ) − ∇(θ + δ), and padding has no part in it."""
    theta, delta = (AffineScore(*(jnp.asarray(RNG.normal(size=shape)) for shape in ((2, 2), (2,), (2,))))
                    for _ in range(2))
    batch = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), BATCH._replace(conditions=()))
    how = {"process": linear_path(), "weighting": likelihood_weighting}
    steps = [grad(jax.tree.map(lambda p, d, k=k: p + k * d, theta, delta), batch, **how) for k in range(3)]
    for zero, one, two in zip(*steps):
        np.testing.assert_allclose(two - one, one - zero, rtol=1e-10)
    far = batch._replace(x=batch.x.at[3].set(7))
    jax.tree.map(np.testing.assert_array_equal, grad(theta, far, **how), steps[0])


def test_the_best_affine_score_of_a_sample_is_that_of_its_gaussian(float64):
    """Without a look at any density, the implicit loss is least at −C⁻¹ (x − mean), with C of the sample itself."""
    x = RNG.normal(size=(50, 2)) @ np.array([[1.0, 0.0], [0.7, 0.5]]) + np.array([1.0, -2.0])
    batch = Noised(*map(jnp.asarray, (x, 0 * x, np.ones(50), np.ones((50, 0, 2)), np.ones(50))))
    precision = np.linalg.inv(np.cov(x.T, bias=True))
    best = AffineScore(jnp.asarray(-precision), jnp.asarray(precision @ x.mean(axis=0)), jnp.zeros(2))
    how = {"process": by_level(), "weighting": unit_weighting}
    for slope in derivatives.implicit_loss_grad(best, batch, **how):
        np.testing.assert_allclose(slope, 0, atol=1e-10)

    def loss(params):
        return implicit_loss(params, batch, score_fn=affine_score, **how)[0]

    least = loss(best)
    np.testing.assert_allclose(least, -np.trace(precision) / 2, rtol=1e-10)
    for seed in range(3):
        away = RNG.normal(size=(2, 2)) * 10.0**-seed
        assert loss(best._replace(A=best.A + away)) > least


def test_the_best_denoiser_of_one_point_points_there(float64):
    """Of data that are all m, s = (m − x)/σ² leaves no error at all."""
    noise, m, sigma = jnp.asarray(RNG.normal(size=(6, 2))), jnp.array([0.3, -2.0]), 0.7
    batch = Noised(jnp.tile(m, (6, 1)), noise, jnp.full(6, sigma), jnp.ones((6, 0, 2)), jnp.ones(6))
    best = AffineScore(-jnp.eye(2) / sigma**2, m / sigma**2, jnp.zeros(2))
    value, _ = denoising_loss(best, batch, score_fn=affine_score)
    np.testing.assert_allclose(value, 0, atol=1e-25)
    for slope in derivatives.denoising_loss_grad(best, batch, process=by_level(), weighting=unit_weighting):
        np.testing.assert_allclose(slope, 0, atol=1e-12)


def test_derivatives_of_a_mixtures_score_by_differences(float64):
    level = jnp.array([0.0, 0.1, 0.5, 2.0, 40.0])
    jacobian = derivatives.mixture_jacobian(X, level, MIXTURE)
    by_steps = np.stack([(mixture_score(X + step, level, MIXTURE) - mixture_score(X - step, level, MIXTURE)) / 2e-5
                         for step in 1e-5 * np.eye(2)], axis=2)
    np.testing.assert_allclose(jacobian, by_steps, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(jacobian, jnp.swapaxes(jacobian, 1, 2), atol=1e-12)
    np.testing.assert_allclose(derivatives.mixture_laplacian(X, level, MIXTURE),
                               jnp.trace(jacobian, axis1=1, axis2=2), rtol=1e-10)


def test_the_posteriors_covariance_is_that_of_its_samples(float64):
    """By weights N(x; x₀, σ²) on a grid of what the data may have been."""
    places = np.linspace(-7, 7, 281)
    grid = np.stack(np.meshgrid(places, places, indexing="ij"), axis=-1).reshape(-1, 2)
    away = grid[:, None] - MIXTURE.means[None]
    inverses = np.linalg.inv(np.stack([SIX, SIX[::-1, ::-1]]))  # of one determinant
    data = np.exp(-np.einsum("nkd,kde,nke->nk", away, inverses, away) / 2) @ MIXTURE.weights
    found = derivatives.mixture_covariance(X, 0.8, MIXTURE)
    for n, x in enumerate(X):
        joint = data * np.exp(-np.sum((x - grid) ** 2, axis=1) / (2 * 0.8**2))
        np.testing.assert_allclose(found[n], np.cov(grid.T, aweights=joint, bias=True), rtol=1e-8)


def test_posteriors_widen_with_noise_from_nothing_to_the_data(float64):
    ring = ring_mixture()
    np.testing.assert_allclose(derivatives.mixture_covariance(X, 0.0, ring), 0, atol=1e-12)
    everything = np.tile(np.eye(2) * (4.0**2 / 2 + 0.5**2), (5, 1, 1))
    np.testing.assert_allclose(derivatives.mixture_covariance(X, 1e4, ring), everything, rtol=1e-3, atol=1e-3)
    assert np.all(np.linalg.eigvalsh(derivatives.mixture_covariance(X, 0.8, ring)) > 0)
