"""What is exact about small processes, against plain loops and against counting; and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.reinforce import exact, returns, tabular
from sandbox.reinforce.bandit import BANDIT, MEANS
from sandbox.reinforce.environment import check_actions
from sandbox.reinforce.grid import GRID, grid_world
from sandbox.reinforce.regulator import (
    DOUBLE_INTEGRATOR,
    REGULATOR,
    linear_gaussian_return,
    regulator_of,
    state_covariances,
)
from sandbox.reinforce.rollout import play_episodes
from sandbox.reinforce.tabular import MDP, check_mdp, tabular_environment

CORRIDOR = MDP(np.eye(3)[[[0, 1], [0, 2], [2, 2]]], np.array([[-1.0, -1.0], [-1.0, -1.0], [0.0, 0.0]]), np.eye(3)[0],
               np.array([False, False, True]))  # left and right; the door is at the right end


def drawn_process(seed, states=4, actions=3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(states, actions)), MDP(
        rng.dirichlet(np.ones(states), (states, actions)), rng.normal(size=(states, actions)),
        rng.dirichlet(np.ones(states)), np.zeros(states, bool))


def by_loops(theta, mdp, horizon, discount):
    """Values backwards and visits forwards, a number at a time."""
    states, actions = theta.shape
    policy = np.exp(theta) / np.exp(theta).sum(axis=1, keepdims=True)
    q, v = np.zeros((horizon, states, actions)), np.zeros((horizon + 1, states))
    for t in reversed(range(horizon)):
        for s in range(states):
            for a in range(actions):
                q[t, s, a] = mdp.rewards[s, a] + discount * mdp.transitions[s, a] @ v[t + 1]
                v[t, s] += policy[s, a] * q[t, s, a]
    visits = np.zeros((horizon, states))
    visits[0] = mdp.start
    for t in range(1, horizon):
        for s in range(states):
            for a in range(actions):
                visits[t] += discount * visits[t - 1, s] * policy[s, a] * mdp.transitions[s, a]
    return q, v[:-1], visits, mdp.start @ v[0], np.sum(visits[..., None] * policy * mdp.rewards)


@pytest.mark.parametrize("discount", [0.0, 0.7, 1.0])
def test_values_and_visits_are_a_plain_loops(discount, float64):
    theta, mdp = drawn_process(0)
    q, v, visits, value, earned = by_loops(theta, mdp, 5, discount)
    np.testing.assert_allclose(value, earned, rtol=1e-12)  # what is earned on the way is what it is worth at first
    for of, expected in ((tabular.action_values, q), (tabular.state_values, v), (tabular.state_visits, visits),
                         (tabular.expected_return, value)):
        np.testing.assert_allclose(of(jnp.asarray(theta), mdp, horizon=5, discount=discount), expected, rtol=1e-12)


def test_all_episodes_have_probability_one_and_the_expected_return(float64):
    theta, mdp = drawn_process(1, states=3, actions=2)
    episodes = exact.enumerate_episodes(jnp.asarray(theta), mdp, horizon=4)
    np.testing.assert_allclose(jnp.sum(episodes.probabilities), 1, rtol=1e-12)
    np.testing.assert_allclose(episodes.probabilities @ jnp.sum(episodes.rewards, axis=1),
                               tabular.expected_return(jnp.asarray(theta), mdp, horizon=4), rtol=1e-12)


def test_a_corridor_ends_at_its_door_and_its_clock_runs_out_before():
    environment = tabular_environment("corridor", CORRIDOR, 3)
    state, observation = environment.reset(jax.random.key(0))
    seen = [observation.tolist()]
    for action, ends in ((1, (False, False)), (1, (True, False)), (0, (True, True))):
        outcome = environment.step(state, jnp.array(action))
        state = outcome.state
        seen.append(outcome.observation.tolist())
        assert (bool(outcome.terminated), bool(outcome.truncated)) == ends
    assert seen == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]]
    assert outcome.reward == 0 and jnp.isnan(environment.step(state, jnp.array(2)).reward)


def test_where_a_step_leads_is_drawn_from_its_probabilities():
    """40,000 steps from each place of the grid: every share within 6 standard deviations, impossible ones never."""
    world, num = grid_world(), 40000
    keys = jax.random.split(jax.random.key(0), num)

    def counts(state, action):
        after = jax.vmap(lambda key: GRID.advance(tabular.TabularState(state, key), action)[0].state)(keys)
        return jnp.sum(after[:, None] == jnp.arange(len(world.start))[None], axis=0)

    each = jnp.arange(world.rewards.size)
    found = jax.jit(lambda: jax.lax.map(lambda pair: counts(*pair), jnp.divmod(each, 4)))() / num
    expected = world.transitions.reshape(found.shape)
    deviation = np.sqrt(expected * (1 - expected) / num)
    assert np.all(np.abs(found - expected) <= 6 * deviation + 1e-6)


def test_a_start_is_drawn_from_its_probabilities():
    mdp = CORRIDOR._replace(start=np.array([0.25, 0.75, 0.0]))
    start = tabular_environment("corridor", mdp, 3).start
    found = jax.vmap(lambda key: start(key).state)(jax.random.split(jax.random.key(1), 10000))
    assert abs(float(jnp.mean(found)) - 0.75) < 6 * (0.1875 / 10000) ** 0.5 and int(jnp.max(found)) == 1


def test_the_grid_slips_sideways_and_stays_where_a_wall_is():
    world = grid_world(("S.", "#G"), slip=0.2)
    right, down = 1, 2
    np.testing.assert_allclose(world.transitions[0, right], [0.2, 0.8, 0])  # up is the edge, down the wall
    np.testing.assert_allclose(world.transitions[1, down], [0.1, 0.1, 0.8])
    assert world.terminal.tolist() == [False, False, True] and world.start.tolist() == [1, 0, 0]


def test_the_bandit_pays_its_means_and_unit_noise_once():
    state, observation = BANDIT.reset(jax.random.key(0))
    assert observation.tolist() == [1.0] and bool(BANDIT.step(state, jnp.array(0)).terminated)

    def reward(key, action):
        return BANDIT.step(BANDIT.reset(key)[0], action).reward

    rewards = jax.vmap(jax.vmap(reward, (0, None)), (None, 0))(
        jax.random.split(jax.random.key(2), 10000), jnp.arange(len(MEANS)))
    np.testing.assert_allclose(jnp.mean(rewards, axis=1), MEANS, atol=0.06)  # 6 of 0.01
    np.testing.assert_allclose(jnp.std(rewards, axis=1), 1, atol=0.06)


def test_the_regulators_return_is_the_mean_of_what_it_pays():
    """20,000 episodes under much noise: within 5 standard errors; and the covariances of its states."""
    system = DOUBLE_INTEGRATOR._replace(G=((0.5, 0.0), (0.5, 1.0)), R=((1.0,),))
    horizon, K, log_std = 20, jnp.array([[1.0, 1.5]]), jnp.log(jnp.array([2.0]))

    @jax.jit
    def played(key):
        to_play, to_act = jax.random.split(key)
        return play_episodes(to_play, regulator_of("noisy", system, horizon),
                             lambda x, noise: -x @ K.T + jnp.exp(log_std)[None] * noise,
                             jax.random.normal(to_act, (horizon, 20000, 1)))

    steps = played(jax.random.key(0))
    for discount in (1.0, 0.5):
        total = np.float64(returns.full_returns(steps.rewards, discount=discount)[0])
        truth = linear_gaussian_return(K, log_std, system, horizon=horizon, discount=discount)
        assert abs(total.mean() - float(truth)) < 5 * total.std() / total.size**0.5 < 0.03 * abs(float(truth))
    covariances = state_covariances(K, log_std, system, horizon=horizon)
    found = jnp.einsum("tei,tej->tij", steps.observations, steps.observations) / total.size
    scale = jnp.sqrt(jnp.diagonal(covariances, axis1=1, axis2=2))
    assert jnp.all(jnp.abs(found - covariances) < 0.06 * scale[:, :, None] * scale[:, None])


def test_the_regulator_moves_by_its_equations_and_knows_no_end_but_the_clocks():
    state, observation = REGULATOR.reset(jax.random.key(0))
    check_actions(REGULATOR, jnp.array([1e30]))
    A, B, Q, R, G, _ = (np.array(part) for part in DOUBLE_INTEGRATOR)
    outcome = REGULATOR.step(state, jnp.array([3.0]))
    x = np.array(observation)
    np.testing.assert_allclose(outcome.reward, -(x @ Q @ x + 9 * R[0, 0]), rtol=1e-6)
    noise = np.array(outcome.observation) - (A @ x + B @ [3.0])
    assert abs(noise[0]) < 1e-6 < abs(noise[1]) < 6 * G[1, 1]
    last = REGULATOR.step(outcome.state._replace(time=jnp.array(49)), jnp.array([0.0]))
    assert (bool(last.terminated), bool(last.truncated), bool(outcome.truncated)) == (False, True, False)


@pytest.mark.parametrize("environment", [GRID, BANDIT, REGULATOR])
def test_an_environment_is_an_argument_that_a_compiler_can_hash(environment):
    assert hash(environment) == hash(environment) and environment == environment


def test_what_is_no_process_is_refused():
    def refused(words, **parts):
        with pytest.raises(ValueError, match=words):
            check_mdp(CORRIDOR._replace(**parts))

    refused(r"must be \(S, A, S\), \(S, A\), \(S,\) and \(S,\), got \(3, 2, 3\), \(2,\)", rewards=np.zeros(2))
    refused("rewards must be finite, got nan", rewards=np.full((3, 2), np.nan))
    refused("transitions must be finite, got inf", transitions=np.full((3, 2, 3), np.inf))
    refused("transitions must be at least 0 and sum to 1, got a least 0.5 and a sum of 1.5",
            transitions=np.full((3, 2, 3), 0.5))
    refused("start must be at least 0 and sum to 1, got a least -0.5", start=np.array([1.5, -0.5, 0]))
    refused("rewards of a terminal state must be 0, got 2.0 in state 2",
            rewards=np.array([[0.0, 0.0], [0.0, 0.0], [0.0, -2.0]]))
    refused("transitions must not leave a terminal state, got some that leave state 2",
            transitions=np.eye(3)[[[0, 1], [0, 2], [1, 2]]])
    refused("start must not be in a terminal state, got 1.0 for state 2", start=np.eye(3)[2])
    with pytest.raises(ValueError, match="rewards must be finite"):
        tabular_environment("broken", CORRIDOR._replace(rewards=np.full((3, 2), np.nan)), 3)


@pytest.mark.parametrize("of", [tabular.action_values, tabular.state_values, tabular.state_visits,
                                tabular.expected_return, exact.tabular_policy_gradient,
                                exact.enumerated_policy_gradient])
def test_what_does_not_fit_a_process_is_refused(of):
    theta = jnp.zeros((3, 2))
    with pytest.raises(ValueError, match=r"theta must be of the shape of the rewards, \(3, 2\), got \(3, 3\)"):
        of(jnp.zeros((3, 3)), CORRIDOR, horizon=2)
    with pytest.raises(ValueError, match="horizon must be at least 1, got 0"):
        of(theta, CORRIDOR, horizon=0)
    for discount in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"discount must be in \[0, 1\], got"):
            of(theta, CORRIDOR, horizon=2, discount=discount)
    with pytest.raises(ValueError, match="transitions, rewards, start and terminal must be"):
        of(theta, CORRIDOR._replace(start=np.ones(4)), horizon=2)


def test_too_many_episodes_are_refused():
    with pytest.raises(ValueError, match=r"episodes must be at most a million, got 6\*\*8"):
        exact.enumerate_episodes(jnp.zeros((3, 2)), CORRIDOR, horizon=8)


@pytest.mark.parametrize("of", [linear_gaussian_return, exact.regulator_grad])
def test_what_does_not_fit_a_regulator_is_refused(of):
    K, log_std = jnp.zeros((1, 2)), jnp.zeros(1)
    with pytest.raises(ValueError, match=r"gain and log_std must be \(1, 2\) and \(1,\), got \(2, 1\) and \(1,\)"):
        of(K.T, log_std, DOUBLE_INTEGRATOR, horizon=2)
    with pytest.raises(ValueError, match="gain and log_std must be"):
        of(K, jnp.zeros(2), DOUBLE_INTEGRATOR, horizon=2)
    with pytest.raises(ValueError, match="horizon must be at least 1, got 0"):
        of(K, log_std, DOUBLE_INTEGRATOR, horizon=0)
    with pytest.raises(ValueError, match=r"discount must be in \[0, 1\], got 2"):
        of(K, log_std, DOUBLE_INTEGRATOR, horizon=2, discount=2.0)


@pytest.mark.parametrize("plan, slip, words", [
    (("S.", "G"), 0.0, "plan must be rows of equal length"), (("SX",), 0.0, "plan must be rows"),
    ((".G",), 0.0, "one S at least"), (("SG",), 1.5, r"slip must be in \[0, 1\], got 1.5"),
])
def test_a_plan_that_is_none_is_refused(plan, slip, words):
    with pytest.raises(ValueError, match=words):
        grid_world(plan, slip)
