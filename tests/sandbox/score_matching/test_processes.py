"""Processes: their laws, what their equations integrate to, and times that lie outside."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.score_matching.derivatives import DRIFT_AND_DIFFUSION
from sandbox.score_matching.processes import (
    PROCESSES,
    by_level,
    drift_and_diffusion,
    linear_path,
    per_row,
    perturbed,
    require_times,
    sub_variance_preserving,
    variance_exploding,
    variance_preserving,
)
from sandbox.score_matching.weightings import WEIGHTINGS, edm_weighting

every_process = pytest.mark.parametrize("process", [make() for make in PROCESSES.values()], ids=PROCESSES)


def times_of(process, num=41):
    return jnp.linspace(process.t_min, process.t_max, num)


def test_all_are_listed_by_their_own_names_and_the_list_cannot_be_changed():
    assert {name: make.__name__ for name, make in PROCESSES.items()} == {name: name for name in PROCESSES}
    assert set(PROCESSES) == set(DRIFT_AND_DIFFUSION)
    with pytest.raises(TypeError):
        PROCESSES["mine"] = by_level  # pyright: ignore[reportIndexIssue]


@every_process
def test_signal_falls_under_noise_all_the_time(process, float64):
    alpha, sigma = process.scale(times_of(process)), process.level(times_of(process))
    assert np.all(alpha > 0) and np.all(sigma > 0) and np.all(np.diff(sigma / alpha) > 0)
    assert sigma[0] / alpha[0] < 0.02 and sigma[-1] / alpha[-1] > 20


@every_process
def test_moments_follow_the_equation(process, float64):
    """m' = f m and v' = 2 f v + g², by Runge–Kutta over a middle part of the process, are those that are told."""
    start, end = (process.t_min + share * (process.t_max - process.t_min) for share in (0.2, 0.8))
    step = (end - start) / 200
    f, g2 = (np.asarray(part) for part in jax.jit(lambda t: drift_and_diffusion(process, t))(
        start + step / 2 * jnp.arange(401)))

    def rates(k, m, v):
        return np.array([f[k] * m, 2 * f[k] * v + g2[k]])

    state = np.array([process.scale(start), process.level(start) ** 2], float)
    for k in range(0, 400, 2):
        one = rates(k, *state)
        two = rates(k + 1, *(state + step / 2 * one))
        three = rates(k + 1, *(state + step / 2 * two))
        four = rates(k + 2, *(state + step * three))
        state = state + step / 6 * (one + 2 * two + 2 * three + four)
    np.testing.assert_allclose(state, [process.scale(end), process.level(end) ** 2], rtol=1e-7)


def test_special_values(float64):
    t = jnp.linspace(0.01, 1, 5)
    for process, squared in ((variance_preserving(), lambda alpha: 1 - alpha**2),
                             (sub_variance_preserving(), lambda alpha: (1 - alpha**2) ** 2)):
        alpha = process.scale(t)
        np.testing.assert_allclose(process.level(t) ** 2, squared(alpha), rtol=1e-12)
        np.testing.assert_allclose(alpha[-1] ** 2, np.exp(-(0.1 + 20) / 2), rtol=1e-12)
    np.testing.assert_allclose(variance_exploding(0.01, 50.0).level(jnp.array([0.0, 0.5, 1.0])), [0.01, 0.5**0.5, 50],
                               rtol=1e-12)
    np.testing.assert_allclose(linear_path().scale(t) + linear_path().level(t), 1, rtol=1e-12)


def test_little_noise_is_told_to_the_last_digit_in_single_precision():
    """σ² = 1 − α² would lose it."""
    t = 1e-5
    exact = -np.expm1(-(0.1 * t + 0.5 * 19.9 * t**2))
    np.testing.assert_allclose(variance_preserving().level(jnp.float32(t)), np.sqrt(exact), rtol=1e-6)
    np.testing.assert_allclose(sub_variance_preserving().level(jnp.float32(t)), exact, rtol=1e-6)


@pytest.mark.parametrize("shape", [(), (2,), (2, 3, 1)])
def test_rows_are_perturbed_each_at_its_time(shape):
    x, noise = np.random.default_rng(0).normal(size=(2, 4, *shape)).astype(np.float32)
    t = np.array([0.1, 0.4, 0.5, 0.9], np.float32)
    expected = np.stack([(1 - t[n]) * x[n] + t[n] * noise[n] for n in range(4)])
    np.testing.assert_allclose(perturbed(linear_path(), x, noise, t), expected, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(perturbed(linear_path(), x, noise, 0.25), 0.75 * x + 0.25 * noise, rtol=1e-6, atol=1e-7)
    assert np.shape(per_row(t, x)) == (4, *[1] * len(shape)) and per_row(2.0, x) == 2.0


def test_weights_of_times(float64):
    t = jnp.array([0.2, 0.5, 0.8])
    for process in (linear_path(), variance_preserving()):
        _, g2 = drift_and_diffusion(process, t)
        found = {name: weighting(process, t) for name, weighting in WEIGHTINGS.items()}
        expected = {"noise": process.level(t) ** 2, "likelihood": g2, "one": np.ones(3), "flow": g2**2 / 2}
        assert set(found) == set(expected)
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-12)
    np.testing.assert_allclose(WEIGHTINGS["flow"](linear_path(), t), 2 * t**2 / (1 - t) ** 2, rtol=1e-12)
    np.testing.assert_allclose(edm_weighting(0.5)(by_level(), t), 2 * t**4 * (t**2 + 0.25) / (t * 0.5) ** 2, rtol=1e-12)


@every_process
def test_times_inside_pass_and_those_outside_are_refused(process):
    ends = np.array([process.t_min, process.t_max])
    for precision in (np.float32, np.float64):
        require_times(process, ends.astype(precision))
    require_times(process, np.array([0, 1]) if process.t_min == 0 else ends.mean())
    for outside in (process.t_min - 1e-3, process.t_max + 1e-3, np.nan):
        with pytest.raises(ValueError, match=rf"time must be in \[{process.t_min}, {process.t_max}\], got "):
            require_times(process, np.array([ends.mean(), outside]))
    jax.jit(lambda time: require_times(process, time))(1e9)  # what is traced has no value yet


@pytest.mark.parametrize("make, words", [
    (lambda: by_level(0.0, 1.0), "sigma_min and sigma_max must be 0 < sigma_min < sigma_max, got 0.0, 1.0"),
    (lambda: by_level(2.0, 1.0), "must be 0 < sigma_min < sigma_max, got 2.0, 1.0"),
    (lambda: variance_exploding(-1.0, 1.0), "sigma_min and sigma_max must be 0 <"),
    (lambda: variance_exploding(float("nan"), 1.0), "sigma_min and sigma_max must be 0 <"),
    (lambda: variance_preserving(20.0, 0.1), "must be 0 < beta_min < beta_max, got 20.0, 0.1"),
    (lambda: sub_variance_preserving(t_min=0.0), "t_min must be above 0 and below 1, got 0.0"),
    (lambda: linear_path(t_max=1.0), "t_min and t_max must be 0 < t_min < t_max < 1, got 0.001, 1.0"),
    (lambda: linear_path(0.5, 0.4), "t_min and t_max must be"),
    (lambda: edm_weighting(0.0), "sigma_data must be above 0, got 0.0"),
])
def test_levels_and_times_that_are_not_positive_or_not_in_order_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
