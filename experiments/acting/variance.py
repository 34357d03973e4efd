"""How noisy the policy gradient is under every baseline, measured on whole episodes of one policy."""

from functools import partial

import jax
import jax.numpy as jnp

from experiments.acting.agent import Agent
from sandbox import reinforce
from sandbox.reinforce import ActorCritic, Decisions

EPISODES, DRAW = 128, 9273  # the key of the episodes is no run's
BASELINES = ("none, whole return", "none, reward to go", "constant", "optimal constant", "leave-one-out",
             "learned value")


def by_baseline(agent: Agent, params: ActorCritic, *, discount: float, episodes: int = EPISODES) -> jax.Array:
    """Variance of one episode's estimate of ∇J, Σ_t γ^t (G_t − b) ∇ log π, summed over all parameters, by baseline.

    Constants are of another half of the episodes; leave-one-out compares each with all others of its own half; the
    learned value is the critic of that policy.

    Args:
      params: of one agent. discount: γ, of returns and of what the critic has learned. episodes: of each half.
    Returns:
      One for each of BASELINES.
    """
    environment = agent.environment
    to_act, to_reset = jax.random.split(jax.random.key(DRAW))
    noise = agent.distribution.noise(to_act, (environment.max_episode_steps, 2 * episodes), environment.actions.size)
    act = reinforce.acting_by(partial(agent.policy.apply, params.policy), agent.distribution, environment)
    steps = reinforce.play_episodes(to_reset, environment, act, noise)
    to_go = reinforce.discounted_returns(steps.rewards, steps.terminated | steps.truncated, discount=discount)
    others, own = (jax.tree.map(lambda leaf, half=half: leaf[:, half * episodes:(half + 1) * episodes], (steps, to_go))
                   for half in range(2))
    decay = discount ** jnp.arange(environment.max_episode_steps, dtype=to_go.dtype)[:, None]

    def gradients(steps: reinforce.Steps, worth: jax.Array) -> jax.Array:
        """(episodes, parameters): of Σ_t worth_t log π, episode by episode."""
        def of_episode(steps: reinforce.Steps, worth: jax.Array) -> jax.Array:
            batch = Decisions(steps.observations, steps.actions, worth, jnp.zeros_like(worth), steps.weights)
            grad = jax.grad(reinforce.policy_gradient, has_aux=True)(
                params.policy, batch, apply_fn=agent.policy.apply, distribution=agent.distribution)[0]
            return -jnp.sum(steps.weights) * jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(grad)])

        return jax.vmap(of_episode, in_axes=(1, 1))(steps, worth)

    scores, worth = (gradients(others[0], decay * one) for one in (jnp.ones_like(others[1]), others[1]))
    squares = jnp.sum(scores**2, axis=1)
    optimal = reinforce.optimal_constant(squares, jnp.sum(scores * worth, axis=1) / jnp.maximum(squares, 1e-12),
                                         jnp.ones(episodes))
    mean = jnp.sum(others[1] * others[0].weights) / jnp.sum(others[0].weights)
    steps, to_go = own
    baselines = (0, mean, optimal, reinforce.leave_one_out(to_go, steps.weights),
                 agent.value_of(params, steps.observations))
    less = jnp.stack([reinforce.full_returns(steps.rewards, discount=discount),
                      *(decay * (to_go - baseline) for baseline in baselines)])
    return jax.lax.map(lambda one: jnp.sum(jnp.var(gradients(steps, one * steps.weights), axis=0)), less)
