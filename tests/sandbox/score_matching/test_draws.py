"""What is random: stratified times and levels of the right distribution, projections that are white, and batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from sandbox.score_matching.draws import (
    draw_log_normal_levels,
    draw_log_uniform_levels,
    draw_noised,
    draw_projections,
    draw_times,
)

KEYS = jax.random.split(jax.random.key(0), 400)
NUM = 8


def in_every_part(shares):
    """One of each draw in each of the N parts of equal chance, and within the parts all places."""
    np.testing.assert_array_equal(np.floor(np.clip(NUM * shares, 0, NUM - 1e-6)), np.tile(np.arange(NUM), (400, 1)))
    assert stats.kstest((NUM * shares % 1)[:, 3], "uniform").pvalue > 1e-3


def test_times_are_uniform_one_in_every_part():
    times = np.asarray(jax.vmap(lambda key: draw_times(key, NUM, -1.0, 3.0))(KEYS))
    in_every_part((times.astype(float) + 1) / 4)


def test_log_uniform_levels():
    levels = np.asarray(jax.vmap(lambda key: draw_log_uniform_levels(key, NUM, 0.01, 50.0))(KEYS))
    in_every_part(np.log(levels.astype(float) / 0.01) / np.log(50 / 0.01))


def test_log_normal_levels():
    levels = np.asarray(jax.vmap(lambda key: draw_log_normal_levels(key, NUM, -0.4, 1.5))(KEYS))
    in_every_part(stats.norm(-0.4, 1.5).cdf(np.log(levels.astype(float))))


def test_no_draw_leaves_the_interval_or_is_infinite():
    many = 2**18
    for key in KEYS[:2]:
        for drawn, low, high in ((draw_times(key, many, 1e-5, 0.999), 1e-5, 0.999),
                                 (draw_log_uniform_levels(key, many, 0.002, 80.0), 0.002, 80),
                                 (draw_log_normal_levels(key, many), 1e-4, 1e3)):
            assert drawn.min() >= np.float32(low) and drawn.max() <= np.float32(high)


def test_a_mean_over_stratified_times_varies_less_than_over_independent_ones():
    stratified = jnp.var(jax.vmap(lambda key: jnp.mean(draw_times(key, 16, 0.0, 1.0) ** 2))(KEYS))
    assert stratified < 0.1 * (4 / 45) / 16


@pytest.mark.parametrize("kind, fourth", [("rademacher", 1), ("normal", 3), ("sphere", 3 * 6 / 8)])
def test_projections_are_white(kind, fourth):
    """E v vᵀ = I, and the fourth moment of its kind; on a sphere of radius √D, 3 D / (D + 2)."""
    num, shape = 4_000, (5, 2, 3)
    v = np.asarray(draw_projections(jax.random.key(1), shape, num, kind)).astype(float)
    assert v.shape == (5, num, 2, 3)
    v = v.reshape(-1, 6)
    np.testing.assert_allclose(v.T @ v / len(v), np.eye(6), atol=5 * np.sqrt(2 / len(v)))
    np.testing.assert_allclose(np.mean(v**4), fourth, atol=5 * np.sqrt(96 / v.size))
    if kind == "sphere":
        np.testing.assert_allclose(np.sum(v**2, axis=1), 6, rtol=1e-5)
    if kind == "rademacher":
        assert set(np.unique(v)) == {-1.0, 1.0}


@pytest.mark.parametrize("shape", [(), (2, 3, 1)])
def test_a_batch_for_every_loss(shape):
    x, labels = np.ones((4, *shape), np.float32), np.arange(4)
    batch = draw_noised(jax.random.key(0), x, jnp.full(4, 0.3), num_projections=3, kind="normal", conditions=(labels,))
    assert batch.noise.shape == x.shape and batch.projections.shape == (4, 3, *shape)
    assert {leaf.dtype for leaf in (batch.noise, batch.projections, batch.weights)} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(batch.weights, 1)
    assert batch.x is x and batch.conditions == (labels,)
    assert draw_noised(jax.random.key(0), x, jnp.full(4, 0.3)).projections.shape == (4, 0, *shape)
    weights = jnp.arange(4.0)
    assert draw_noised(jax.random.key(0), x, jnp.full(4, 0.3), weights=weights).weights is weights


def test_the_key_decides_and_noise_is_normal_and_not_the_projections():
    x = jnp.zeros((500, 2))
    one, same, other = (draw_noised(jax.random.key(k), x, jnp.ones(500), num_projections=1, kind="normal")
                        for k in (0, 0, 1))
    np.testing.assert_array_equal(one.noise, same.noise)
    assert not np.any(one.noise == other.noise)
    assert stats.kstest(np.ravel(one.noise), "norm").pvalue > 1e-3
    assert abs(np.corrcoef(np.ravel(one.noise), np.ravel(one.projections))[0, 1]) < 0.15


def test_in_double_precision_all_is_double(float64):
    batch = draw_noised(jax.random.key(0), jnp.ones((3, 2)), draw_times(jax.random.key(1), 3, 0.0, 1.0),
                        num_projections=1)
    assert {leaf.dtype for leaf in jax.tree.leaves(batch)} == {np.dtype(np.float64)}


@pytest.mark.parametrize("call, words", [
    (lambda key: draw_times(key, 0, 0.0, 1.0), "num must be at least 1, got 0"),
    (lambda key: draw_log_normal_levels(key, 0), "num must be at least 1, got 0"),
    (lambda key: draw_log_uniform_levels(key, 3, 0.0, 1.0), "low and high must be 0 < low < high, got 0.0, 1.0"),
    (lambda key: draw_log_uniform_levels(key, 3, 2.0, 1.0), "low and high must be 0 < low < high, got 2.0, 1.0"),
    (lambda key: draw_projections(key, (3, 2), 1, "gaussian"), "must be rademacher, normal or sphere, got 'gaussian'"),
    (lambda key: draw_noised(key, jnp.ones((3, 2)), jnp.ones(2)), r"one a row of x, \(3,\), got \(2,\)"),
])
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call(jax.random.key(0))
