"""What is subtracted from a return: which returns it is made of, and that the optimal one is optimal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.reinforce import batch_mean, leave_one_out, no_baseline, optimal_constant

RNG = np.random.default_rng(0)


def test_of_two_each_is_the_others_baseline():
    np.testing.assert_array_equal(leave_one_out(jnp.array([[1.0, 5.0]]), jnp.ones((1, 2))), [[5, 1]])


def test_leave_one_out_is_a_plain_loops_over_those_under_way(float64):
    """Whole numbers as weights; the last step is one of which only one episode is left, and then none."""
    returns, weights = RNG.normal(size=(6, 4)), RNG.integers(0, 3, (6, 4)).astype(float)
    weights[4], weights[5] = [0, 0, 1, 0], 0
    expected = np.zeros_like(returns)
    for t in range(6):
        for i in range(4):
            others = [j for j in range(4) if j != i and weights[t, j] > 0]
            if others:
                expected[t, i] = np.average(returns[t, others], weights=weights[t, others])
    np.testing.assert_allclose(leave_one_out(jnp.asarray(returns), jnp.asarray(weights)), expected, rtol=1e-10,
                               atol=1e-13)
    assert expected[4, 2] == 0 and np.all(expected[4, [0, 1, 3]] == returns[4, 2])


def test_no_baseline_hangs_on_its_own_return(float64):
    """∂b_i/∂G_i = 0 for leave-one-out, and 1/N for the mean of all, which is why that is biased."""
    returns, weights = jnp.asarray(RNG.normal(size=4)), jnp.ones(4)
    own = [np.diag(jax.jacobian(of)(returns, weights)) for of in (leave_one_out, batch_mean, no_baseline)]
    np.testing.assert_allclose(own, [np.zeros(4), np.full(4, 0.25), np.zeros(4)], atol=1e-15)


def test_what_is_padding_may_be_nan():
    returns, weights = jnp.array([1.0, 3.0, jnp.nan]), jnp.array([1.0, 1.0, 0.0])
    np.testing.assert_array_equal(leave_one_out(returns, weights), [3, 1, 2])
    np.testing.assert_array_equal(batch_mean(returns, weights), [2, 2, 2])
    assert optimal_constant(jnp.ones(3), returns, weights) == 2
    assert jnp.all(jnp.isnan(leave_one_out(returns, jnp.ones(3))[:2]))  # what is none is not hushed up


def test_the_optimal_constant_makes_a_sampled_variance_least(float64):
    """Of scores whose mean is 0, as that of ∇ log π is: a parabola, whose least is found by a fit through it."""
    scores = RNG.normal(size=(1000, 2)) * np.exp(RNG.normal(size=(1000, 1)))
    scores = np.concatenate([scores, -scores])
    returns = 3 + RNG.normal(size=2000) + np.linalg.norm(scores, axis=1)
    best = float(optimal_constant(jnp.asarray(np.sum(scores**2, axis=1)), jnp.asarray(returns), jnp.ones(2000)))
    tried = best + np.linspace(-2, 2, 9)
    variances = [np.sum(np.var(scores * (returns - b)[:, None], axis=0)) for b in tried]
    curve, slope, _ = np.polyfit(tried, variances, 2)
    np.testing.assert_allclose(best, -slope / (2 * curve), rtol=1e-8)
    assert np.argmin(variances) == 4 and abs(best - returns.mean()) > 0.1  # which the plain mean is not


def test_scores_of_nothing_ask_for_no_baseline():
    assert optimal_constant(jnp.zeros(3), jnp.ones(3), jnp.ones(3)) == 0


@pytest.mark.parametrize("call, words", [
    (lambda: leave_one_out(jnp.ones((3, 1)), jnp.ones((3, 1))), "leave_one_out needs at least 2 episodes, got 1"),
    (lambda: leave_one_out(jnp.ones((3, 2)), jnp.ones(2)), r"weights must have the shape of returns, \(3, 2\), got"),
    (lambda: batch_mean(jnp.ones((3, 2)), jnp.ones(2)), r"weights must have the shape of values, \(3, 2\), got \(2,\)"),
    (lambda: optimal_constant(jnp.ones(3), jnp.ones(2), jnp.ones(3)),
     r"squared_scores and returns must be of one shape, got \(3,\) and \(2,\)"),
    (lambda: optimal_constant(jnp.ones(3), jnp.ones(3), jnp.ones(2)), r"weights must have the shape of values"),
])
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
