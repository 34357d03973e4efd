"""Mixtures: what is drawn has the density that is told; the modes that samples cover are counted as defined."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.gan.mixtures import draw_from_mixture, grid_of_modes, log_density, ring_of_modes
from sandbox.gan.modes import (
    PERFECT_HIGH_QUALITY,
    PERFECT_TRACE,
    assign_modes,
    mode_coverage,
    reverse_kl_of_counts,
)

BOTH = pytest.mark.parametrize("mixture", [ring_of_modes(), grid_of_modes()], ids=["ring", "grid"])


def test_ring_and_grid_are_those_of_pacgan():
    ring, grid = ring_of_modes(), grid_of_modes()
    np.testing.assert_allclose(np.linalg.norm(ring.centres, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(ring.centres - np.roll(ring.centres, 1, axis=0), axis=1),
                               2 * np.sin(np.pi / 8), rtol=1e-5)
    assert (len(ring.centres), ring.sigma, grid.sigma) == (8, 0.01, 0.05)
    assert {tuple(centre) for centre in grid.centres.tolist()} == {
        (x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)}


@BOTH
def test_density_integrates_to_one(mixture, float64):
    steps = np.arange(-6, 6, 0.4) * mixture.sigma
    around = np.stack(np.meshgrid(steps, steps), axis=-1)
    cells = jnp.asarray(mixture.centres, float)[:, None, None] + around[None]
    mass = jnp.sum(jnp.exp(log_density(cells, mixture))) * (0.4 * mixture.sigma)**2
    np.testing.assert_allclose(mass, 1, atol=1e-6)


@BOTH
def test_samples_have_the_moments_of_the_mixture(mixture):
    num = 20_000
    x = np.asarray(draw_from_mixture(jax.random.key(1), mixture, num))
    centres = mixture.centres.astype(float)
    covariance = centres.T @ centres / len(centres) + mixture.sigma**2 * np.eye(2)
    widest = np.sqrt(np.max(covariance))
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=5 * widest / np.sqrt(num))
    np.testing.assert_allclose(np.cov(x.T), covariance, atol=10 * widest**2 / np.sqrt(num))


@BOTH
def test_a_perfect_model_is_judged_perfect(mixture):
    """Each bound is four standard errors of what it is about."""
    num, modes = 20_000, len(mixture.centres)
    found = mode_coverage(draw_from_mixture(jax.random.key(2), mixture, num), mixture)
    assert int(found.modes) == modes
    assert abs(found.high_quality - PERFECT_HIGH_QUALITY) < 4 * np.sqrt(PERFECT_HIGH_QUALITY * 0.0111 / num)
    assert 0 <= found.reverse_kl < 4 * (modes - 1) / (2 * num)
    assert abs(np.mean(found.covariance_ratio) - 1) < 4 / np.sqrt(num)


def test_constants_of_a_gaussian_within_three_sigma():
    """By quadrature over the radius: p(r) = r e^(−r²/2)."""
    r = np.linspace(0, 3, 100_001)
    p = r * np.exp(-r**2 / 2)
    mass = np.trapezoid(p, r)
    np.testing.assert_allclose([mass, np.trapezoid(r**2 * p, r) / mass], [PERFECT_HIGH_QUALITY, PERFECT_TRACE],
                               rtol=1e-8)
    assert PERFECT_HIGH_QUALITY == pytest.approx(0.989, abs=5e-4)
    assert PERFECT_TRACE / 2 == pytest.approx(0.949, abs=6e-4)


def test_coverage_by_hand():
    """Two samples within 3σ of the first mode, one at 4σ from the second, and none near the others."""
    ring = ring_of_modes(4)
    offsets = np.array([[0.01, 0.0], [-0.01, 0.0], [0.0, 0.04]])
    samples = jnp.asarray(ring.centres[[0, 0, 1]] + offsets, jnp.float32)
    found = mode_coverage(samples, ring)
    assert int(found.modes) == 1
    np.testing.assert_allclose(found.high_quality, 2 / 3, rtol=1e-6)
    expected = 2 / 3 * np.log(2 / 3 * 4) + 1 / 3 * np.log(1 / 3 * 4)
    np.testing.assert_allclose(found.reverse_kl, expected, rtol=1e-5)
    np.testing.assert_allclose(found.covariance_ratio[0], 2e-4 / (PERFECT_TRACE * 1e-4), rtol=1e-4)
    assert np.isnan(found.covariance_ratio[1:]).all()


def test_reverse_kl_is_zero_where_even_and_largest_where_collapsed():
    assert float(reverse_kl_of_counts(jnp.full(25, 100.0))) == pytest.approx(0, abs=1e-6)
    assert float(reverse_kl_of_counts(jnp.zeros(25).at[3].set(7))) == pytest.approx(np.log(25), rel=1e-6)


def test_nearest_centre_is_nearest():
    x = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    nearest, distance = assign_modes(x, grid_of_modes().centres)
    all_of_them = np.linalg.norm(x[:, None] - grid_of_modes().centres[None], axis=-1)
    np.testing.assert_array_equal(nearest, all_of_them.argmin(axis=1))
    np.testing.assert_allclose(distance, all_of_them.min(axis=1), rtol=1e-5)


@pytest.mark.parametrize("call, words", [
    (lambda: ring_of_modes(0), "modes must be at least 1, got 0"),
    (lambda: grid_of_modes(0), "side must be at least 1, got 0"),
    (lambda: mode_coverage(jnp.zeros((3, 3)), ring_of_modes()),
     r"samples and centres must be \(N, 2\) and \(K, 2\), got \(3, 3\) and \(8, 2\)"),
], ids=["ring", "grid", "samples"])
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()
