"""The extended Kalman filter: expand about the best guess so far, then predict and update as if linear.

A form of the belief is a module of four functions: begin(prior), predict(belief, transition), update(belief,
observation) and smooth(belief, after, transition). There are two, `covariance` and `square_root`.
"""

from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sandbox.kalman import covariance
from sandbox.kalman.innovation import Innovation
from sandbox.kalman.linearise import Noise, Observation, Transition, noise_of, observation_at, transition_at
from sandbox.kalman.model import Factored, Gaussian, Model, check_shapes
from sandbox.kalman.track import Track

__all__ = ["Belief", "Filtered", "extended_kalman_filter", "kalman_filter", "update_iterated"]

Belief = Gaussian | Factored


class Filtered(NamedTuple):
    """What a filter knew, row by row.

    start: before the first row. predicted: before each row's measurement, updated: after it, (T, ...).
    innovation: (T, ...), at the last expansion. accepted: (T,) bool, False where the gate, which judges the
    first expansion, turned the measurement away.
    """

    start: Belief
    predicted: Belief
    updated: Belief
    innovation: Innovation
    accepted: jax.Array


def extended_kalman_filter(model: Model, params: Any, track: Track, *, num_iterations: int = 1,
                           gate: jax.Array | None = None, form: ModuleType = covariance) -> Filtered:
    """The extended Kalman filter over a track; on a linear model, the Kalman filter.

    x̂ = f(x, u, Δt),  F = ∂f/∂x at x;   z − ẑ = z − h(x̂),  H = ∂h/∂x at x̂.

    Dimensions: T rows, n state components, M measured ones, C controls.

    Args:
      model, params: see Model. track: T rows.
      num_iterations: how often a measurement is expanded anew, see `update_iterated`; 1 is the plain filter.
      gate: (M + 1,) largest NIS to be accepted, by number of measured components; None accepts all.
      form: `covariance`, or `square_root` for float32 and ill-conditioned problems.
    Returns:
      Filtered; with `square_root`, its beliefs are Factored. From a measurement of NaN that is not masked,
      or an S that is not positive definite, everything is NaN.
    Raises:
      ValueError: num_iterations below 1; shapes of model, track and gate that do not belong together.
    Source: Särkkä, Svensson 2023, chapter 7.

    >>> from sandbox.kalman.model import linear_model
    >>> one = jnp.ones((1, 1))
    >>> model = linear_model(one, 0 * one, one, one, Factored(jnp.zeros(1), one))
    >>> track = Track(jnp.ones(2), jnp.zeros((2, 0)), jnp.zeros(2, int), jnp.ones((2, 1)), jnp.ones((2, 1), bool))
    >>> np.asarray(extended_kalman_filter(model, None, track).updated.mean).round(3)
    array([[0.5  ],
           [0.667]], dtype=float32)
    """
    if num_iterations < 1:
        raise ValueError(f"num_iterations must be at least 1, got {num_iterations}")
    check_shapes(model, params, track)
    num_components = track.measurement.shape[1]
    if gate is not None and jnp.shape(gate) != (num_components + 1,):
        raise ValueError(f"gate must have {num_components + 1} values, one for each number of measured components, "
                         f"got shape {jnp.shape(gate)}")
    start = form.begin(model.prior(params, track))
    # The noise does not depend on the state: it is made for all rows at once, and the scan only reads it.
    noise = jax.vmap(lambda sensor, mask: noise_of(model, params, sensor, mask))(track.sensor, track.mask)

    def step(belief: Belief, row_and_noise: tuple[Track, Noise]):
        row, noise = row_and_noise
        predicted = form.predict(belief, transition_at(model, params, belief.mean, row.control, row.dt_seconds))
        updated, innovation, accepted = update_iterated(
            model, params, predicted, row, noise, num_iterations=num_iterations, gate=gate, form=form)
        return updated, (predicted, updated, innovation, accepted)

    # For a gradient, going through a row again is cheaper than keeping its hundreds of small intermediates.
    return Filtered(start, *jax.lax.scan(jax.checkpoint(step, prevent_cse=False), start, (track, noise))[1])


def update_iterated(model: Model, params: Any, belief: Belief, row: Track, noise: Noise, *, num_iterations: int = 1,
                    gate: jax.Array | None = None, form: ModuleType = covariance
                    ) -> tuple[Belief, Innovation, jax.Array]:
    """The belief given one measurement, its expansion moved to where the measurement says that the state is.

    x₀ = x̂,   x_{i+1} = x̂ + K_i (z − h(x_i) − H_i (x̂ − x_i)),   H_i, K_i at x_i:

    Gauss–Newton on the posterior's logarithm. Prior and measurement count once, however many iterations.

    Args:
      model, params: see Model. belief: predicted. row: of a Track. noise: its `noise_of`.
      num_iterations, gate, form: see `extended_kalman_filter`; the gate judges the first expansion.
    Returns:
      Belief; Innovation at the last expansion, its log likelihood 0 if the gate shut; accepted, () bool.
    Source: Bell, Cathey 1993, "The iterated Kalman filter update as a Gauss–Newton method".

    >>> from sandbox.kalman.model import linear_model
    >>> one = jnp.ones((1, 1))
    >>> model = linear_model(one, one, one, one, Factored(jnp.zeros(1), one))
    >>> row = Track(jnp.ones(()), jnp.zeros(0), jnp.array(0), jnp.array([9.0]), jnp.array([True]))
    >>> noise = noise_of(model, None, row.sensor, row.mask)
    >>> update_iterated(model, None, Gaussian(jnp.zeros(1), one), row, noise, gate=jnp.array([0.0, 6.6]))[2]
    Array(False, dtype=bool)
    """
    def expanded_at(point: jax.Array):
        return form.update(belief, observation_at(model, params, point, row, noise))

    updated, innovation = expanded_at(belief.mean)
    accepted = jnp.array(True) if gate is None else ~(innovation.nis > jnp.asarray(gate)[innovation.degrees])
    for _ in range(num_iterations - 1):
        updated, innovation = expanded_at(updated.mean)
    if gate is None:
        return updated, innovation, accepted
    heard = innovation._replace(log_likelihood=jnp.where(accepted, innovation.log_likelihood, 0))
    return jax.tree.map(lambda new, old: jnp.where(accepted, new, old), updated, belief), heard, accepted


def kalman_filter(prior: Factored, transitions: Transition, observations: Observation, *,
                  form: ModuleType = covariance) -> Filtered:
    """The Kalman filter of a linear model, or of a model expanded about a given trajectory.

    Args:
      prior: before the first row. transitions, observations: (T, ...), as `linearise` gives them.
      form: `covariance` or `square_root`.
    Returns:
      Filtered.
    Source: Kalman 1960.

    >>> row = jnp.ones((1, 1))
    >>> one = row[None]
    >>> transition, observation = Transition(row, row, one, one), Observation(row, row, one, Noise(one, one, row > 0))
    >>> np.asarray(kalman_filter(Factored(row[0], one[0]), transition, observation).updated.mean).round(3)
    array([[1.667]], dtype=float32)
    """
    start = form.begin(prior)

    def step(belief: Belief, row: tuple[Transition, Observation]):
        predicted = form.predict(belief, row[0])
        updated, innovation = form.update(predicted, row[1])
        return updated, (predicted, updated, innovation)

    rows = jax.lax.scan(step, start, (transitions, observations))[1]
    return Filtered(start, *rows, jnp.ones(observations.residual.shape[0], bool))
