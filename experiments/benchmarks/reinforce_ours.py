"""Our half of the benchmark of REINFORCE."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.acting.agent import Agent, agent_for, environment_of
from experiments.acting.recipes import RECIPES, Recipe
from experiments.benchmarks.side import serve, timed
from sandbox import reinforce, sharding
from sandbox.training import chunk_of


class Learning(NamedTuple):
    """A way to learn. initial: key -> state. step: state -> (state, metrics). taken: state -> environment steps that
    were acted on and learned from so far."""

    initial: Callable[[jax.Array], Any]
    step: Callable[[Any], tuple[Any, dict[str, jax.Array]]]
    taken: Callable[[Any], jax.Array]


def learn(file, *, way, seeds, devices, hidden_sizes, chunk_steps, repeats, name="CartPole-v1"):
    """Seconds of every chunk but the first and environment steps learned from in it, of all agents together; `way` is
    one of WAYS. Agents are divided over that many devices: of a CPU as many as are asked for."""
    jax.config.update("jax_num_cpu_devices", devices)
    agent = agent_for(environment_of(name), tuple(hidden_sizes))
    learning = WAYS[way](agent, RECIPES[name])
    mesh = sharding.make_mesh({"data": devices}, jax.devices()[:devices])
    states = jax.jit(jax.vmap(learning.initial))(jax.random.split(jax.random.key(0), seeds))
    states = sharding.place_batch(mesh, states)
    chunk = jax.jit(chunk_of(learning.step, chunk_steps, runs="vmap"), donate_argnums=0)
    compile_seconds, chunk = timed(lambda: chunk.lower(states).compile())
    seconds, taken, returns = [], [0], np.nan
    for _ in range(repeats + 1):
        elapsed, (states, metrics, _) = timed(chunk, states)
        seconds.append(elapsed)
        taken.append(int(np.sum(learning.taken(states))))
        returns = float(jnp.mean(metrics["return"][:, -1]))
    return {"compile_seconds": compile_seconds, "seconds": seconds[1:], "steps": np.diff(taken)[1:].tolist(),
            "mean_return": returns, "jax": jax.__version__, "device": jax.devices()[0].device_kind}


def learned_baseline(agent: Agent, recipe: Recipe) -> Learning:
    """As the experiment does it: several passes over each batch, in parts."""
    updates = recipe.steps // recipe.batch_steps * recipe.passes * recipe.minibatches
    optimizer = optax.adam(optax.linear_schedule(recipe.learning_rate, 0.0, updates), eps=1e-5)
    step = reinforce.actor_critic_step(
        agent.environment, agent.apply, agent.distribution, optimizer,
        num_steps=recipe.unroll, discount=recipe.discount, trace=recipe.trace, reward_scale=recipe.reward_scale,
        passes=recipe.passes, minibatches=recipe.minibatches)

    def initial(key: jax.Array) -> reinforce.Learner:
        to_draw, to_learn = jax.random.split(key)
        return reinforce.init_learner(to_learn, agent.init(to_draw), optimizer, agent.environment,
                                      num_environments=recipe.environments)

    return Learning(initial, step, lambda learner: learner.step * recipe.batch_steps)


def one_update(agent: Agent, recipe: Recipe) -> Learning:
    """The same, where a batch is learned from once, as a whole."""
    return learned_baseline(agent, recipe._replace(passes=1, minibatches=1))


def whole_episodes(agent: Agent, recipe: Recipe) -> Learning:
    """REINFORCE proper, as the experiment's preset full does it; what lies behind an episode's end does not count."""
    optimizer = optax.adam(0.01, eps=1e-5)
    step = reinforce.monte_carlo_step(agent.environment, agent.apply.policy, agent.distribution, optimizer,
                                      num_episodes=10, max_steps=500_000)

    def initial(key: jax.Array) -> reinforce.EpisodicLearner:
        to_draw, to_learn = jax.random.split(key)
        return reinforce.init_episodic(to_learn, agent.init(to_draw).policy, optimizer)

    return Learning(initial, step, lambda learner: learner.steps_used)


WAYS = {"learned baseline": learned_baseline, "learned baseline, one update": one_update,
        "whole episodes": whole_episodes}


if __name__ == "__main__":
    serve({"learn": learn})
