"""REINFORCE proper: one step by hand, what becomes of the learning rate and of the budget, and that it learns."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sandbox.reinforce import (
    BANDIT,
    CATEGORICAL,
    GRID,
    acting_by,
    init_episodic,
    monte_carlo_step,
    no_baseline,
    play_episodes,
)
from sandbox.reinforce.bandit import MEANS

ARMS, NUM = len(MEANS), 10


def linear(params, observations):
    return jnp.tensordot(observations, params, axes=1)


def step_of(optimizer, environment=BANDIT, **how):
    how = {"num_episodes": NUM, "max_steps": 1000} | how
    return monte_carlo_step(environment, linear, CATEGORICAL, optimizer, **how)


def begun(optimizer, environment=BANDIT, seed=0):
    params = jnp.zeros((environment.observation_size, environment.actions.size))
    return init_episodic(jax.random.key(seed), params, optimizer)


@jax.jit
def experienced(learner):
    """What the next step will learn from."""
    to_act, to_reset = jax.random.split(jax.random.fold_in(learner.key, learner.step))
    act = acting_by(lambda observations: linear(learner.params, observations), CATEGORICAL, BANDIT)
    return play_episodes(to_reset, BANDIT, act, CATEGORICAL.noise(to_act, (1, NUM), ARMS))


@pytest.mark.parametrize("how", [{}, {"baseline": no_baseline}])
def test_a_step_goes_down_the_gradient_at_a_rate_that_falls_along_a_line(how):
    """Of one decision an episode: −Σ (G − b) (e_a − p) / N, b the others' mean. After 0, 300 and 990 of 1,000 steps."""
    optimizer = optax.sgd(1.0)
    step, learner = jax.jit(step_of(optimizer, **how)), begun(optimizer)
    learner = learner._replace(params=jnp.array([[0.5, -0.5, 0.2, 0.0]]))
    steps = jax.tree.map(np.asarray, experienced(learner))
    p = np.exp(learner.params[0]) / np.exp(learner.params[0]).sum()
    returns = np.float64(steps.rewards[0])
    b = (returns.sum() - returns) / (NUM - 1) if not how else 0
    slope = -np.mean((returns - b)[:, None] * (np.eye(ARMS)[steps.actions[0]] - p), axis=0)
    for used, left in ((0, 1.0), (300, 0.7), (990, 0.01)):
        after, metrics = step(learner._replace(steps_used=jnp.array(used)))
        np.testing.assert_allclose(after.params[0], learner.params[0] - left * slope, rtol=1e-5, atol=1e-6)
        assert after.steps_used == metrics["steps_used"] == used + NUM and after.step == 1
        np.testing.assert_allclose(metrics["return"], returns.mean(), rtol=1e-5)


def test_a_budget_is_never_overstepped_and_at_its_end_all_stands_still():
    """Episodes are of up to 20 steps, so that a batch that would still fit is sure to come by after one that did not:
    to take that one would be to learn from short episodes alone."""
    optimizer, budget = optax.adam(0.1), 200
    step = step_of(optimizer, GRID, num_episodes=3, max_steps=budget)

    def followed(learner, _):
        after, metrics = step(learner)
        return after, (after._replace(key=0), metrics)

    @jax.jit
    def run(key):
        learner = begun(optimizer, GRID)._replace(key=key)
        return jax.lax.scan(followed, learner, length=20)[1]

    for seed in range(3):
        learners, metrics = jax.tree.map(np.asarray, run(jax.random.key(seed)))
        used = learners.steps_used
        still = np.flatnonzero(np.diff(used) == 0)[0]
        assert np.all(np.diff(used)[:still] > 0) and budget - 60 < used[-1] <= budget
        jax.tree.map(lambda leaf, still=still: np.testing.assert_array_equal(
            leaf[still + 1:], np.broadcast_to(leaf[still], leaf[still + 1:].shape)), learners)
        np.testing.assert_array_equal(metrics["steps_used"], used)


def test_it_learns_the_best_arm():
    """On every one of 8 seeds: of at most 1 what it is sure to pay is more than 0.9, and 0.125 at first."""
    optimizer = optax.adam(0.1)
    step = step_of(optimizer, max_steps=3000)

    @jax.jit
    def earned(key):
        learner = begun(optimizer)._replace(key=key)
        after, _ = jax.lax.scan(lambda learner, _: step(learner), learner, length=300)
        return [jax.nn.softmax(one.params[0]) @ jnp.array(MEANS) for one in (learner, after)]

    at_first, at_last = jax.vmap(earned)(jnp.stack([jax.random.key(seed) for seed in range(8)]))
    np.testing.assert_allclose(at_first, np.mean(MEANS), atol=1e-6)
    assert np.min(at_last) > 0.9 * max(MEANS)


@pytest.mark.parametrize("how, words", [
    ({"num_episodes": 1}, "num_episodes must be at least 2, for each to be compared with others, got 1"),
    ({"max_steps": 0}, "max_steps must be at least 1, got 0"),
    ({"discount": -0.5}, r"discount must be in \[0, 1\], got -0.5"),
    ({"entropy_weight": -1}, "entropy_weight must be at least 0, got -1"),
])
def test_what_is_no_way_to_learn_is_refused(how, words):
    optimizer = optax.sgd(0.1)
    with pytest.raises(ValueError, match=words):
        jax.eval_shape(step_of(optimizer, **how), begun(optimizer))


def test_a_policy_of_other_actions_is_refused():
    optimizer = optax.sgd(0.1)
    learner = begun(optimizer)._replace(params=jnp.zeros((1, 3)))
    with pytest.raises(ValueError, match=r"heads of a policy for bandit must be \(..., 4\), got \(10, 3\)"):
        jax.eval_shape(step_of(optimizer), learner)
