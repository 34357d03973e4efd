"""The memory of a sampler against NumPy on the whole history."""

import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.matrix_factorization import posterior


def test_running_moments_are_those_of_the_history():
    values = np.random.default_rng(0).normal(4.0, 1.0, size=(6, 3)).astype(np.float32)
    use = [False, True, True, False, True, True]
    state = posterior.empty_predictive(3)
    for value, take in zip(values, use, strict=True):
        state = posterior.add(state, jnp.asarray(value), jnp.asarray(value**2), take)
    used = values[np.array(use)]
    assert int(state.count) == 4
    np.testing.assert_allclose(state.mean, used.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(posterior.std(state), used.std(axis=0), rtol=1e-4)
    total = np.sqrt(used.var(axis=0) + np.mean(used**2, axis=0))
    np.testing.assert_allclose(posterior.std(state, of_rating=True), total, rtol=1e-5)


def test_the_ring_holds_the_newest_and_averages_only_what_is_there():
    ring = posterior.empty_kept(jnp.zeros(2), 3)
    assert np.all(np.isfinite(posterior.moments(ring, ring.samples)[0]))
    for number, use in enumerate([True, False, True]):
        ring = posterior.keep(ring, jnp.full(2, float(number)), use)
    np.testing.assert_array_equal(posterior.moments(ring, ring.samples), [[1.0, 1.0], [1.0, 1.0]])
    for number in (3, 4):
        ring = posterior.keep(ring, jnp.full(2, float(number)))
    np.testing.assert_array_equal(np.sort(ring.samples[:, 0]), [2.0, 3.0, 4.0])
    assert int(ring.count) == 4


def test_a_ring_needs_room():
    with pytest.raises(ValueError, match="size"):
        posterior.empty_kept(jnp.zeros(2), 0)
