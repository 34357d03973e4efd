"""Mixtures: density as scipy's, score as differences, denoiser as an average, samples as told, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from sandbox.score_matching.mixtures import (
    draw_mixture,
    gaussian_mixture,
    mixture_denoised,
    mixture_log_density,
    mixture_score,
    noised,
    ring_mixture,
)

WEIGHTS = np.array([0.5, 0.2, 0.3])
MEANS = np.array([[0.0, 1.0], [2.0, -1.0], [-1.5, 0.5]])
COVARIANCES = np.array([[[1.0, 0.6], [0.6, 0.8]], [[0.3, -0.1], [-0.1, 0.2]], [[0.05, 0.0], [0.0, 2.0]]])
MIXTURE = gaussian_mixture(WEIGHTS, MEANS, COVARIANCES)
X = np.random.default_rng(0).normal(size=(6, 2)) * 2
LEVEL = np.array([0.0, 0.05, 0.3, 1.0, 3.0, 50.0])


def density(x, sigma, alpha=1.0):
    return sum(w * stats.multivariate_normal(alpha * m, alpha**2 * C + sigma**2 * np.eye(2)).pdf(x)
               for w, m, C in zip(WEIGHTS, MEANS, COVARIANCES))


def test_density_is_scipys_with_noise_and_without(float64):
    of = jax.jit(lambda sigma, alpha: mixture_log_density(X, noised(MIXTURE, sigma, alpha)))
    for sigma, alpha in ((0.0, 1.0), (0.7, 1.0), (0.7, 0.4)):
        np.testing.assert_allclose(of(sigma, alpha), np.log(density(X, sigma, alpha)), rtol=1e-10)


def test_score_is_the_slope_of_scipys_log_density(float64):
    """By central differences, at each row's own level."""
    found = mixture_score(X, LEVEL, MIXTURE)
    for n, sigma in enumerate(LEVEL):
        steps = 1e-4 * np.eye(2)
        slope = [(np.log(density(X[n] + step, sigma)) - np.log(density(X[n] - step, sigma))) / 2e-4 for step in steps]
        np.testing.assert_allclose(found[n], slope, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(mixture_score(X, 0.3, MIXTURE)[2], found[2], rtol=1e-12)  # one level for all


def test_the_denoiser_is_the_mean_of_the_posterior(float64):
    """∫ x₀ p(x₀) N(x; x₀, σ²) dx₀ over itself without x₀, on a fine grid."""
    places = np.linspace(-9, 9, 361)
    grid = np.stack(np.meshgrid(places, places, indexing="ij"), axis=-1).reshape(-1, 2)
    level = np.full(6, 0.6)
    expected = []
    for x in X:
        joint = density(grid, 0.0) * np.exp(-np.sum((x - grid) ** 2, axis=1) / (2 * 0.6**2))
        expected.append(joint @ grid / joint.sum())
    np.testing.assert_allclose(mixture_denoised(X, level, MIXTURE), expected, rtol=1e-8, atol=1e-8)


def test_at_no_noise_nothing_is_denoised_and_at_much_the_mean_is_told(float64):
    np.testing.assert_allclose(mixture_denoised(X, 0.0, MIXTURE), X, rtol=1e-12)
    np.testing.assert_allclose(mixture_denoised(X, 1e5, MIXTURE), np.tile(WEIGHTS @ MEANS, (6, 1)), atol=1e-3)


def test_one_gaussian_in_any_number_of_dimensions(float64):
    rng = np.random.default_rng(1)
    root, mean, x = rng.normal(size=(5, 5)), rng.normal(size=5), rng.normal(size=(3, 5))
    C = root @ root.T + 0.1 * np.eye(5)
    one = gaussian_mixture(np.ones(1), mean[None], C[None])
    np.testing.assert_allclose(mixture_score(x, 0.5, one), -np.linalg.solve(C + 0.25 * np.eye(5), (x - mean).T).T,
                               rtol=1e-9)
    np.testing.assert_allclose(mixture_log_density(x, one), stats.multivariate_normal(mean, C).logpdf(x), rtol=1e-9)


def test_far_away_and_with_a_mode_of_no_weight_all_is_finite():
    mixture = gaussian_mixture(np.array([1.0, 0.0]), MEANS[:2], COVARIANCES[:2])
    far = jnp.array([[1e4, -1e4], [2.0, -1.0]])

    def both(x):
        return mixture_score(x, 0.1, mixture), mixture_log_density(x, mixture), mixture_denoised(x, 0.1, mixture)

    found = jax.jit(lambda x: (both(x), jax.jacfwd(both)(x)))(far)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(found))
    alone = gaussian_mixture(np.ones(1), MEANS[:1], COVARIANCES[:1])
    np.testing.assert_allclose(mixture_score(far, 0.1, mixture), mixture_score(far, 0.1, alone), rtol=1e-5)


def test_samples_have_the_moments_and_the_shares_of_the_mixture():
    num = 20_000
    x = np.asarray(draw_mixture(jax.random.key(1), MIXTURE, num))
    mean = WEIGHTS @ MEANS
    covariance = np.einsum("k,kde->de", WEIGHTS, COVARIANCES) + (MEANS - mean).T @ np.diag(WEIGHTS) @ (MEANS - mean)
    np.testing.assert_allclose(x.mean(axis=0), mean, atol=5 * np.sqrt(2.5 / num))
    np.testing.assert_allclose(np.cov(x.T), covariance, atol=10 * 2.5 / np.sqrt(num))
    ring = np.asarray(draw_mixture(jax.random.key(2), ring_mixture(), num))
    nearest = np.argmin(np.linalg.norm(ring[:, None] - ring_mixture().means[None], axis=2), axis=1)
    np.testing.assert_allclose(np.bincount(nearest) / num, 1 / 8, atol=5 * np.sqrt(1 / 8 / num))


def test_the_ring_is_that_of_the_data(float64):
    ring = ring_mixture()
    np.testing.assert_allclose(np.linalg.norm(ring.means, axis=1), 4, rtol=1e-12)
    np.testing.assert_allclose(ring.variances, 0.25, rtol=1e-12)
    np.testing.assert_allclose(ring.weights, 1 / 8)
    turn = np.array([[1, -1], [1, 1]]) / np.sqrt(2)
    np.testing.assert_allclose(mixture_log_density(X @ turn.T, ring), mixture_log_density(X, ring), rtol=1e-10)


def test_parts_give_back_the_covariances():
    np.testing.assert_allclose(np.einsum("kde,ke,kfe->kdf", MIXTURE.axes, MIXTURE.variances, MIXTURE.axes), COVARIANCES,
                               atol=1e-12)


@pytest.mark.parametrize("weights, means, covariances, words", [
    (WEIGHTS[:2], MEANS, COVARIANCES, r"\(K,\), \(K, D\) and \(K, D, D\), got \(2,\), \(3, 2\) and \(3, 2, 2\)"),
    (WEIGHTS, MEANS[:, 0], COVARIANCES, "weights, means and covariances must be"),
    (WEIGHTS, MEANS, COVARIANCES[:, 0], "weights, means and covariances must be"),
    ([1.2, -0.2, 0.0], MEANS, COVARIANCES, "weights must be at least 0 and sum to 1, got"),
    ([0.5, 0.2, 0.2], MEANS, COVARIANCES, "weights must be at least 0 and sum to 1, got"),
    ([0.5, np.nan, 0.5], MEANS, COVARIANCES, "weights must be at least 0 and sum to 1, got"),
    (WEIGHTS, MEANS + np.inf, COVARIANCES, "means and covariances must be finite"),
    (WEIGHTS, MEANS, COVARIANCES + np.array([[0, 0.1], [0, 0]]), "covariances must be symmetric"),
    (WEIGHTS, MEANS, COVARIANCES * np.array([[1, 0], [0, 0]]), "positive definite, got data of zero variance"),
    (WEIGHTS, MEANS, 0 * COVARIANCES, "positive definite, got data of zero variance"),
    (WEIGHTS, MEANS, -COVARIANCES, "positive definite"),
])
def test_what_is_no_mixture_is_refused(weights, means, covariances, words):
    with pytest.raises(ValueError, match=words):
        gaussian_mixture(weights, means, covariances)


@pytest.mark.parametrize("call, words", [
    (lambda: ring_mixture(0), "modes must be at least 1, got 0"),
    (lambda: ring_mixture(sigma=0.0), "sigma must be above 0, got 0.0: data of zero variance"),
    (lambda: mixture_log_density(jnp.zeros(2), MIXTURE), r"x must be \(N, 2\), got \(2,\)"),
    (lambda: mixture_score(jnp.zeros((4, 3)), 1.0, MIXTURE), r"x must be \(N, 2\), got \(4, 3\)"),
    (lambda: mixture_denoised(jnp.zeros((4, 3)), 1.0, MIXTURE), r"x must be \(N, 2\), got \(4, 3\)"),
])
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()
