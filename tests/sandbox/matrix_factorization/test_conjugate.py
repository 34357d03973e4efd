"""Each conditional law against its closed form: the draws' moments, float64, six standard errors of slack."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.matrix_factorization import conjugate
from sandbox.matrix_factorization.conjugate import Hyperprior

DRAWS = 40_000  # a moment that is right misses six standard errors with probability 2e-9


def assert_mean(draws, mean):
    """The mean of independent draws (DRAWS, ...) lies within six standard errors of what it must be."""
    draws = np.asarray(draws)
    error = draws.std(axis=0) / np.sqrt(len(draws))
    assert np.all(np.abs(draws.mean(axis=0) - mean) < 6 * error + 1e-12)


@pytest.mark.usefixtures("float64")
def test_rows_have_the_mean_and_covariance_of_the_normal_equations():
    rng = np.random.default_rng(0)
    x, y, w = rng.normal(size=(7, 3)), rng.normal(size=7), rng.uniform(0.5, 2, 7)
    mean, root = rng.normal(size=3), rng.normal(size=(3, 3))
    precision = root @ root.T + np.eye(3)
    gram = conjugate.gram(jnp.asarray(x)[None], jnp.asarray(y)[None], jnp.asarray(w)[None])
    draws = conjugate.draw_rows(jax.random.key(1), jnp.broadcast_to(gram, (DRAWS, 4, 4)),
                                jnp.broadcast_to(jnp.asarray(mean)[None], (DRAWS, 3)), jnp.asarray(precision))
    covariance = np.linalg.inv(precision + x.T @ (w[:, None] * x))
    expected = covariance @ (precision @ mean + x.T @ (w * y))
    assert_mean(draws, expected)
    centred = np.asarray(draws) - expected[None]
    assert_mean(centred[:, :, None] * centred[:, None, :], covariance)
    np.testing.assert_allclose(conjugate.squared_error(gram, jnp.asarray(mean)[None])[0],
                               np.sum(w * (y - x @ mean) ** 2), rtol=1e-10)


@pytest.mark.usefixtures("float64")
def test_normal_wishart_has_the_moments_of_its_posterior():
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(5, 2)) @ np.array([[1.0, 0.5], [0.0, 0.7]]) + 1.0
    prior = Hyperprior(mean_strength=1.5, extra_degrees=3, scale=0.8)
    keys = jax.random.split(jax.random.key(3), DRAWS)
    draws = jax.jit(jax.vmap(lambda key: conjugate.draw_prior(key, jnp.asarray(rows), prior)))(keys)
    centre = rows.mean(axis=0)
    inverse_scale = (0.8 * np.eye(2) + (rows - centre).T @ (rows - centre)
                     + 1.5 * 5 / 6.5 * np.outer(centre, centre))
    degrees = 2 + 3 + 5
    assert_mean(draws.precision, degrees * np.linalg.inv(inverse_scale))  # Wishart: E Λ = ν W
    assert_mean(draws.mean, 5 * centre / 6.5)
    centred = np.asarray(draws.mean) - 5 * centre / 6.5
    covariance = inverse_scale / (degrees - 2 - 1) / 6.5  # E Λ⁻¹ = W⁻¹ / (ν − F − 1)
    assert_mean(centred[:, :, None] * centred[:, None, :], covariance)


@pytest.mark.usefixtures("float64")
def test_noise_precision_has_the_moments_of_its_gamma():
    errors, counts, shape = np.array([2.0, 5.0, 0.0]), np.array([4.0, 6.0, 0.0]), 3.0
    current = jnp.array([1.0, 2.0, 0.5])

    draw = functools.partial(conjugate.draw_noise_precision, shape=shape)
    keys = jax.random.split(jax.random.key(4), DRAWS)
    draws = jax.jit(jax.vmap(draw, (0, None, None, None)))(keys, errors, counts, current)
    rates = np.random.default_rng(5).gamma(1 + 3 * shape, 1 / (1 + 3.5), size=(2 * 10**6, 1))
    assert_mean(draws, np.mean((shape + counts / 2) / (rates + errors / 2), axis=0))


def test_rows_are_put_in_order():
    blocks = [conjugate.Block(jnp.array([2, 0]), None), conjugate.Block(jnp.array([1, 3, 3]), None)]
    parts = [jnp.array([[2.0], [0.0]]), jnp.array([[1.0], [9.0], [9.0]])]
    np.testing.assert_array_equal(conjugate.by_row(parts, blocks, 3)[:, 0], [0, 1, 2])
