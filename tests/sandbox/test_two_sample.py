"""Distances of two samples, against plain NumPy loops, closed forms, and what they must do when nothing differs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from sandbox.two_sample import (
    energy_distance,
    frechet_distance,
    kernel_distance,
    nearest_neighbours,
    precision_recall,
    squared_distances,
)


def _points(num, size=3, scale=1.0, away=0.0):
    rng = np.random.default_rng([num, size, int(10 * scale), int(10 * away)])
    return jnp.asarray(rng.normal(size=(num, size)) * scale + away)


def test_frechet_distance_is_the_formula(float64):
    x, y = _points(40), _points(50, scale=2.0, away=1.0)
    a, b = np.cov(x.T), np.cov(y.T)
    expected = np.sum((x.mean(0) - y.mean(0))**2) + np.trace(a + b - 2 * np.real(scipy.linalg.sqrtm(a @ b)))
    np.testing.assert_allclose(frechet_distance(x, y), expected, rtol=1e-9)


def test_frechet_distance_of_a_set_from_itself_moved_is_the_squared_move(float64):
    x = _points(30)
    np.testing.assert_allclose(frechet_distance(x, x), 0, atol=1e-9)
    np.testing.assert_allclose(frechet_distance(x, x + jnp.array([[3.0, 4.0, 0.0]])), 25, rtol=1e-9)


def test_frechet_distance_with_fewer_points_than_dimensions(float64):
    """The covariances are singular, and their roots still real."""
    assert np.isfinite(frechet_distance(_points(4, size=9), _points(5, size=9)))


def test_kernel_distance_is_the_double_sum(float64):
    x, y = np.asarray(_points(7)), np.asarray(_points(9, away=0.5))

    def k(a, b):
        return (a @ b / 3 + 1)**3

    def within(points):
        pairs = [k(a, b) for i, a in enumerate(points) for j, b in enumerate(points) if i != j]
        return np.mean(pairs)

    expected = within(x) + within(y) - 2 * np.mean([k(a, b) for a in x for b in y])
    np.testing.assert_allclose(kernel_distance(jnp.asarray(x), jnp.asarray(y)), expected, rtol=1e-10)


def test_energy_distance_is_the_double_sum(float64):
    x, y = np.asarray(_points(7)), np.asarray(_points(9, away=0.5))

    def mean(one, other, same):
        return np.mean([np.linalg.norm(a - b) for i, a in enumerate(one) for j, b in enumerate(other)
                        if not (same and i == j)])

    expected = 2 * mean(x, y, False) - mean(x, x, True) - mean(y, y, True)
    np.testing.assert_allclose(energy_distance(jnp.asarray(x), jnp.asarray(y)), expected, rtol=1e-10)


def test_energy_distance_is_the_squared_mmd_of_its_kernel_and_has_a_gradient(float64):
    """Biased, by Gram matrices of the kernel −‖a − b‖ with the diagonal; then the slope of moving a set."""
    x, y = _points(7), _points(9, away=0.5)
    both = np.concatenate([x, y])
    gram = -np.linalg.norm(both[:, None] - both[None], axis=-1)
    weights = np.concatenate([np.full(7, 1 / 7), np.full(9, -1 / 9)])
    biased = weights @ gram @ weights
    within = [np.linalg.norm(p[:, None] - p[None], axis=-1).sum() for p in (np.asarray(x), np.asarray(y))]
    unbiased = biased - within[0] * (1 / 42 - 1 / 49) - within[1] * (1 / 72 - 1 / 81)
    np.testing.assert_allclose(energy_distance(x, y), unbiased, rtol=1e-10)
    slope = jax.grad(lambda move: energy_distance(x + move, y))(jnp.zeros((1, 3)))
    assert np.all(np.isfinite(slope)) and jnp.sum(slope) < 0, "y lies higher: to move x up brings them nearer"


def test_energy_distance_sees_what_moments_do_not():
    """Of one mean and variance: signs, against a normal; of more draws of the same, nothing."""
    signs, normal, other = (jnp.asarray(np.random.default_rng(n).normal(size=(2000, 1)), jnp.float32) for n in range(3))
    assert energy_distance(jnp.sign(signs), normal) > 0.05
    assert abs(energy_distance(normal, other)) < 0.005


def test_kernel_distance_is_unbiased(float64):
    """Over many pairs of samples of one distribution its mean is 0, to four standard errors; that of the biased is not.
    """
    drawn = jax.random.normal(jax.random.key(0), (2, 400, 10, 2))
    values = jax.vmap(kernel_distance)(*drawn)
    assert abs(jnp.mean(values)) < 4 * jnp.std(values) / np.sqrt(400)
    own = jnp.mean((jnp.sum(drawn**2, axis=-1) / 2 + 1)**3)  # what each pair of a point with itself would add
    assert 2 * own / 10 > 10 * jnp.std(values) / np.sqrt(400)


def test_precision_and_recall_are_shares_of_balls(float64):
    real, fake = np.asarray(_points(30, size=2)), np.asarray(_points(25, size=2, scale=0.5))

    def share(points, balls):
        radii = [np.sort(np.linalg.norm(balls - centre, axis=1))[3] for centre in balls]
        return np.mean([any(np.linalg.norm(point - centre) <= r for centre, r in zip(balls, radii))
                        for point in points])

    found = precision_recall(jnp.asarray(real), jnp.asarray(fake), neighbours=3)
    assert found.precision == pytest.approx(share(fake, real))
    assert found.recall == pytest.approx(share(real, fake))
    assert found.precision > found.recall  # narrower: within the real, and not all over it


def test_collapse_costs_recall_and_noise_costs_precision():
    real = _points(200, size=2)
    collapsed = precision_recall(real, 0.01 * _points(200, size=2))
    noisy = precision_recall(real, _points(200, size=2, scale=20.0))
    assert collapsed.precision == 1 and collapsed.recall < 0.05
    assert noisy.precision < 0.2 and noisy.recall > 0.7


def test_nearest_neighbour_finds_what_was_copied():
    among = _points(40, size=5)
    rows = np.array([3, 17, 39])
    found, distance = nearest_neighbours(among[rows], among)
    np.testing.assert_array_equal(found, rows)
    np.testing.assert_array_equal(distance, 0)


def test_squared_distances_far_from_the_origin():
    """About the mean of the points, so that float32 keeps what is small beside where they are."""
    x = _points(6).astype(jnp.float32)
    near = squared_distances(x, x[:4])
    np.testing.assert_allclose(squared_distances(x + 1000, x[:4] + 1000), near, atol=2e-3)


@pytest.mark.parametrize("call, words", [
    (lambda: frechet_distance(jnp.ones((1, 2)), jnp.ones((3, 2))), "of 2 points or more"),
    (lambda: kernel_distance(jnp.ones((3, 2)), jnp.ones((3, 1))), r"got \(3, 2\) and \(3, 1\)"),
    (lambda: precision_recall(jnp.ones((3, 2)), jnp.ones((3, 2)), neighbours=3), "below both sets' sizes, 3 and 3"),
    (lambda: nearest_neighbours(jnp.ones(3), jnp.ones((3, 2))), r"got \(3,\) and \(3, 2\)"),
], ids=["frechet", "kernel", "precision", "nearest"])
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()
