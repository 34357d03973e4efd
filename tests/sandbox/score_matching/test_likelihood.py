"""Log densities by the flow against closed forms, and Hutchinson's estimate against its own error."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import scipy.stats

from sandbox.score_matching.levels import edm_levels, tangent_levels
from sandbox.score_matching.likelihood import bits_per_dim, flow_field, log_likelihood
from sandbox.score_matching.mixtures import (
    draw_mixture,
    gaussian_mixture,
    mixture_log_density,
    mixture_score,
    ring_mixture,
)

RING = ring_mixture()
SPREAD = np.sqrt(0.25 + 8)  # of the ring: of a mode, and of the modes about 0
LEVELS = tangent_levels(10, sigma_data=1.2)  # between the two
MEAN = np.array([3.0, -2.0])
COVARIANCE = np.array([[4.0, 1.5], [1.5, 1.0]])
GAUSSIAN = gaussian_mixture(np.ones(1), MEAN[None], COVARIANCE[None])


def score_of(mixture):
    return lambda x, level: mixture_score(x, level, mixture)


def points(mixture, num, seed=0):
    return draw_mixture(jax.random.key(seed), mixture, num)


def test_the_ring_within_a_thousandth_of_a_nat_by_40_evaluations():
    x = points(RING, 1000)
    found = jax.jit(lambda x: log_likelihood(x, score_fn=score_of(RING), levels=LEVELS, sigma_data=SPREAD))(x)
    assert found.standard_error is None
    assert np.mean(np.abs(found.log_density - mixture_log_density(x, RING))) < 1e-3


def test_a_turned_and_moved_gaussian(float64):
    """What σ_d and m are taken to be is the prior's matter, and at σ_max = 500 hardly that."""
    x = jnp.asarray(points(GAUSSIAN, 20), float)
    levels = tangent_levels(40, 0.01, 500.0, sigma_data=2.0)
    noisy = scipy.stats.multivariate_normal(MEAN, COVARIANCE + 0.01**2 * np.eye(2)).logpdf(x)
    of = jax.jit(lambda mean: log_likelihood(x, score_fn=score_of(GAUSSIAN), levels=levels, sigma_data=1.7, mean=mean))
    for mean, tolerance in ((MEAN, 1e-4), (np.full(2, 0.5), 3e-2)):
        np.testing.assert_allclose(of(mean).log_density, noisy, atol=tolerance)


def test_a_gaussian_of_the_expected_width_needs_one_step(float64):
    x, levels = jnp.array([[1.0, -2.0, 7.0]]), np.array([10.0, 0.5])
    found = log_likelihood(x, score_fn=lambda x, level: (1 - x) / (4 + level[:, None] ** 2), levels=levels,
                           sigma_data=2.0, mean=1.0)
    np.testing.assert_allclose(found.log_density, scipy.stats.norm(1, np.sqrt(4.25)).logpdf(x).sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.latents, 1 + (x - 1) * np.sqrt(104 / 4.25), rtol=1e-12)


def test_order_four(float64):
    x = jnp.asarray(points(RING, 8), float)

    @functools.partial(jax.jit, static_argnums=0)
    def of(steps):
        levels = tangent_levels(steps, 0.05, 20.0, sigma_data=1.2)
        return log_likelihood(x, score_fn=score_of(RING), levels=levels, sigma_data=SPREAD).log_density

    coarse, middle, fine = of(24), of(48), of(96)
    order = np.log2(np.linalg.norm(coarse - middle) / np.linalg.norm(middle - fine))
    assert order == pytest.approx(4, abs=0.4)


def test_any_solver_of_the_field_agrees(float64):
    """SciPy's, with its own steps, in levels and not in angles."""
    x = jnp.asarray(points(GAUSSIAN, 3), float)
    field = jax.jit(flow_field(score_of(GAUSSIAN)))

    def flat(level, state):
        velocity, stretch = field(level, (jnp.asarray(state[:6].reshape(3, 2)), jnp.asarray(state[6:])))
        return np.concatenate([np.ravel(velocity), stretch])

    end = scipy.integrate.solve_ivp(flat, (0.01, 20.0), np.append(np.ravel(x), np.zeros(3)), rtol=1e-9, atol=1e-9,
                                    method="DOP853").y[:, -1]
    prior = scipy.stats.norm(0, np.hypot(20, 2)).logpdf(end[:6].reshape(3, 2)).sum(axis=1)
    found = log_likelihood(x, score_fn=score_of(GAUSSIAN), levels=tangent_levels(50, 0.01, 20.0, 2.0), sigma_data=2.0)
    np.testing.assert_allclose(found.log_density, prior - end[6:], atol=1e-5)
    np.testing.assert_allclose(found.latents, end[:6].reshape(3, 2), rtol=1e-5)


def test_all_of_hadamards_rows_are_the_exact_trace(float64):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)))
    a = np.random.default_rng(1).normal(size=(4, 4))
    mixture = gaussian_mixture(np.ones(1), np.zeros((1, 4)), (a @ a.T + np.eye(4))[None])
    of = jax.jit(lambda **how: log_likelihood(x, score_fn=score_of(mixture), levels=tangent_levels(6, 0.1, 20.0),
                                              sigma_data=1.0, **how), static_argnames="at_once")
    rows = jnp.broadcast_to(jnp.asarray(scipy.linalg.hadamard(4), float)[None], (3, 4, 4))
    exact, hadamard = of(), of(projections=rows)
    np.testing.assert_allclose(hadamard.log_density, exact.log_density, rtol=1e-12)
    np.testing.assert_allclose(hadamard.latents, exact.latents, rtol=1e-12)
    one_by_one = [of(projections=rows[:, k:k + 1]) for k in range(4)]
    np.testing.assert_allclose(hadamard.standard_error, np.std([one.log_density for one in one_by_one], axis=0, ddof=1)
                               / 2, rtol=1e-9)
    assert all(np.all(np.isnan(one.standard_error)) for one in one_by_one)
    np.testing.assert_allclose(of(at_once=3).log_density, exact.log_density, rtol=1e-12)


def test_hutchinson_is_within_its_own_error():
    num, projections = 1500, 16
    x = points(RING, num)
    v = jax.random.rademacher(jax.random.key(3), (num, projections, 2), jnp.float32)
    found = jax.jit(lambda x, v: log_likelihood(x, score_fn=score_of(RING), levels=LEVELS, sigma_data=SPREAD,
                                                projections=v))(x, v)
    wrong = np.asarray(found.log_density - mixture_log_density(x, RING))
    assert np.mean(np.abs(wrong) < 2 * found.standard_error) > 0.9
    assert abs(np.mean(wrong)) < 4 * np.std(wrong) / np.sqrt(num) + 1e-3
    assert np.sqrt(np.mean(found.standard_error**2)) == pytest.approx(np.std(wrong), rel=0.1)


def test_images_are_their_flattened_selves_and_the_score_is_compiled_once(float64):
    x, traces = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 2, 1))), []

    def score_fn(x, level):
        traces.append(1)
        return jnp.tanh(x) - x / level.reshape(-1, *[1] * (x.ndim - 1)) ** 2

    how = {"score_fn": score_fn, "levels": edm_levels(3, 0.5, 5.0), "sigma_data": 1.0}
    mean = jnp.arange(6.0)
    images = log_likelihood(x, **how, mean=mean.reshape(3, 2, 1))
    assert len(traces) == 1
    flat = log_likelihood(x.reshape(2, 6), **how, mean=mean)
    np.testing.assert_allclose(images.log_density, flat.log_density, rtol=1e-12)
    np.testing.assert_allclose(images.latents.reshape(2, 6), flat.latents, rtol=1e-12)


def test_uniform_whole_numbers_take_the_bits_that_their_count_takes():
    """17 values, scaled by 1/16: the density is (16/17)ᴰ."""
    log_density = 64 * jnp.log(jnp.array([16 / 17]))
    np.testing.assert_allclose(bits_per_dim(log_density, 64, bin_width=1 / 16), np.log2(17), rtol=1e-6)


HOW = {"score_fn": score_of(RING), "levels": LEVELS, "sigma_data": SPREAD}


@pytest.mark.parametrize("kind, changed, words", [
    (TypeError, {"x": jnp.zeros((2, 2), int)}, "x must be floating, got int32"),
    (ValueError, {"levels": np.array([1.0])}, "levels must be .* at least 2 for one step or more"),
    (ValueError, {"levels": np.array([1.0, 2.0])}, "levels must fall from each to the next, got 1.0 before 2.0"),
    (ValueError, {"levels": np.array([1.0, 0.0])}, "levels must be above 0, got 0.0"),
    (ValueError, {"sigma_data": 0.0}, "sigma_data must be above 0, got 0.0"),
    (ValueError, {"mean": jnp.zeros(3)}, r"mean must be a number or of the shape of a row, \(2,\), got \(3,\)"),
    (ValueError, {"projections": jnp.zeros((2, 0, 2))}, r"projections must be \(N, P, \*shape\) with P of at least 1"),
    (ValueError, {"projections": jnp.zeros((2, 2))}, r"projections must be .* got \(2, 2\) for x \(2, 2\)"),
    (ValueError, {"projections": jnp.zeros((2, 3, 4))}, r"projections must be .* got \(2, 3, 4\) for x \(2, 2\)"),
    (ValueError, {"at_once": 0}, "at_once must be at least 1"),
    (ValueError, {"score_fn": lambda x, level: x[:, :1]}, r"score_fn must return the shape of x, \(2, 2\), got"),
])
def test_refusals(kind, changed, words):
    with pytest.raises(kind, match=words):
        log_likelihood(**{"x": jnp.zeros((2, 2))} | HOW | changed)


def test_traced_levels_are_refused():
    with pytest.raises(TypeError, match="levels must be known"):
        jax.jit(lambda levels: log_likelihood(jnp.zeros((2, 2)), **HOW | {"levels": levels}))(jnp.asarray(LEVELS))


@pytest.mark.parametrize("call, words", [
    (lambda: bits_per_dim(jnp.zeros(1), 0), "num_dims must be at least 1, got 0"),
    (lambda: bits_per_dim(jnp.zeros(1), 2, 0.0), "bin_width must be above 0, got 0.0"),
])
def test_bits_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()
