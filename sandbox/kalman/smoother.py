"""What a whole track says of each row: Rauch–Tung–Striebel, and iterated to the most probable trajectory."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import jax

from sandbox.kalman import covariance
from sandbox.kalman.filter import Belief, Filtered, kalman_filter
from sandbox.kalman.linearise import Transition, linearise
from sandbox.kalman.model import Model
from sandbox.kalman.track import Track, rows_before

__all__ = ["Smoothed", "extended_smoother", "iterated_smoother", "rts_smoother"]


class Smoothed(NamedTuple):
    """start: before the first row; rows: (T, ...); both given every measurement of the track."""

    start: Belief
    rows: Belief


def rts_smoother(filtered: Filtered, transitions: Transition, *, form: ModuleType = covariance) -> Smoothed:
    """The smoother of a linear model, or of one expanded about a trajectory: one pass backwards.

    Args:
      filtered: of T rows, in the same form. transitions: (T, ...), into each row.
      form: `covariance` or `square_root`.
    Returns:
      Smoothed.
    Source: Rauch, Tung, Striebel 1965.

    >>> from sandbox.kalman.linearise import Noise, Observation
    >>> from sandbox.kalman.model import Factored
    >>> row = jnp.ones((1, 1))
    >>> one = row[None]
    >>> transition, observation = Transition(row, row, one, one), Observation(row, row, one, Noise(one, one, row > 0))
    >>> filtered = kalman_filter(Factored(row[0], one[0]), transition, observation)
    >>> np.asarray(rts_smoother(filtered, transition).start.mean).round(3)
    array([1.333], dtype=float32)
    """
    before = rows_before(filtered.start, filtered.updated)
    last = jax.tree.map(lambda leaf: leaf[-1], filtered.updated)

    def step(after: Belief, row: tuple[Belief, Transition]):
        belief, transition = row
        smoothed = form.smooth(belief, after, transition)
        return smoothed, after

    start, rows = jax.lax.scan(step, last, (before, transitions), reverse=True)
    return Smoothed(start, rows)


def extended_smoother(model: Model, params: Any, track: Track, filtered: Filtered, *,
                      form: ModuleType = covariance) -> Smoothed:
    """The extended Rauch–Tung–Striebel smoother: motion expanded about the filter's means.

    Args:
      model, params, track: as the filter took them. filtered: what it gave. form: its form.
    Returns:
      Smoothed.
    Source: Särkkä, Svensson 2023, chapter 13.

    >>> from sandbox.kalman.model import Factored, linear_model
    >>> one = jnp.ones((1, 1))
    >>> model = linear_model(one, 0 * one, one, one, Factored(jnp.zeros(1), one))
    >>> track = Track(jnp.ones(2), jnp.zeros((2, 0)), jnp.zeros(2, int), jnp.ones((2, 1)), jnp.ones((2, 1), bool))
    >>> from sandbox.kalman.filter import extended_kalman_filter
    >>> filtered = extended_kalman_filter(model, None, track)
    >>> np.asarray(extended_smoother(model, None, track, filtered).rows.mean).round(3)
    array([[0.667],
           [0.667]], dtype=float32)
    """
    transitions, _ = linearise(model, params, track, filtered.start.mean, filtered.updated.mean)
    return rts_smoother(filtered, transitions, form=form)


def iterated_smoother(model: Model, params: Any, track: Track, smoothed: Smoothed, *, num_iterations: int,
                      filter_: Callable[..., Filtered] = kalman_filter,
                      smoother: Callable[..., Smoothed] = rts_smoother, **form: ModuleType) -> Smoothed:
    """The most probable trajectory, by Gauss–Newton: expand the whole track about it, solve, repeat.

    x ← argmax of log p(x) + log p(z | x), both expanded to second order about x without f'' and h''.

    Args:
      model, params, track: see `extended_kalman_filter`.
      smoothed: where to begin; `extended_smoother`'s is near.
      num_iterations: expansions in all.
      filter_, smoother: `kalman_filter` and `rts_smoother`, or their forms in `parallel`.
      form: form=square_root, for those that have it.
    Returns:
      Smoothed; its covariances are those of the last expansion.
    Source: Bell 1994, "The iterated Kalman smoother as a Gauss–Newton method".

    >>> from sandbox.kalman.model import Factored, linear_model
    >>> one = jnp.ones((1, 1))
    >>> model = linear_model(one, 0 * one, one, one, Factored(jnp.zeros(1), one))
    >>> track = Track(jnp.ones(2), jnp.zeros((2, 0)), jnp.zeros(2, int), jnp.ones((2, 1)), jnp.ones((2, 1), bool))
    >>> from sandbox.kalman.model import Gaussian
    >>> begin = Smoothed(Gaussian(jnp.zeros(1), one), Gaussian(jnp.zeros((2, 1)), jnp.stack([one, one])))
    >>> np.asarray(iterated_smoother(model, None, track, begin, num_iterations=1).rows.mean).round(3)
    array([[0.667],
           [0.667]], dtype=float32)
    """
    prior = model.prior(params, track)

    def expand(smoothed: Smoothed, _):
        transitions, observations = linearise(model, params, track, smoothed.start.mean, smoothed.rows.mean)
        filtered = filter_(prior, transitions, observations, **form)
        return smoother(filtered, transitions, **form), None

    return jax.lax.scan(expand, smoothed, length=num_iterations)[0]
