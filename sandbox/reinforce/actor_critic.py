"""The policy gradient with a learned baseline: act for a while, judge by a value that learns beside, improve both."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from sandbox.epochs import shuffled
from sandbox.reinforce.distributions import Distribution
from sandbox.reinforce.environment import Environment
from sandbox.reinforce.losses import Decisions, Returns, clipped_policy_gradient, value_error
from sandbox.reinforce.returns import advantages
from sandbox.reinforce.rollout import Steps, UnderWay, acting_by, begin, unroll

__all__ = ["ActorCritic", "Learner", "actor_critic_step", "init_learner"]

EPISODES_REMEMBERED = 20


class ActorCritic(NamedTuple):
    """A policy and the value of its states: the parameters of both, or the functions."""

    policy: Any
    value: Any


class Learner(NamedTuple):
    """A run under way.

    params: ActorCritic. opt_state: of the optimiser. under_way: the environments. episodes: () that have ended.
    recent_return: () mean return of about the last 20 of them. key: of the run. step: () batches learned from.
    """

    params: ActorCritic
    opt_state: optax.OptState
    under_way: UnderWay
    episodes: jax.Array
    recent_return: jax.Array
    key: jax.Array
    step: jax.Array


def init_learner(key: jax.Array, params: ActorCritic, optimizer: optax.GradientTransformation, environment: Environment,
                 *, num_environments: int) -> Learner:
    """A run at its beginning.

    >>> from sandbox.reinforce import CARTPOLE
    >>> learner = init_learner(jax.random.key(0), ActorCritic({}, {}), optax.sgd(0.1), CARTPOLE, num_environments=3)
    >>> learner.under_way.observations.shape, int(learner.step)
    ((3, 4), 0)
    """
    to_begin, to_learn = jax.random.split(key)
    return Learner(params, optimizer.init(params), begin(to_begin, environment, num=num_environments), jnp.zeros(()),
                   jnp.zeros(()), to_learn, jnp.zeros((), jnp.int32))


def actor_critic_step(environment: Environment, apply: ActorCritic, distribution: Distribution,
                      optimizer: optax.GradientTransformation, *, num_steps: int, discount: float, trace: float,
                      reward_scale: float = 1.0, normalise: bool = True, passes: int = 1,
                      minibatches: int = 1, clip: float = 0.2, entropy_weight: float = 0.0
                      ) -> Callable[[Learner], tuple[Learner, dict[str, jax.Array]]]:
    """A batch of T steps of E environments, and what is learned from it.

    Â by GAE(γ, λ) from the values, of which V + Â are the next targets; then, over and over the batch in parts, a step
    down the clipped policy gradient's and the value error's sum. In one pass of one part that is the policy gradient,
    but for γ^t, which every step's share of the discounted gradient has and which is left out here, as is usual.

    Args:
      environment, distribution: whose actions are drawn. apply: of policy and value, (params, observations) -> head and
        values. optimizer: of both parameters.
      num_steps: T. discount: γ. trace: λ. reward_scale: of the rewards that are learned from, such that values are of
        the order of 1 to 10. normalise: advantages to mean 0 and deviation 1.
      passes: over the batch. minibatches: parts of each pass. clip: ε. entropy_weight: c.
    Returns:
      step(Learner) -> (Learner, {"return", "episodes", "value_loss", "entropy_nats"}); the return is that of recent
      episodes, and means nothing before any have ended.
    Raises:
      ValueError: passes or minibatches below 1; in a step, minibatches that do not divide T E, heads that do not fit
        the actions, or what `advantages` and `clipped_policy_gradient` refuse.
    Source: Mnih et al. 2016, "Asynchronous methods for deep reinforcement learning"; Schulman et al. 2017.

    >>> from sandbox.reinforce import CARTPOLE, CATEGORICAL, CategoricalPolicy, StateValue
    >>> policy, value, optimizer = CategoricalPolicy(2, (8,)), StateValue((8,)), optax.adam(1e-2)
    >>> def init(key):
    ...     params = ActorCritic(*(network.init(key, jnp.zeros(4)) for network in (policy, value)))
    ...     return init_learner(key, params, optimizer, CARTPOLE, num_environments=2)
    >>> step = actor_critic_step(CARTPOLE, ActorCritic(policy.apply, value.apply), CATEGORICAL, optimizer, num_steps=8,
    ...                          discount=0.99, trace=0.95)
    >>> learner, metrics = jax.eval_shape(lambda key: step(init(key)), jax.random.key(0))
    >>> sorted(metrics)
    ['entropy_nats', 'episodes', 'return', 'value_loss']
    """
    if min(passes, minibatches) < 1:
        raise ValueError(f"passes and minibatches must be at least 1, got {passes} and {minibatches}")

    def loss(params: ActorCritic, batch: tuple[Decisions, Returns]) -> tuple[jax.Array, dict[str, jax.Array]]:
        decisions, returns = batch
        policy_loss, aux = clipped_policy_gradient(params.policy, decisions, apply_fn=apply.policy, clip=clip,
                                                   distribution=distribution, entropy_weight=entropy_weight)
        value_loss, _ = value_error(params.value, returns, apply_fn=apply.value)
        return policy_loss + value_loss, {"value_loss": value_loss, "entropy_nats": jnp.mean(aux.entropies)}

    def improve(carry: tuple, batch: tuple[Decisions, Returns]) -> tuple[tuple, dict[str, jax.Array]]:
        params, opt_state = carry
        gradient, metrics = jax.grad(loss, has_aux=True)(params, batch)
        updates, opt_state = optimizer.update(gradient, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), metrics

    def step(learner: Learner) -> tuple[Learner, dict[str, jax.Array]]:
        to_act, to_reset, to_shuffle = jax.random.split(jax.random.fold_in(learner.key, learner.step), 3)
        num = learner.under_way.observations.shape[0]
        if num_steps * num % minibatches:
            raise ValueError(f"minibatches must divide the batch of {num_steps} steps of {num} environments, got "
                             f"{minibatches}")
        policy = partial(apply.policy, learner.params.policy)
        noise = distribution.noise(to_act, (num_steps, num), environment.actions.size)
        under_way, steps = unroll(to_reset, environment, acting_by(policy, distribution, environment),
                                  learner.under_way, noise)
        rewarded = steps._replace(rewards=reward_scale * steps.rewards)
        batch = _judged(learner.params, rewarded, apply, distribution, discount=discount, trace=trace,
                        normalise=normalise)

        def go_over(carry: tuple, key: jax.Array) -> tuple[tuple, dict[str, jax.Array]]:
            rows = shuffled(key, jnp.arange(num_steps * num), num_rows=num_steps * num).reshape(minibatches, -1)
            return jax.lax.scan(improve, carry, jax.tree.map(lambda leaf: leaf[rows], batch))

        (params, opt_state), metrics = jax.lax.scan(go_over, (learner.params, learner.opt_state),
                                                    jax.random.split(to_shuffle, passes))
        episodes, recent = _recent(learner, steps)
        after = Learner(params, opt_state, under_way, episodes, recent, learner.key, learner.step + 1)
        return after, {"return": recent, "episodes": episodes, **jax.tree.map(jnp.mean, metrics)}

    return step


def _judged(params: ActorCritic, steps: Steps, apply: ActorCritic, distribution: Distribution, *, discount: float,
            trace: float, normalise: bool) -> tuple[Decisions, Returns]:
    """What there is to learn from steps, as T E rows: how good each decision was, and what each state was worth."""
    rows = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), steps)
    values, next_values = (apply.value(params.value, seen).reshape(steps.rewards.shape)
                           for seen in (rows.observations, rows.next_observations))
    better = advantages(steps.rewards, values, next_values, steps.terminated, steps.truncated, discount=discount,
                        trace=trace)
    returns = values + better
    if normalise:
        better = (better - jnp.mean(better)) / (jnp.std(better) + 1e-5)
    log_probs = distribution.log_prob(apply.policy(params.policy, rows.observations), rows.actions)
    return (Decisions(rows.observations, rows.actions, better.ravel(), log_probs, rows.weights),
            Returns(rows.observations, returns.ravel(), rows.weights))


def _recent(learner: Learner, steps: Steps) -> tuple[jax.Array, jax.Array]:
    """Episodes that have ended so far, and the moving mean of their returns."""
    ended = steps.terminated | steps.truncated
    count = jnp.sum(ended, dtype=steps.returns.dtype)
    mean = jnp.sum(jnp.where(ended, steps.returns, 0)) / jnp.maximum(count, 1)
    episodes = learner.episodes + count
    share = jnp.minimum(count / jnp.clip(episodes, 1, EPISODES_REMEMBERED), 1)
    return episodes, learner.recent_return + share * (mean - learner.recent_return)
