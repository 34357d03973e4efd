"""The same problems through the field's own libraries: dynamax, and filterpy for a single track."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.kalman import filter, smoother
from sandbox.kalman.model import Factored, Model, linear_model
from tests.sandbox.kalman.problems import PRIOR, F, G, H, N, assert_close, track_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from dynamax.linear_gaussian_ssm import lgssm_smoother
    from dynamax.linear_gaussian_ssm.inference import make_lgssm_params
    from dynamax.nonlinear_gaussian_ssm import ParamsNLGSSM, extended_kalman_smoother
    from filterpy.kalman import ExtendedKalmanFilter, KalmanFilter

pytestmark = [pytest.mark.usefixtures("float64"), pytest.mark.filterwarnings("ignore")]

ROWS = 12


def swing(state, dt_seconds):
    """A pendulum: angle and angular velocity."""
    return jnp.stack([state[0] + dt_seconds * state[1], state[1] - 9.8 * dt_seconds * jnp.sin(state[0])])


def height(state):
    return jnp.stack([jnp.sin(state[0]), jnp.cos(state[0]) * state[1]])


# The libraries begin at the first measurement, as this filter does where no time has passed before it.
DT = np.append(0.0, np.full(ROWS - 1, 0.1))
PENDULUM = Model(
    prior=lambda params, track: Factored(PRIOR.mean, 0.3 * PRIOR.factor),
    motion=lambda params, state, control, dt_seconds: swing(state, dt_seconds),
    motion_noise=lambda params, state, control, dt_seconds: jnp.sqrt(dt_seconds) * G,
    observe=lambda params, state, sensor: height(state),
    observation_noise=lambda params, sensor: N)
LINEAR = linear_model(F, G, H, N, PRIOR)._replace(
    motion=lambda params, state, control, dt_seconds: jnp.where(dt_seconds > 0, F @ state, state),
    motion_noise=lambda params, state, control, dt_seconds: jnp.where(dt_seconds > 0, G, 0))
SEEN = np.random.default_rng(3).normal(size=(ROWS, 2)) + np.array([0.5, -0.5])
TRACK = track_of(DT, SEEN, np.ones((ROWS, 2), bool))


@jax.jit(static_argnums=0)
def ours(model, track):
    filtered = filter.extended_kalman_filter(model, None, track)
    smoothed = smoother.extended_smoother(model, None, track, filtered)
    return jnp.sum(filtered.innovation.log_likelihood), *filtered.updated, *smoothed.rows


def dynamax_pendulum():
    prior = PENDULUM.prior(None, None)
    params = ParamsNLGSSM(prior.mean, prior.covariance, lambda state: swing(state, 0.1), 0.1 * G @ G.T, height, N @ N.T)
    return extended_kalman_smoother(params, jnp.asarray(SEEN))


def dynamax_linear():
    return lgssm_smoother(make_lgssm_params(*map(jnp.asarray, (
        PRIOR.mean, PRIOR.factor @ PRIOR.factor.T, F, G @ G.T, H, N @ N.T))), jnp.asarray(SEEN))


@pytest.mark.parametrize("model, theirs", [(PENDULUM, dynamax_pendulum), (LINEAR, dynamax_linear)],
                         ids=["extended", "linear"])
def test_dynamax(model, theirs):
    with jax.numpy_rank_promotion("allow"):
        posterior = jax.jit(theirs)()
    expected = (posterior.marginal_loglik, posterior.filtered_means, posterior.filtered_covariances,
                posterior.smoothed_means, posterior.smoothed_covariances)
    assert_close(ours(model, TRACK), expected, 1e-6)


def run_filterpy(one, update):
    """Filtered means and covariances, and the log likelihood, of one of filterpy's filters."""
    beliefs, log_likelihood = [], 0.0
    for k, seen in enumerate(SEEN):
        if k:
            one.predict()
        update(one, seen)
        log_likelihood += one.log_likelihood
        beliefs.append((one.x.copy(), one.P.copy()))
    return log_likelihood, *map(np.stack, zip(*beliefs))


def test_filterpys_kalman_filter():
    one = KalmanFilter(dim_x=2, dim_z=2)
    one.x, one.P, one.F, one.Q, one.H, one.R = PRIOR.mean, PRIOR.factor @ PRIOR.factor.T, F, G @ G.T, H, N @ N.T
    assert_close(ours(LINEAR, TRACK)[:3], run_filterpy(one, lambda one, seen: one.update(seen)), 1e-6)


def test_filterpys_extended_kalman_filter():
    class Pendulum(ExtendedKalmanFilter):
        def predict_x(self, u=0):
            angle, speed = self.x
            self.F = np.array([[1, 0.1], [-0.98 * np.cos(angle), 1]])
            self.x = np.array([angle + 0.1 * speed, speed - 0.98 * np.sin(angle)])

        def predict(self, u=0):
            self.predict_x(u)
            self.P = self.F @ self.P @ self.F.T + self.Q

    def jacobian(x):
        return np.array([[np.cos(x[0]), 0], [-np.sin(x[0]) * x[1], np.cos(x[0])]])

    prior = PENDULUM.prior(None, None)
    one = Pendulum(dim_x=2, dim_z=2)
    one.x, one.P, one.Q, one.R = prior.mean, np.asarray(prior.covariance), 0.1 * G @ G.T, N @ N.T
    expected = run_filterpy(one, lambda one, seen: one.update(
        seen, jacobian, lambda x: np.array([np.sin(x[0]), np.cos(x[0]) * x[1]])))
    assert_close(ours(PENDULUM, TRACK)[:3], expected, 1e-6)
