"""The likelihood: its value all at once, its gradient by finite differences and on average, its padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from jax.test_util import check_grads
from scipy.stats import multivariate_normal

from sandbox.kalman import simulate
from sandbox.kalman.losses import Tracks, negative_log_likelihood
from sandbox.kalman.model import Factored, linear_model
from tests.sandbox.kalman.problems import (
    BEACONS,
    BEACONS_PARAMS,
    BEACONS_TRACK,
    DRIFT,
    DRIFT_PARAMS,
    DRIFT_TRACK,
    LIDAR_RADAR,
    LIDAR_RADAR_PARAMS,
    LIDAR_RADAR_TRACK,
    assert_close,
    filled,
)

pytestmark = pytest.mark.usefixtures("float64")


def batch_of(*tracks, weight=None):
    return Tracks(jax.tree.map(lambda *leaves: np.stack(leaves), *tracks),
                  np.ones(len(tracks)) if weight is None else np.asarray(weight))


@jax.jit(static_argnames="model")
def value_and_grad(params, batch, model=DRIFT):
    return jax.value_and_grad(lambda p: negative_log_likelihood(p, batch, model=model)[0])(params)


@pytest.mark.parametrize("model, params, track", [
    (BEACONS, BEACONS_PARAMS, BEACONS_TRACK),
    pytest.param(LIDAR_RADAR, LIDAR_RADAR_PARAMS, LIDAR_RADAR_TRACK, marks=pytest.mark.slow),  # compiles long
], ids=["range_beacons", "lidar_radar"])
def test_finite_differences(model, params, track):
    flat, unravel = ravel_pytree(params)
    loss = jax.jit(lambda z, batch: negative_log_likelihood(unravel(z), batch, model=model)[0])
    batch = batch_of(track)
    check_grads(lambda z: loss(z, batch), (flat,), order=1, modes=("fwd", "rev"), rtol=1e-5)


def test_finite_differences_of_the_gradient():
    """A random walk of one component, by the logarithms of its two noises."""
    one = jnp.ones((1, 1))

    @jax.jit
    def loss(z):
        model = linear_model(one, jnp.exp(z[:1, None]), one, jnp.exp(z[1:, None]), Factored(one[0], one))
        return negative_log_likelihood(None, batch_of(filled(DRIFT_TRACK)), model=model)[0]

    check_grads(loss, (np.array([-0.5, 0.2]),), order=2, modes="rev", rtol=1e-5)


def stacked(params, track):
    """Mean and covariance of all measurements of DRIFT, from x_k = F_k x_{k−1} + G_k ε."""
    start = DRIFT.prior(params, track)
    mean, spread, seen = start.mean, start.factor, []
    for dt in track.dt_seconds:
        F, q = np.array([[1, dt], [0, 1]]), np.exp(2 * params.log_acceleration)
        Q = q * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        values, vectors = np.linalg.eigh(Q)
        mean, spread = F @ mean, np.hstack([F @ spread, vectors * np.sqrt(np.maximum(values, 0))])
        seen.append((mean[0], spread[0]))
    means, rows = zip(*seen)
    A = np.stack([np.pad(row, (0, len(spread[0]) - len(row))) for row in rows])
    return np.array(means), A @ A.T + np.exp(2 * params.log_position) * np.eye(len(A))


def test_of_a_linear_model_it_is_that_of_all_measurements_at_once():
    mean, covariance = stacked(DRIFT_PARAMS, DRIFT_TRACK)
    kept = DRIFT_TRACK.mask[:, 0]
    expected = -multivariate_normal.logpdf(DRIFT_TRACK.measurement[kept, 0], mean[kept], covariance[np.ix_(kept, kept)])
    np.testing.assert_allclose(value_and_grad(DRIFT_PARAMS, batch_of(DRIFT_TRACK))[0], expected, rtol=1e-12)


def test_of_a_batch_it_is_the_mean_and_a_track_of_weight_zero_counts_nothing():
    other = DRIFT_TRACK._replace(measurement=DRIFT_TRACK.measurement + 1, mask=np.ones((5, 1), bool))
    absurd = DRIFT_TRACK._replace(measurement=np.full((5, 1), 1e6), mask=np.ones((5, 1), bool))
    tracks = filled(DRIFT_TRACK), filled(other._replace(measurement=np.nan_to_num(other.measurement))), absurd
    alone = [value_and_grad(DRIFT_PARAMS, batch_of(track)) for track in tracks]
    assert_close(value_and_grad(DRIFT_PARAMS, batch_of(*tracks)),
                 jax.tree.map(lambda *parts: sum(parts) / 3, *alone), 1e-12)
    assert_close(value_and_grad(DRIFT_PARAMS, batch_of(*tracks, weight=[1.0, 3.0, 0.0])),
                 jax.tree.map(lambda one, two: (one + 3 * two) / 4, *alone[:2]), 1e-12)


def test_rows_in_which_nothing_is_measured_may_be_added_at_the_end():
    longer = jax.tree.map(lambda leaf: np.concatenate([leaf, leaf[-3:]]), DRIFT_TRACK)
    longer.mask[5:], longer.measurement[5:] = False, np.nan
    assert_close(value_and_grad(DRIFT_PARAMS, batch_of(longer)), value_and_grad(DRIFT_PARAMS, batch_of(DRIFT_TRACK)),
                 1e-12)


def test_at_the_true_params_the_gradient_is_zero_on_average():
    """E ∇ log p = 0, exact where the model is linear: over many tracks each mean is within 4 of its own errors."""
    blank = filled(DRIFT_TRACK)._replace(mask=np.ones((5, 1), bool))

    @jax.jit
    def gradients(keys):
        def one(key):
            track = simulate.simulate(key, DRIFT, DRIFT_PARAMS, blank)[1]
            batch = Tracks(jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], track), jnp.ones(1))
            return jax.grad(lambda p: negative_log_likelihood(p, batch, model=DRIFT)[0])(
                jax.tree.map(jnp.asarray, DRIFT_PARAMS))
        return jax.vmap(one)(keys)

    for slopes in gradients(jax.random.split(jax.random.key(0), 2000)):
        assert abs(np.mean(slopes)) < 4 * np.std(slopes) / np.sqrt(2000)
        assert np.std(slopes) > 0.1
