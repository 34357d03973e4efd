"""Acting, judging and improving as one step: by hand, side by side, what it keeps count of, and that it learns."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sandbox.reinforce import (
    BANDIT,
    CATEGORICAL,
    GRID,
    ActorCritic,
    acting_by,
    actor_critic_step,
    expected_return,
    grid_world,
    init_learner,
    unroll,
)

ACTIONS, LENGTH, SIDE = 4, 8, 3  # of the grid, as of the bandit
HOW = {"num_steps": LENGTH, "discount": 0.9, "trace": 0.8}


def linear(params, observations):
    """A table, as observations are one-hot."""
    return jnp.tensordot(observations, params, axes=1)


APPLY = ActorCritic(linear, linear)


def step_of(optimizer, environment=GRID, **how):
    return actor_critic_step(environment, APPLY, CATEGORICAL, optimizer, **(HOW | how))


@functools.partial(jax.jit, static_argnums=(1, 2), static_argnames="num")
def begun(key, optimizer, environment=GRID, num=SIDE):
    to_draw, to_learn = jax.random.split(key)
    drawn = 0.3 * jax.random.normal(to_draw, (environment.observation_size, ACTIONS + 1))
    params = ActorCritic(drawn[:, :ACTIONS], drawn[:, ACTIONS])
    return init_learner(to_learn, params, optimizer, environment, num_environments=num)


@jax.jit
def experienced(learner):
    """What the next step will learn from: the environments and the policy of a learner, and the keys of its step."""
    to_act, to_reset, _ = jax.random.split(jax.random.fold_in(learner.key, learner.step), 3)
    act = acting_by(lambda observations: linear(learner.params.policy, observations), CATEGORICAL, GRID)
    noise = CATEGORICAL.noise(to_act, (LENGTH, SIDE), ACTIONS)
    return unroll(to_reset, GRID, act, learner.under_way, noise)


def numbers(tree):
    """The leaves, keys as the numbers that they are."""
    return [jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
            for leaf in jax.tree.leaves(tree)]


def by_hand(params, steps, scale):
    """∇ of policy and value, a step at a time."""
    theta, v = (np.float64(part) for part in params)
    p = np.exp(theta) / np.exp(theta).sum(axis=1, keepdims=True)
    states, next_states = (seen.argmax(axis=-1) for seen in (steps.observations, steps.next_observations))
    better = np.zeros((LENGTH + 1, SIDE))
    for t in reversed(range(LENGTH)):
        for e in range(SIDE):
            goes_on = not steps.terminated[t, e]
            better[t, e] = scale * steps.rewards[t, e] + 0.9 * goes_on * v[next_states[t, e]] - v[states[t, e]]
            if goes_on and not steps.truncated[t, e]:
                better[t, e] += 0.9 * 0.8 * better[t + 1, e]
    better = better[:-1]
    normal = (better - better.mean()) / better.std()
    of_theta, of_v = np.zeros_like(theta), np.zeros_like(v)
    for t in range(LENGTH):
        for e in range(SIDE):
            score = (np.arange(ACTIONS) == steps.actions[t, e]) - p[states[t, e]]
            of_theta[states[t, e]] -= normal[t, e] * score / (LENGTH * SIDE)
            of_v[states[t, e]] -= better[t, e] / (LENGTH * SIDE)  # V − G, G being V + Â
    return of_theta, of_v


@pytest.fixture(scope="module")
def plain():
    """One pass of one part; the learning rate is 1, so that what changes is the gradient."""
    optimizer = optax.sgd(1.0)
    return jax.jit(step_of(optimizer, reward_scale=0.5)), begun(jax.random.key(0), optimizer)


def test_one_pass_of_one_part_is_a_step_down_the_policy_gradient_and_the_value_error(plain):
    """Of 15 batches one after another, in which episodes end in both ways."""
    step, learner = plain
    ends = set()
    for number in range(15):
        under_way, steps = experienced(learner)
        steps = jax.tree.map(np.asarray, steps)
        ends |= set(zip(steps.terminated.ravel().tolist(), steps.truncated.ravel().tolist()))
        after, metrics = step(learner)
        for before, later, slope in zip(learner.params, after.params, by_hand(learner.params, steps, 0.5)):
            np.testing.assert_allclose(before - later, slope, rtol=1e-3, atol=2e-5)
        np.testing.assert_array_equal(after.under_way.observations, under_way.observations)
        assert int(after.step) == number + 1 and set(metrics) == {
            "return", "episodes", "value_loss", "entropy_nats"}
        learner = after
    assert {(True, False), (False, True), (False, False)} <= ends


def test_the_same_key_gives_the_same_bits(plain):
    step, learner = plain
    first, second = step(learner), step(learner)
    jax.tree.map(np.testing.assert_array_equal, numbers(first), numbers(second))
    other, _ = step(learner._replace(key=jax.random.key(1)))
    assert not np.array_equal(other.params.policy, first[0].params.policy)


def test_it_counts_episodes_and_follows_their_returns(plain):
    """Their plain mean up to 20 of them, from then on a moving one."""
    step, learner = plain
    all_ended, recent = [], 0.0
    for _ in range(24):
        steps = jax.tree.map(np.asarray, experienced(learner)[1])
        learner, metrics = step(learner)
        ended = steps.returns[steps.terminated | steps.truncated]
        all_ended += ended.tolist()
        if len(all_ended) <= 20:
            recent = np.mean(all_ended) if all_ended else 0.0
        elif len(ended):
            recent += min(len(ended) / 20, 1) * (ended.mean() - recent)
        assert learner.episodes == len(all_ended) and metrics["return"] == learner.recent_return
        np.testing.assert_allclose(learner.recent_return, recent, rtol=1e-5)
    assert len(all_ended) > 25


def test_seeds_side_by_side_are_each_alone(plain):
    step, first = plain
    learners = [first, first._replace(key=jax.random.key(5), params=jax.tree.map(jnp.negative, first.params))]
    together = jax.jit(jax.vmap(step))(jax.tree.map(lambda *leaves: jnp.stack(leaves), *learners))
    for k, learner in enumerate(learners):
        for both, alone in zip(together, step(learner)):
            jax.tree.map(lambda one, other, k=k: np.testing.assert_allclose(one[k], other, rtol=1e-5, atol=1e-6),
                         numbers(both), numbers(alone))


def test_a_reward_that_is_nan_is_seen_in_everything():
    """No value of a traced program can raise: so what is learned from it is not a number either."""
    def advance(x, action):
        x, reward, terminated = BANDIT.advance(x, action)
        return x, jnp.full_like(reward, jnp.nan), terminated

    optimizer, broken = optax.sgd(0.1), BANDIT._replace(advance=advance)
    step = jax.jit(step_of(optimizer, broken, num_steps=2))
    after, metrics = step(begun(jax.random.key(0), optimizer, broken))
    assert np.isnan(after.params.policy).any() and np.isnan(after.params.value).any() and np.isnan(metrics["return"])


def best_return(mdp, horizon):
    """Of any policy, one that looks at the clock included: backwards, by the best action."""
    values = np.zeros(len(mdp.start))
    for _ in range(horizon):
        values = np.max(mdp.rewards + mdp.transitions @ values, axis=1)
    return mdp.start @ values


def test_it_learns_its_way_through_the_grid():
    """To within 0.5 steps of the best there is; by chance it takes nearly three times as long."""
    world, horizon = grid_world(), GRID.max_episode_steps
    optimizer = optax.adam(0.1)
    step = step_of(optimizer, num_steps=20, discount=1.0, trace=0.95, reward_scale=0.2, passes=2, minibatches=2,
                   entropy_weight=0.003)

    @jax.jit
    def learned(key):
        learner = begun(key, optimizer, num=16)
        learner = learner._replace(params=jax.tree.map(jnp.zeros_like, learner.params))
        after, metrics = jax.lax.scan(lambda learner, _: step(learner), learner, length=60)
        earned = [expected_return(params.policy, world, horizon=horizon) for params in (learner.params, after.params)]
        return *earned, metrics["return"][-1]

    at_first, at_last, recent = learned(jax.random.key(0))
    best = best_return(world, horizon)
    assert at_first < best - 8 and best - 0.5 < at_last < best
    assert abs(recent - at_last) < 2


@pytest.mark.parametrize("how, words", [
    ({"passes": 0}, "passes and minibatches must be at least 1, got 0 and 1"),
    ({"minibatches": 0}, "passes and minibatches must be at least 1, got 1 and 0"),
    ({"minibatches": 5}, "minibatches must divide the batch of 8 steps of 3 environments, got 5"),
    ({"discount": 1.5}, r"discount must be in \[0, 1\], got 1.5"), ({"trace": -1}, r"trace must be in \[0, 1\]"),
    ({"clip": 0}, "clip must be above 0, got 0"), ({"entropy_weight": -1}, "entropy_weight must be at least 0, got -1"),
])
def test_what_is_no_way_to_learn_is_refused(how, words):
    optimizer = optax.sgd(0.1)
    with pytest.raises(ValueError, match=words):
        step = step_of(optimizer, **how)
        jax.eval_shape(lambda key: step(begun(key, optimizer)), jax.random.key(0))


def test_a_policy_of_other_actions_is_refused():
    optimizer = optax.sgd(0.1)
    wider = ActorCritic(lambda params, seen: jnp.concatenate([linear(params, seen)] * 2, axis=-1), linear)
    step = actor_critic_step(GRID, wider, CATEGORICAL, optimizer, **HOW)
    with pytest.raises(ValueError, match=r"heads of a policy for grid must be \(..., 4\), got \(3, 8\)"):
        jax.eval_shape(lambda key: step(begun(key, optimizer)), jax.random.key(0))
