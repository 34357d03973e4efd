"""Experience, of a task so plain that every number of it can be told: what a step led to, what follows a reset."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.reinforce import (
    CARTPOLE,
    CATEGORICAL,
    GAUSSIAN,
    PENDULUM,
    Discrete,
    Environment,
    Gaussian,
    acting_by,
    begin,
    lambda_returns,
    play_episodes,
    unroll,
)

LIMIT, FAR, LENGTH, SIDE = 3, 3, 40, 5


def advance(x, action):
    """From place to place, by the action; the reward is where it came from."""
    after = x + action
    return after, x, after >= FAR


# An episode begins anywhere in [0, 1), and so is known by what stands behind the point; from 3 on it has ended.
ROAD = Environment("road", lambda key: jax.random.uniform(key), advance, lambda x: jnp.stack([x, -x]), 2, Discrete(3),
                   LIMIT)
MOVES = np.random.default_rng(0).integers(0, 3, (LENGTH, SIDE)).astype(np.int32)
MOVES[:2, 0] = 2  # is there at the second step


def as_drawn(observations, noise):
    return noise


@pytest.fixture(scope="module")
def unrolled():
    start = begin(jax.random.key(0), ROAD, num=SIDE)
    after = jax.jit(lambda: unroll(jax.random.key(1), ROAD, as_drawn, start, MOVES))()
    return jax.tree.map(np.asarray, (start, *after))


def test_a_step_leads_to_its_own_state_and_never_to_that_of_a_reset(unrolled):
    start, after, steps = unrolled
    x, x_after = steps.observations[..., 0], steps.next_observations[..., 0]
    np.testing.assert_array_equal(steps.actions, MOVES)
    np.testing.assert_allclose(x_after, x + MOVES, rtol=1e-6)  # also where it ends there
    np.testing.assert_array_equal(steps.observations[..., 1], -x)
    np.testing.assert_array_equal(steps.terminated, x_after >= FAR)
    ended = steps.terminated | steps.truncated
    following = np.concatenate([x[1:], after.observations[None, :, 0]])
    np.testing.assert_array_equal(following[~ended], x_after[~ended])
    assert np.all(following[ended] < 1)  # begun anew
    begun = np.concatenate([x[:1].ravel(), following[ended]])
    assert len(np.unique(begun)) == len(begun)  # each elsewhere
    np.testing.assert_array_equal(x[0], start.observations[:, 0])
    np.testing.assert_array_equal(after.states.x, after.observations[:, 0])
    assert steps.weights.min() == steps.weights.max() == 1


def test_clocks_and_returns_are_those_of_each_episode(unrolled):
    """Every way to end is met: at the far end, by the clock, and by both at once."""
    _, after, steps = unrolled
    for e in range(SIDE):
        time, total = 0, 0.0
        for t in range(LENGTH):
            time, total = time + 1, total + steps.observations[t, e, 0]
            assert steps.rewards[t, e] == steps.observations[t, e, 0]
            np.testing.assert_allclose(steps.returns[t, e], total, rtol=1e-6)
            assert steps.truncated[t, e] == (time == LIMIT)
            if steps.truncated[t, e] or steps.terminated[t, e]:
                time, total = 0, 0.0
        assert after.states.time[e] == time
        np.testing.assert_allclose(after.returns[e], total, rtol=1e-6)
    assert all((one & other).any() for one in (steps.terminated, ~steps.terminated)
               for other in (steps.truncated, ~steps.truncated))


def test_what_the_clock_cuts_off_is_worth_its_true_next_state(unrolled):
    """By an estimate that is the state itself."""
    steps = unrolled[2]
    worth = np.asarray(jax.jit(lambda: lambda_returns(
        steps.rewards, steps.next_observations[..., 0], steps.terminated, steps.truncated, discount=0.5, trace=1.0))())
    cut = steps.truncated & ~steps.terminated
    np.testing.assert_allclose(worth[cut], (1.5 * steps.observations[..., 0] + 0.5 * MOVES)[cut], rtol=1e-6)
    np.testing.assert_array_equal(worth[steps.terminated], steps.rewards[steps.terminated])


def test_two_halves_are_the_whole_but_for_where_it_begins_anew():
    start = begin(jax.random.key(0), ROAD, num=SIDE)
    still = np.zeros((2, SIDE), np.int32)  # no reset on the way

    @jax.jit
    def both():
        between, first = unroll(jax.random.key(1), ROAD, as_drawn, start, still[:1])
        end, second = unroll(jax.random.key(2), ROAD, as_drawn, between, still[1:])
        joined = jax.tree.map(lambda *halves: jnp.concatenate(halves), first, second)
        return (end, joined), unroll(jax.random.key(3), ROAD, as_drawn, start, still)

    jax.tree.map(np.testing.assert_array_equal, *both())


@pytest.fixture(scope="module")
def played():
    return jax.tree.map(np.asarray, jax.jit(lambda: play_episodes(jax.random.key(0), ROAD, as_drawn, MOVES[:6]))())


def test_an_episode_is_whole_and_nothing_lies_behind_its_end(played):
    """Weights, rewards and returns; each of the environments plays one."""
    x, x_after = played.observations[..., 0], played.next_observations[..., 0]
    assert np.all(x[0] < 1)
    for e in range(SIDE):
        length = next(t + 1 for t in range(LIMIT) if x[0, e] + MOVES[:t + 1, e].sum() >= FAR or t + 1 == LIMIT)
        within = np.arange(len(x)) < length
        np.testing.assert_array_equal(played.weights[:, e], within)
        np.testing.assert_allclose(x[:length, e], x[0, e] + np.cumsum(MOVES[:length, e]) - MOVES[:length, e], rtol=1e-6)
        np.testing.assert_allclose(x_after[:length, e], x[:length, e] + MOVES[:length, e], rtol=1e-6)
        np.testing.assert_array_equal(played.rewards[:, e], np.where(within, x[:, e], 0))
        np.testing.assert_allclose(played.returns[:, e], np.cumsum(played.rewards[:, e]), rtol=1e-6)
        np.testing.assert_array_equal(played.truncated[:, e], np.arange(len(x)) == length - 1 if length == LIMIT else 0)
        fell = x_after[length - 1, e] >= FAR
        np.testing.assert_array_equal(played.terminated[:, e], (~within) | (fell & (np.arange(len(x)) == length - 1)))
    lengths = played.weights.sum(axis=0)
    assert lengths.min() < LIMIT == lengths.max()


def test_an_episode_longer_than_the_window_is_not_over():
    steps = jax.jit(lambda: play_episodes(jax.random.key(0), ROAD, as_drawn, np.zeros((2, SIDE), np.int32)))()
    assert not (steps.terminated | steps.truncated).any() and steps.weights.all()


def test_an_unknown_action_is_paid_in_nan_that_stays():
    """No error can be raised there: so every return of that episode, and of no other, is NaN from then on."""
    moves = np.zeros((LIMIT, SIDE), np.int32)
    moves[1, 2] = 3
    steps = jax.jit(lambda: play_episodes(jax.random.key(0), ROAD, as_drawn, moves))()
    np.testing.assert_array_equal(np.isnan(steps.returns), (np.arange(LIMIT) >= 1)[:, None] & (np.arange(SIDE) == 2))


def test_a_policy_acts_by_its_heads_and_noise():
    logits, noise = jnp.array([[0.0, 5.0], [5.0, 0.0]]), jnp.array([0.5, 0.5])
    act = acting_by(lambda observations: logits * observations[:, :1], CATEGORICAL, CARTPOLE)
    np.testing.assert_array_equal(act(jnp.ones((2, 4)), noise), [1, 0])
    np.testing.assert_array_equal(act(-jnp.ones((2, 4)), noise), [0, 1])


@pytest.mark.parametrize("environment, distribution, heads, words", [
    (CARTPOLE, CATEGORICAL, jnp.zeros((2, 3)), r"heads of a policy for CartPole-v1 must be \(..., 2\), got \(2, 3\)"),
    (PENDULUM, GAUSSIAN, Gaussian(jnp.zeros((2, 2)), jnp.zeros((2, 2))), r"Pendulum-v1 must be \(..., 1\), got \(2, 2"),
    (PENDULUM, GAUSSIAN, Gaussian(jnp.zeros((2, 1)), jnp.zeros(3)), r"Pendulum-v1 must be \(..., 1\), got \(3,\)"),
    (CARTPOLE, CATEGORICAL, jnp.zeros((3, 2)), r"noise of logits \(3, 2\) must be \(3,\), got \(2,\)"),
])
def test_a_head_that_does_not_fit_the_actions_is_refused(environment, distribution, heads, words):
    noise = distribution.noise(jax.random.key(0), (2,), environment.actions.size)
    with pytest.raises(ValueError, match=words):
        acting_by(lambda observations: heads, distribution, environment)(jnp.zeros((2, 1)), noise)


@pytest.mark.parametrize("environment, distribution, heads, words", [
    (PENDULUM, CATEGORICAL, jnp.zeros((2, 1)), "actions of Pendulum-v1 must be floating, got int32"),
    (CARTPOLE, GAUSSIAN, Gaussian(*jnp.zeros((2, 2, 2))), "actions of CartPole-v1 must be integers, got"),
])
def test_a_head_of_the_other_kind_is_refused(environment, distribution, heads, words):
    noise = distribution.noise(jax.random.key(0), (2, 2), environment.actions.size)
    with pytest.raises(TypeError, match=words):
        play_episodes(jax.random.key(0), environment, acting_by(lambda observations: heads, distribution, environment),
                      noise)
