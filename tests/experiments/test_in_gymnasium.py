"""Policies at play in gymnasium: the same episodes as one by one, the same score as here, and what does not fit."""

import sys

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.acting.in_gymnasium import play, require_matching
from experiments.runner.errors import UserError
from sandbox.reinforce import ACROBOT, CARTPOLE, MOUNTAIN_CAR, PENDULUM, play_episodes


def leaning(observations):
    """Push the cart to where the pole leans: returns of about 40."""
    return (observations[..., 2] > 0).astype(int)


def test_episodes_side_by_side_are_those_one_by_one():
    returns = play("CartPole-v1", leaning, episodes=3, seed=5)
    env = gymnasium.make("CartPole-v1")

    def alone(seed):
        observation, over, paid = env.reset(seed=seed)[0], False, 0.0
        while not over:
            observation, reward, terminated, truncated, _ = env.step(leaning(observation))
            paid, over = paid + reward, terminated or truncated
        return paid

    assert returns.tolist() == [alone(int(seed)) for seed in np.random.SeedSequence(5).generate_state(3)]
    assert len(set(returns)) == 3
    assert returns.tolist() != play("CartPole-v1", leaning, episodes=3, seed=6).tolist()


def test_a_policy_scores_there_what_it_scores_here():
    """The difference of the two means is within 4 of its standard errors: once in 16,000 times it would not be."""
    there = play("CartPole-v1", leaning, episodes=100, seed=0)
    here = jax.jit(lambda key: play_episodes(key, CARTPOLE, lambda observations, _: leaning(observations),
                                             jnp.zeros((500, 100))).rewards.sum(axis=0))(jax.random.key(0))
    error = np.sqrt((there.var() + here.var()) / 100)
    assert abs(there.mean() - here.mean()) < 4 * error < 8


def test_a_policy_is_shown_all_episodes_until_the_last_is_over():
    shown = []

    def act(observations):
        shown.append(observations.copy())
        return np.zeros((2, 1))

    assert play("MountainCarContinuous-v0", act, episodes=2, seed=0).tolist() == [0, 0]
    assert len(shown) == 999 and {(one.shape, one.dtype.name) for one in shown} == {((2, 2), "float32")}


def test_actions_are_clipped_to_the_box():
    def swing(size):
        return play("Pendulum-v1", lambda observations: size * np.sign(observations[:, 2:]), episodes=2, seed=0)

    np.testing.assert_array_equal(swing(100.0), swing(2.0))
    assert (swing(2.0) != swing(1.0)).all()


@pytest.mark.parametrize("environment", [CARTPOLE, ACROBOT, PENDULUM, MOUNTAIN_CAR], ids=lambda one: one.name)
def test_the_environments_here_fit_their_namesakes(environment):
    require_matching(environment.name, environment)


class Odd(gymnasium.Env):
    """Counts its actions from 1, and pays NaN for the first."""

    observation_space = gymnasium.spaces.Box(-1, 1, (4,))
    action_space = gymnasium.spaces.Discrete(2, start=1)

    def reset(self, *, seed=None, options=None):
        """All zeros."""
        return np.zeros(4, np.float32), {}

    def step(self, action):
        """The end."""
        return np.zeros(4, np.float32), float("nan"), True, False, {}


@pytest.fixture
def odd(monkeypatch):
    """The name of an environment that only this test knows."""
    monkeypatch.setattr(gymnasium.envs.registration, "registry", dict(gymnasium.registry))
    gymnasium.register("Odd-v0", Odd, disable_env_checker=True, max_episode_steps=9)
    gymnasium.register("Endless-v0", Odd, disable_env_checker=True)
    return "Odd-v0"


@pytest.mark.parametrize("name, environment, words", [
    ("Acrobot-v1", CARTPOLE, "gymnasium's Acrobot-v1 shows Box(6,) and takes Discrete(3), but a policy for CartPole-v1 "
                             "must be shown Box(4,) and acts in Discrete(2)"),
    ("MountainCar-v0", MOUNTAIN_CAR, "gymnasium's MountainCar-v0 shows Box(2,) and takes Discrete(3), but a policy for "
                                     "MountainCarContinuous-v0 must be shown Box(2,) and acts in Box(1,)"),
    ("FrozenLake-v1", CARTPOLE, "gymnasium's FrozenLake-v1 shows Discrete(16) and takes Discrete(4), but a policy for "
                                "CartPole-v1 must be shown Box(4,) and acts in Discrete(2)"),
    ("Odd-v0", CARTPOLE, "gymnasium's Odd-v0 shows Box(4,) and takes Discrete(2, start=1), but a policy for "
                         "CartPole-v1 must be shown Box(4,) and acts in Discrete(2)"),
])
def test_another_interface_is_refused(name, environment, words, odd):
    with pytest.raises(UserError) as refused:
        require_matching(name, environment)
    assert str(refused.value) == words


@pytest.mark.parametrize("name, words", [
    ("cartpole-v1", "close to it: CartPole-v1"),
    ("CartPole-v7", "close to it: CartPole-v"),
    ("Acrobat", "close to it: Acrobot-v1"),
    ("", "gymnasium cannot make '': Malformed environment ID"),
    ("NoSuch/Thing-v0", "Namespace NoSuch not found"),
    ("no_such_module:Thing-v0", "No module named 'no_such_module'"),
])
def test_an_unknown_name_is_refused_with_those_close_to_it(name, words):
    for call in (lambda: require_matching(name, CARTPOLE), lambda: play(name, leaning, episodes=1, seed=0)):
        with pytest.raises(UserError) as refused:
            call()
        assert f"gymnasium cannot make {name!r}: " in str(refused.value) and words in str(refused.value)


def test_a_return_of_nan_is_refused(odd):
    with pytest.raises(UserError, match="returns must be finite, but of gymnasium's Odd-v0 one is nan"):
        play(odd, leaning, episodes=2, seed=0)
    with pytest.raises(UserError, match="Endless-v0 has no limit of steps: its episodes might never end"):
        play("Endless-v0", leaning, episodes=2, seed=0)


def test_without_gymnasium_one_is_told_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(UserError, match=r"gymnasium is not installed: pip install -e '\.\[gym\]'"):
        require_matching("CartPole-v1", CARTPOLE)
