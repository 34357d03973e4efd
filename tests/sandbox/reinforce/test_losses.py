"""The surrogates and the value error: by plain sums, what a ratio and its clip do, and what is refused."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.reinforce import (
    CATEGORICAL,
    GAUSSIAN,
    Decisions,
    Gaussian,
    Returns,
    check_decisions,
    clipped_policy_gradient,
    discounted_returns,
    policy_gradient,
    value_error,
)

RNG = np.random.default_rng(0)
ROWS, ACTIONS = 6, 3
LOGITS, ADVANTAGES = RNG.normal(size=(ROWS, ACTIONS)), RNG.normal(size=ROWS)
CHOSEN, WEIGHTS = np.array([0, 2, 1, 1, 0, 2]), np.array([1.0, 2.0, 0.5, 0.0, 1.0, 3.0])
LOG_P = LOGITS - np.log(np.exp(LOGITS).sum(axis=1, keepdims=True))
TAKEN, ENTROPIES = LOG_P[np.arange(ROWS), CHOSEN], -np.sum(np.exp(LOG_P) * LOG_P, axis=1)
RATIOS = np.array([1.0, 1.5, 0.5, 1.0, 0.7, 1.3])
BATCH = Decisions(np.zeros((ROWS, 1)), CHOSEN, ADVANTAGES, TAKEN - np.log(RATIOS), WEIGHTS)


@functools.partial(jax.jit, static_argnums=0, static_argnames=("distribution", "clip", "entropy_weight"))
def of_head(loss, head, batch, **how):
    """Value, aux and gradient; the head is the params."""
    (value, aux), slope = jax.value_and_grad(loss, has_aux=True)(
        head, batch, apply_fn=lambda head, observations: head, **how)
    return value, aux, slope


def test_the_policy_gradient_is_a_plain_sum(float64):
    value, aux, _ = of_head(policy_gradient, LOGITS, BATCH, entropy_weight=0.1)
    np.testing.assert_allclose(value, -np.average(ADVANTAGES * TAKEN + 0.1 * ENTROPIES, weights=WEIGHTS))
    real = WEIGHTS > 0
    for found, expected in zip(aux, (TAKEN, ENTROPIES, RATIOS)):
        np.testing.assert_allclose(found[real], expected[real])


@pytest.mark.parametrize("clip", [0.2, 0.4, math.inf])
def test_the_clipped_form_is_a_plain_sum_and_lets_go_of_what_is_too_far(clip, float64):
    value, _, slope = of_head(clipped_policy_gradient, LOGITS, BATCH, clip=clip)
    kept = np.minimum(RATIOS * ADVANTAGES, np.clip(RATIOS, 1 - clip, 1 + clip) * ADVANTAGES)
    np.testing.assert_allclose(value, -np.average(kept, weights=WEIGHTS))
    gone = np.where(ADVANTAGES > 0, RATIOS > 1 + clip, RATIOS < 1 - clip)
    np.testing.assert_array_equal(np.all(np.asarray(slope) == 0, axis=1), gone | (WEIGHTS == 0))
    assert gone.any() == (clip < math.inf)


def test_without_a_clip_it_is_importance_weighting(float64):
    """Its mean over what another policy does is the first policy's: here over every action, weighted by π_old."""
    old, worth = RNG.normal(size=ACTIONS), RNG.normal(size=ACTIONS)
    log_old = old - np.log(np.exp(old).sum())
    batch = Decisions(np.zeros((ACTIONS, 1)), np.arange(ACTIONS), worth, log_old, np.exp(log_old))
    earned, exact = jax.jit(lambda logits: (
        jax.value_and_grad(lambda z: -clipped_policy_gradient(
            jnp.broadcast_to(z, (ACTIONS, ACTIONS)), batch, apply_fn=lambda head, observations: head)[0])(logits),
        jax.value_and_grad(lambda z: jax.nn.softmax(z) @ worth)(logits)))(jnp.asarray(LOGITS[0]))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-12), earned, exact)


@pytest.mark.parametrize("distribution", [CATEGORICAL, GAUSSIAN])
def test_where_it_was_drawn_from_the_clipped_gradient_is_the_policy_gradient(distribution, float64):
    if distribution is CATEGORICAL:
        head, actions = jnp.asarray(LOGITS), CHOSEN
    else:
        head, actions = Gaussian(*jnp.asarray(RNG.normal(size=(2, ROWS, 2)))), RNG.normal(size=(ROWS, 2))
    batch = BATCH._replace(actions=actions, log_probs=distribution.log_prob(head, actions))
    how = {"distribution": distribution, "entropy_weight": 0.1}
    plain, clipped = (of_head(loss, head, batch, **how, **more)[2]
                      for loss, more in ((policy_gradient, {}), (clipped_policy_gradient, {"clip": 0.2})))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-15), plain, clipped)


def test_the_value_error_is_a_plain_sum(float64):
    values, returns = RNG.normal(size=(2, ROWS))
    value, aux, _ = of_head(value_error, values, Returns(np.zeros((ROWS, 1)), returns, WEIGHTS))
    np.testing.assert_allclose(value, np.average(0.5 * (values - returns) ** 2, weights=WEIGHTS))
    np.testing.assert_allclose(aux.errors[WEIGHTS > 0], (values - returns)[WEIGHTS > 0])


def with_nan(name, row):
    values = np.array(getattr(BATCH, name), copy=True)
    values[row] = np.nan
    return BATCH._replace(**{name: values})


@pytest.mark.parametrize("name", ["observations", "advantages", "log_probs"])
def test_what_is_nan_is_seen_where_it_counts_and_not_in_padding(name):
    """Through a policy that looks at what it observes, so that a NaN there could reach it."""
    def of(batch):
        return jax.jit(jax.value_and_grad(lambda slope: clipped_policy_gradient(
            slope, jax.tree.map(jnp.asarray, batch), apply_fn=lambda slope, seen: seen * slope[None], clip=10.0)[0]))(
            jnp.ones(ACTIONS))

    padding, real = of(with_nan(name, 3)), of(with_nan(name, 1))
    jax.tree.map(np.testing.assert_array_equal, padding, of(BATCH))
    assert np.isnan(real[0])


@pytest.mark.parametrize("batch, words", [
    (with_nan("advantages", 1), r"advantages must be finite, got nan at \(1,\)"),
    (with_nan("observations", 2), r"observations must be finite, got nan at \(2, 0\)"),
    (with_nan("log_probs", 0), r"log_probs must be finite, got nan at \(0,\)"),
    (with_nan("weights", 3), r"weights must be finite and 0 or more, got nan at \(3,\)"),
    (BATCH._replace(weights=-WEIGHTS), r"weights must be finite and 0 or more, got -1.0 at \(0,\)"),
    (BATCH._replace(weights=np.full(ROWS, np.inf)), r"weights must be finite and 0 or more, got inf at \(0,\)"),
    (BATCH._replace(weights=np.zeros(ROWS)), "weights are 0 everywhere: there is no decision to learn from"),
    (BATCH._replace(advantages=discounted_returns(jnp.full(ROWS, np.nan), jnp.ones(ROWS, bool), discount=1.0)),
     r"advantages must be finite, got nan at \(0,\)"),
    (Returns(np.zeros((2, 3, 4)), np.array([[0, 0, 0], [0, np.inf, 0]]), np.ones((2, 3))),
     r"returns must be finite, got inf at \(1, 1\)"),
])
def test_decisions_that_nothing_can_be_learned_from_are_refused(batch, words):
    with pytest.raises(ValueError, match=words):
        check_decisions(batch)


def test_decisions_with_anything_for_padding_pass():
    for name in ("observations", "advantages", "log_probs"):
        check_decisions(with_nan(name, 3))
