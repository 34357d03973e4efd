"""The mean of REINFORCE's estimates is the exact gradient, whatever the baseline; and what is biased is found out.

Estimates are drawn, each from episodes of its own. They agree with a gradient where every component of their mean is
within z standard errors of it, z such that a true gradient is rejected at most once in a million seeds: the error rate
is shared among the components, by Bonferroni's inequality, and means of tens of thousands are taken for normal.
"""

from statistics import NormalDist

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.reinforce import derivatives, exact, returns
from sandbox.reinforce.bandit import BANDIT, MEANS
from sandbox.reinforce.baselines import leave_one_out, optimal_constant
from sandbox.reinforce.distributions import CATEGORICAL, GAUSSIAN, Gaussian
from sandbox.reinforce.grid import GRID, HORIZON, grid_world
from sandbox.reinforce.losses import Decisions, clipped_policy_gradient, policy_gradient
from sandbox.reinforce.regulator import DOUBLE_INTEGRATOR, regulator_of
from sandbox.reinforce.rollout import begin, play_episodes, unroll
from sandbox.reinforce.tabular import MDP, action_values, state_values, state_visits, tabular_environment

ERROR_RATE, DISCOUNT, GROUP = 1e-6, 0.9, 2
IN_GROUPS = ("leave-one-out", "a baseline that knows the return")
BIASED = ("a baseline that knows the return", "later decisions not discounted")


def misfit(samples, truth):
    """How far a mean of samples is off the truth, of what an error rate of one in a million allows; they agree up to 1.

    What never varies must be exact but for rounding.
    """
    samples, truth = np.float64(samples).reshape(len(samples), -1), np.float64(truth).ravel()
    z = NormalDist().inv_cdf(1 - ERROR_RATE / (2 * len(truth)))
    allowed = z * samples.std(axis=0, ddof=1) / len(samples)**0.5 + 1e-6
    return np.max(np.abs(samples.mean(axis=0) - truth) / allowed)


def linear(params, observations):
    """Logits, of a table where the observation is one-hot."""
    return jnp.tensordot(observations, params, axes=1)


def linear_gaussian(params, observations):
    gain, log_std = params
    mean = -jnp.tensordot(observations, gain.T, axes=1)
    return Gaussian(mean, jnp.broadcast_to(log_std.reshape((1,) * (mean.ndim - 1) + (-1,)), mean.shape))


def played(key, environment, params, apply_fn, distribution, *, num, size):
    to_play, to_act = jax.random.split(key)
    noise = distribution.noise(to_act, (environment.max_episode_steps, num), size)
    return play_episodes(to_play, environment,
                         lambda observations, noise: distribution.sample(apply_fn(params, observations), noise), noise)


def estimates(params, steps, advantages, apply_fn=linear, distribution=CATEGORICAL, loss=policy_gradient):
    """−∇ of the surrogate of each episode, times its length, by which the loss had divided; (E, P)."""
    def of_one(observations, actions, advantages, weights):
        log_probs = distribution.log_prob(apply_fn(params, observations), actions)
        batch = Decisions(observations, actions, advantages, log_probs, weights)
        gradient = jax.grad(lambda params: loss(params, batch, apply_fn=apply_fn, distribution=distribution)[0])(params)
        return -jnp.sum(weights) * jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(gradient)])

    return jax.vmap(of_one, 1)(steps.observations, steps.actions, advantages, steps.weights)


def in_groups(of, *arrays):
    """A function of episodes side by side, of GROUP at a time."""
    grouped = of(*(array.reshape(len(array), -1, GROUP) for array in arrays))
    return grouped.reshape(arrays[0].shape)


def group_means(estimates):
    """Estimates that share a baseline are one: only groups are drawn apart from each other."""
    return jnp.mean(estimates.reshape(-1, GROUP, estimates.shape[-1]), axis=1)


def mean_with_own(to_go, weights):
    return jnp.broadcast_to(jnp.sum(to_go, axis=-1, keepdims=True) / jnp.maximum(
        jnp.sum(weights, axis=-1, keepdims=True), 1), to_go.shape)


def by_baseline(params, steps, discount, values, **policy):
    """Estimates of every kind, (N, P) each. values: (T, E), some function of time and state."""
    powers = discount ** jnp.arange(len(steps.rewards))[:, None]
    to_go = returns.discounted_returns(steps.rewards, steps.terminated | steps.truncated, discount=discount)
    full = returns.full_returns(steps.rewards, discount=discount)
    others, all_ = (in_groups(of, to_go, steps.weights) for of in (leave_one_out, mean_with_own))

    advantages = {"full": full, "to go": powers * to_go, "constant": powers * (to_go - 2), "full, constant": full + 3,
                  "leave-one-out": powers * (to_go - others), "state values": powers * (to_go - values),
                  "a baseline that knows the return": powers * (to_go - all_)}
    if discount < 1:
        advantages["later decisions not discounted"] = to_go
    found = jax.lax.map(lambda one: estimates(params, steps, one, **policy), jnp.stack(list(advantages.values())))
    found = {name: group_means(one) if name in IN_GROUPS else one for name, one in zip(advantages, found)}
    found["ratios"] = estimates(params, steps, powers * to_go, loss=clipped_policy_gradient, **policy)
    return ({name: one for name, one in found.items() if name not in BIASED},
            {name: one for name, one in found.items() if name in BIASED})


def assert_told_apart(unbiased, biased, truth):
    agreement = {name: misfit(samples, truth) for name, samples in unbiased.items()}
    assert max(agreement.values()) <= 1, agreement
    agreement = {name: misfit(samples, truth) for name, samples in biased.items()}
    assert min(agreement.values()) > 1, agreement


def at_each_step(table, steps):
    """values[t, s_t] of a table (T, S), by one-hot observations."""
    return jnp.einsum("tes,ts->te", steps.observations, table)


def test_on_the_grid():
    theta = jax.random.normal(jax.random.key(1), (8, 4)) / 2
    world = grid_world()

    @jax.jit
    def of(key, theta):
        steps = played(key, GRID, theta, linear, CATEGORICAL, num=20000, size=4)
        table = state_values(theta, world, horizon=HORIZON, discount=DISCOUNT)
        return (*by_baseline(theta, steps, DISCOUNT, at_each_step(table, steps)),
                exact.tabular_policy_gradient(theta, world, horizon=HORIZON, discount=DISCOUNT))

    assert_told_apart(*of(jax.random.key(0), theta))


def test_of_a_bandit():
    logits = jnp.array([[0.5, 0.0, -0.5, 1.0]])

    @jax.jit
    def of(key, logits):
        steps = played(key, BANDIT, logits, linear, CATEGORICAL, num=40000, size=4)
        return by_baseline(logits, steps, 1.0, jnp.full_like(steps.rewards, 0.3))

    assert_told_apart(*of(jax.random.key(0), logits), derivatives.fisher_product(logits[0], jnp.array(MEANS)))


def test_of_a_regulator():
    """The state-dependent baseline is what is left to pay, but for noise: −xᵀ P_t x."""
    params, horizon, discount = (jnp.array([[-1.0, -1.0]]), jnp.array([1.0])), 8, 0.7

    @jax.jit
    def of(key, params):
        steps = played(key, regulator_of("short", DOUBLE_INTEGRATOR, horizon), params, linear_gaussian, GAUSSIAN,
                       num=40000, size=1)
        P = exact.regulator_values(params[0], DOUBLE_INTEGRATOR, horizon=horizon, discount=discount)[:-1]
        values = -jnp.einsum("tei,tij,tej->te", steps.observations, P, steps.observations)
        return (*by_baseline(params, steps, discount, values, apply_fn=linear_gaussian, distribution=GAUSSIAN),
                exact.regulator_grad(*params, DOUBLE_INTEGRATOR, horizon=horizon, discount=discount))

    unbiased, biased, truth = of(jax.random.key(0), params)
    assert_told_apart(unbiased, biased, np.concatenate([np.ravel(part) for part in truth]))


def investment():
    """Poor at first, rich for a while after work that costs 1: worth it in the long run alone. Action 1 works."""
    transitions = np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.2, 0.8], [0.1, 0.9]]])
    return MDP(transitions, np.array([[0.0, -1.0], [1.0, 0.0]]), np.array([1.0, 0.0]), np.zeros(2, bool))


def ending_process():
    """Three states and two actions that were drawn, where the last state is the end."""
    rng = np.random.default_rng(3)
    transitions, rewards = rng.dirichlet(np.ones(3), (3, 2)), rng.normal(size=(3, 2)) + 1
    transitions[2], rewards[2] = np.eye(3)[2], 0
    return MDP(transitions, rewards, np.array([0.9, 0.1, 0]), np.arange(3) == 2)


def test_what_the_clock_cuts_off_is_worth_its_value():
    """Two episodes of 3 steps one after another, of a task without end: λ-returns of its true values estimate what
    the decisions of these steps are worth for all time. Taking truncation for termination does not; nor does judging
    what was cut off by the state that the next episode begins with."""
    theta, length, trace, mdp = jnp.array([[0.5, -0.5], [0.0, 1.0]]), 3, 0.5, investment()
    environment = tabular_environment("endless", mdp, length)

    @jax.jit
    def of(key, theta):
        to_begin, to_reset, to_act = jax.random.split(key, 3)
        q, v = (values(theta, mdp, horizon=200, discount=DISCOUNT)[0] for values in (action_values, state_values))
        visits = jnp.sum(state_visits(theta, mdp, horizon=length, discount=DISCOUNT), axis=0)
        _, steps = unroll(to_reset, environment,
                          lambda observations, noise: CATEGORICAL.sample(linear(theta, observations), noise),
                          begin(to_begin, environment, num=40000), jax.random.uniform(to_act, (2 * length, 40000)))
        values, next_values = linear(v, steps.observations), linear(v, steps.next_observations)
        of_reset = jnp.concatenate([values[1:], next_values[-1:]])
        powers = jnp.tile(DISCOUNT ** jnp.arange(length), 2)[:, None]
        none, ended = jnp.zeros_like(steps.truncated), steps.terminated | steps.truncated
        judged = {
            "truncated": (next_values, steps.terminated, steps.truncated),
            "truncation taken for termination": (next_values, ended, none),
            "the next episode's state": (of_reset, steps.terminated, steps.truncated),
            "the next episode's rewards": (of_reset, steps.terminated, none)}
        advantages = jnp.stack([powers * returns.advantages(steps.rewards, values, *one, discount=DISCOUNT, trace=trace)
                                for one in judged.values()])
        found = dict(zip(judged, jax.lax.map(lambda one: estimates(theta, steps, one), advantages)))
        return {"truncated": found.pop("truncated")}, found, 2 * visits[:, None] * jax.nn.softmax(theta) * (
            q - v[:, None])

    assert_told_apart(*of(jax.random.key(0), theta))


def test_the_variance_is_the_exact_one_and_least_at_the_optimal_baseline():
    """Of the whole episode's return, against all episodes there are; the terminal state is often reached."""
    theta, horizon, mdp = jnp.array([[0.5, -0.5], [0.0, 1.0], [0.0, 0.0]]), 3, ending_process()
    offsets = jnp.array([-0.5, 0.0, 0.5, 1.0])

    @jax.jit
    def by_enumeration(theta):
        episodes = exact.enumerate_episodes(theta, mdp, horizon=horizon)
        at = jax.nn.one_hot(episodes.states, 3) * episodes.weights[..., None]
        each = derivatives.categorical_score(theta[episodes.states], episodes.actions)
        scores, worth = jnp.einsum("nts,nta->nsa", at, each).reshape(-1, theta.size), jnp.sum(episodes.rewards, axis=1)
        best = optimal_constant(jnp.sum(scores**2, axis=1), worth, episodes.probabilities)
        baselines = jnp.append(best + offsets, 0.0)
        variances = jax.vmap(lambda b: exact.baseline_variance(scores, worth, episodes.probabilities, b))(baselines)
        return best, baselines, variances, exact.enumerated_policy_gradient(theta, mdp, horizon=horizon).ravel()

    best, baselines, truth, mean = by_enumeration(theta)

    @jax.jit
    def of(key, theta):
        steps = played(key, tabular_environment("process", mdp, horizon), theta, linear, CATEGORICAL, num=40000, size=2)
        full = returns.full_returns(steps.rewards, discount=1.0)
        score = estimates(theta, steps, jnp.ones_like(full))
        each = score[None] * (full[0][None] - baselines[:, None])[..., None]
        return jnp.sum((each - mean[None, None])**2, axis=2).T, jnp.sum(score**2, axis=1) * (full[0] - best)

    spread, at_best = of(jax.random.key(0), theta)
    assert misfit(spread, truth) <= 1
    assert misfit(at_best, 0.0) <= 1  # E[|∇ log π|² (G − b*)] = 0
    for other in (0, 2, 3, 4):
        assert misfit(spread[:, other] - spread[:, 1], 0.0) > 1 and truth[other] > truth[1]
    assert misfit(spread, np.array(truth) * 1.2) > 1
