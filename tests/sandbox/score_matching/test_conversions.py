"""Forms of one score: of Gaussian data, where all are known; EDM's preconditioning; and other processes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.score_matching.conversions import (
    denoised_of_score,
    in_process,
    noise_of_score,
    preconditioned,
    score_of_denoised,
    score_of_noise,
    score_of_velocity,
    velocity_of_score,
)
from sandbox.score_matching.processes import PROCESSES, variance_preserving

SHAPES = pytest.mark.parametrize("shape", [(), (3,), (2, 3, 1)])
SPREAD = 1.5  # of Gaussian data about 0


def rows(shape):
    return np.random.default_rng(0).normal(size=(4, *shape))


def column(values, x):
    return np.asarray(values).reshape(-1, *[1] * (x.ndim - 1))


@SHAPES
@pytest.mark.parametrize("name", PROCESSES)
def test_forms_of_the_score_of_a_gaussian(name, shape, float64):
    process, x = PROCESSES[name](), rows(shape)
    t = process.t_min + np.array([0.1, 0.3, 0.6, 0.9]) * (process.t_max - process.t_min)
    alpha, sigma = process.scale(jnp.asarray(t)), process.level(jnp.asarray(t))
    a, s = column(alpha, x), column(sigma, x)
    variance = a**2 * SPREAD**2 + s**2
    score = -x / variance
    denoised, noise = a * SPREAD**2 / variance * x, s / variance * x  # E[x | x_t], E[ε | x_t]
    np.testing.assert_allclose(denoised_of_score(score, x, sigma, alpha), denoised, rtol=1e-7)
    np.testing.assert_allclose(score_of_denoised(denoised, x, sigma, alpha), score, rtol=1e-7)
    np.testing.assert_allclose(noise_of_score(score, sigma), noise, rtol=1e-12)
    np.testing.assert_allclose(score_of_noise(noise, sigma), score, rtol=1e-12)
    rates = [column(jax.jvp(function, (jnp.asarray(t),), (jnp.ones(4),))[1], x)
             for function in (process.scale, process.level)]
    velocity = velocity_of_score(score, x, jnp.asarray(t), process)
    np.testing.assert_allclose(velocity, rates[0] * denoised + rates[1] * noise, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(score_of_velocity(velocity, x, jnp.asarray(t), process), score, rtol=1e-7)

    def of_level(spread, x, level):
        return -x / (spread**2 + level.reshape(-1, *[1] * (x.ndim - 1)) ** 2)

    np.testing.assert_allclose(in_process(of_level, process)(SPREAD, x, jnp.asarray(t)), score, rtol=1e-12)


@SHAPES
def test_a_network_of_nothing_is_the_score_of_a_gaussian(shape, float64):
    x, level = rows(shape), jnp.array([0.01, 0.5, 2.0, 80.0])
    expected = -(x - 0.3) / column(SPREAD**2 + level**2, x)
    for mean in (0.3, np.full(shape, 0.3)):
        score_fn = preconditioned(lambda params, x, noise: jnp.zeros_like(x), SPREAD, mean)
        np.testing.assert_allclose(score_fn(None, x, level), expected, rtol=1e-12)


def test_preconditioning_is_that_of_edm(float64):
    """Through the denoiser: D = m + c_skip (x − m) + c_out F(c_in (x − m), ¼ log σ, label)."""
    x, sigma, labels = rows((3,)), np.array([0.05, 0.5, 2.0, 80.0]), np.arange(4.0)

    def network(scale, x, noise, labels):
        return scale * jnp.sin(x) + noise[:, None] + labels[:, None]

    score = preconditioned(network, SPREAD, 0.3)(2.0, x, jnp.asarray(sigma), labels)
    s, total = sigma[:, None], sigma[:, None] ** 2 + SPREAD**2
    F = 2.0 * np.sin((x - 0.3) / np.sqrt(total)) + np.log(s) / 4 + labels[:, None]
    D = 0.3 + SPREAD**2 / total * (x - 0.3) + s * SPREAD / np.sqrt(total) * F
    np.testing.assert_allclose(denoised_of_score(score, x, sigma), D, rtol=1e-12)


def test_little_noise_costs_the_score_no_digits():
    """From the denoiser, (D − x) / σ², it would: x is known to 1e-7 of itself, and that over σ² is all there is."""
    x, sigma = np.full((1, 2), 3.7, np.float32), np.array([1e-4], np.float32)
    score = preconditioned(lambda params, x, noise: 0.1 * x, SPREAD)(None, x, sigma)
    total = float(sigma[0]) ** 2 + SPREAD**2
    np.testing.assert_allclose(score, -x / total + SPREAD * 0.1 * x / (float(sigma[0]) * total), rtol=1e-6)


@pytest.mark.parametrize("sigma_data", [0.0, -1.0, float("nan")])
def test_data_of_zero_variance_are_refused(sigma_data):
    with pytest.raises(ValueError, match=r"sigma_data must be above 0, got .*: data of zero variance have no score"):
        preconditioned(lambda params, x, noise: x, sigma_data)


def test_conditions_reach_the_score_in_a_process():
    seen = []
    in_process(lambda *given: seen.append(given[3:]) or given[1], variance_preserving())(
        None, jnp.ones((2, 1)), jnp.full(2, 0.5), "label", "mask")
    assert seen == [("label", "mask")]
