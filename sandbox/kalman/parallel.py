"""Filter and smoother as prefix sums: log₂ T rounds of an associative operation instead of T steps.

Each row of a linear model, or of a model expanded about a trajectory, becomes an element; combining
neighbours gives the element of both, and the element of rows 1..k holds the belief in row k.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sandbox.kalman import covariance
from sandbox.kalman.filter import Filtered
from sandbox.kalman.linearise import Observation, Transition
from sandbox.kalman.model import Factored, Gaussian
from sandbox.kalman.small import congruence, product, product_transposed, solve, solve_lower
from sandbox.kalman.smoother import Smoothed
from sandbox.kalman.track import rows_before

__all__ = ["kalman_filter", "rts_smoother"]


class FilterElement(NamedTuple):
    """p(x_k | x_j, z) = N(A x_j + b, C) and p(z | x_j) ∝ exp(ηᵀ x_j − ½ x_jᵀ J x_j), z those of rows j+1..k."""

    A: jax.Array
    b: jax.Array
    C: jax.Array
    eta: jax.Array
    J: jax.Array


class SmootherElement(NamedTuple):
    """p(x_j | x_k, z) = N(E x_k + g, L), z those of rows up to k."""

    E: jax.Array
    g: jax.Array
    L: jax.Array


def kalman_filter(prior: Factored, transitions: Transition, observations: Observation) -> Filtered:
    """`filter.kalman_filter` in log depth.

    Args:
      prior: before the first row. transitions, observations: (T, ...), as `linearise` gives them.
    Returns:
      Filtered, in the covariance form.
    Source: Särkkä, García-Fernández 2021, "Temporal parallelization of Bayesian smoothers", lemmas 7 and 8.

    >>> from sandbox.kalman.linearise import Noise
    >>> row = jnp.ones((1, 1))
    >>> one = row[None]
    >>> transition, observation = Transition(row, row, one, one), Observation(row, row, one, Noise(one, one, row > 0))
    >>> np.asarray(kalman_filter(Factored(row[0], one[0]), transition, observation).updated.mean).round(3)
    array([[1.667]], dtype=float32)
    """
    start = covariance.begin(prior)
    elements = jax.vmap(_filter_element)(transitions, observations)
    first, _ = covariance.update(covariance.predict(start, _row(transitions, 0)), _row(observations, 0))
    zero = jnp.zeros_like(first.covariance)
    known = FilterElement(zero, first.mean, first.covariance, zero[0], zero)
    elements = jax.tree.map(lambda rows, row: rows.at[0].set(row), elements, known)
    beliefs = jax.lax.associative_scan(jax.vmap(_combine_filter), elements)
    updated = Gaussian(beliefs.b, beliefs.C)
    predicted = jax.vmap(covariance.predict)(rows_before(start, updated), transitions)
    _, innovation = jax.vmap(covariance.update)(predicted, observations)
    return Filtered(start, predicted, updated, innovation, jnp.ones(updated.mean.shape[0], bool))


def rts_smoother(filtered: Filtered, transitions: Transition) -> Smoothed:
    """`smoother.rts_smoother` in log depth.

    Args:
      filtered: of T rows, in the covariance form. transitions: (T, ...), into each row.
    Returns:
      Smoothed.
    Source: Särkkä, García-Fernández 2021, lemmas 9 and 10.

    >>> from sandbox.kalman.linearise import Noise
    >>> row = jnp.ones((1, 1))
    >>> one = row[None]
    >>> transition, observation = Transition(row, row, one, one), Observation(row, row, one, Noise(one, one, row > 0))
    >>> filtered = kalman_filter(Factored(row[0], one[0]), transition, observation)
    >>> np.asarray(rts_smoother(filtered, transition).start.mean).round(3)
    array([1.333], dtype=float32)
    """
    before = rows_before(filtered.start, filtered.updated)
    last = _row(filtered.updated, -1)
    elements = jax.vmap(_smoother_element)(before, transitions)
    known = SmootherElement(jnp.zeros_like(last.covariance), last.mean, last.covariance)
    elements = jax.tree.map(lambda rows, row: jnp.concatenate([rows, row[None]]), elements, known)
    beliefs = jax.lax.associative_scan(jax.vmap(_combine_smoother), elements, reverse=True)
    everything = Gaussian(beliefs.g, beliefs.L)
    return Smoothed(_row(everything, 0), jax.tree.map(lambda leaf: leaf[1:], everything))


def _filter_element(transition: Transition, observation: Observation) -> FilterElement:
    point, value, F, G = transition
    Q, H = product_transposed(G, G), observation.H
    moved, innovation = covariance.update(Gaussian(value - product(F, point), Q), observation)
    HF, HQ = (solve_lower(innovation.factor, product(H, a)) for a in (F, Q))  # whitened, as the innovation
    return FilterElement(F - product(HQ.T, HF), moved.mean, moved.covariance, product(HF.T, innovation.whitened),
                         product(HF.T, HF))


def _combine_filter(one: FilterElement, two: FilterElement) -> FilterElement:
    identity = jnp.eye(len(one.b), dtype=one.C.dtype)
    # (I + C J)⁻¹ once for both sides: the other one, (I + J C)⁻¹, is its transpose.
    between = solve(identity + product(one.C, two.J), identity)
    forward, backward = product(two.A, between), product(between, one.A).T
    return FilterElement(
        product(forward, one.A),
        product(forward, one.b + product(one.C, two.eta)) + two.b,
        _symmetric(product_transposed(product(forward, one.C), two.A)) + two.C,
        product(backward, two.eta - product(two.J, one.b)) + one.eta,
        _symmetric(product(product(backward, two.J), one.A)) + one.J)


def _smoother_element(belief: Gaussian, transition: Transition) -> SmootherElement:
    E, left = covariance.smoother_gain(belief, transition)
    return SmootherElement(E, *left)


def _combine_smoother(later: SmootherElement, earlier: SmootherElement) -> SmootherElement:
    """A reverse scan hands over the later rows first."""
    return SmootherElement(product(earlier.E, later.E), product(earlier.E, later.g) + earlier.g,
                           congruence(earlier.E, later.L) + earlier.L)


def _symmetric(a: jax.Array) -> jax.Array:
    return (a + a.T) / 2


def _row(tree, index: int):
    return jax.tree.map(lambda leaf: leaf[index], tree)
