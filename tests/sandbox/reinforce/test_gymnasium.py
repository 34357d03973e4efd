"""The four classic environments against gymnasium's own, and the actions that an environment refuses.

Both sides compute in float64, from the same states and actions. Gymnasium itself rounds observations to float32, as it
does the state of MountainCar, but only after it has decided what terminates. So that is compared exactly: no drawn
transition leads to within 1e-6 of a threshold, but those that both sides clip onto a number.
"""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import ks_2samp

from sandbox.reinforce.acrobot import ACROBOT
from sandbox.reinforce.cartpole import CARTPOLE
from sandbox.reinforce.environment import Box, Discrete, EnvironmentState, check_actions
from sandbox.reinforce.mountain_car import MOUNTAIN_CAR
from sandbox.reinforce.pendulum import PENDULUM

TRANSITIONS, RESETS, TOLERANCE = 10_000, 2_000, 1e-6

REACH = {  # states are drawn within ± this around a middle: all that an episode can see, and half as much again
    CARTPOLE: (np.zeros(4), 1.5 * np.array([2.4, 4.0, 0.21, 4.0])),
    ACROBOT: (np.zeros(4), 1.5 * np.pi * np.array([1, 1, 4, 9])),
    PENDULUM: (np.zeros(2), 1.5 * np.array([10 * np.pi, 8.0])),
    MOUNTAIN_CAR: (np.array([-0.3, 0.0]), 1.5 * np.array([0.9, 0.07])),
}
CLASSIC = pytest.mark.parametrize("environment", REACH, ids=lambda one: one.name)


@CLASSIC
def test_10_000_transitions_are_gymnasium_s(environment, float64):
    x, actions = drawn(environment)
    theirs = [np.stack(column) for column in zip(*gymnasium_steps(environment, x, actions))]
    after = jax.jit(jax.vmap(environment.step))(EnvironmentState(x, jnp.zeros(len(x), jnp.int32)), actions)
    ours = (after.state.x, after.reward, after.terminated, after.observation)
    for one, other in zip(ours[:2], theirs[:2]):
        assert one.dtype == jnp.float64
        np.testing.assert_allclose(one, other, rtol=0, atol=TOLERANCE)
    np.testing.assert_array_equal(after.terminated, theirs[2])
    np.testing.assert_allclose(np.float32(after.observation), theirs[3], rtol=TOLERANCE, atol=TOLERANCE)
    assert not after.truncated.any()
    ends = theirs[2].mean()
    assert ends == 0 if environment is PENDULUM else 0.05 < ends < 0.95  # both outcomes are drawn


def drawn(environment):
    """States (N, size), and actions: of a Box to one and a half times its bounds."""
    rng, (middle, reach) = np.random.default_rng(0), REACH[environment]
    x = middle + reach * rng.uniform(-1, 1, (TRANSITIONS, len(reach)))
    if isinstance(environment.actions, Discrete):
        return x, rng.integers(environment.actions.size, size=TRANSITIONS)
    return x, 1.5 * rng.uniform(environment.actions.low, environment.actions.high, (TRANSITIONS, 1))


def gymnasium_steps(environment, x, actions):
    """Of each transition the state, the reward, whether it terminates, and the observation."""
    env = gymnasium.make(environment.name).unwrapped
    env.reset(seed=0)
    for state, action in zip(x, actions):
        env.state, env.steps_beyond_terminated = state, None  # without the latter, CartPole pays its last reward once
        observation, reward, terminated, *_ = env.step(action)
        yield env.state, reward, terminated, observation


@CLASSIC
def test_the_clock_runs_out_when_gymnasium_s_does(environment):
    """Here and there the state is put back before each step, so that no episode ends of itself."""
    env = gymnasium.make(environment.name)
    env.reset(seed=0)
    at_rest = np.array([-0.5, 0.0]) if environment is MOUNTAIN_CAR else np.zeros(len(REACH[environment][0]))
    action = env.action_space.sample()

    def truncated():
        env.unwrapped.state = at_rest
        return env.step(action)[3]

    limit = env.spec.max_episode_steps
    assert environment.max_episode_steps == limit
    assert [truncated() for _ in range(limit)] == [False] * (limit - 1) + [True]
    ours = [environment.step(EnvironmentState(jnp.asarray(at_rest), jnp.array(time, jnp.int32)), action)
            for time in (limit - 2, limit - 1)]
    assert [bool(after.truncated) for after in ours] == [False, True]
    assert [int(after.state.time) for after in ours] == [limit - 1, limit]
    assert not ours[1].terminated


@CLASSIC
def test_spaces_are_gymnasium_s(environment):
    env = gymnasium.make(environment.name)
    assert env.observation_space.shape == (environment.observation_size,)
    if isinstance(environment.actions, Discrete):
        assert env.action_space == gymnasium.spaces.Discrete(environment.actions.size)
    else:
        low, high = (np.float32(bound) for bound in environment.actions)
        assert env.action_space == gymnasium.spaces.Box(low, high)


@CLASSIC
def test_episodes_begin_as_gymnasium_s(environment):
    """Within the same bounds to a hundredth of their distance, and by Kolmogorov and Smirnov's test: of two equal
    distributions it would fail once in 10,000 times, for each of at most 4 coordinates of each environment."""
    env = gymnasium.make(environment.name).unwrapped
    env.reset(seed=0)
    theirs = np.stack([(env.reset(), env.state)[1] for _ in range(RESETS)])
    state, observation = jax.jit(jax.vmap(environment.reset))(jax.random.split(jax.random.key(0), RESETS))
    assert observation.shape == (RESETS, environment.observation_size) and not state.time.any()
    for one, other in zip(np.float64(state.x).T, theirs.T):
        low, high = other.min(), other.max()
        np.testing.assert_allclose((one.min(), one.max()), (low, high), rtol=0, atol=0.01 * (high - low))
        assert low == high or ks_2samp(one, other).pvalue > 1e-4


@pytest.mark.parametrize("environment, action", [(CARTPOLE, -1), (CARTPOLE, 2), (ACROBOT, 3)])
def test_an_unknown_action_pays_nan(environment, action):
    state, _ = environment.reset(jax.random.key(0))
    assert jnp.isnan(environment.step(state, jnp.array(action)).reward)


def test_actions_that_an_environment_has_pass():
    check_actions(CARTPOLE, np.array([[0, 1], [1, 0]]))
    check_actions(ACROBOT, 2)
    check_actions(PENDULUM, jnp.array([[-2.0], [2.0]]))


UNBOUNDED = PENDULUM._replace(actions=Box((-np.inf,), (np.inf,)))


@pytest.mark.parametrize("environment, actions, error, words", [
    (CARTPOLE, [0, -1], ValueError, "actions of CartPole-v1 must be 0 to 1, got -1"),
    (ACROBOT, 3, ValueError, "actions of Acrobot-v1 must be 0 to 2, got 3"),
    (CARTPOLE, 2**32, ValueError, "actions of CartPole-v1 must be 0 to 1, got 4294967296"),
    (CARTPOLE, [0.0], TypeError, "actions of CartPole-v1 must be integers, got float64"),
    (PENDULUM, [1], TypeError, "actions of Pendulum-v1 must be floating, got int64"),
    (PENDULUM, [[0.0], [2.5]], ValueError, "actions of Pendulum-v1 must be in (-2.0,) to (2.0,), got 2.5"),
    (PENDULUM, [np.nan], ValueError, "actions of Pendulum-v1 must be in (-2.0,) to (2.0,), got nan"),
    (UNBOUNDED, [np.inf], ValueError, "actions of Pendulum-v1 must be in (-inf,) to (inf,), got inf"),
    (PENDULUM, [0.0, 0.0], ValueError, "actions of Pendulum-v1 must be (..., 1), got (2,)"),
    (PENDULUM, 0.0, ValueError, "actions of Pendulum-v1 must be (..., 1), got ()"),
])
def test_actions_that_it_does_not_have_are_refused(environment, actions, error, words):
    with pytest.raises(error) as refused:
        check_actions(environment, np.asarray(actions))
    assert str(refused.value) == words


@pytest.mark.parametrize("environment, action, error, words", [
    (CARTPOLE, 1.0, TypeError, "actions of CartPole-v1 must be integers, got float32"),
    (PENDULUM, [1], TypeError, "actions of Pendulum-v1 must be floating, got int32"),
    (CARTPOLE, [0, 1], ValueError, "an action of CartPole-v1 must be (), got (2,)"),
    (PENDULUM, 1.0, ValueError, "an action of Pendulum-v1 must be (1,), got ()"),
])
def test_a_step_refuses_types_and_shapes_when_it_is_traced(environment, action, error, words):
    state, _ = environment.reset(jax.random.key(0))
    with pytest.raises(error) as refused:
        jax.eval_shape(environment.step, state, jnp.asarray(action))
    assert str(refused.value) == words
