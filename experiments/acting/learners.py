"""The two ways to learn, as a run of steps: the experiment and its benchmark take them from here."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax

from experiments.acting.agent import Agent
from experiments.acting.recipes import Recipe
from sandbox import reinforce

BASELINES = {"leave-one-out": reinforce.leave_one_out, "constant": reinforce.batch_mean,
             "none": reinforce.no_baseline}


class Plain(NamedTuple):
    """What REINFORCE proper learns with. steps: of the environment, at most. batches: of whole episodes, at most.
    episodes: of a batch. learning_rate: Adam's, at first. baseline: one of BASELINES. discount: γ."""

    steps: int = 500_000
    batches: int = 160
    episodes: int = 10
    learning_rate: float = 0.01
    baseline: str = "leave-one-out"
    discount: float = 1.0


class Learning(NamedTuple):
    """A way to learn. initial: (key) -> state. step: state -> (state, metrics). num_steps: of the run."""

    initial: Callable[[jax.Array], Any]
    step: Callable[[Any], tuple[Any, dict[str, jax.Array]]]
    num_steps: int


def learned_baseline(agent: Agent, recipe: Recipe, *, normalise: bool = True, clip: float = 0.2,
                     entropy_weight: float = 0.0) -> Learning:
    """The policy gradient with a value that is learned beside it; the learning rate falls to 0 along a line."""
    num_batches = recipe.steps // recipe.batch_steps
    num_updates = num_batches * recipe.passes * recipe.minibatches
    optimizer = optax.adam(optax.linear_schedule(recipe.learning_rate, 0.0, num_updates), eps=1e-5)
    step = reinforce.actor_critic_step(
        agent.environment, agent.apply, agent.distribution, optimizer, num_steps=recipe.unroll,
        discount=recipe.discount, trace=recipe.trace, reward_scale=recipe.reward_scale, normalise=normalise,
        passes=recipe.passes, minibatches=recipe.minibatches, clip=clip, entropy_weight=entropy_weight)

    def initial(key: jax.Array) -> reinforce.Learner:
        to_draw, to_learn = jax.random.split(key)
        return reinforce.init_learner(to_learn, agent.init(to_draw), optimizer, agent.environment,
                                      num_environments=recipe.environments)

    return Learning(initial, step, num_batches)


def reinforce_proper(agent: Agent, plain: Plain, *, entropy_weight: float = 0.0) -> Learning:
    """Whole episodes, and no network but the policy; the learning rate falls to 0 along a line."""
    optimizer = optax.adam(plain.learning_rate, eps=1e-5)
    step = reinforce.monte_carlo_step(
        agent.environment, agent.apply.policy, agent.distribution, optimizer, num_episodes=plain.episodes,
        max_steps=plain.steps, baseline=BASELINES[plain.baseline], discount=plain.discount,
        entropy_weight=entropy_weight)

    def initial(key: jax.Array) -> reinforce.EpisodicLearner:
        to_draw, to_learn = jax.random.split(key)
        return reinforce.init_episodic(to_learn, agent.init(to_draw).policy, optimizer)

    return Learning(initial, step, plain.batches)
