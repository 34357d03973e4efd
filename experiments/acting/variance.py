"""How noisy the policy gradient is under every baseline, measured on whole episodes of one policy."""

import jax
import jax.numpy as jnp

from experiments.acting.agent import Agent
from experiments.acting.recipes import Recipe
from sandbox import reinforce
from sandbox.reinforce import ActorCritic, Decisions

EPISODES = 128
BASELINES = ("none, whole return", "none, reward to go", "constant", "optimal constant", "leave-one-out",
             "learned value")


def by_baseline(agent: Agent, recipe: Recipe, params: ActorCritic) -> jax.Array:
    """Variance of one episode's gradient Σ_t (G_t − b) ∇ log π, summed over all parameters, by baseline.

    Constant and optimal constant are of another half of the episodes, as is what each episode is compared with by
    leave-one-out; the learned value is the critic of that policy.

    Args:
      params: of one agent, ActorCritic.
    Returns:
      One for each of BASELINES.
    """
    environment = agent.environment
    to_act, to_reset = jax.random.split(jax.random.key(0))
    noise = agent.distribution.noise(to_act, (environment.max_episode_steps, 2 * EPISODES), environment.actions.size)
    steps = reinforce.play_episodes(
        to_reset, environment,
        lambda seen, noise: agent.distribution.sample(agent.policy.apply(params.policy, seen), noise), noise)
    to_go = reinforce.discounted_returns(steps.rewards, steps.terminated | steps.truncated, discount=recipe.discount)
    others, own = (jax.tree.map(lambda leaf, half=half: leaf[:, half * EPISODES:(half + 1) * EPISODES], (steps, to_go))
                   for half in range(2))

    def gradients(steps: reinforce.Steps, worth: jax.Array) -> jax.Array:
        """(EPISODES, parameters): of Σ_t worth_t log π, episode by episode."""
        def of_episode(steps: reinforce.Steps, worth: jax.Array) -> jax.Array:
            batch = Decisions(steps.observations, steps.actions, worth, jnp.zeros_like(worth), steps.weights)
            grad = jax.grad(reinforce.policy_gradient, has_aux=True)(
                params.policy, batch, apply_fn=agent.policy.apply, distribution=agent.distribution)[0]
            return -jnp.sum(steps.weights) * jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(grad)])

        return jax.vmap(of_episode, in_axes=(1, 1))(steps, worth)

    ones = jnp.ones_like(others[1])
    scores, worth = gradients(others[0], ones), gradients(others[0], others[1])
    squares = jnp.sum(scores**2, axis=1)
    optimal = reinforce.optimal_constant(squares, jnp.sum(scores * worth, axis=1) / jnp.maximum(squares, 1e-12),
                                         jnp.ones(EPISODES))
    mean = jnp.sum(others[1] * others[0].weights) / jnp.sum(others[0].weights)
    steps, to_go = own
    value = jnp.asarray(agent.value.apply(params.value, steps.observations)) / recipe.reward_scale
    less = jnp.stack([reinforce.full_returns(steps.rewards, discount=recipe.discount), to_go, to_go - mean,
                      to_go - optimal, to_go - reinforce.leave_one_out(to_go, steps.weights), to_go - value])
    return jax.lax.map(lambda one: jnp.sum(jnp.var(gradients(steps, one * steps.weights), axis=0)), less)
