"""Every sampler: one signature, the law of the data, the order of its error, and what it refuses."""

import functools
import inspect
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.score_matching.ancestral import ancestral
from sandbox.score_matching.dpm_solver import dpm_solver_2m
from sandbox.score_matching.langevin import annealed_langevin
from sandbox.score_matching.levels import edm_levels, geometric_levels, with_zero
from sandbox.score_matching.mixtures import gaussian_mixture, mixture_score, ring_mixture
from sandbox.score_matching.probability_flow import heun
from sandbox.score_matching.processes import by_level, linear_path, variance_preserving
from sandbox.score_matching.reverse_sde import euler_maruyama, predictor_corrector

BY_LEVELS = {"heun": heun, "dpm": dpm_solver_2m, "ancestral": ancestral, "langevin": annealed_langevin}
BY_TIMES = {"euler_maruyama": euler_maruyama, "predictor_corrector": predictor_corrector}
SAMPLERS = BY_LEVELS | BY_TIMES
LEVELS = np.array([4.0, 2.0, 1.0, 0.5])
every_sampler = pytest.mark.parametrize("name", SAMPLERS)
to_zero = pytest.mark.parametrize("name", BY_LEVELS)
KEY = jax.random.key(0)


def sample(name, key=KEY, shape=(4, 2), levels=LEVELS, **how):
    """By levels, or by times of the process whose times they are."""
    if name in BY_TIMES:
        how |= {"process": by_level(), "times": levels}
        return SAMPLERS[name](key, shape, **how)
    return SAMPLERS[name](key, shape, levels=levels, **how)


def of_point(x, level):
    """Data that are all 3; to ask at level 0 spoils everything."""
    sigma = level.reshape(-1, *[1] * (x.ndim - 1))
    return jnp.where(sigma > 0, (3 - x) / sigma**2, jnp.nan)


def of_gaussian(x, level, mean=1.0, variance=4.0):
    return (mean - x) / (variance + level[:, None] ** 2)


@every_sampler
def test_signature(name):
    parameters = inspect.signature(SAMPLERS[name]).parameters
    positional = [p.name for p in parameters.values() if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    assert positional == ["key", "shape"]
    assert list(parameters)[2:3] == ["score_fn"] and parameters["start"].default is None
    assert ("levels" in parameters) != ({"process", "times"} <= set(parameters))


@every_sampler
def test_the_path_goes_from_the_start_to_the_samples_whatever_their_shape(name, shape=(3, 2, 3, 1)):
    start = jnp.arange(18.0).reshape(shape)
    found = jax.jit(lambda start: sample(name, shape=shape, score_fn=of_point, start=start))(start)
    assert found.path.shape == (len(LEVELS), *shape) and found.samples.dtype == jnp.float32
    np.testing.assert_array_equal(found.path[0], start)
    np.testing.assert_array_equal(found.path[-1], found.samples)


@every_sampler
def test_the_same_key_gives_the_same_bits_and_only_the_flow_is_decided_by_its_start(name):
    of = jax.jit(lambda key: sample(name, key, score_fn=of_gaussian, start=jnp.ones((4, 2))).samples)
    np.testing.assert_array_equal(of(KEY), of(KEY))
    assert np.all(of(KEY) == of(jax.random.key(1))) == (name in ("heun", "dpm"))


@pytest.mark.parametrize("name", ["heun", "predictor_corrector"])  # who begins by levels, and by times
def test_noise_to_begin_with_has_the_first_level(name):
    of = jax.jit(lambda key: sample(name, key, shape=(4000, 2), score_fn=of_point).path[0])
    np.testing.assert_allclose(np.std(of(KEY)), 4, rtol=5 / np.sqrt(2 * 8000))
    np.testing.assert_allclose(np.mean(of(KEY)), 0, atol=5 * 4 / np.sqrt(8000))
    assert np.all(of(KEY) != of(jax.random.key(1)))


@to_zero
def test_a_point_is_found_without_noise_and_without_asking_at_level_zero(name):
    found = jax.jit(lambda: sample(name, levels=np.append(LEVELS, 0), score_fn=of_point))()
    np.testing.assert_allclose(found.samples, 3, atol=1e-5)
    assert found.path.shape[0] == len(LEVELS) + 1


@pytest.mark.parametrize("name", ["heun", "dpm", "ancestral"])
def test_noise_around_a_point_has_the_width_of_each_level(name):
    """The law is exact here, whatever the steps."""
    start = 3 + 4 * jax.random.normal(jax.random.key(7), (4000, 2))
    path = np.asarray(jax.jit(lambda: sample(name, shape=(4000, 2), score_fn=of_point, start=start).path)())
    np.testing.assert_allclose(path.std(axis=(1, 2)) / LEVELS, 1, rtol=5 / np.sqrt(2 * 8000))
    np.testing.assert_allclose((path.mean(axis=(1, 2)) - 3) / LEVELS, 0, atol=5 / np.sqrt(8000))


HOW = {"heun": {"levels": with_zero(edm_levels(20))}, "dpm": {"levels": with_zero(edm_levels(40))},
       "ancestral": {"levels": with_zero(edm_levels(300))},
       "langevin": {"levels": with_zero(geometric_levels(20, 0.1, 10.0)), "steps_per_level": 120, "step_ratio": 0.5},
       "euler_maruyama": {"levels": edm_levels(200)}, "predictor_corrector": {"levels": edm_levels(150)},
       "churned heun": {"levels": with_zero(edm_levels(60)), "churn": 10.0}}


@pytest.mark.parametrize("name", HOW)
def test_a_gaussian_is_drawn_with_its_mean_and_covariance(name):
    mean, covariance, num = np.array([1.0, -0.5]), np.array([[4.0, 1.5], [1.5, 1.0]]), 3000
    truth = gaussian_mixture(np.ones(1), mean[None], covariance[None])
    x = np.asarray(jax.jit(lambda: sample(name.split()[-1], shape=(num, 2), **HOW[name],
                                          score_fn=lambda x, level: mixture_score(x, level, truth)).samples)())
    white = (x - mean) @ np.linalg.inv(np.linalg.cholesky(covariance)).T
    # Four standard errors, and what steps of this size and a first level that is not infinite leave.
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=4 / np.sqrt(num) + 0.02)
    np.testing.assert_allclose(np.cov(white.T), np.eye(2), atol=4 * np.sqrt(2 / num) + 0.03)


def test_heun_of_35_evaluations_draws_each_mode_of_the_ring_as_often_and_as_wide(num=8000):
    ring = ring_mixture()
    x = np.asarray(jax.jit(lambda: heun(KEY, (num, 2), levels=with_zero(edm_levels(17)),
                                        score_fn=lambda x, level: mixture_score(x, level, ring)).samples)())
    away = np.linalg.norm(x[:, None] - ring.means[None], axis=-1)
    counts, expected = np.bincount(away.argmin(axis=1), minlength=8), num / 8
    assert np.sum((counts - expected) ** 2 / expected) < 24.3  # of 7 degrees of freedom, one in a thousand
    assert np.mean(away.min(axis=1) ** 2) / 2 == pytest.approx(0.25, rel=0.08)


@pytest.mark.parametrize("name, order", [("heun", 2), ("dpm", 2)])
def test_order(name, order, float64):
    """On the flow of a Gaussian: x − m grows as √(v + σ²)."""
    start = jnp.array([[9.0, -7.0]])
    exact = 1 + (start - 1) * np.sqrt((4 + 0.1**2) / (4 + 20.0**2))

    @functools.partial(jax.jit, static_argnums=0)
    def error(steps):
        levels = edm_levels(steps, 0.1, 20.0, rho=3.0)
        found = sample(name, shape=(1, 2), levels=levels, score_fn=of_gaussian, start=start)
        return jnp.max(jnp.abs(found.samples - exact))

    errors = np.array([error(steps) for steps in (40, 80, 160)])
    np.testing.assert_allclose(np.log2(errors[:-1] / errors[1:]), order, atol=0.25)


def test_dpm_solver_is_its_formula(float64):
    """A loop that follows the paper, in λ = −log σ, with a denoiser that is not linear."""
    def denoiser(x, sigma):
        return np.sin(x) / (1 + sigma)

    levels, start = np.array([5.0, 2.0, 1.5, 0.4, 0.0]), np.array([[2.0, -1.0]])
    x, before, h_before = start, None, None
    for sigma, below in itertools.pairwise(levels):
        D = denoiser(x, sigma)
        if below == 0:
            x = D
            continue
        h = np.log(sigma) - np.log(below)
        line = D if before is None else (1 + h / (2 * h_before)) * D - h / (2 * h_before) * before
        x, before, h_before = np.exp(-h) * x - np.expm1(-h) * line, D, h
    found = dpm_solver_2m(KEY, (1, 2), levels=levels, start=jnp.asarray(start), score_fn=lambda x, level: (
        jnp.sin(x) / (1 + level[:, None]) - x) / level[:, None] ** 2)
    np.testing.assert_allclose(found.samples, x, rtol=1e-12)


def test_heun_is_its_formula(float64):
    def flow(x, sigma):
        return sigma * np.sin(x) / (1 + sigma)

    levels, start = np.array([5.0, 2.0, 0.4, 0.0]), np.array([[2.0, -1.0]])
    path = [start]
    for sigma, below in itertools.pairwise(levels):
        x, h = path[-1], below - sigma
        first = flow(x, sigma)
        path.append(x + h * (first if below == 0 else (first + flow(x + h * first, below)) / 2))
    found = heun(KEY, (1, 2), levels=levels, start=jnp.asarray(start),
                 score_fn=lambda x, level: -jnp.sin(x) / (1 + level[:, None]))
    np.testing.assert_allclose(found.path, path, rtol=1e-12)


@pytest.mark.parametrize("process, t, f, g2", [
    (by_level(), 2.0, 0.0, 4.0), (variance_preserving(), 0.5, -0.5 * 10.05, 10.05),
    (linear_path(), 0.5, -2.0, 2.0)], ids=["by_level", "variance_preserving", "linear_path"])
def test_the_last_step_back_is_without_noise_and_by_drift_and_diffusion(process, t, f, g2):
    x, h = jnp.array([[1.0, 2.0]]), 0.25
    found = jax.jit(lambda: euler_maruyama(KEY, (1, 2), score_fn=lambda x, time: jnp.cos(x) * time[:, None],
                                           process=process, times=np.array([t, t - h]), start=x))()
    np.testing.assert_allclose(found.samples, x - h * (f * x - g2 * np.cos(x) * t), rtol=1e-4)


def test_no_corrector_is_euler_maruyama():
    plain, corrected, maruyama = jax.jit(lambda: [
        sample(name, score_fn=of_gaussian, **how).path for name, how in (
            ("predictor_corrector", {"corrector_steps": 0}), ("predictor_corrector", {"corrector_steps": 2}),
            ("euler_maruyama", {}))])()
    np.testing.assert_array_equal(plain, maruyama)
    assert corrected.shape == plain.shape and np.all(corrected[1:] != plain[1:])


@pytest.mark.parametrize("name, levels, how, evaluations", [
    ("heun", with_zero(edm_levels(17)), {}, 35),
    ("dpm", with_zero(edm_levels(17)), {}, 18),
    ("langevin", with_zero(edm_levels(17)), {"steps_per_level": 3}, 52),
    ("predictor_corrector", edm_levels(18), {}, 35)])
def test_number_of_evaluations_and_one_compilation_of_the_score(name, levels, how, evaluations):
    calls, traces = [], []

    def score_fn(x, level):
        traces.append(1)
        jax.debug.callback(lambda: calls.append(1))
        return of_gaussian(x, level)

    jax.block_until_ready(jax.jit(lambda: sample(name, levels=levels, score_fn=score_fn, **how))())
    jax.effects_barrier()
    assert (len(calls), len(traces)) == (evaluations, 1)


@every_sampler
@pytest.mark.parametrize("changed, words", [
    ({"levels": np.array([1.0])}, "at least 2 for one step or more, got"),
    ({"levels": np.array([1.0, 2.0])}, "must fall from each to the next, got 1.0 before 2.0"),
    ({"levels": np.array([1.0, -1.0])}, "levels must be above 0, or end in 0, got -1.0|time must be in .* got -1.0"),
    ({"shape": ()}, r"shape must be \(N, ...\), got \(\)"),
    ({"start": jnp.zeros((2, 4))}, r"start must have the shape asked for, \(4, 2\), got \(2, 4\)"),
    ({"score_fn": lambda x, level: x[:, :1]}, r"score_fn must return the shape of x, \(4, 2\), got \(4, 1\)"),
])
def test_refusals(name, changed, words):
    with pytest.raises(ValueError, match=words):
        sample(name, **{"score_fn": of_gaussian} | changed)


@pytest.mark.parametrize("name, changed, words", [
    ("heun", {"churn": -1.0}, "churn must be at least 0, got -1.0"),
    ("langevin", {"steps_per_level": 0}, "steps_per_level must be at least 1, got 0"),
    ("langevin", {"step_ratio": 4.0}, r"step_ratio must be in \(0, 4\), got 4.0"),
    ("predictor_corrector", {"corrector_steps": -1}, "corrector_steps must be at least 0, got -1"),
    ("predictor_corrector", {"signal_to_noise": 1.0}, r"signal_to_noise must be in \(0, 1\), got 1.0"),
    ("euler_maruyama", {"levels": np.array([81.0, 1.0])}, r"time must be in \[0.002, 80.0\], got 81.0"),
    ("predictor_corrector", {"levels": np.array([80.0, 0.0])}, r"time must be in \[0.002, 80.0\], got 0.0"),
])
def test_own_refusals(name, changed, words):
    with pytest.raises(ValueError, match=words):
        sample(name, score_fn=of_gaussian, **changed)


@every_sampler
def test_traced_levels_are_refused(name):
    with pytest.raises(TypeError, match="must be known when the sampler is compiled"):
        jax.jit(functools.partial(sample, name, KEY, (4, 2), score_fn=of_gaussian))(levels=jnp.asarray(LEVELS))
