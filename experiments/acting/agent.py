"""Agents in hand: act, say how likely and how good, play an episode, here or in gymnasium."""

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from experiments.acting import in_gymnasium
from experiments.runner.errors import UserError
from experiments.runner.progress import bar
from sandbox import reinforce
from sandbox.reinforce import ActorCritic, Distribution, Environment, Steps


@dataclasses.dataclass(frozen=True)
class Agent:
    """K agents of one kind for an environment. policy, value: their networks. distribution: what a head of the
    policy means. reward_scale: of what values were learned from. params: of all K, stacked; None before they have any.
    """

    environment: Environment
    policy: nn.Module
    value: nn.Module
    distribution: Distribution
    reward_scale: float = 1.0
    params: Any = dataclasses.field(default=None, repr=False)

    @property
    def apply(self) -> ActorCritic:
        """(params, observations) -> heads, and values."""
        return ActorCritic(self.policy.apply, self.value.apply)

    @property
    def num(self) -> int:
        """How many there are."""
        return jax.tree.leaves(self.params)[0].shape[0]

    @property
    def num_parameters(self) -> int:
        """Of one of them."""
        return sum(leaf[0].size for leaf in jax.tree.leaves(self.params))

    def init(self, key: jax.Array) -> ActorCritic:
        """Parameters of one, drawn."""
        nothing = jnp.zeros((1, self.environment.observation_size))
        return ActorCritic(*(network.init(one, nothing)
                             for network, one in zip((self.policy, self.value), jax.random.split(key))))

    def with_params(self, params: ActorCritic) -> "Agent":
        """The same, of these parameters."""
        return dataclasses.replace(self, params=params)

    def act(self, observation: np.ndarray, agent: int = 0) -> np.ndarray:
        """The likeliest action in what an observation (D,) shows, or of each of (N, D)."""
        return np.asarray(_likeliest(self.distribution, self.policy, self._policy(agent), self._seen(observation)))

    def probabilities(self, observation: np.ndarray, agent: int = 0) -> np.ndarray:
        """Of each action, (..., A); of an environment with a few of them."""
        if not isinstance(self.environment.actions, reinforce.Discrete):
            raise UserError(f"actions of {self.environment.name} are real numbers: ask for the policy's Gaussian, "
                            "model.policy.apply")
        return np.asarray(jax.nn.softmax(_applied(self.policy, self._policy(agent), self._seen(observation))))

    def worth(self, observation: np.ndarray, agent: int = 0) -> np.ndarray:
        """V: discounted reward that is expected from here on."""
        value = _applied(self.value, _nth(self.params.value, agent), self._seen(observation))
        return np.asarray(value) / self.reward_scale

    def value_of(self, params: ActorCritic, observations: jax.Array) -> jax.Array:
        """The same, of one agent's parameters, to be compiled."""
        return jnp.asarray(self.value.apply(params.value, observations)) / self.reward_scale

    def play(self, seed: int = 0, agent: int = 0) -> Steps:
        """One episode of the likeliest actions, up to its end: each field (T, ...)."""
        steps = _played(self.environment, self.distribution, self.policy, 1, self._policy(agent), jax.random.key(seed))
        steps = jax.tree.map(lambda leaf: np.asarray(leaf)[:, 0], steps)
        return jax.tree.map(lambda leaf: leaf[:int(steps.weights.sum())], steps)

    def judge(self, params: Any, keys: jax.Array, *, episodes: int) -> jax.Array:
        """Undiscounted returns (K, episodes) of the likeliest actions, of K policies, each on episodes of its own."""
        def of_one(one: tuple[Any, jax.Array]) -> jax.Array:
            return played(self.environment, self.distribution, self.policy, episodes, *one).returns[-1]

        return jax.lax.map(of_one, (params, keys))

    def play_in_gymnasium(self, name: str, episodes: int, seed: int, after: Callable[[int], None] = lambda agents: None
                          ) -> np.ndarray:
        """The same in gymnasium's environment of that name; the first agent's episodes are of that seed. `after` is
        called with the number of agents that have played."""
        returns = []
        with bar("gymnasium", self.num) as show:
            for agent in range(self.num):
                act = partial(_likeliest, self.distribution, self.policy, self._policy(agent))
                returns.append(in_gymnasium.play(name, act, episodes=episodes, seed=seed + agent))
                show(agent + 1, f"return {returns[-1].mean():.1f}")
                after(agent + 1)
        return np.stack(returns)

    def learned(self) -> dict[str, Any]:
        """What makes them again, as arrays; see `revived`."""
        about = {"environment": self.environment.name, "widths": self.value.widths, "reward_scale": self.reward_scale}
        return {"policy": self.params.policy, "value": self.params.value,
                "about": np.frombuffer(json.dumps(about).encode(), np.uint8)}

    def _policy(self, agent: int) -> Any:
        if not 0 <= agent < self.num:
            raise UserError(f"agent must be 0 to {self.num - 1}, got {agent}")
        return _nth(self.params.policy, agent)

    def _seen(self, observation: np.ndarray) -> jax.Array:
        observation = np.asarray(observation, np.float32)
        size = self.environment.observation_size
        if observation.shape[-1:] != (size,):
            raise UserError(f"an observation of {self.environment.name} must be (..., {size}), got {observation.shape}")
        return jnp.asarray(observation)


def environment_of(name: str) -> Environment:
    """The environment of a name.

    Raises:
      UserError: there is none.
    """
    try:
        return reinforce.environment_named(name)
    except ValueError as error:
        raise UserError(f"--env: {error}. In gymnasium's others an agent can act by --env gymnasium:NAME") from error


def agent_for(environment: Environment, widths: tuple[int, ...], reward_scale: float = 1.0) -> Agent:
    """Agents without parameters yet."""
    policy, distribution = reinforce.policy_for(environment, widths=widths)
    return Agent(environment, policy, reinforce.StateValue(tuple(widths)), distribution, reward_scale)


def revived(learned: dict[str, Any]) -> Agent:
    """Agents from what `Agent.learned` kept."""
    about = json.loads(np.asarray(learned["about"]).tobytes())
    agent = agent_for(environment_of(about["environment"]), tuple(about["widths"]),
                      about["reward_scale"])
    return agent.with_params(ActorCritic(learned["policy"], learned["value"]))


def played(environment: Environment, distribution: Distribution, policy: nn.Module, episodes: int, params: Any,
           key: jax.Array) -> Steps:
    """Whole episodes of the likeliest actions of one policy."""
    def act(observations: jax.Array, nothing: jax.Array) -> jax.Array:
        return distribution.mode(policy.apply(params, observations))

    return reinforce.play_episodes(key, environment, act, jnp.zeros((environment.max_episode_steps, episodes)))


_played = jax.jit(played, static_argnums=(0, 1, 2, 3))


def _nth(stacked: Any, number: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[number], stacked)


@partial(jax.jit, static_argnums=0)
def _applied(network, params, observations):
    return network.apply(params, observations)


@partial(jax.jit, static_argnums=(0, 1))
def _likeliest(distribution, network, params, observations):
    return distribution.mode(network.apply(params, observations))
