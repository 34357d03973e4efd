"""A thousand random nonlinear problems in single precision: the square-root form never loses a sign or a number."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.kalman import filter, simulate, square_root
from sandbox.kalman.model import Factored, Model
from sandbox.kalman.models import LidarRadarParams
from sandbox.kalman.track import Track
from tests.sandbox.kalman.problems import LIDAR_RADAR

STATES, MEASURED, SAMPLES = 4, 2, 16


class Swirl(NamedTuple):
    """x ← x + Δt A tanh(B x) + √Δt q ε,  z = C x + sin(D x) + r ν,  x_0 ~ N(0, s²): bounded pushes, bent readings."""

    A: jax.Array
    B: jax.Array
    C: jax.Array
    D: jax.Array
    q: jax.Array
    r: jax.Array
    s: jax.Array


SWIRL = Model(
    prior=lambda params, track: Factored(jnp.zeros(STATES), params.s * jnp.eye(STATES)),
    motion=lambda params, state, control, dt_seconds: state + dt_seconds * params.A @ jnp.tanh(params.B @ state),
    motion_noise=lambda params, state, control, dt_seconds: jnp.sqrt(dt_seconds) * params.q * jnp.eye(STATES),
    observe=lambda params, state, sensor: params.C @ state + jnp.sin(params.D @ state),
    observation_noise=lambda params, sensor: jnp.diag(params.r))


class Report(NamedTuple):
    """finite: of every belief and every innovation, padding too. pivot: the smallest on all diagonals of factors of
    real rows. factors, covariances: (SAMPLES, n, n), from the first real row to the last."""

    finite: jax.Array
    pivot: jax.Array
    factors: jax.Array
    covariances: jax.Array


def log_uniform(key, low, high, shape=()):
    return 10.0 ** jax.random.uniform(key, shape, minval=low, maxval=high)


def draw_swirl(key) -> Swirl:
    """A = −ρ (I + K) Bᵀ / |B|² with K skew and at most 1: then no mode of I + Δt A tanh'(B x) B grows for Δt ρ <= 1.

    What grows without end and is not seen has a covariance that no precision holds; nor is the ratio of the noises
    let beyond what 24 bits can tell apart.
    """
    keys = jax.random.split(key, 8)
    B, C, D, turn = (jax.random.normal(k, (m, STATES)) for k, m in zip(keys, (STATES, MEASURED, MEASURED, STATES)))
    skew = (turn - turn.T) / jnp.sqrt(jnp.sum((turn - turn.T) ** 2))
    A = -log_uniform(keys[4], -2, 0) * (jnp.eye(STATES) + skew) @ B.T / jnp.sum(B**2)
    return Swirl(A, B, C, D, log_uniform(keys[5], -3, 0), log_uniform(keys[6], -3, 1, (MEASURED,)),
                 log_uniform(keys[7], -2, 2))


def draw_lidar_radar(key) -> LidarRadarParams:
    keys = jax.random.split(key, 6)
    return LidarRadarParams(*(jnp.log(log_uniform(k, low, high, shape)) for k, low, high, shape in (
        (keys[0], -2, 1, ()), (keys[1], -3, 0, ()), (keys[2], -3, 1, ()), (keys[3], -4, 0, (3,)))),
        jax.random.normal(keys[4], (3,)), jnp.log(log_uniform(keys[5], -1, 1, (3,))))


def draw_blank(key, rows: int, model: Model, components: int) -> tuple[jax.Array, Track]:
    """How many rows are real, of `rows`, and the track: times over two decades, four in five components measured."""
    keys = jax.random.split(key, 4)
    length = jax.random.randint(keys[0], (), 1, rows + 1)
    mask = jax.random.bernoulli(keys[1], 0.8, (rows, components)) & (jnp.arange(rows) < length)[:, None]
    sensor = jax.random.randint(keys[2], (rows,), 0, model.num_sensors)
    dt, control = log_uniform(keys[3], -2, 0, (rows,)), jnp.zeros((rows, 0))
    return length, Track(dt, control, sensor, jnp.zeros((rows, components)), mask)


def examine(key, rows: int, model: Model, draw, components: int) -> Report:
    params_key, track_key, noise_key = jax.random.split(key, 3)
    params = draw(params_key)
    length, blank = draw_blank(track_key, rows, model, components)
    _, track = simulate.simulate(noise_key, model, params, blank)
    filtered = filter.extended_kalman_filter(model, params, track, form=square_root)
    kept = filtered.predicted, filtered.updated, filtered.innovation
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(kept)]))
    pivots = jnp.stack([jnp.diagonal(belief.factor, axis1=1, axis2=2) for belief in kept[:2]])
    real = (jnp.arange(rows) < length)[None, :, None]
    sample = (jnp.linspace(0, 1, SAMPLES) * (length - 1)).astype(int)
    return Report(finite, jnp.min(jnp.where(real, pivots, jnp.inf)), filtered.updated.factor[sample],
                  filtered.updated.covariance[sample])


def examine_all(problems: int, rows: int, model: Model, draw, components: int) -> Report:
    """Random bits by the hardware's generator, for they are most of the work otherwise; 50 problems at a time.

    Optimised, unlike other tests (tests/conftest.py): this one does run for longer than it compiles.
    """
    keys = jax.random.split(jax.random.key(0, impl="unsafe_rbg"), problems)
    one = lambda key: examine(key, rows, model, draw, components)
    optimised = {"xla_backend_optimization_level": 3}
    return jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=50), compiler_options=optimised)(keys)


@pytest.mark.slow
@pytest.mark.parametrize("problems, rows, model, draw, components", [
    (800, 10_000, SWIRL, draw_swirl, MEASURED),
    (200, 10_000, LIDAR_RADAR, draw_lidar_radar, 3),
], ids=["swirl", "lidar_radar"])
def test_random_problems_stay_finite_symmetric_and_positive_definite(problems, rows, model, draw, components):
    report = examine_all(problems, rows, model, draw, components)
    assert report.factors.dtype == jnp.float32
    assert report.finite.all()
    assert report.pivot.min() > 0  # of a triangle: then its product is positive definite
    factors = np.float64(report.factors)
    assert np.array_equal(report.covariances, np.swapaxes(report.covariances, -1, -2))
    # Its eigenvalues are the squares of these, whose own digits would be lost in squaring.
    assert np.linalg.svd(factors, compute_uv=False).min() > 0
