"""REINFORCE proper: whole episodes, what they brought, and no network but the policy."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from sandbox.reinforce.baselines import leave_one_out
from sandbox.reinforce.distributions import Distribution
from sandbox.reinforce.environment import Environment
from sandbox.reinforce.losses import Decisions, policy_gradient
from sandbox.reinforce.returns import discounted_returns
from sandbox.reinforce.rollout import acting_by, play_episodes

__all__ = ["EpisodicLearner", "init_episodic", "monte_carlo_step"]


class EpisodicLearner(NamedTuple):
    """params: of the policy. opt_state: of the optimiser. steps_used: () of the environments, so far. key: of the run.
    step: () batches learned from."""

    params: Any
    opt_state: optax.OptState
    steps_used: jax.Array
    key: jax.Array
    step: jax.Array


def init_episodic(key: jax.Array, params: Any, optimizer: optax.GradientTransformation) -> EpisodicLearner:
    """A run at its beginning.

    >>> int(init_episodic(jax.random.key(0), {}, optax.sgd(0.1)).steps_used)
    0
    """
    return EpisodicLearner(params, optimizer.init(params), jnp.zeros((), jnp.int32), key, jnp.zeros((), jnp.int32))


def monte_carlo_step(environment: Environment, apply_fn: Callable[..., Any], distribution: Distribution,
                     optimizer: optax.GradientTransformation, *, num_episodes: int, max_steps: int,
                     baseline: Callable[[jax.Array, jax.Array], jax.Array] = leave_one_out, discount: float = 1.0,
                     entropy_weight: float = 0.0
                     ) -> Callable[[EpisodicLearner], tuple[EpisodicLearner, dict[str, jax.Array]]]:
    """One step of REINFORCE: N episodes, reward to go, the others at the same step as baseline, one gradient.

    g = Σ_{i,t} (G_{t,i} − b_{t,i}) ∇ log π(a_{t,i} | s_{t,i}) / Σ_i T_i.

    For γ = 1 its expectation is ∇J of the return within the environment's limit, up to scale; below that every term
    lacks its γ^t, as is usual, and dividing by the steps that were played adds a bias of O(1/N).

    The optimiser's updates shrink along a line, to 0 when max_steps of the environment are used up; a batch that
    oversteps that is thrown away, and nothing changes any more.

    Args:
      environment, distribution: whose actions are drawn. apply_fn: (params, observations) -> head.
      num_episodes: N, at least 2. max_steps: of the environment, over all episodes. baseline: b, of returns and weights
        (T, N); see baselines.py. discount: γ. entropy_weight: c.
    Returns:
      step(EpisodicLearner) -> (EpisodicLearner, {"return", "steps_used"}).
    Raises:
      ValueError: num_episodes below 2, or max_steps below 1; in a step, heads that do not fit the actions, or what
        `discounted_returns` and `policy_gradient` refuse.
    Source: Williams 1992; the baseline: Kool, van Hoof, Welling 2019.

    >>> from sandbox.reinforce import CARTPOLE, CATEGORICAL
    >>> step = monte_carlo_step(CARTPOLE, lambda scale, x: scale * x[..., :2], CATEGORICAL, optax.sgd(0.1),
    ...                         num_episodes=3, max_steps=1000)
    >>> learner = init_episodic(jax.random.key(0), jnp.ones(()), optax.sgd(0.1))
    >>> sorted(jax.eval_shape(step, learner)[1])
    ['return', 'steps_used']
    """
    if num_episodes < 2:
        raise ValueError(f"num_episodes must be at least 2, for each to be compared with others, got {num_episodes}")
    if max_steps < 1:
        raise ValueError(f"max_steps must be at least 1, got {max_steps}")

    def step(learner: EpisodicLearner) -> tuple[EpisodicLearner, dict[str, jax.Array]]:
        to_act, to_reset = jax.random.split(jax.random.fold_in(learner.key, learner.step))
        policy = partial(apply_fn, learner.params)
        noise = distribution.noise(to_act, (environment.max_episode_steps, num_episodes),
                                   environment.actions.size)
        steps = play_episodes(to_reset, environment, acting_by(policy, distribution, environment), noise)
        returns = discounted_returns(steps.rewards, steps.terminated | steps.truncated, discount=discount)
        batch = Decisions(steps.observations, steps.actions, returns - baseline(returns, steps.weights),
                          jnp.zeros_like(returns), steps.weights)
        gradient, _ = jax.grad(policy_gradient, has_aux=True)(
            learner.params, batch, apply_fn=apply_fn, distribution=distribution, entropy_weight=entropy_weight)
        updates, opt_state = optimizer.update(gradient, learner.opt_state, learner.params)
        left = 1 - learner.steps_used / max_steps
        params = optax.apply_updates(learner.params, jax.tree.map(lambda leaf: left.astype(leaf.dtype) * leaf, updates))
        used = learner.steps_used + jnp.sum(steps.weights).astype(jnp.int32)
        after = EpisodicLearner(params, opt_state, used, learner.key, learner.step + 1)
        after = jax.tree.map(lambda new, old: jnp.where(used <= max_steps, new, old), after, learner)
        return after, {"return": jnp.mean(steps.returns[-1]), "steps_used": after.steps_used}

    return step
