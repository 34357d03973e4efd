"""Our half of the benchmark of REINFORCE."""

import jax
import jax.numpy as jnp
import numpy as np

from experiments.acting.agent import agent_for, environment_of
from experiments.acting.learners import Plain, learned_baseline, reinforce_proper
from experiments.acting.recipes import RECIPES
from experiments.benchmarks.side import serve, timed
from sandbox import sharding
from sandbox.training import chunk_of


def learn(file, *, way, seeds, devices, hidden_sizes, chunk_steps, repeats, name="CartPole-v1"):
    """Seconds of every chunk but the first and environment steps learned from in it, of all agents together.

    way: "learned baseline" as the experiment has it; "learned baseline, one update", where a batch is learned from
    once, as a whole; or "whole episodes". Agents are divided over that many devices: of a CPU as many as are asked for.
    """
    jax.config.update("jax_num_cpu_devices", devices)
    agent, recipe = agent_for(environment_of(name), tuple(hidden_sizes)), RECIPES[name]
    if way == "whole episodes":
        learning, taken = reinforce_proper(agent, Plain()), lambda learner: learner.steps_used
    else:
        once = recipe._replace(passes=1, minibatches=1)
        learning = learned_baseline(agent, {"learned baseline": recipe, "learned baseline, one update": once}[way])
        taken = lambda learner: learner.step * recipe.batch_steps
    mesh = sharding.make_mesh({"data": devices}, jax.devices()[:devices])
    states = jax.jit(jax.vmap(learning.initial))(jax.random.split(jax.random.key(0), seeds))
    states = sharding.place_batch(mesh, states)
    chunk = jax.jit(chunk_of(learning.step, chunk_steps, runs="vmap"), donate_argnums=0)
    compile_seconds, chunk = timed(lambda: chunk.lower(states).compile())
    seconds, used, returns = [], [0], np.nan
    for _ in range(repeats + 1):
        elapsed, (states, metrics, _) = timed(chunk, states)
        seconds.append(elapsed)
        used.append(int(np.sum(taken(states))))
        returns = float(jnp.mean(metrics["return"][:, -1]))
    return {"compile_seconds": compile_seconds, "seconds": seconds[1:], "steps": np.diff(used)[1:].tolist(),
            "mean_return": returns, "jax": jax.__version__, "device": jax.devices()[0].device_kind}


if __name__ == "__main__":
    serve({"learn": learn})
