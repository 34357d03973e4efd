"""Guidance and inpainting: where the law that they reach is known, they reach it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.score_matching.ancestral import ancestral
from sandbox.score_matching.conditioning import guided, inpainted
from sandbox.score_matching.dpm_solver import dpm_solver_2m
from sandbox.score_matching.levels import edm_levels, with_zero
from sandbox.score_matching.mixtures import gaussian_mixture, mixture_score
from sandbox.score_matching.probability_flow import heun

KEY = jax.random.key(0)
LEVELS = with_zero(edm_levels(30, 0.01, 40.0))
X, LEVEL = jnp.array([[1.0, -2.0], [0.5, 3.0]]), jnp.array([0.3, 5.0])


def score_of(mean, covariance):
    mixture = gaussian_mixture(np.ones(1), np.asarray(mean, float)[None], np.asarray(covariance, float)[None])
    return lambda x, level: mixture_score(x, level, mixture)


CONDITIONAL, UNCONDITIONAL = score_of([2.0, 0.0], np.diag([1.0, 2.0])), score_of([-1.0, 1.0], np.diag([1.0, 2.0]))


@pytest.mark.parametrize("weight, which", [(1.0, CONDITIONAL), (0.0, UNCONDITIONAL)])
def test_weight_one_is_conditional_and_weight_zero_unconditional(weight, which):
    np.testing.assert_allclose(guided(CONDITIONAL, UNCONDITIONAL, weight)(X, LEVEL), which(X, LEVEL), rtol=1e-5)


@pytest.mark.parametrize("weight", [0.5, 3.0, -1.0])
def test_two_gaussians_of_one_covariance_are_guided_to_the_gaussian_of_the_line_through_their_means(weight, float64):
    mean = np.array([-1.0, 1.0]) + weight * np.array([3.0, -1.0])
    x, level = jnp.asarray(X, float), jnp.asarray(LEVEL, float)
    np.testing.assert_allclose(guided(CONDITIONAL, UNCONDITIONAL, weight)(x, level),
                               score_of(mean, np.diag([1.0, 2.0]))(x, level), rtol=1e-9)


def test_at_a_level_guidance_is_the_score_of_the_product_of_powers(float64):
    """Whatever the two: ∇ (w log p_c + (1 − w) log p_∅), of Gaussians of different covariance a Gaussian too."""
    a, b, w, sigma = np.diag([1.0, 2.0]), np.diag([4.0, 3.0]), 2.5, 0.7
    precision = w * np.linalg.inv(a + sigma**2 * np.eye(2)) + (1 - w) * np.linalg.inv(b + sigma**2 * np.eye(2))
    x, level = jnp.asarray(X, float), jnp.full(2, sigma)
    found = guided(score_of([0.0, 0.0], a), score_of([0.0, 0.0], b), w)(x, level)
    np.testing.assert_allclose(found, -x @ precision, rtol=1e-9)


def test_guided_samples_have_the_guided_mean():
    drawn = jax.jit(lambda: ancestral(KEY, (8000, 2), levels=LEVELS, score_fn=guided(CONDITIONAL, UNCONDITIONAL, 2.0)
                                      ).samples)()
    np.testing.assert_allclose(np.mean(drawn, axis=0), [5.0, -1.0], atol=5 * np.sqrt(2 / 8000) + 0.03)


def isotropic(x, level):
    return (1 - x) / (4 + level[:, None] ** 2)


MASK = np.array([[True, False], [False, True]])
OBSERVED = np.array([[7.0, np.nan], [np.nan, -5.0]])


def test_inpainting_of_an_isotropic_gaussian_is_exact(float64):
    x, level = jnp.asarray(X, float), jnp.asarray(LEVEL, float)
    found = inpainted(isotropic, jnp.asarray(OBSERVED), jnp.asarray(MASK), 2.0)(x, level)
    expected = np.where(MASK, (OBSERVED - x) / level[:, None] ** 2, isotropic(x, level))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("sampler, levels", [(heun, LEVELS), (dpm_solver_2m, LEVELS),
                                             (ancestral, with_zero(edm_levels(400, 0.01, 40.0)))])
def test_what_was_seen_comes_out_and_the_rest_keeps_its_law(sampler, levels, num=4000):
    observed, mask = (jnp.asarray(np.repeat(one[:1], num, axis=0)) for one in (OBSERVED.astype(np.float32), MASK))
    drawn = np.asarray(jax.jit(lambda: sampler(KEY, (num, 2), levels=levels, score_fn=inpainted(
        isotropic, observed, mask, 2.0)).samples)())
    np.testing.assert_allclose(drawn[:, 0], 7, atol=1e-4)
    assert np.mean(drawn[:, 1]) == pytest.approx(1, abs=5 * 2 / np.sqrt(num) + 0.02)
    assert np.std(drawn[:, 1]) == pytest.approx(2, rel=5 / np.sqrt(2 * num) + 0.03)


def test_what_was_seen_tells_of_the_rest_where_they_go_together(num=4000):
    """Of unit variances and correlation 0.8 the mean of the second is 0.8 times the first; what is left by guiding
    through the denoiser is an approximation, to the right side and not far."""
    score_fn = score_of([0.0, 0.0], [[1.0, 0.8], [0.8, 1.0]])
    observed, mask = jnp.full((num, 2), 2.0), jnp.zeros((num, 2)).at[:, 0].set(1)
    drawn = jax.jit(lambda: heun(KEY, (num, 2), levels=LEVELS, score_fn=inpainted(score_fn, observed, mask, 1.0)
                                 ).samples)()
    np.testing.assert_allclose(drawn[:, 0], 2, atol=0.01)
    assert np.mean(drawn[:, 1]) == pytest.approx(1.6, abs=0.25)


def test_a_mask_of_nothing_changes_nothing_and_rows_of_images_are_seen_whole():
    shape = (2, 3, 2, 1)
    x, level = jax.random.normal(KEY, shape), jnp.array([0.5, 2.0])

    def score_fn(x, level):
        return -x / (1 + level.reshape(-1, 1, 1, 1) ** 2)

    nothing = inpainted(score_fn, jnp.full(shape, jnp.nan), jnp.zeros(shape), 1.0)(x, level)
    np.testing.assert_array_equal(nothing, score_fn(x, level))
    everything = inpainted(score_fn, jnp.ones(shape), jnp.ones(shape), 1.0)(x, level)
    np.testing.assert_allclose(everything, (1 - x) / level.reshape(-1, 1, 1, 1) ** 2, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("call, words", [
    (lambda: guided(isotropic, lambda x, level: x[:1], 2.0)(X, LEVEL),
     r"unconditional must return the shape of score_fn, \(2, 2\), got \(1, 2\)"),
    (lambda: inpainted(isotropic, X, MASK[:1], 1.0),
     r"mask must have the shape of observed, \(2, 2\), got \(1, 2\)"),
    (lambda: inpainted(isotropic, X, MASK, 0.0), "sigma_data must be above 0, got 0.0"),
    (lambda: inpainted(isotropic, X, MASK, 1.0)(X[:1], LEVEL[:1]),
     r"observed must have the shape of x, \(1, 2\), got \(2, 2\)"),
    (lambda: inpainted(lambda x, level: x[:, :1], X, MASK, 1.0)(X, LEVEL),
     r"score_fn must return the shape of x, \(2, 2\), got \(2, 1\)"),
])
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()
